"""Subcommand that writes the workflow and its configuration into a folder, after an installation from the wheel."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from simformer.commands.options import command, some_path


def init(args: argparse.Namespace) -> None:
    """Write the workflow and its configuration into a folder."""
    from simformer.atomic import writing_into
    from simformer.study.project import write_project

    with writing_into(args.folder):
        write_project(args.folder)
    inside = "" if args.folder == Path() else f"cd {shlex.quote(str(args.folder))}; "
    print(f"next: {inside}snakemake --configfile config/demo_quick.yaml --cores 2")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this subcommand to the parser."""
    folder = {"nargs": "?", "type": some_path, "default": Path(), "help": "folder to write; default: the current one"}
    command(commands, init, ("folder", folder))
