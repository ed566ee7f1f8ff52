"""Subcommands of the networks at stride 8: SEAM, CPN and the plain classifiers beside them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from simformer.commands.baselines import SETTINGS, TRAINING, train_network
from simformer.commands.options import DATA, INDEX, RUNNING, SPLIT, Option, command, named_path, parsed, path
from simformer.errors import UserError

if TYPE_CHECKING:
    from simformer.claims.claim import Claim
    from simformer.claims.stride8_networks import Inputs

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def response_network(args: argparse.Namespace) -> None:
    """Train a network of SEAM or CPN, or one of their controls.

    If the training was interrupted, the same command goes on where it stopped.
    """
    from simformer.baselines.response_networks import parse_spec, train_response

    train_network(partial(train_response, start=args.start), parse_spec(args.spec), args)


def check_seam(args: argparse.Namespace) -> None:
    """Measure the claims about SEAM on held-out images.

    The command reads their true masks.
    """
    from simformer.claims.seam import ARMS, seam_claims

    _check(args, ARMS, seam_claims)


def check_cpn(args: argparse.Namespace) -> None:
    """Measure the claims about CPN on held-out images.

    The command reads their true masks.
    """
    from simformer.claims.cpn import ARMS, cpn_claims

    _check(args, ARMS, cpn_claims)


def _check(args: argparse.Namespace, arms: tuple[str, ...], measure: Callable[[Inputs], list[Claim]]) -> None:
    from simformer.baselines.settings import CamSettings
    from simformer.claims.claim import save_claims
    from simformer.claims.stride8_networks import Inputs

    paths = dict(args.network)
    if len(paths) < len(args.network) or sorted(paths) != sorted(arms):
        given, expected = ", ".join(sorted(name for name, _ in args.network)), ", ".join(sorted(arms))
        raise UserError(f"--network: found {given}; expected NAME=FILE once for each of {expected}")
    cam = parsed(CamSettings, args.settings, "--settings")
    save_claims(args.output, measure(Inputs(paths, args.data, args.index, args.split, cam, args.device)))


NETWORKS: Option = (
    "--network",
    {"required": True, "nargs": "+", "type": named_path, "metavar": "NAME=FILE", "help": "networks to compare"},
)
CHECK = (NETWORKS, DATA, INDEX, SPLIT, SETTINGS, *RUNNING)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    start = path("start", "trained network to start from; default: the initial weights", required=False)
    command(commands, response_network, *TRAINING, start)
    command(commands, check_seam, *CHECK)
    command(commands, check_cpn, *CHECK)
