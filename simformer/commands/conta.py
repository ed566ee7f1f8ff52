"""Subcommands of CONTA: from a round's masks to the next round's classifier and its maps, and what it claims."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from simformer.commands.baselines import MAKING, MAPS, NETWORK, SETTINGS, TRAINING, map_job, network_spec, train_network
from simformer.commands.options import (
    DATA,
    DEVICE,
    LABELS,
    ON,
    OUTPUT,
    SEED,
    STUDIED,
    THREADS,
    command,
    count,
    parsed,
    path,
    planned,
    score,
)

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def segmentation(args: argparse.Namespace) -> None:
    """Train the segmentation network on a round's masks; the same command continues an interrupted training."""
    from simformer.baselines.conta.segmentation import train_segmentation
    from simformer.baselines.conta.settings import SegmentationSettings

    train_network(train_segmentation, network_spec(SegmentationSettings, args), args)


def predictions(args: argparse.Namespace) -> None:
    """Predict masks of the training images, or of a shard of them; what is there is not made again."""
    from simformer.baselines.conta.segmentation import write_predictions
    from simformer.baselines.settings import CamSettings

    write_predictions(args.network, parsed(CamSettings, args.settings, "--settings"), args.grid, map_job(args))


def confounder(args: argparse.Namespace) -> None:
    """Average the predicted masks of each class over the training images."""
    import torch

    from simformer.baselines.class_maps.map_files import MapSet
    from simformer.baselines.conta.confounder import confounder as run
    from simformer.data.labels import LabelSet

    torch.set_num_threads(1)  # maps of one image are small: threads cost more than they bring
    predicted, cams = MapSet.load(args.predicted), MapSet.load(args.maps)
    run(predicted, cams, LabelSet.load(args.labels), args.threshold).save(args.output)


def conta(args: argparse.Namespace) -> None:
    """Train the classifier of a round; the same command continues an interrupted training."""
    from simformer.baselines.class_maps.map_files import MapSet
    from simformer.baselines.conta.confounder import Confounder
    from simformer.baselines.conta.round_classifier import train_context_classifier
    from simformer.baselines.conta.settings import ContextClassifierSettings

    run = partial(
        train_context_classifier,
        predicted=args.predicted and MapSet.load(args.predicted),
        confounder=args.confounder and Confounder.load(args.confounder),
    )
    train_network(run, network_spec(ContextClassifierSettings, args), args)


def conta_cam(args: argparse.Namespace) -> None:
    """Make the class activation maps of a round, or those of a shard; what is there is not made again."""
    from simformer.baselines.class_maps.map_files import MapSet
    from simformer.baselines.conta.round_classifier import ContextResponse, context_classifier_maps
    from simformer.baselines.settings import CamSettings

    settings, job = parsed(CamSettings, args.settings, "--settings"), map_job(args)
    predicted = args.predicted and MapSet.load(args.predicted)
    context_classifier_maps(ContextResponse(args.network, predicted, job.labels, job.device), settings, job)


def check_conta(args: argparse.Namespace) -> None:
    """Measure CONTA's properties on training images; reads their true masks."""
    import torch

    from simformer.baselines.class_maps.map_files import MapSet
    from simformer.baselines.settings import CamSettings
    from simformer.claims.claim import save_claims
    from simformer.claims.conta import Inputs, RoundMaps, conta_claims
    from simformer.data.labels import LabelSet
    from simformer.machine.devices import choose_device
    from simformer.study.map_arms import conta_arms

    torch.set_num_threads(args.threads)
    spec = planned(args, conta_arms, args.on[0], args.seed)
    stages = {
        name: {stage: MapSet.load(Path(file)) for stage, file in files.items()} for name, files in spec["maps"].items()
    }
    labels, masked, truth = (LabelSet.load(file) for file in (args.labels, args.masked, args.truth))
    inputs = Inputs(
        rounds=tuple(spec["rounds"]),
        controls=spec["controls"],
        maps={name: RoundMaps(files["cam"], files["irn"]) for name, files in stages.items()},
        plain=args.plain,
        network=args.network,
        predicted=MapSet.load(args.predicted),
        data=args.data,
        labels=labels,
        masked=masked,
        truth=truth,
        cam=parsed(CamSettings, args.settings, "--settings"),
        background=args.background,
    )
    save_claims(args.output, conta_claims(inputs, choose_device(args.device)))


def add(commands: argparse._SubParsersAction) -> None:
    """Add these subcommands to the parser."""
    predicted = path("predicted", "maps.json of the predicted masks of the round before", required=False, default=None)
    averages = path("confounder", "average masks of the round before", required=False, default=None)
    command(commands, segmentation, *TRAINING)
    grid = ("--grid", {"type": count(1, 10_000), "required": True, "help": "side of the square grid, cells"})
    command(commands, predictions, NETWORK, grid, *MAKING)
    command(
        commands, confounder, path("predicted", "maps.json of predicted masks"), MAPS, LABELS,
        ("--threshold", {"type": score, "required": True, "help": "lowest score of a map that counts"}), OUTPUT,
    )  # fmt: skip
    command(commands, conta, *TRAINING, predicted, averages)
    command(
        commands, check_conta, *STUDIED, ON, SEED, NETWORK, path("plain", "network file of the plain classifier"),
        path("predicted", "maps.json of the masks that the network was trained with"), DATA, LABELS,
        path("masked", "labels.json of the split"), path("truth", "labels.json with all masks"), SETTINGS,
        ("--background", {"type": score, "required": True, "help": "lowest score of a labelled pixel"}),
        THREADS, DEVICE, OUTPUT,
    )  # fmt: skip
    command(commands, conta_cam, NETWORK, predicted, *MAKING)
