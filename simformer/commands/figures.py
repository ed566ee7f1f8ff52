"""Subcommands of the figures: pictures of predictions, proposals, similarities and failures, and plots of runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from simformer.commands.options import (
    DATA,
    DEVICE,
    EXPERIMENT,
    INDEX,
    INFERENCE,
    ON,
    OUTPUT,
    SPLIT,
    STUDIED,
    THREADS,
    command,
    parsed,
    path,
    planned,
)
from simformer.errors import UserError

if TYPE_CHECKING:
    from simformer.analysis.figures.pictures import Scene
    from simformer.build import TrainedModel


def qualitative(args: argparse.Namespace) -> None:
    """Draw test images with their truth and predictions (Fig. 3, 8, 9)."""
    from simformer.analysis.figures.qualitative import qualitative_figure
    from simformer.analysis.figures.style import draw_figure

    spec, models, scene = _loaded(args)
    draw_figure(args.output, spec["title"], qualitative_figure, models, scene, spec["images"], spec["count"])


def proposals(args: argparse.Namespace) -> None:
    """Draw the proposals with the highest novel scores (Fig. 4)."""
    from simformer.analysis.figures.proposals import proposals_figure
    from simformer.analysis.figures.style import draw_figure

    spec, models, scene = _loaded(args)
    draw_figure(args.output, spec["title"], proposals_figure, *models.values(), scene, spec["images"], spec["count"])


def similarity(args: argparse.Namespace) -> None:
    """Draw how similar the pixels of image pairs are to one (Fig. 5)."""
    from simformer.analysis.figures.similarity import choose_examples, named_example, similarity_figure
    from simformer.analysis.figures.style import draw_figure

    spec, models, scene = _loaded(args)
    names = spec["images"]
    examples = [named_example(scene, names, spec["pixel"])] if names else choose_examples(scene, spec["count"])
    draw_figure(args.output, spec["title"], similarity_figure, *models.values(), scene, examples)


def failures(args: argparse.Namespace) -> None:
    """Find failures of a model, and draw the worst (Fig. 7)."""
    from simformer.analysis.figures.failures import all_failures, failures_figure
    from simformer.analysis.figures.style import draw_figure

    spec, models, scene = _loaded(args)
    (model,) = models.values()
    failures = all_failures(model, scene, spec["images"])
    draw_figure(args.output, spec["title"], failures_figure, scene, failures, spec["count"])


def curves(args: argparse.Namespace) -> None:
    """Draw the training curves of an experiment."""
    from simformer.analysis.figures.curves import curves_figure
    from simformer.analysis.figures.style import draw_figure
    from simformer.study import table_runs

    spec = planned(args, table_runs.curves, args.experiment, *args.on)
    draw_figure(args.output, spec["title"], curves_figure, spec)


def comparison(args: argparse.Namespace) -> None:
    """Draw the methods of a table side by side, with error bars."""
    from simformer.analysis.figures.comparison import draw_comparison
    from simformer.study import table_runs

    draw_comparison(planned(args, table_runs.comparison, args.experiment), args.table, args.output)


def _loaded(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, TrainedModel], Scene]:
    """Load what a figure of images needs: its specification, its models by label, its images."""
    from simformer.analysis.figures.pictures import Scene
    from simformer.build import load_model
    from simformer.config.settings import InferenceSettings
    from simformer.data.identity import require_dataset, require_groups
    from simformer.study import figure_runs

    if args.figure:
        spec = planned(args, figure_runs.figure, args.figure)
    elif args.experiment and args.on:
        spec = planned(args, figure_runs.gallery, args.experiment, *args.on)
    else:
        raise UserError("neither --figure nor --experiment with --on; name a figure of the configuration, or a table")
    if len(spec["labels"]) != len(args.model):
        raise UserError(f"--model: this figure shows {', '.join(spec['labels'])}; found {len(args.model)} models")
    if args.run is not qualitative and len(args.model) != 1:
        raise UserError(f"--model: this figure shows one model, found {len(args.model)}")
    runs = zip(spec["labels"], args.model, spec["hashes"], strict=True)
    models = {label: load_model(model, args.device, run) for label, model, run in runs}
    inference = parsed(InferenceSettings, args.inference, "--inference")
    require_groups(args.index.identity, args.split)
    for model in models.values():
        require_dataset(model.identity, args.index.identity)
        require_groups(model.identity, args.split)
    return spec, models, Scene(args.data, args.index, args.split, inference, args.device)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    models = path("model", "model.safetensors of each method that the figure shows", nargs="+")
    shown = (
        (
            "--figure",
            {
                "default": None,
                "help": "name of a figure in config/figures/; default: the figure of --experiment and --on",
            },
        ),
        ("--experiment", {"default": None, "help": "table whose methods are shown; default: the figure of --figure"}),
        (ON[0], ON[1] | {"required": False, "help": f"{ON[1]['help']}; default: those of --figure"}),
    )
    for run in (qualitative, proposals, similarity, failures):
        command(commands, run, *STUDIED, *shown, models, DATA, INDEX, SPLIT, INFERENCE, THREADS, DEVICE, OUTPUT)
    command(commands, curves, *STUDIED, EXPERIMENT, ON, OUTPUT)
    command(commands, comparison, *STUDIED, EXPERIMENT, path("table", "csv of the table"), OUTPUT)
