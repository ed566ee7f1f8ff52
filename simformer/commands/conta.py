"""Subcommands of CONTA: from a round's masks to the next round's classifier and its maps, and what it claims."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from simformer.commands.baselines import MAKING, MAPS, NETWORK, SETTINGS, TRAINING, map_job, network_spec, train_network
from simformer.commands.inputs import map_set, use_threads
from simformer.commands.options import (
    DATA,
    DEVICE,
    LABELS,
    MASKED,
    ON,
    OUTPUT,
    SEED,
    STUDIED,
    THREADS,
    TRUTH,
    command,
    count,
    parsed,
    path,
    planned,
    score,
)

if TYPE_CHECKING:
    from simformer.baselines.conta.confounder import Confounder

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def segmentation(args: argparse.Namespace) -> None:
    """Train the segmentation network on the masks of a round.

    If the training was interrupted, the same command goes on where it stopped.
    """
    from simformer.baselines.conta.segmentation import train_segmentation
    from simformer.baselines.conta.settings import SegmentationSettings

    train_network(train_segmentation, network_spec(SegmentationSettings, args), args)


def predictions(args: argparse.Namespace) -> None:
    """Predict the masks of the training images in a round.

    Masks that are there are not made again. With --shard, the command makes those of a part of the images.
    """
    from simformer.baselines.conta.segmentation import write_predictions
    from simformer.baselines.settings import CamSettings

    write_predictions(args.network, parsed(CamSettings, args.settings, "--settings"), args.grid, map_job(args))


def confounder(args: argparse.Namespace) -> None:
    """Average the predicted masks of each class."""
    from simformer.baselines.conta.confounder import confounder as run

    use_threads()
    run(args.predicted, args.maps, args.labels, args.threshold).save(args.output)


def conta(args: argparse.Namespace) -> None:
    """Train the classifier of a round.

    If the training was interrupted, the same command goes on where it stopped.
    """
    from simformer.baselines.conta.round_classifier import train_context_classifier
    from simformer.baselines.conta.settings import ContextClassifierSettings

    run = partial(train_context_classifier, predicted=args.predicted, confounder=args.confounder)
    train_network(run, network_spec(ContextClassifierSettings, args), args)


def conta_cam(args: argparse.Namespace) -> None:
    """Make the class maps of a round.

    Maps that are there are not made again. With --shard, the command makes those of a part of the images.
    """
    from simformer.baselines.conta.round_classifier import ContextResponse, context_classifier_maps
    from simformer.baselines.settings import CamSettings

    settings, job = parsed(CamSettings, args.settings, "--settings"), map_job(args)
    context_classifier_maps(ContextResponse(args.network, args.predicted, job.labels, job.device), settings, job)


def check_conta(args: argparse.Namespace) -> None:
    """Measure the claims about CONTA on training images.

    The command reads their true masks.
    """
    from simformer.baselines.class_maps.map_files import MapSet
    from simformer.baselines.settings import CamSettings
    from simformer.claims.claim import save_claims
    from simformer.claims.conta import Inputs, RoundMaps, conta_claims
    from simformer.study.map_arms import conta_arms

    spec = planned(args, conta_arms, args.on[0], args.seed)
    stages = {
        name: {stage: MapSet.load(Path(file)) for stage, file in files.items()} for name, files in spec["maps"].items()
    }
    found = Inputs(
        rounds=tuple(spec["rounds"]),
        controls=spec["controls"],
        maps={name: RoundMaps(files["cam"], files["irn"]) for name, files in stages.items()},
        plain=args.plain,
        network=args.network,
        predicted=args.predicted,
        data=args.data,
        labels=args.labels,
        masked=args.masked,
        truth=args.truth,
        cam=parsed(CamSettings, args.settings, "--settings"),
        background=args.background,
    )
    save_claims(args.output, conta_claims(found, args.device))


def _confounder(file: Path) -> Confounder:
    from simformer.baselines.conta.confounder import Confounder

    return Confounder.load(file)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    predicted = path(
        "predicted",
        "maps.json of the masks that the round before predicted; default: this is the first round",
        required=False,
        read=map_set,
    )
    averages = path(
        "confounder",
        "average masks of the round before; default: this is the first round",
        required=False,
        read=_confounder,
    )
    command(commands, segmentation, *TRAINING)
    grid = (
        "--grid",
        {
            "type": count(1, 10_000),
            "required": True,
            "help": "side of the square grid on which masks are kept, in cells",
        },
    )
    command(commands, predictions, NETWORK, grid, *MAKING)
    command(
        commands, confounder, path("predicted", "maps.json of predicted masks", read=map_set), MAPS, LABELS,
        ("--threshold", {"type": score, "required": True,
                         "help": "lowest score of a map at which a class counts, 0 to 1"}), OUTPUT,
    )  # fmt: skip
    command(commands, conta, *TRAINING, predicted, averages)
    command(
        commands, check_conta, *STUDIED, ON, SEED, NETWORK, path("plain", "file of the plain classifier's network"),
        path("predicted", "maps.json of the masks that the network was trained with", read=map_set), DATA, LABELS,
        MASKED, TRUTH, SETTINGS,
        ("--background", {"type": score, "required": True,
                          "help": "lowest score of a pixel that gets a class, 0 to 1"}),
        THREADS, DEVICE, OUTPUT,
    )  # fmt: skip
    command(commands, conta_cam, NETWORK, predicted, *MAKING)
