"""Claims: properties that a baseline's source states, with the values per image that support or contradict them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, Unpack

import numpy as np

from simformer.atomic import atomic_write_text
from simformer.errors import UserError, if_made
from simformer.text.json_text import json_text
from simformer.text.strict_json import read_generated

Statistic = Literal["difference", "ratio", "iou"]
Side = Literal["above", "below"]
Both = tuple[np.ndarray, np.ndarray]
"""Values of the first and of the second arm."""
VALUES = ("first_values", "second_values")
EXACT = 2.0**53
"""Below, every whole number is a float of its own."""


@dataclass(frozen=True, eq=False)
class Claim:
    """One property: two arms, measured on the same images.

    Attributes:
        check: short name of the property, e.g. "S1".
        method: whose property it is, e.g. "seam".
        statement: what must hold, one short sentence.
        first, second: the two arms, e.g. "seam" and "plain".
        images: n names; a name may occur several times (a pair of image and class each), the bootstrap draws images.
        first_values, second_values: finite, float [n]; for statistic "iou" the pixels of intersection and union
            per class, [n, K, 2].
        statistic: of the two arms: "difference" of means, "ratio" of means, or for "iou" the difference of mean IoU
            in percentage points.
        expected: the side of the bound on which the statistic must lie.
        bound: 0 (or a difference that must be exceeded); for a ratio for example 0.75.
        control: whether the statement is a negative control, which shows that the measure can fail.
    """

    check: str
    method: str
    statement: str
    first: str
    second: str
    images: tuple[str, ...]
    first_values: np.ndarray
    second_values: np.ndarray
    statistic: Statistic = "difference"
    expected: Side = "above"
    bound: float = 0.0
    control: bool = False

    def __post_init__(self) -> None:
        """Make arrays of the values and check them; raises ValueError for values that cannot be compared."""
        for name in VALUES:
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "bound", float(self.bound))
        if problem := self._problem():
            raise ValueError(f"claim {self.check} of {self.method} ({self.first} against {self.second}): {problem}")

    def _problem(self) -> str | None:
        shapes = [getattr(self, name).shape for name in VALUES]
        rank = 3 if self.statistic == "iou" else 1
        if self.statistic not in ("difference", "ratio", "iou") or self.expected not in ("above", "below"):
            return f"unknown statistic '{self.statistic}' or side '{self.expected}'"
        if shapes[0] != shapes[1] or (self.images and len(shapes[0]) != rank) or shapes[0][0] != len(self.images):
            return f"values of shapes {shapes[0]} and {shapes[1]} for {len(self.images)} images"
        if rank == 3 and self.images and shapes[0][2] != 2:
            return f"intersection and union are [n, K, 2], not {shapes[0]}"
        if not all(np.isfinite(getattr(self, name)).all() for name in VALUES) or not math.isfinite(self.bound):
            return "values that are not finite; leave out the images that have no value"
        return None


class Options(TypedDict, total=False):
    """Last attributes of `Claim`."""

    statistic: Statistic
    expected: Side
    bound: float
    control: bool


Key = TypeVar("Key", str, tuple[str, int])


def compared(
    check: str,
    method: str,
    statement: str,
    first: str,
    second: str,
    mine: Mapping[Key, Any],
    theirs: Mapping[Key, Any],
    **options: Unpack[Options],
) -> Claim:
    """Return the claim about the images, or the pairs of an image and a class, of which both arms have a value.

    Args: see `Claim`; mine, theirs: values of the two arms by image, or by (image, class).
    """
    keys = [key for key in mine if key in theirs]
    images = tuple(key if isinstance(key, str) else key[0] for key in keys)
    own, other = (np.array([arm[key] for key in keys]) for arm in (mine, theirs))
    return Claim(check, method, statement, first, second, images, own, other, **options)


def save_claims(path: Path, claims: Sequence[Claim]) -> None:
    """Write claims as JSON, atomically, one claim per line."""
    contents = (vars(claim) | {name: _numbers(getattr(claim, name)) for name in VALUES} for claim in claims)
    lines = [json_text(content, separators=(",", ":")) for content in contents]
    atomic_write_text(path, "[\n" + ",\n".join(lines) + "\n]\n")


def load_claims(path: Path) -> list[Claim]:
    """Read what `save_claims` wrote; raises UserError when the file is missing or holds no claims."""
    content = read_generated(path, "file of claims")
    if not isinstance(content, list):
        raise UserError(f"{path}: not a file of claims; {if_made()}")
    try:
        return [Claim(**claim) for claim in content]
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: not a file of claims ({error}); {if_made()}") from None


def _numbers(values: np.ndarray) -> list[Any]:
    """Return whole numbers (pixel counts) without a decimal point, which halves the file."""
    whole = values.size and np.array_equal(values, np.trunc(values)) and np.abs(values).max() < EXACT
    numbers: list[Any] = (values.astype(np.int64) if whole else values).tolist()
    return numbers
