"""Training steps on synthetic data at any size, without a file: for tests of counts, benchmarks and the GPU check.

workload = build(CASES["coco"], "simformer", device="cuda", precision="bf16")
workload.step()   # one whole training step; the data are the same each time
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import yaml

from simformer.build import Training, build_training
from simformer.config.layers import RunConfig
from simformer.config.settings import IGNORE, TrainSettings
from simformer.data.labels import LabelSet
from simformer.data.loader import Group
from simformer.data.targets import make_target
from simformer.data.transfer import on_device
from simformer.training.log import StepMeans
from simformer.training.processes import ALONE
from simformer.training.schedule import set_learning_rate
from simformer.training_step import TrainingStep
from tests.gpu.timing import tf32

METHODS = ("simformer", "maskformer")
"""The full method on pairs of images, and its segmentation network alone on all masks (FullyOracle)."""

PLUS = Path(__file__).resolve().parents[1] / "config/methods/simformer_plus.yaml"


@dataclass(frozen=True)
class Case:
    """Sizes of one training.

    Attributes:
        name: for tables.
        backbone: as `model.backbone`.
        crop: S, side of the square crop, pixels.
        classes: K.
        novel: Kn, how many of them are novel: the last ones.
        queries: N.
        points: J, pixels sampled for L_sim and for L_dist.
        images: images per step; two make a group.
        labels: classes that one image shows, some of them novel.
        model: other settings of the model.
    """

    name: str
    backbone: str
    crop: int
    classes: int
    novel: int
    queries: int = 100
    points: int = 100
    images: int = 8
    labels: int = 8
    model: dict[str, int] = field(default_factory=dict)

    def settings(self, method: str, precision: str | None = None) -> TrainSettings:
        """Return the settings of a training; a precision of None leaves the default."""
        sections = {
            "model": {"backbone": self.backbone, "weights": "none", "queries": self.queries, **self.model},
            "similarity": {"points": self.points},
            "augment": {"crop": self.crop, "short_edges": [self.crop]},
            "optim": {"batch_images": self.images},
        }
        if precision is not None:
            sections["optim"]["precision"] = precision
        if method == "maskformer":
            sections |= {"loss": {"alpha": 0.0, "beta": 0.0, "sim": 0.0}, "pairing": {"mode": "none"}}
        return TrainSettings.model_validate(sections)

    def config(self, method: str, precision: str | None = None) -> RunConfig:
        """Return the resolved run."""
        if method not in METHODS:
            raise ValueError(f"method '{method}'; expected one of {', '.join(METHODS)}")
        labels = "weak" if method == "simformer" else "full"
        settings = self.settings(method, precision)
        return RunConfig(dataset=self.name, split="split1", method=method, seed=0, labels=labels, settings=settings)

    def label_set(self, method: str) -> LabelSet:
        """Return a label set that has classes, but no image."""
        names = tuple(f"class {number}" for number in range(self.classes))
        hidden = tuple(range(self.classes - self.novel, self.classes)) if method == "simformer" else ()
        kind = "weak" if method == "simformer" else "full"
        return LabelSet(names, hidden, (), Path("no-files"), kind, "synthetic", hidden)


SMALL = {"dim": 32, "heads": 2, "feedforward_dim": 32, "decoder_layers": 2, "simnet_dim": 16}

TINY = Case("tiny", "tiny", 64, classes=12, novel=4, queries=20, points=20, images=4, labels=5, model=SMALL)
COCO = Case("coco", "resnet50", 640, classes=171, novel=43)
ADE = Case("ade", "resnet50", 512, classes=150, novel=38)
CASES = {case.name: case for case in (TINY, COCO, ADE)}
"""A tiny case, and the paper's: COCO-Stuff-10K and ADE20K."""


def true_map(case: Case, rng: np.random.Generator, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw the classes of every pixel of one crop: 8 x 8 tiles of some classes, unlabelled tiles, padding.

    Args:
        case: the sizes.
        rng: source of randomness.
        shown: ids of the classes that the image shows; each gets a tile.

    Returns: class ids with IGNORE on unlabelled and padded pixels, uint8 [S, S]; True on padding, bool [S, S].
    """
    choices = np.append(shown, IGNORE)
    tiles = rng.permuted(np.concatenate([shown, rng.choice(choices, 64 - len(shown))])).reshape(8, 8)
    places = np.arange(case.crop) * 8 // case.crop
    label_map = tiles.astype(np.uint8)[places[:, None], places]
    padding = np.zeros_like(label_map, dtype=bool)
    padding[case.crop - case.crop * int(rng.integers(3)) // 16 :] = True  # padding is at the bottom: 0 to an eighth
    return np.where(padding, np.uint8(IGNORE), label_map), padding


def new_group(case: Case, method: str, number: int, seed: int = 0) -> Group:
    """Make a group: two crops that have a base and a novel class in common.

    Args:
        case: the sizes.
        method: 'simformer' hides the novel pixels, 'maskformer' does not.
        number: number of the group; with the seed it decides everything.
        seed: of the data.
    """
    rng = np.random.default_rng([seed, number])
    base, novel = np.arange(case.classes - case.novel), np.arange(case.classes - case.novel, case.classes)
    common = [rng.choice(base), rng.choice(novel)]
    images, targets, names = [], [], []
    for place in range(2):
        others = rng.permutation(np.setdiff1d(np.arange(case.classes), common))[: case.labels - 2]
        shown = np.sort(np.concatenate([common, others]))
        label_map, padding = true_map(case, rng, shown)
        hidden = np.intersect1d(shown, novel) if method == "simformer" else np.zeros(0, int)
        label_map = np.where(np.isin(label_map, hidden), np.uint8(IGNORE), label_map)
        targets.append(make_target(torch.from_numpy(label_map), torch.from_numpy(padding), hidden.tolist()))
        images.append(torch.from_numpy(rng.integers(0, 256, (3, case.crop, case.crop), dtype=np.uint8)))
        names.append(f"image {2 * number + place}")
    return Group(torch.stack(images), targets, names)


def new_groups(case: Case, method: str, seed: int = 0) -> list[Group]:
    """Make the groups of one step."""
    return [new_group(case, method, number, seed) for number in range(case.images // 2)]


class Step:
    """Steps of the training loop on the same data; the only place here that knows how the loop makes them.

    Args:
        config: the resolved run.
        training: networks, loss, optimiser.
        groups: data of a step, on the host; may be replaced between steps.
    """

    def __init__(self, config: RunConfig, training: Training, groups: list[Group]) -> None:
        self.optim = config.settings.optim
        self.training, self.groups, self.means, self.done = training, groups, StepMeans(), 0
        share = range(self.optim.batch_images // self.optim.group_images)
        self.step = TrainingStep(training, config, self.means, share, ALONE)
        self.batches = on_device(self._batches(), self.step.device)

    def __call__(self) -> None:
        """Do a step; as in the loop, what it has computed stays on the device."""
        groups = next(self.batches)
        set_learning_rate(self.training.optimizer, self.done % self.optim.steps, self.optim)
        with tf32(None if self.optim.precision == "fp32" else True):  # as `set_precision` does
            terms = self.step.backward(groups, self.done)
            self.step.update(groups, self.done, terms, self.step.clip_gradient())
        self.done += 1

    def terms(self) -> dict[str, float]:
        """Return what would be logged: means over the steps since the last call."""
        self.step.settle()
        return self.means.take()

    def _batches(self) -> Generator[list[Group], None, None]:
        while True:
            yield self.groups


@dataclass(frozen=True)
class Workload:
    """A training that can be stepped.

    Attributes:
        case, config: sizes and settings.
        training: networks, loss, optimiser, as `simformer train` builds them.
        groups: data of a step, on the host.
        step: does one whole training step.
    """

    case: Case
    config: RunConfig
    training: Training
    groups: list[Group]
    step: Step


def build(
    case: Case,
    method: str,
    device: str | torch.device = "cpu",
    precision: str | None = None,
    wrap: Callable[[Training], Training] | None = None,
) -> Workload:
    """Build a training with random weights on synthetic data.

    Args:
        case: the sizes.
        method: one of METHODS.
        device: of the networks; the data are on the host, and every step takes them along.
        precision: 'fp32', 'bf16' or 'fp16'; None for the default of the settings.
        wrap: changes the training before the first step, for example to compile its networks.
    """
    config = case.config(method, precision)
    training = build_training(config, Path("no-files"), case.label_set(method), None, torch.device(device))
    training = wrap(training) if wrap else training
    groups = new_groups(case, method)
    return Workload(case, config, training, groups, Step(config, training, groups))


def with_terms_of_plus(training: Training) -> Training:
    """Give a training of SimFormer the two terms of SimFormer+, at full strength from the first step on."""
    terms = yaml.safe_load(PLUS.read_text())["settings"]["loss"] | {"ramp": (0.0, 0.0)}
    training.loss.loss = training.loss.loss.model_copy(update=terms)
    return training


def resized(case: Case, **changes: int) -> Case:
    """Return the case with other sizes, for example `resized(COCO, images=2)`."""
    return replace(case, **changes)
