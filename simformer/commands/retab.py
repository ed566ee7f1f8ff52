"""Subcommands of RETAB: boundaries and affinities from base masks, and the walk in two stages."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from simformer.commands.baselines import MAKING, MAPS, NETWORK, SETTINGS, TRAINING, map_job, network_spec, train_network
from simformer.commands.inputs import label_set, map_set, use_threads
from simformer.commands.options import (
    DATA,
    DEVICE,
    GAMMA,
    LABELS,
    OUTPUT,
    OUTPUT_FOLDER,
    SPLIT,
    THREADS,
    TRUTH,
    command,
    count,
    named_path,
    parsed,
    path,
)

if TYPE_CHECKING:
    from simformer.baselines.settings import NetworkSpec
    from simformer.training.job import Job

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def retab_boundary(args: argparse.Namespace) -> None:
    """Train the boundary network on edges of base masks.

    If the training was interrupted, the same command goes on where it stopped.
    """
    from simformer.baselines.retab.networks import train_edges
    from simformer.baselines.retab.settings import EdgeSettings

    train_network(train_edges, network_spec(EdgeSettings, args), args)


def retab_boundary_maps(args: argparse.Namespace) -> None:
    """Predict the boundaries of the training images.

    Maps that are there are not made again. With --shard, the command makes those of a part of the images.
    """
    from simformer.baselines.retab.propagation import write_boundaries
    from simformer.baselines.settings import CamSettings

    write_boundaries(args.network, parsed(CamSettings, args.settings, "--settings"), map_job(args))


def retab_seeds(args: argparse.Namespace) -> None:
    """Write base masks and seeds away from boundaries.

    Both together are one label set. The seeds are those of novel classes.
    """
    from simformer.baselines.retab.cells import write_base_and_seeds
    from simformer.baselines.retab.settings import TwoStageSettings

    use_threads()
    threshold = parsed(TwoStageSettings, args.settings, "--settings").boundary
    write_base_and_seeds(args.labels, args.seeds, args.boundaries, threshold, args.output)


def retab_affinity(args: argparse.Namespace) -> None:
    """Train the affinity network on base masks and seeds.

    If the training was interrupted, the same command goes on where it stopped.
    """
    from simformer.baselines.retab.networks import train_affinity
    from simformer.baselines.settings import AffinitySettings
    from simformer.data.identity import require_groups

    def run(spec: NetworkSpec[AffinitySettings], job: Job) -> None:
        require_groups(job.labels.identity, args.split)
        train_affinity(spec, job, args.split.novel)

    train_network(run, network_spec(AffinitySettings, args), args)


def retab_walk(args: argparse.Namespace) -> None:
    """Expand class maps by a random walk in two stages.

    Maps that are there are not made again. With --shard, the command makes those of a part of the images.
    """
    from simformer.baselines.retab.propagation import Propagation
    from simformer.baselines.retab.settings import TwoStageSettings

    settings, job = parsed(TwoStageSettings, args.settings, "--settings"), map_job(args)
    Propagation(args.network, settings, job.device).write(args.maps, args.boundaries, args.anchored, job)


def retab_control(args: argparse.Namespace) -> None:
    """Write the masked labels of a control.

    A control has base masks of other images, or fewer base classes.
    """
    from simformer.baselines.retab.controls import control_labels

    control_labels(args.labels, args.control, args.seed, args.output)


def check_retab(args: argparse.Namespace) -> None:
    """Measure the claims about RETAB on training images.

    The command reads their true masks.
    """
    from simformer.baselines.retab.settings import TwoStageSettings
    from simformer.claims.claim import save_claims
    from simformer.claims.retab import Inputs, retab_claims

    found = Inputs(
        data=args.data,
        masked=args.labels,
        truth=args.truth,
        seeds=args.seeds,
        maps=args.maps,
        boundaries=args.boundaries,
        walked=args.walked,
        networks=dict(args.affinity),
        settings=parsed(TwoStageSettings, args.settings, "--settings"),
        gamma=args.gamma,
        limit=args.images,
        weights=args.weights,
    )
    save_claims(args.output, retab_claims(found))


def retab_pictures(args: argparse.Namespace) -> None:
    """Draw boundaries, affinities, walked maps and labels."""
    from simformer.analysis.figures.retab_pictures import draw_retab_pictures
    from simformer.baselines.retab.propagation import Propagation
    from simformer.baselines.retab.settings import TwoStageSettings

    use_threads(args.threads)
    settings = parsed(TwoStageSettings, args.settings, "--settings")
    propagation = Propagation(args.network, settings, args.device)
    sets = (args.maps, args.boundaries, args.walked)
    draw_retab_pictures(propagation, *sets, args.data, args.labels, args.truth, args.gamma, args.images, args.output)


BOUNDARIES = path("boundaries", "maps.json of boundary probabilities", read=map_set)
WALKED = path("walked", "maps.json of walked maps", read=map_set)
SEEDS = path("seeds", "labels.json of the seeds, made from class maps", read=label_set)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    command(commands, retab_boundary, *TRAINING)
    command(commands, retab_boundary_maps, NETWORK, *MAKING)
    command(commands, retab_seeds, SEEDS, BOUNDARIES, LABELS, SETTINGS, OUTPUT_FOLDER)
    command(commands, retab_affinity, *TRAINING, SPLIT)
    anchored = ("--anchored", {"action": "store_true", "help": "let the walk stay within the not-base region"})
    command(commands, retab_walk, NETWORK, MAPS, BOUNDARIES, anchored, *MAKING)
    control = ("--control", {"required": True, "help": "kind of the control: shuffled, base50 or base25"})
    seed = ("--seed", {"type": count(0, 2**31 - 1), "required": True, "help": "seed of the draw"})
    command(commands, retab_control, LABELS, control, seed, OUTPUT_FOLDER)
    affinity = (
        "--affinity",
        {"type": named_path, "required": True, "nargs": "+", "help": "affinity networks to compare, NAME=FILE each"},
    )
    command(
        commands, check_retab, affinity, MAPS, BOUNDARIES, WALKED, SEEDS, DATA, LABELS, TRUTH, SETTINGS, GAMMA,
        path("weights", "initial weights of the backbone; default: random ones", required=False),
        ("--images", {"type": count(1), "default": 400,
                      "help": "largest number of training images that are looked at"}),
        THREADS, OUTPUT,
    )  # fmt: skip
    command(
        commands, retab_pictures, NETWORK, MAPS, BOUNDARIES, WALKED, DATA, LABELS, TRUTH, SETTINGS, GAMMA,
        ("--images", {"type": count(1), "default": 6, "help": "number of training images to draw"}),
        THREADS, DEVICE, OUTPUT,
    )  # fmt: skip
