"""Command line: one subcommand per pipeline stage. Parse, call, exit code; no logic."""

from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from simformer import __version__
from simformer.errors import UserError

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def prepare(args: argparse.Namespace) -> None:
    """Generate or import a dataset into the prepared layout."""
    from simformer.data.prepare import prepare as run
    from simformer.sources import parse_source

    run(parse_source(json.loads(args.source)), {}, args.output, args.workers)


def audit(args: argparse.Namespace) -> None:
    """Check every image and label of a prepared dataset and write its index."""
    from simformer.data.audit import audit as run

    index, report = run(args.data, args.workers)
    report.save(args.report)
    index.save(args.index)


def split(args: argparse.Namespace) -> None:
    """Resolve a base/novel split."""
    from simformer.data.layout import read_classes
    from simformer.data.splits import make_split

    make_split(read_classes(args.data), json.loads(args.spec)).save(args.output)


def mask_labels(args: argparse.Namespace) -> None:
    """Write label maps with hidden novel pixels (the weak-shot wall)."""
    from simformer.data.index import DatasetIndex
    from simformer.data.masking import mask_labels as run
    from simformer.data.splits import Split

    run(args.data, DatasetIndex.load(args.index), Split.load(args.split), args.output)


def fill_labels(args: argparse.Namespace) -> None:
    """Write the control labels: the not-base region given to a present novel class."""
    from simformer.data.labels import LabelSet
    from simformer.data.masking import fill_labels as run

    run(LabelSet.load(args.labels), args.output)


def resolve(args: argparse.Namespace) -> None:
    """Write the flat, hashed configuration of a run from its settings."""
    from simformer.config import RunConfig

    RunConfig.from_flat(json.loads(args.settings), "--settings").save(args.output)


def weights(args: argparse.Namespace) -> None:
    """Fetch or import initial backbone weights."""
    from simformer.config import expand_path
    from simformer.models.weights import fetch_backbone_weights

    fetch_backbone_weights(args.backbone, str(expand_path(args.source, "model.weights")), args.output)


def train(args: argparse.Namespace) -> None:
    """Train one network; the same command continues an interrupted training."""
    import torch

    from simformer.config import RunConfig
    from simformer.data.labels import LabelSet
    from simformer.train import Runtime, TrainOutputs
    from simformer.train import train as run

    torch.set_num_threads(args.threads)
    runtime = Runtime(
        device=args.device,
        workers=args.workers,
        checkpoint_every=args.checkpoint_every,
        tensorboard=args.tensorboard,
        stop_after=args.stop_after,
    )
    outputs = TrainOutputs(args.model, args.log, args.facts)
    run(
        RunConfig.load(args.config),
        args.data,
        LabelSet.load(args.labels),
        args.weights,
        args.state,
        outputs,
        runtime,
    )


def evaluate(args: argparse.Namespace) -> None:
    """Predict the test images and store the confusion matrix."""
    import torch

    from simformer.build import load_model
    from simformer.data.index import DatasetIndex
    from simformer.evaluate import evaluate as run
    from simformer.settings import InferenceSettings

    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    settings = InferenceSettings.model_validate_json(args.inference)
    run(
        load_model(args.model, device),
        args.data,
        DatasetIndex.load(args.index),
        settings,
        device,
        args.output,
    )


def metrics(args: argparse.Namespace) -> None:
    """Turn a confusion matrix into novel, base and all mean IoU of a split."""
    from simformer.data.splits import Split
    from simformer.evaluate import write_metrics

    write_metrics(args.confusion, Split.load(args.split), args.output)


def pseudo_labels(args: argparse.Namespace) -> None:
    """Write mixed labels: base masks, and the teacher's predictions of novel classes."""
    import torch

    from simformer.build import load_model
    from simformer.data.labels import LabelSet
    from simformer.pseudo_labels import pseudo_labels as run
    from simformer.settings import InferenceSettings

    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    settings = InferenceSettings.model_validate_json(args.inference)
    run(load_model(args.model, device), args.data, LabelSet.load(args.labels), settings, device, args.output)


def table(args: argparse.Namespace) -> None:
    """Write one table as csv, Markdown and LaTeX."""
    from simformer.analysis.tables import write_table

    write_table(json.loads(args.spec), args.output)


def show(args: argparse.Namespace) -> None:
    """Print finished Markdown tables."""
    for path in args.tables:
        try:
            print(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: no such table; `snakemake {path}` makes it") from None


def gallery(args: argparse.Namespace) -> None:
    """Draw test images beside truth, base/novel map and predictions."""
    import torch

    from simformer.analysis.gallery import draw_gallery
    from simformer.build import load_model
    from simformer.data.index import DatasetIndex
    from simformer.data.splits import Split
    from simformer.settings import InferenceSettings

    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    models = {m.parent.parent.name: load_model(m, device) for m in args.model}
    settings = InferenceSettings.model_validate_json(args.inference)
    index = DatasetIndex.load(args.index)
    draw_gallery(models, args.data, index, Split.load(args.split), settings, device, args.images, args.output)


def schema(args: argparse.Namespace) -> None:
    """Write the JSON schema of study files, or the page that explains every key."""
    from simformer.reference import settings_page, study_schema

    args.schema.write_text(study_schema(), encoding="utf-8")
    args.page.write_text(settings_page(), encoding="utf-8")


def _command(commands: argparse._SubParsersAction, run: Callable, *options: tuple[str, dict]) -> None:
    parser = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
    parser.set_defaults(run=run)
    for name, keywords in options:
        parser.add_argument(name, **keywords)


def _path(name: str, help: str, **keywords: object) -> tuple[str, dict]:
    return f"--{name}", {"type": Path, "required": True, "help": help} | keywords


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simformer", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    output = _path("output", "what to write")
    data = _path("data", "folder of the prepared dataset")
    index = _path("index", "audited index of the dataset")
    labels = _path("labels", "labels.json of a label set")
    split_file = _path("split", "split.yaml")
    model = _path("model", "model.safetensors")
    processes = ("--workers", {"type": int, "default": 1, "help": "processes"})
    threads = ("--threads", {"type": int, "default": 1, "help": "CPU threads"})
    device = ("--device", {"default": "auto", "help": "auto, cpu, cuda or cuda:N"})
    inference = ("--inference", {"required": True, "help": "inference settings, JSON"})

    _command(
        commands,
        prepare,
        ("--source", {"required": True, "help": "source of the dataset file, JSON"}),
        output,
        processes,
    )
    _command(
        commands, audit, data, _path("index", "index to write"), _path("report", "report to write"),
        processes,
    )  # fmt: skip
    _command(commands, split, data, ("--spec", {"required": True, "help": "JSON"}), output)
    _command(commands, mask_labels, data, index, split_file, output)
    _command(commands, fill_labels, labels, output)
    _command(commands, resolve, ("--settings", {"required": True, "help": "flat settings, JSON"}), output)
    _command(
        commands, weights, ("--backbone", {"required": True, "help": "backbone name"}),
        ("--source", {"required": True, "help": "'imagenet' or a file"}), output,
    )  # fmt: skip
    _command(
        commands, train, _path("config", "resolved config.yaml"), data, labels,
        _path("weights", "initial backbone weights", required=False, default=None),
        _path("state", "directory of the resumable state"), _path("model", "weights to write"),
        _path("log", "CSV log to write"), _path("facts", "JSON to write"), threads, device,
        ("--workers", {"type": int, "default": 0, "help": "data-loading processes"}),
        ("--checkpoint-every", {"type": int, "default": 500, "help": "steps between saved states"}),
        ("--stop-after", {"type": int, "default": None, "help": "save the state and stop after this many steps"}),
        _path("tensorboard", "folder for TensorBoard events", required=False, default=None),
    )  # fmt: skip
    _command(commands, evaluate, model, data, index, inference, threads, device, output)
    _command(commands, metrics, _path("confusion", "confusion.npz"), split_file, output)
    _command(commands, pseudo_labels, model, data, labels, inference, threads, device, output)
    _command(
        commands,
        table,
        ("--spec", {"required": True, "help": "rows, runs and reported numbers, JSON"}),
        output,
    )
    _command(commands, show, ("tables", {"type": Path, "nargs": "+", "help": "Markdown tables"}))
    _command(
        commands, gallery, _path("model", "models to compare", nargs="+"), data, index, split_file, inference,
        threads, device, ("--images", {"type": int, "default": 6, "help": "number of test images"}), output,
    )  # fmt: skip
    _command(commands, schema, _path("schema", "JSON schema to write"), _path("page", "Markdown page to write"))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status (0 done, 1 user error, 143 interrupted with saved state)."""
    args = _parser().parse_args(arguments)
    try:
        if getattr(args, "device", None) == "auto":
            import torch

            args.device = "cuda" if torch.cuda.is_available() else "cpu"
        args.run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        return _known_failure(error)
    return 0


def _known_failure(error: Exception) -> int:
    """Explain failures that a user can act on; anything else is a bug and keeps its traceback."""
    if type(error).__name__ == "Interrupted":
        print(f"interrupted: {error}", file=sys.stderr)
        return 143
    if type(error).__name__ == "OutOfMemoryError":
        print(
            f"error: out of memory ({str(error).splitlines()[0]}). Set optim.groups_per_forward: 1 (training) or lower "
            "inference.batch_images (evaluation) in the dataset's file; the results stay comparable",
            file=sys.stderr,
        )
        return 1
    if isinstance(error, (json.JSONDecodeError, ValidationError)):
        print(f"error: an option's JSON is wrong: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        full = "; free some disk space and run the same command again, what was saved before is intact"
        hint = full if error.errno == errno.ENOSPC else ""
        print(f"error: {where}{error.strerror or error}{hint}", file=sys.stderr)
        return 1
    raise error


if __name__ == "__main__":
    sys.exit(main())
