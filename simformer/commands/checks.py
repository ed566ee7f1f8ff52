"""Subcommands that measure and show the baselines' class maps: claims, their table, pictures and costs."""

from __future__ import annotations

import argparse

from simformer.commands.inputs import label_set, use_threads
from simformer.commands.options import DATA, LABELS, ON, OUTPUT, SEED, STUDIED, TRUTH, command, count, path, planned

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def check_maps(args: argparse.Namespace) -> None:
    """Measure the claims about all class maps of a dataset.

    The command reads true masks of training images.
    """
    from simformer.baselines.compared_maps import read_arms
    from simformer.claims.claim import save_claims
    from simformer.claims.maps import map_claims
    from simformer.study.map_arms import map_arms

    use_threads()
    arms = read_arms(planned(args, map_arms, *args.on, args.seed))
    save_claims(args.output, map_claims(arms, args.labels, args.truth, args.fill))


def baseline_checks(args: argparse.Namespace) -> None:
    """Write the table of all claims, as csv and Markdown."""
    from simformer.claims.table import write_check_table
    from simformer.study.map_arms import CHECKED, claim_files

    write_check_table({"files": planned(args, claim_files, args.checks or CHECKED)}, args.output)


def map_gallery(args: argparse.Namespace) -> None:
    """Draw training images with truth, class maps, mixed labels.

    The class maps are those of one novel class.
    """
    from simformer.analysis.figures.map_gallery import draw_map_gallery
    from simformer.baselines.compared_maps import read_arms
    from simformer.study.map_arms import map_arms

    use_threads()
    arms = read_arms(planned(args, map_arms, *args.on))
    draw_map_gallery(arms, args.data, args.labels, args.truth, args.images, args.output)


def stage_costs(args: argparse.Namespace) -> None:
    """Write what finished trainings and passes over images cost.

    The costs are time and memory, as csv and Markdown.
    """
    from simformer.analysis.tables.stage_costs import write_stage_costs
    from simformer.study.specification import read_runs

    catalogue = read_runs(args.study, args.configuration, args.config).catalogue
    write_stage_costs(catalogue, args.results, args.output)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    fill = path("fill", "labels.json of the trivial control, Fill*", read=label_set)
    command(commands, check_maps, *STUDIED, ON, SEED, LABELS, TRUTH, fill, OUTPUT)
    checks = ("--checks", {"nargs": "+", "metavar": "CHECK", "help": "claims to show, e.g. retab; default: all"})
    command(commands, baseline_checks, *STUDIED, checks, OUTPUT)
    command(
        commands, map_gallery, *STUDIED, ON, DATA, LABELS, TRUTH,
        ("--images", {"type": count(1), "default": 6, "help": "number of training images to draw"}), OUTPUT,
    )  # fmt: skip
    command(commands, stage_costs, *STUDIED, path("results", "folder of the study's results"), OUTPUT)
