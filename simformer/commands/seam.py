"""Subcommands of the networks at stride 8: SEAM, CPN and the plain classifiers beside them."""

from __future__ import annotations

import argparse
from functools import partial

from simformer.commands.baselines import TRAINING, train_network
from simformer.commands.options import command, path

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def response_network(args: argparse.Namespace) -> None:
    """Train a network of SEAM, CPN or their controls; the same command continues an interrupted training."""
    from simformer.baselines.responses import parse_spec, train_response

    train_network(partial(train_response, start=args.start), parse_spec(args.spec), args)


def add(commands: argparse._SubParsersAction) -> None:
    """Add these subcommands to the parser."""
    start = path("start", "warm network to start from", required=False, default=None)
    command(commands, response_network, *TRAINING, start)
