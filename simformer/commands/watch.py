"""Subcommands that look at a study: how far it is, and whether this machine is fit for it."""

from __future__ import annotations

import argparse

from simformer.commands.options import STUDY, TARGETS, Option, command, count, in_workflow
from simformer.text.json_text import json_text

JSON: Option = ("--json", {"action": "store_true", "help": "print JSON, for scripts"})


def status(args: argparse.Namespace) -> None:
    """Show how far a study is, what has failed, and when it will end.

    The command only reads: you can type it at any time.
    """
    import time
    from datetime import datetime

    from simformer.machine.slurm import gpus_here
    from simformer.machine.terminal import wants_colour
    from simformer.study.catalogue import Catalogue
    from simformer.study.status import make_status
    from simformer.study.status_text import status_text
    from simformer.study.targets import targeted

    with in_workflow(args):
        catalogue = Catalogue.read(args.study)
        found = make_status(catalogue, targeted(catalogue, args.targets), time.time(), gpus_here(), args.jobs)
    text = json_text(found.content(), indent=1, default=str) if args.json else ""
    print(text or status_text(found, datetime.now(), wants_colour()))


def doctor(args: argparse.Namespace) -> None:
    """Check whether this machine is fit for a study, and say what to do.

    The exit status is 1 if there is a problem.
    """
    import sys
    from dataclasses import asdict

    from simformer.doctor.check import checks_text
    from simformer.doctor.examine import examine
    from simformer.machine.terminal import wants_colour

    with in_workflow(args):
        checks = list(examine(args.study))
    print(json_text(list(map(asdict, checks)), indent=1) if args.json else checks_text(checks, wants_colour()))
    if any(check.level == "problem" for check in checks):
        sys.exit(1)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    command(
        commands, status, TARGETS, STUDY, JSON,
        ("--jobs", {"type": count(1, 10**5),
                    "help": "number of trainings at a time, to estimate the end; default: as many as run now"}),
    )  # fmt: skip
    command(commands, doctor, STUDY, JSON)
