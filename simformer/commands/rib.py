"""Subcommands of RIB."""

from __future__ import annotations

import argparse

from simformer.commands.options import DATA, DEVICE, LABELS, OUTPUT, SHARD, THREADS, command, path


def rib(args: argparse.Namespace) -> None:
    """Make RIB's maps of the training images, or of a shard of them; what is there is not made again."""
    import torch

    from simformer.baselines.rib.maps import rib_maps
    from simformer.baselines.rib.settings import RibSettings
    from simformer.baselines.settings import CamSettings
    from simformer.data.labels import LabelSet
    from simformer.devices import choose_device

    torch.set_num_threads(args.threads)
    settings, cam = RibSettings.model_validate_json(args.settings), CamSettings.model_validate_json(args.cam)
    device, labels = choose_device(args.device), LabelSet.load(args.labels)
    rib_maps(args.network, args.data, labels, settings, cam, device, args.output, args.facts, args.shard)


def add(commands: argparse._SubParsersAction) -> None:
    """Add these subcommands to the parser."""
    command(
        commands, rib, path("network", "network file of the classifier"), DATA, LABELS,
        ("--settings", {"required": True, "help": "settings of the fine-tuning, JSON"}),
        ("--cam", {"required": True, "help": "sizes and scales of the maps, JSON"}),
        SHARD, THREADS, DEVICE, OUTPUT, path("facts", "JSON to write"),
    )  # fmt: skip
