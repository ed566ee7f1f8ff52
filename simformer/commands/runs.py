"""Subcommands of one run: settings, weights, training, evaluation, pseudo-labels."""

from __future__ import annotations

import argparse
import json

from simformer.commands.options import (
    DATA,
    DEVICE,
    INDEX,
    INFERENCE,
    LABELS,
    MODEL,
    OUTPUT,
    SPLIT,
    THREADS,
    command,
    path,
)

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def resolve(args: argparse.Namespace) -> None:
    """Write the flat, hashed configuration of a run from its settings."""
    from simformer.config import RunConfig

    RunConfig.from_flat(json.loads(args.settings), "--settings").save(args.output)


def weights(args: argparse.Namespace) -> None:
    """Fetch or import initial backbone weights."""
    from simformer.config import expand_path
    from simformer.models.weights import fetch_backbone_weights

    fetch_backbone_weights(args.backbone, str(expand_path(args.source, "model.weights")), args.output)


def import_weights(args: argparse.Namespace) -> None:
    """Turn an official MaskFormer or SimFormer checkpoint into a model file."""
    from simformer.config import RunConfig
    from simformer.data.layout import read_classes
    from simformer.interchange import import_weights as run

    run(args.source, RunConfig.load(args.config), read_classes(args.data), args.output)


def export_weights(args: argparse.Namespace) -> None:
    """Turn a model file into a checkpoint for the official code."""
    from simformer.interchange import export_weights as run

    run(args.model, args.output)


def train(args: argparse.Namespace) -> None:
    """Train one network; the same command continues an interrupted training."""
    import torch

    from simformer.config import RunConfig
    from simformer.data.labels import LabelSet
    from simformer.devices import choose_device
    from simformer.distributed import join
    from simformer.launch import launch, should_launch
    from simformer.train import Runtime, TrainOutputs
    from simformer.train import train as run

    if should_launch(args.gpus, args.device):
        return launch(args.gpus, args.arguments)
    device = choose_device(args.device)
    with join(device) as processes:
        torch.set_num_threads(max(1, args.threads // processes.size))
        runtime = Runtime(
            device=str(device),
            workers=args.workers // processes.size,
            checkpoint_every=args.checkpoint_every,
            tensorboard=args.tensorboard,
            stop_after=args.stop_after,
        )
        outputs = TrainOutputs(args.model, args.log, args.facts)
        config, labels = RunConfig.load(args.config), LabelSet.load(args.labels)
        run(config, args.data, labels, args.weights, args.state, outputs, runtime, processes)


def evaluate(args: argparse.Namespace) -> None:
    """Predict the test images and store the confusion matrix."""
    import torch

    from simformer.build import load_model
    from simformer.data.index import DatasetIndex
    from simformer.devices import choose_device
    from simformer.evaluate import evaluate as run
    from simformer.settings import InferenceSettings

    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
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


def simnet_f1(args: argparse.Namespace) -> None:
    """Measure how well SimNet tells similar from dissimilar pixel pairs."""
    import torch

    from simformer.build import load_model
    from simformer.data.labels import LabelSet
    from simformer.devices import choose_device
    from simformer.simnet_f1 import simnet_f1 as run

    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    model, weak, true = load_model(args.model, device), LabelSet.load(args.weak), LabelSet.load(args.true)
    run(model, args.data, weak, true, device, args.pairs, args.output)


def pseudo_labels(args: argparse.Namespace) -> None:
    """Write mixed labels: base masks, and the teacher's predictions of novel classes."""
    import torch

    from simformer.build import load_model
    from simformer.data.labels import LabelSet
    from simformer.devices import choose_device
    from simformer.pseudo_labels import pseudo_labels as run
    from simformer.settings import InferenceSettings

    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    settings = InferenceSettings.model_validate_json(args.inference)
    run(load_model(args.model, device), args.data, LabelSet.load(args.labels), settings, device, args.output)


def add(commands: argparse._SubParsersAction) -> None:
    """Add these subcommands to the parser."""
    command(commands, resolve, ("--settings", {"required": True, "help": "flat settings, JSON"}), OUTPUT)
    command(
        commands, weights, ("--backbone", {"required": True, "help": "backbone name"}),
        ("--source", {"required": True, "help": "'imagenet' or a file"}), OUTPUT,
    )  # fmt: skip
    command(
        commands, import_weights, path("source", "official checkpoint, .pkl or .pth"),
        path("config", "resolved config.yaml of the run whose place the model takes"), DATA, OUTPUT,
    )  # fmt: skip
    command(commands, export_weights, MODEL, OUTPUT)
    command(
        commands, train, path("config", "resolved config.yaml"), DATA, LABELS,
        path("weights", "initial backbone weights", required=False, default=None),
        path("state", "directory of the resumable state"), path("model", "weights to write"),
        path("log", "CSV log to write"), path("facts", "JSON to write"), THREADS, DEVICE,
        ("--workers", {"type": int, "default": 0, "help": "data-loading processes, shared out among the GPUs"}),
        ("--gpus", {"type": int, "default": 1, "help": "GPUs to train on, where there are any"}),
        ("--checkpoint-every", {"type": int, "default": 500, "help": "steps between saved states"}),
        ("--stop-after", {"type": int, "default": None, "help": "save the state and stop after this many steps"}),
        path("tensorboard", "folder for TensorBoard events", required=False, default=None),
    )  # fmt: skip
    command(commands, evaluate, MODEL, DATA, INDEX, INFERENCE, THREADS, DEVICE, OUTPUT)
    command(commands, metrics, path("confusion", "confusion.npz"), SPLIT, OUTPUT)
    command(
        commands, simnet_f1, MODEL, DATA, path("weak", "labels.json of the masked label set"),
        path("true", "labels.json of the same images with all masks"), THREADS, DEVICE,
        ("--pairs", {"type": int, "default": 100, "help": "image pairs"}), OUTPUT,
    )  # fmt: skip
    command(commands, pseudo_labels, MODEL, DATA, LABELS, INFERENCE, THREADS, DEVICE, OUTPUT)
