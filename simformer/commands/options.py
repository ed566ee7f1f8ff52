"""Options that several subcommands share, and how a subcommand is added."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simformer.shards import WHOLE, Shard

Option = tuple[str, dict[str, Any]]
"""Name and keywords of `ArgumentParser.add_argument`."""


def command(commands: argparse._SubParsersAction, run: Callable[[argparse.Namespace], None], *options: Option) -> None:
    """Add the subcommand named like a function, which it calls, with its first line as help."""
    parser = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
    parser.set_defaults(run=run)
    for name, keywords in options:
        parser.add_argument(name, **keywords)


def path(name: str, help: str, **keywords: Any) -> Option:
    """Return a required option that takes a path; keywords override that."""
    return f"--{name}", {"type": Path, "required": True, "help": help} | keywords


OUTPUT = path("output", "what to write")
DATA = path("data", "folder of the prepared dataset")
INDEX = path("index", "audited index of the dataset")
LABELS = path("labels", "labels.json of a label set")
SPLIT = path("split", "split.yaml")
MODEL = path("model", "model.safetensors")
THREADS: Option = ("--threads", {"type": int, "default": 1, "help": "CPU threads"})
WORKERS: Option = ("--workers", {"type": int, "default": 1, "help": "processes"})
DEVICE: Option = ("--device", {"default": "auto", "help": "auto (a free GPU, else the CPU), cuda, cuda:N or cpu"})
SHARD: Option = ("--shard", {"type": Shard.parse, "default": WHOLE, "help": "part of the images, e.g. 2of4"})
INFERENCE: Option = ("--inference", {"required": True, "help": "inference settings, JSON"})
