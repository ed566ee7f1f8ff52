"""Subcommands that measure and show the baselines' class maps: claims, their table, pictures and costs."""

from __future__ import annotations

import argparse

from simformer.commands.options import DATA, LABELS, OUTPUT, Option, command, count, path

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def check_maps(args: argparse.Namespace) -> None:
    """Measure the claims about all class maps of a dataset, with the true masks of training images."""
    import torch

    from simformer.baselines.compared_maps import read_arms
    from simformer.claims.claim import save_claims
    from simformer.claims.maps import map_claims
    from simformer.commands.specs import Arms, read_spec
    from simformer.data.labels import LabelSet

    torch.set_num_threads(1)  # maps of one image are small: threads cost more than they bring
    labels = (LabelSet.load(file) for file in (args.labels, args.truth, args.fill))
    save_claims(args.output, map_claims(read_arms(read_spec(Arms, args.arms, "--arms")), *labels))


def baseline_checks(args: argparse.Namespace) -> None:
    """Write the table of claims, as csv and Markdown."""
    from simformer.claims.table import write_check_table
    from simformer.commands.specs import CheckSpec, read_spec

    write_check_table(read_spec(CheckSpec, args.spec, "--spec"), args.output)


def map_gallery(args: argparse.Namespace) -> None:
    """Draw training images beside truth, class maps of one novel class, and mixed labels."""
    import torch

    from simformer.analysis.figures.map_gallery import draw_map_gallery
    from simformer.baselines.compared_maps import read_arms
    from simformer.commands.specs import Arms, read_spec
    from simformer.data.labels import LabelSet

    torch.set_num_threads(1)  # maps of one image are small: threads cost more than they bring
    labels = (LabelSet.load(file) for file in (args.labels, args.truth))
    draw_map_gallery(read_arms(read_spec(Arms, args.arms, "--arms")), args.data, *labels, args.images, args.output)


def stage_costs(args: argparse.Namespace) -> None:
    """Write the time and memory of every stage of a study that has finished, as csv and Markdown."""
    from simformer.analysis.tables.stage_costs import write_stage_costs
    from simformer.config.layers import read_study
    from simformer.config.paths import config_folder
    from simformer.study.catalogue import Catalogue

    catalogue = Catalogue(read_study(args.study), ", ".join(map(str, args.study)), config_folder(args.study))
    write_stage_costs(catalogue, args.results, args.output)


ARMS: Option = ("--arms", {"required": True, "help": "maps to compare, JSON"})
TRUTH = path("truth", "labels.json with all masks")


def add(commands: argparse._SubParsersAction) -> None:
    """Add these subcommands to the parser."""
    command(commands, check_maps, ARMS, LABELS, TRUTH, path("fill", "labels.json of the control `fill`"), OUTPUT)
    command(commands, baseline_checks, ("--spec", {"required": True, "help": "files of claims, JSON"}), OUTPUT)
    command(
        commands, map_gallery, ARMS, DATA, LABELS, TRUTH,
        ("--images", {"type": count(1), "default": 6, "help": "number of training images"}), OUTPUT,
    )  # fmt: skip
    command(
        commands, stage_costs, path("study", "study files; later ones win", nargs="+"),
        path("results", "folder of the study's results"), OUTPUT,
    )  # fmt: skip
