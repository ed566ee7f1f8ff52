"""Subcommands of RIB."""

from __future__ import annotations

import argparse

from simformer.commands.baselines import map_job
from simformer.commands.inputs import map_set
from simformer.commands.options import DATA, LABELS, MASKED, RUNNING, SHARD, TRUTH, Option, command, parsed, path


def rib(args: argparse.Namespace) -> None:
    """Make RIB's class maps of the training images.

    Maps that are there are not made again. With --shard, the command makes those of a part of the images.
    """
    from simformer.baselines.rib.settings import RibSettings
    from simformer.baselines.rib.tuned_maps import rib_maps
    from simformer.baselines.settings import CamSettings

    settings, cam = parsed(RibSettings, args.settings, "--settings"), parsed(CamSettings, args.cam, "--cam")
    rib_maps(args.network, settings, cam, args.facts, map_job(args))


def check_rib(args: argparse.Namespace) -> None:
    """Measure the claims about RIB on training images.

    The command reads their true masks.
    """
    from simformer.baselines.rib.settings import RibCheckSettings, RibSettings
    from simformer.baselines.settings import CamSettings
    from simformer.claims.claim import save_claims
    from simformer.claims.rib import Inputs, rib_checks
    from simformer.data.identity import require_dataset

    require_dataset(args.labels.identity, args.masked.identity)
    found = Inputs(
        network=args.network,
        data=args.data,
        labels=args.labels,
        truth=args.truth,
        novel=args.masked.novel,
        rib=args.maps,
        settings=parsed(RibSettings, args.settings, "--settings"),
        cam=parsed(CamSettings, args.cam, "--cam"),
        amount=parsed(RibCheckSettings, args.amount, "--amount"),
    )
    save_claims(args.output, rib_checks(found, args.device))


NETWORK = path("network", "file of the classifier's network")
SETTINGS: tuple[Option, ...] = (
    ("--settings", {"required": True, "help": "settings of the fine-tuning, JSON"}),
    ("--cam", {"required": True, "help": "sizes and scales of the maps, JSON"}),
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    command(
        commands, rib, NETWORK, DATA, LABELS, *SETTINGS, SHARD, *RUNNING,
        path("facts", "JSON file about the maps to write"),
    )  # fmt: skip
    command(
        commands, check_rib, NETWORK, DATA, LABELS, *SETTINGS, path("maps", "maps.json of RIB's maps", read=map_set),
        TRUTH, MASKED, ("--amount", {"required": True, "help": "how much to measure, JSON"}), *RUNNING,
    )  # fmt: skip
