"""Subcommands of the weakly supervised baselines: from image-level labels to mixed labels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from simformer.baselines.responses import WALKS
from simformer.commands.inputs import map_set, use_threads
from simformer.commands.options import (
    DATA,
    DEVICE,
    GAMMA,
    LABELS,
    OUTPUT,
    OUTPUT_FOLDER,
    SHARD,
    THREADS,
    Option,
    command,
    count,
    parsed,
    path,
)

if TYPE_CHECKING:
    from simformer.baselines.class_maps.map_files import MapJob
    from simformer.baselines.settings import NetworkSettingsT, NetworkSpec
    from simformer.training.job import Job

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def classifier(args: argparse.Namespace) -> None:
    """Train the multi-label classifier on image-level labels.

    If the training was interrupted, the same command goes on where it stopped.
    """
    from simformer.baselines.classifier import train_classifier
    from simformer.baselines.settings import ClassifierSettings

    train_network(train_classifier, network_spec(ClassifierSettings, args), args)


def affinity(args: argparse.Namespace) -> None:
    """Train the network that expands seeds (PSA or IRN).

    If the training was interrupted, the same command goes on where it stopped.
    """
    from simformer.baselines.expansion.psa_irn import train_expander
    from simformer.baselines.settings import AffinitySettings

    train_network(train_expander, network_spec(AffinitySettings, args), args)


def network_spec(settings: type[NetworkSettingsT], args: argparse.Namespace) -> NetworkSpec[NetworkSettingsT]:
    """Read the specification of a training, whose settings are of some class."""
    from simformer.baselines.settings import of_settings

    return parsed(of_settings(settings), args.spec, "--spec")


def train_network(
    run: Callable[[NetworkSpec[NetworkSettingsT], Job], None],
    spec: NetworkSpec[NetworkSettingsT],
    args: argparse.Namespace,
) -> None:
    """Call a training function with the options of TRAINING, unless another process has just finished it."""
    from simformer.machine.run_lock import run_lock
    from simformer.machine.stop_signal import ignore_stops
    from simformer.training.job import Job, Runtime, TrainOutputs

    runtime = Runtime(
        device=str(args.device),
        workers=args.workers,
        checkpoint_every=args.checkpoint_every,
        stop_after=args.stop_after,
    )
    outputs = TrainOutputs(args.network, args.log, args.facts)
    with run_lock(args.state) as waited:
        if waited and outputs.are_of(spec.hash):
            print("the other process has finished this training", file=sys.stderr)
        else:
            args.labels.require(*LEARNS_FROM.get(spec.kind, ("images",)))
            run(spec, Job(args.data, args.labels, args.weights, args.state, outputs, runtime))
            ignore_stops()


def cam(args: argparse.Namespace) -> None:
    """Make the class maps of a network.

    Maps that are there are not made again. With --shard, the command makes those of a part of the images.
    """
    from simformer.baselines.response_networks import response_maps
    from simformer.baselines.settings import CamSettings

    response_maps(args.network, parsed(CamSettings, args.settings, "--settings"), map_job(args))


def map_job(args: argparse.Namespace) -> MapJob:
    """Read the options of MAKING, which say whose maps are made and how."""
    from simformer.baselines.class_maps.map_files import MapJob

    return MapJob(args.data, args.labels, args.device, args.output, args.shard)


def gather_maps(args: argparse.Namespace) -> None:
    """Join the shards of class maps.

    The shards must be complete.
    """
    from simformer.baselines.class_maps.map_files import gather_maps as run

    run(args.shards, args.labels, args.output)


def seeds(args: argparse.Namespace) -> None:
    """Write the confident pixels of class maps as a label set."""
    from simformer.baselines.class_maps.seeds import write_seeds
    from simformer.baselines.settings import SeedSettings

    use_threads()
    settings = parsed(SeedSettings, args.settings, "--settings")
    write_seeds(args.maps, args.data, args.labels, settings, args.output)


def refine(args: argparse.Namespace) -> None:
    """Expand class maps by a random walk.

    Maps that are there are not made again. With --shard, the command makes those of a part of the images.
    """
    from simformer.baselines.expansion.psa_irn import Expander
    from simformer.baselines.settings import WalkSettings

    settings, job = parsed(WalkSettings, args.settings, "--settings"), map_job(args)
    Expander(args.network, args.kind, settings, job.device).write(args.maps, job)


def mix(args: argparse.Namespace) -> None:
    """Write mixed labels from base masks and class maps.

    Pixels outside the base masks get the present novel class whose map is highest there.
    """
    from simformer.baselines.mixing import mixed_labels

    use_threads()
    mixed_labels(args.maps, args.labels, args.gamma, args.output)


LEARNS_FROM = {
    "psa": ("seeds",),
    "irn": ("seeds",),
    "segmentation": ("seeds",),
    "retab_affinity": ("seeds",),
    "retab_boundary": ("weak", "control"),
}
"""Kinds of label sets that networks learn from; those that are not named here see image-level labels alone."""
NETWORK = path("network", "file of the trained network")
MAPS = path("maps", "maps.json of class maps", read=map_set)
SETTINGS: Option = ("--settings", {"required": True, "help": "settings of this stage, JSON"})
MAKING: tuple[Option, ...] = (DATA, LABELS, SETTINGS, SHARD, THREADS, DEVICE, OUTPUT)
TRAINING: tuple[Option, ...] = (
    ("--spec", {"required": True, "help": "kind, backbone, seed and settings of the network, JSON"}),
    DATA,
    LABELS,
    path("weights", "initial weights of the backbone; default: random ones", required=False),
    path("state", "folder of the state from which an interrupted training goes on"),
    path("network", "file of the network to write"),
    path("log", "CSV file of the losses to write"),
    path("facts", "JSON file about the training to write"),
    THREADS,
    DEVICE,
    ("--workers", {"type": count(0, 4096), "default": 0, "help": "number of processes that load data"}),
    ("--checkpoint-every", {"type": count(1), "default": 500, "help": "number of steps between two saved states"}),
    (
        "--stop-after",
        {
            "type": count(1),
            "default": None,
            "help": "number of steps after which the state is saved and the command stops; default: no stop",
        },
    ),
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    command(commands, classifier, *TRAINING)
    command(commands, cam, NETWORK, *MAKING)
    command(
        commands,
        gather_maps,
        path("shards", "files that `cam` or `refine` wrote, one of each shard", nargs="+"),
        LABELS,
        OUTPUT,
    )
    command(commands, seeds, MAPS, DATA, LABELS, SETTINGS, OUTPUT_FOLDER)
    command(commands, affinity, *TRAINING)
    kind = ("--kind", {"required": True, "choices": WALKS, "help": "kind of the expansion"})
    command(commands, refine, NETWORK, kind, MAPS, *MAKING)
    command(commands, mix, MAPS, LABELS, GAMMA, OUTPUT_FOLDER)
