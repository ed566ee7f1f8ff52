"""Options that several subcommands share, and how a subcommand is added."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simformer.commands.inputs import base_novel_split, dataset_index, label_set, new_file, take_device, use_threads
from simformer.data.shards import WHOLE, Shard
from simformer.errors import UserError
from simformer.machine.device_names import DEVICES, EXPECTED

if TYPE_CHECKING:
    from simformer.config.layers import SettingsT

Option = tuple[str, dict[str, Any]]
"""Name and keywords of `ArgumentParser.add_argument`."""
MOST = 10**15
"""What a count without a bound of its own may be."""


def command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    run: Callable[[argparse.Namespace], None],
    *options: Option,
) -> None:
    """Add the subcommand named like a function, which it calls, with the function's docstring as help.

    `simformer --help` lists the first line of the docstring; groups.py says under which heading.
    """
    name = run.__name__.removesuffix("_")  # of words that Python keeps for itself
    parser = commands.add_parser(name, description=run.__doc__, add_help=False)
    needed, other = parser.add_argument_group("required"), parser.add_argument_group("optional")
    other.add_argument("-h", "--help", action="help", help="show this help and exit")
    read = {}
    for option in options:
        name, keywords = unread(option)
        required = keywords.get("required", not name.startswith("-") and "default" not in keywords)
        action = (needed if required else other).add_argument(name, **keywords | {"help": _with_default(keywords)})
        if "read" in option[1]:
            read[action.dest] = option[1]["read"]
    parser.set_defaults(run=run, read=read)


def _with_default(keywords: dict[str, Any]) -> str:
    """Return the help of an option with its default value, unless the help itself says what happens without it."""
    text, default = str(keywords["help"]), keywords.get("default")
    if "default:" in text or default in (None, [], ""):
        return text
    return f"{text}; default: {' '.join(map(str, default)) if isinstance(default, list) else default}"


def read_inputs(args: argparse.Namespace) -> None:
    """Replace the names that options hold by what is read from there, in the order of the options; see inputs.py."""
    for name, read in args.read.items():
        value = getattr(args, name)
        if value is not None:
            setattr(args, name, [read(part) for part in value] if isinstance(value, list) else read(value))


def path(name: str, help: str, **keywords: Any) -> Option:
    """Return a required option that takes a path; keywords override that, and `read` says what is read from there."""
    return f"--{name}", {"type": some_path, "required": True, "help": help} | keywords


def unread(option: Option) -> Option:
    """Return an option whose value its command is to read itself."""
    return option[0], {key: value for key, value in option[1].items() if key != "read"}


def parsed(model: type[SettingsT], text: str, option: str) -> SettingsT:
    """Read an option that holds settings as JSON; raises UserError with one line per mistake."""
    from simformer.config.layers import parse
    from simformer.text.strict_json import read_option

    return parse(model, read_option(text, option), option)


def count(lowest: int, highest: int = MOST) -> Callable[[str], int]:
    """Return a reader of whole numbers within bounds, for `type` of an option."""

    def read(text: str) -> int:
        if not re.fullmatch("0|[1-9][0-9]{0,18}", text) or not lowest <= int(text) <= highest:
            bounds = f"from {lowest} to {highest}" if highest < MOST else f"from {lowest} up"
            raise argparse.ArgumentTypeError(f"expected a whole number {bounds}, found '{text}'")
        return int(text)

    return read


def planned(args: argparse.Namespace, describe: Callable[..., Any], *names: object) -> Any:
    """Return what a command of STUDIED works on; see `simformer.study.specification`."""
    from simformer.study.specification import read_runs, specification

    return specification(read_runs(args.study, args.configuration, args.config), args.expect, describe, *names)


@contextmanager
def in_workflow(args: argparse.Namespace) -> Iterator[None]:
    """Work in the folder of the workflow whose study `--study` names, since the paths in a study are relative to it.

    Paths among the arguments are relative to the working directory, and are rewritten.
    """
    import contextlib
    import os
    import sys

    from simformer.config.paths import is_outside, workflow_folder

    folder, here = workflow_folder(args.study), Path.cwd()
    if folder is None:
        yield
        if is_outside(args.study):
            told = "neither this folder nor one above the study has a Snakefile; `results` and `data` were taken below"
            print(f"{args.study}: {told} {here}", file=sys.stderr)
        return
    told = f"working in {folder}, the folder of this study's workflow; the paths and commands below start there"
    print(told, file=sys.stderr)
    args.study = Path(os.path.relpath(args.study, folder))
    args.targets = [
        os.path.relpath(here / target, folder) if _climbs(here, target) else target
        for target in getattr(args, "targets", ())
    ]
    if getattr(args, "output", None) not in (None, Path("docs/results")):
        args.output = here / args.output
    with contextlib.chdir(folder):
        yield


def _climbs(here: Path, target: str) -> bool:
    """Whether a target is written as seen from the working directory, and not from the workflow's folder."""
    return Path(target).parts[:1] == ("..",) or (here / target).exists()


def score(text: str) -> float:
    """Read a finite number from 0 up, for `type` of an option."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number from 0 up, found '{text}'")
    return value


def named_path(text: str) -> tuple[str, Path]:
    """Read NAME=FILE, for `type` of an option."""
    name, _, file = text.partition("=")
    if not name or not file:
        raise argparse.ArgumentTypeError(f"expected NAME=FILE, found '{text}'")
    return name, Path(file)


def _place(text: str) -> tuple[str, str]:
    dataset, _, split = text.partition("/")
    if not re.fullmatch(r"[a-z][a-z0-9_]*/split[0-9]{1,6}", text):
        raise argparse.ArgumentTypeError(f"expected DATASET/SPLIT, e.g. scenes/split1, found '{text}'")
    return dataset, split


def some_path(text: str) -> Path:
    """Read a path, for `type` of an option."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected a path, found {text!r}")
    return Path(text)


def _shard(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _device(text: str) -> str:
    if not re.fullmatch(DEVICES, text):
        raise argparse.ArgumentTypeError(f"expected {EXPECTED}, found '{text}'")
    return text


def refuse_overwriting(args: argparse.Namespace) -> None:
    """Raise UserError if a file that is to be written is also one that is read."""
    output = getattr(args, "output", None)
    if not isinstance(output, Path) or not output.is_file():
        return
    for name, value in vars(args).items():
        files = value if isinstance(value, list | tuple) else [value]
        if name != "output" and any(isinstance(f, Path) and f.is_file() and f.samefile(output) for f in files):
            option = name.replace("_", "-")
            raise UserError(f"{output}: both --output and --{option}, which would be lost; name another --output")


OUTPUT = path("output", "file to write", read=new_file)
OUTPUT_FOLDER = path("output", "folder to write")
DATA = path("data", "folder of the prepared dataset")
INDEX = path("index", "index.json that the audit of the dataset wrote", read=dataset_index)
LABELS = path("labels", "labels.json of the label set to read", read=label_set)
MASKED = path("masked", "labels.json of the split, whose novel pixels are hidden", read=label_set)
TRUTH = path("truth", "labels.json of a label set with all masks", read=label_set)
SPLIT = path("split", "split.yaml: which classes are base and which are novel", read=base_novel_split)
MODEL = path("model", "model.safetensors of a training")
RUN: Option = (
    "--run-hash",
    {
        "default": None,
        "metavar": "HASH",
        "help": "hash in the config.yaml of a run; files of any other run are refused; default: any run",
    },
)
THREADS: Option = (
    "--threads",
    {"type": count(1, 4096), "default": 1, "help": "number of CPU threads", "read": use_threads},
)
WORKERS: Option = ("--workers", {"type": count(1, 4096), "default": 1, "help": "number of processes"})
DEVICE: Option = (
    "--device",
    {
        "type": _device,
        "default": "auto",
        "help": "cpu, cuda, cuda:N, mps or auto: a free CUDA GPU, else Apple's GPU, else the CPU",
        "read": take_device,
    },
)
SHARD: Option = (
    "--shard",
    {"type": _shard, "default": WHOLE, "help": "part of the images, e.g. 2of4 for the second quarter; default: all"},
)
STUDIED: tuple[Option, ...] = (
    path("study", "study files; later ones win", required=False, default=[Path("config/config.yaml")], nargs="*"),
    path(
        "configuration",
        "folder of the datasets, methods and experiments; default: that of the study",
        required=False,
    ),
    (
        "--config",
        {
            "default": [],
            "nargs": "+",
            "metavar": "KEY=VALUE",
            "help": "keys of the study that win over its files; default: none",
        },
    ),
    (
        "--expect",
        {
            "default": None,
            "metavar": "HASH",
            "help": "hash of what the study asked for when the job was planned; the command refuses anything else; "
            "default: no check",
        },
    ),
)
EXPERIMENT: Option = ("--experiment", {"required": True, "help": "name of the table, e.g. table1"})
ON: Option = (
    "--on",
    {
        "type": _place,
        "required": True,
        "metavar": "DATASET/SPLIT",
        "help": "dataset and split, e.g. scenes/split1",
    },
)
SEED: Option = ("--seed", {"type": count(0, 2**31 - 1), "required": True, "help": "seed of the training"})
INFERENCE: Option = ("--inference", {"required": True, "help": "sizes at test time, JSON: `inference` of a dataset"})
RUNNING: tuple[Option, ...] = (THREADS, DEVICE, OUTPUT)
PREDICTING: tuple[Option, ...] = (MODEL, RUN, DATA, INFERENCE, *RUNNING)
STUDY: Option = ("--study", {"type": some_path, "default": Path("config/config.yaml"), "help": "study file"})
TARGETS: Option = (
    "targets",
    {"nargs": "*", "default": [], "help": "tables, e.g. results/table1.csv; default: all of the study"},
)
GAMMA: Option = (
    "--gamma",
    {
        "type": score,
        "required": True,
        "help": "share of the highest score that a pixel needs for a novel class, 0 to 1",
    },
)
