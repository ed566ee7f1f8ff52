"""What the programs beside the tests share: a training that is measured at once, and a page with its numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from simformer.build import load_model
from simformer.config.layers import RunConfig
from simformer.config.settings import InferenceSettings
from simformer.data.index import DatasetIndex
from simformer.data.labels import LabelSet
from simformer.data.splits import Split
from simformer.evaluate import evaluate
from simformer.metrics import save_metrics
from simformer.text.json_text import json_text
from simformer.train import train
from simformer.training.job import Job, Runtime, TrainOutputs

CPU = torch.device("cpu")


def inference_of(model: Path, run_hash: str | None = None) -> InferenceSettings:
    """Return the test-time sizes that a model file holds."""
    found = load_model(model, CPU, run_hash).inference
    assert found is not None, f"{model} does not say at which sizes it predicts"
    return found


def measured_training(
    config: RunConfig, data: Path, labels: LabelSet, split: Path, inference: InferenceSettings, weights: Path | None
) -> dict[str, Any]:
    """Train with given settings and labels, and return the metrics on the test images; nothing is left behind."""
    with TemporaryDirectory() as temporary:
        state = Path(temporary)
        outputs = TrainOutputs(state / "model.safetensors", state / "log.csv", state / "facts.json")
        train(config, Job(data, labels, weights, state / "state", outputs, Runtime(), inference))
        model, index = load_model(outputs.model, CPU), DatasetIndex.load(data / "index.json")
        evaluation = evaluate(model, data, index, inference, CPU, state / "evaluation.npz")
        return save_metrics(evaluation, Split.load(split), state / "metrics.json")


def write_page(output: Path, result: dict[str, Any], page: Callable[[dict[str, Any]], str]) -> None:
    """Write numbers as JSON, and the page of the numbers as that file holds them, Markdown.

    Args:
        output: both files, without their endings.
        result: the numbers.
        page: makes the page.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    output.with_suffix(".json").write_text(json_text(result, indent=2) + "\n")
    output.with_suffix(".md").write_text(page(json.loads(json_text(result))))
