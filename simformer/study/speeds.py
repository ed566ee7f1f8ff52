"""How fast a training is, if that was measured: by finished runs, or by the acceptance check of a GPU."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simformer.config.layers import RunConfig
from simformer.config.paths import CHECKOUT
from simformer.text.strict_json import read_generated

PAGES = Path("docs/results/gpu")
"""Folder of the repository with what the acceptance check has measured, a JSON file per card."""
CASES = {("resnet50", 640): "coco", ("resnet50", 512): "ade"}
"""Backbone and side of the crop -> name of the case with these sizes in the acceptance check."""

Facts = Mapping[str, Any]
"""Content of a finished run's train.json."""


@dataclass(frozen=True)
class Measured:
    """A time on one device, of a step or of all steps of a training, and who measured it.

    Attributes:
        seconds: the time.
        source: words for the user.
        in_study: whether a run of the study tells it.
    """

    seconds: float
    source: str
    in_study: bool

    @property
    def hours(self) -> float:
        """The time in hours."""
        return self.seconds / 3600


@dataclass(frozen=True)
class Card:
    """A GPU that passed through the acceptance check.

    Attributes:
        name: of the GPU.
        page: file, for messages.
        speed: case -> 'simformer' or 'maskformer', among others -> seconds, images and mode of a step.
    """

    name: str
    page: str
    speed: Mapping[str, Mapping[str, Facts]]


def read_cards(root: Path = CHECKOUT) -> tuple[Card, ...]:
    """Return the cards whose measurements are kept with this code, in the order of the files' names.

    Raises: UserError for a damaged file.
    """
    remedy = "run `make gpu-check` on that card again, or take the file away"
    found = []
    for path in sorted((root / PAGES).glob("*.json")):
        content = read_generated(path, "result of the acceptance check", {"speed": dict}, remedy=remedy)
        if content.get("gpu"):
            found.append(Card(content["gpu"], str(PAGES / path.name), content["speed"]))
    return tuple(found)


def find_speed(run: RunConfig, finished: Iterable[Facts], cards: Sequence[Card], gpu: bool) -> Measured | None:
    """Find the time of a training's step on one device; None where nothing was measured.

    Args:
        run: its settings.
        finished: facts of finished runs of the same dataset and method; the last that tells its speed counts, if it
            ran on the same kind of device. What ran on several devices counts as if each did its share.
        cards: what is known without any; the first that has steps of these sizes counts.
        gpu: whether a GPU will train, or a CPU.
    """
    measured = [f for f in finished if (f["device"] != "cpu") == gpu and _positive(f.get("steps_per_second"))]
    if measured:
        last = measured[-1]
        seconds = last.get("processes", 1) / last["steps_per_second"]
        return Measured(seconds, f"measured in this study on {last['device']}", True)
    for card in cards if gpu else ():
        if seconds := _step(run, card):
            return Measured(seconds, f"measured on {card.name} ({card.page})", False)
    return None


def _step(run: RunConfig, card: Card) -> float | None:
    """Time of a run's step on a card; None unless the check measured that very kind of step."""
    settings = run.settings
    case = CASES.get((settings.model.backbone, settings.augment.crop), "")
    step = card.speed.get(case, {}).get("simformer" if settings.has_simnet else "maskformer", {})
    mode = settings.optim.precision + ("+compile" if settings.optim.compile else "")
    same = step.get("images") == settings.optim.batch_images and step.get("mode") == mode
    return step["seconds"] if same and _positive(step.get("seconds")) else None


def _positive(value: float | None) -> bool:
    return value is not None and 0 < value < math.inf
