"""The pieces of work whose counts are kept: a training step of each kind, evaluation and pseudo-labels of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from simformer.baselines.classifier import Classifier, multilabel_loss
from simformer.baselines.settings import ClassifierSettings
from simformer.baselines.training.crop_training import crop_batch, sgd_of_backbone
from simformer.baselines.training.crops import Sample
from simformer.baselines.training.sgd import sgd_step
from simformer.build import Training, build_training
from simformer.config.settings import InferenceSettings
from simformer.data.transforms import Crop
from simformer.inference import ImageFile, predict
from simformer.metrics import confusion_matrix
from simformer.pseudo_labels import mix
from tests.gate.counting import CARD, CountingMode, as_on_a_card, counting
from tests.workloads import ADE, COCO, TINY, Case, build, new_group

MIDDLE = {"dim": 64, "heads": 4, "feedforward_dim": 128, "decoder_layers": 3, "simnet_dim": 64}
SMALL = Case("small", "resnet18", 96, classes=30, novel=8, queries=30, points=30, images=2, model=MIDDLE)
CASES = {case.name: case for case in (TINY, SMALL, COCO, ADE)}
Work = Callable[[], object]


@dataclass(frozen=True)
class Photograph(ImageFile):
    """An image that is in memory only."""

    pixels: np.ndarray

    def read(self) -> np.ndarray:
        """Return the pixels."""
        return self.pixels


def photographs(case: Case, count: int) -> list[Photograph]:
    """Make images whose shorter side is the case's crop, a quarter longer than high."""
    rng = np.random.default_rng(0)
    height, width = case.crop, case.crop * 5 // 4
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return [Photograph(Path(f"image {n}"), height, width, "", pixels) for n in range(count)]


def training(method: str, precision: str) -> Callable[[Case, str], Work]:
    """Return what builds a training step; the optimiser has its state already, as in all steps but the first."""

    def new(case: Case, device: str) -> Work:
        halved = in_half_precision if device == CARD and precision != "fp32" else None
        step = build(
            case, method, device, "fp32" if halved else precision, lambda t: _stepped(halved(t) if halved else t)
        )
        return step.step

    return new


def in_half_precision(training: Training) -> Training:
    """Round what the network returns, as autocast does, which `meta` lacks: so the losses see half precision."""

    def rounded(_: nn.Module, __: object, output: object) -> object:
        return replace(output, **{name: value.bfloat16() for name, value in vars(output).items()})

    training.model.register_forward_hook(rounded)
    return training


def _stepped(training: Training) -> Training:
    """Give the optimiser its state by a step without a gradient."""
    for module in training.modules:
        for parameter in module.parameters():
            parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    training.optimizer.step()
    training.optimizer.zero_grad(set_to_none=True)
    return training


def evaluation(case: Case, device: str) -> Work:
    """Predict images and compare them with their true labels."""
    model, images = _network(case, device), photographs(case, 2)
    truth = np.zeros((images[0].height, images[0].width), dtype=np.uint8)
    settings = InferenceSettings(short_edge=case.crop, batch_images=2)

    def work() -> None:
        for _, predicted in predict(model, images, settings, torch.device(device)):
            confusion_matrix(predicted, truth, case.classes)

    return work


def pseudo_labels(case: Case, device: str) -> Work:
    """Predict images at two sizes, plain and flipped, and mix the mean with the base masks."""
    model, images = _network(case, device), photographs(case, 2)
    masked = np.full((images[0].height, images[0].width), 255, dtype=np.uint8)
    sizes = (case.crop // 2, case.crop)
    settings = InferenceSettings(short_edge=case.crop, batch_images=2, pseudo_short_edges=sizes)

    def work() -> None:
        for _, predicted in predict(model, images, settings, torch.device(device), average_short_edges=sizes):
            mix(predicted, masked, [case.classes - 1])

    return work


def _network(case: Case, device: str) -> nn.Module:
    config = case.config("simformer", "fp32")
    training = build_training(config, Path("no-files"), case.label_set("simformer"), None, torch.device(device))
    return training.model.eval()


def classifier(case: Case, device: str) -> Work:
    """Train the classifier of the CAM baselines for a step."""
    settings = ClassifierSettings(frozen_stages=0, crop=case.crop, batch_images=case.images)
    torch.manual_seed(0)
    network = Classifier(case.backbone, settings.stride, case.classes).to(device).train()
    optimizer = sgd_of_backbone(network, settings)
    samples = [sample for number in range(case.images // 2) for sample in _samples(case, number)]

    def work() -> None:
        batch = crop_batch(samples, torch.device(device))
        logits = network(batch.images).mean(dim=(2, 3))
        loss = multilabel_loss(logits, batch.present, settings.reference_classes)
        sgd_step(loss, network, optimizer, 0, 10, settings)

    return work


def _samples(case: Case, number: int) -> list[Sample]:
    group = new_group(case, "maskformer", number)
    samples = []
    for image, target, name in zip(group.images, group.targets, group.names, strict=True):
        present = torch.zeros(case.classes, dtype=torch.bool).index_fill_(0, target.class_ids, True)
        samples.append(Sample(Crop(image, target.label_map, target.padding), present, name, None))
    return samples


TASKS: dict[str, Callable[[Case, str], Work]] = {
    "simformer fp32": training("simformer", "fp32"),
    "simformer bf16": training("simformer", "bf16"),
    "maskformer fp32": training("maskformer", "fp32"),
    "maskformer bf16": training("maskformer", "bf16"),
    "evaluation": evaluation,
    "pseudo-labels": pseudo_labels,
    "classifier": classifier,
}
"""What is counted: training steps by method and precision, inference, and one network of the baselines."""


def count(task: str, case: Case, device: str) -> CountingMode:
    """Count one piece of work.

    Args:
        task: one of TASKS.
        case: its sizes.
        device: 'cpu', or 'meta' for a card.
    """
    torch.manual_seed(0)
    with as_on_a_card():
        work = TASKS[task](case, device)
    with counting(random_values) as mode:
        work()
    return mode


def random_values(like: Tensor) -> Tensor:
    """Return values for a tensor that comes from the `meta` device: costs of the matching, or predicted classes."""
    if like.is_floating_point():
        return torch.rand(like.shape, generator=torch.Generator().manual_seed(0)).to(like.dtype)
    return torch.zeros(like.shape, dtype=like.dtype)
