"""Subcommands of one run: settings, weights, training, evaluation, pseudo-labels."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from simformer.commands.inputs import label_set, take_device, use_threads
from simformer.commands.options import (
    DATA,
    DEVICE,
    INDEX,
    INFERENCE,
    LABELS,
    MODEL,
    OUTPUT,
    OUTPUT_FOLDER,
    PREDICTING,
    RUN,
    SHARD,
    SPLIT,
    THREADS,
    command,
    count,
    parsed,
    path,
    unread,
)

if TYPE_CHECKING:
    from simformer.config.layers import RunConfig
    from simformer.config.settings import InferenceSettings
    from simformer.training.job import TrainOutputs

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def resolve(args: argparse.Namespace) -> None:
    """Write the complete configuration of a run, with its hash."""
    from simformer.config.layers import RunConfig
    from simformer.text.strict_json import read_option

    RunConfig.from_flat(read_option(args.settings, "--settings"), "--settings").save(args.output)


def weights(args: argparse.Namespace) -> None:
    """Fetch or import the weights that a backbone starts from."""
    from simformer.config.paths import expand_path
    from simformer.models.weights import fetch_backbone_weights

    source = str(expand_path(args.source, "model.weights"))
    fetch_backbone_weights(args.backbone, source, args.output, args.sha256)


def import_weights(args: argparse.Namespace) -> None:
    """Turn an official checkpoint into a model file.

    MaskFormer's and SimFormer's checkpoints are understood.
    """
    from simformer.config.layers import RunConfig
    from simformer.data.layout import read_classes
    from simformer.models.interchange import import_weights as run

    inference = _stored_size(args)
    run(args.source, RunConfig.load(args.config), read_classes(args.data), args.output, args.labels, inference)


def export_weights(args: argparse.Namespace) -> None:
    """Turn a model file into a checkpoint for the official code."""
    from simformer.models.interchange import export_weights as run

    run(args.model, args.output)


def train(args: argparse.Namespace) -> None:
    """Train one network.

    If the training was interrupted, the same command goes on where it stopped.
    """
    from simformer.config.layers import RunConfig
    from simformer.machine.launch import launch, should_launch
    from simformer.machine.run_lock import run_lock
    from simformer.training.job import TrainOutputs
    from simformer.training.processes import started_by_torchrun

    config = RunConfig.load(args.config)
    outputs = TrainOutputs(args.model, args.log, args.facts)
    if started_by_torchrun():
        return _train_here(args, config, outputs)
    with run_lock(args.state) as waited:
        if waited and outputs.are_of(config.hash):
            print("the other process has finished this run", file=sys.stderr)
        elif should_launch(args.gpus, args.device):
            launch(args.gpus, args.arguments)
        else:
            _train_here(args, config, outputs)


def _train_here(args: argparse.Namespace, config: RunConfig, outputs: TrainOutputs) -> None:
    """Train in this process, alone or with others that torchrun has started."""
    from simformer.machine.stop_signal import ignore_stops
    from simformer.train import train as run
    from simformer.training.job import Job, Runtime
    from simformer.training.processes import join

    device = take_device(args.device)
    with join(device) as processes:
        use_threads(max(1, args.threads // processes.size))
        runtime = Runtime(
            device=str(device),
            workers=args.workers // processes.size,
            checkpoint_every=args.checkpoint_every,
            tensorboard=args.tensorboard,
            stop_after=args.stop_after,
        )
        inference = _stored_size(args)
        run(config, Job(args.data, args.labels, args.weights, args.state, outputs, runtime, inference), processes)
        ignore_stops()


def _stored_size(args: argparse.Namespace) -> InferenceSettings | None:
    """Return the test-time sizes that a model file is to hold, if they are given."""
    from simformer.config.settings import InferenceSettings

    return None if args.inference is None else parsed(InferenceSettings, args.inference, "--inference")


def evaluate(args: argparse.Namespace) -> None:
    """Predict the test images and count the pixels of every class."""
    from simformer.build import load_model
    from simformer.config.settings import InferenceSettings
    from simformer.evaluate import evaluate as run

    settings = parsed(InferenceSettings, args.inference, "--inference")
    model = load_model(args.model, args.device, args.run_hash)
    run(model, args.data, args.index, settings, args.device, args.output, args.shard)


def metrics(args: argparse.Namespace) -> None:
    """Compute the novel, base and all mean IoU of an evaluation."""
    from simformer.metrics import write_metrics

    write_metrics(args.evaluation, args.split, args.output, args.run_hash)


def simnet_f1(args: argparse.Namespace) -> None:
    """Measure how well SimNet tells similar from other pixel pairs."""
    from simformer.build import load_model
    from simformer.simnet_f1 import simnet_f1 as run

    model = load_model(args.model, args.device, args.run_hash)
    run(model, args.data, args.weak, args.true, args.device, args.pairs, args.output)


def pseudo_labels(args: argparse.Namespace) -> None:
    """Write mixed labels from base masks and a model's predictions.

    Pixels outside the base masks get the novel class that the model predicts there.
    """
    from simformer.build import load_model
    from simformer.config.pseudo import PseudoSettings
    from simformer.config.settings import InferenceSettings
    from simformer.pseudo_labels import pseudo_labels as run

    settings = parsed(InferenceSettings, args.inference, "--inference")
    choice = parsed(PseudoSettings, args.rule, "--rule")
    model = load_model(args.model, args.device, args.run_hash)
    run(model, args.data, args.labels, settings, args.device, args.output, args.shard, choice)


def join_labels(args: argparse.Namespace) -> None:
    """Join the shards of a label set."""
    from simformer.data.derived_labels import join_labels as run

    run(args.labels, [label_set(shard / "labels.json") for shard in args.shards], args.output)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    stored = (
        "--inference",
        {"default": None, "help": "sizes at test time that the model file is to hold, JSON; default: none"},
    )
    command(
        commands,
        resolve,
        ("--settings", {"required": True, "help": "settings of the run with dotted keys, JSON"}),
        OUTPUT,
    )
    command(
        commands, weights, ("--backbone", {"required": True, "help": "name of the backbone"}),
        ("--source", {"required": True, "help": "where they come from: imagenet, timm or a file"}),
        ("--sha256", {"default": None, "metavar": "HEX",
                      "help": "checksum that the file must have; default: no check"}), OUTPUT,
    )  # fmt: skip
    command(
        commands, import_weights, path("source", "official checkpoint, .pkl or .pth"),
        path("config", "config.yaml of the run whose place the model takes"), DATA,
        path("labels", "labels.json of its training; default: the model cannot make labels", required=False,
             read=label_set),
        stored, OUTPUT,
    )  # fmt: skip
    command(commands, export_weights, MODEL, OUTPUT)
    command(
        commands, train, path("config", "config.yaml of the run, as `simformer resolve` writes it"), DATA, LABELS,
        path("weights", "initial weights of the backbone; default: random ones", required=False),
        path("state", "folder of the state from which an interrupted training goes on"),
        path("model", "model.safetensors to write"), path("log", "CSV file of the losses to write"),
        path("facts", "JSON file about the training to write"), unread(THREADS), unread(DEVICE),
        ("--workers", {"type": count(0, 4096), "default": 0,
                       "help": "number of processes that load data, shared among the GPUs"}),
        ("--gpus", {"type": count(1, 1024), "default": 1, "help": "number of GPUs to train on, if there are any"}),
        ("--checkpoint-every", {"type": count(1), "default": 500, "help": "number of steps between two saved states"}),
        ("--stop-after", {"type": count(1), "default": None,
                          "help": "number of steps after which the state is saved and the command stops; "
                          "default: no stop"}),
        path("tensorboard", "folder for TensorBoard's events; default: none are written", required=False), stored,
    )  # fmt: skip
    command(commands, evaluate, INDEX, SHARD, *PREDICTING)
    command(
        commands,
        metrics,
        path("evaluation", "files of an evaluation, one of each shard", nargs="+"),
        RUN,
        SPLIT,
        OUTPUT,
    )
    command(
        commands, simnet_f1, MODEL, RUN, DATA,
        path("weak", "labels.json of the label set with hidden novel pixels", read=label_set),
        path("true", "labels.json of the same images with all masks", read=label_set), THREADS, DEVICE,
        ("--pairs", {"type": count(1), "default": 100, "help": "number of image pairs"}), OUTPUT,
    )  # fmt: skip
    rule = (
        "--rule",
        {
            "default": "{}",
            "help": "how predictions become labels, JSON: `pseudo` of a method file; default: as in the released code",
        },
    )
    command(commands, pseudo_labels, LABELS, SHARD, rule, MODEL, RUN, DATA, INFERENCE, THREADS, DEVICE, OUTPUT_FOLDER)
    command(commands, join_labels, LABELS, path("shards", "folders of all shards", nargs="+"), OUTPUT_FOLDER)
