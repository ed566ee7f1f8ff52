"""Kinds of values that keys have, and the base of every settings object."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from simformer.errors import did_you_mean

MIN_SIDE = 16
"""Shortest side of images and crops that networks get, pixels; four cells of the embedding grid."""
MAX_SIDE = 8192
"""Longest side of images and crops that networks get, pixels; above it a single batch would not fit any memory."""


BACKBONES = ("resnet50", "resnet18", "mobilenet_v2", "tiny")
"""Backbones that need no other package."""
TIMM = "timm/"
"""What the name of a backbone begins with that is one of timm's."""
Labels = Literal["weak", "crop", "full", "pseudo", "fill", "maps", "none"]
"""Label maps that a method trains on; `none` is not trained."""
PUBLISHED = ("imagenet", "timm")
"""Values of `model.weights` that are downloaded."""
NO_FILES = ("none", *PUBLISHED)
"""Values of `model.weights` that are no path."""


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if doubled := [str(value) for value in values if values.count(value) > 1]:
        raise ValueError(f"has duplicates: {', '.join(doubled)}; name each once")
    return values


def _plain_text(text: str) -> str:
    """Refuse what would break a line of a table or a page: control characters and separators of lines."""
    odd = [letter for letter in text if unicodedata.category(letter) in ("Cc", "Zl", "Zp")]
    if odd:
        raise ValueError(f"holds the control character {odd[0]!r}, such as a line break; take it out")
    if not text.strip():
        raise ValueError("is empty; write a text, or take the key out")
    return text


def _whole(value: Any) -> Any:
    """Refuse `true` and `1.0` where a whole number is one of a few; pydantic compares with `==`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"should be a whole number, found {value!r}")
    return value


def _plain_weights(text: str) -> str:
    """Refuse what is meant as one of the two words, but would be taken for the path of a file."""
    meant = {"null": "none", "~": "none"}.get(text.strip().lower(), text.strip().lower())
    if meant in NO_FILES and text != meant:
        raise ValueError(f"'{text}' would be the path of a file; write {meant} (for a file of that name ./{text})")
    return text


def _known_backbone(name: str) -> str:
    """Refuse what is neither one of our backbones nor may be one of timm's; which of those there are, timm knows."""
    if name in BACKBONES or re.fullmatch(TIMM + r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?", name):
        return name
    expected = f"Expected {', '.join(BACKBONES)}, or {TIMM}NAME (docs/backbones.md)"
    raise ValueError(f"is '{name}'{did_you_mean(name, BACKBONES, expected)}")


def _key_of_split(key: Any) -> Any:
    """Turn a key of JSON, which is text, into the number that it is written as."""
    if not isinstance(key, str):
        return key
    if not re.fullmatch("0|[1-9][0-9]{0,5}", key):
        raise ValueError(f"'{key}' is no number of a split; give a whole number from 0 to 999999")
    return int(key)


Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=10**15)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
"""A seed; those that are derived from it must fit into the 64 bits of PyTorch's generators."""
Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
"""Side of an image or crop that a network gets, pixels."""
LongEdge = Annotated[int, Field(ge=MIN_SIDE, le=10**6)]
"""Bound of a longer side, pixels."""
Text = Annotated[str, AfterValidator(_plain_text)]
"""A line of text for tables, pages and paths."""
Weights = Annotated[Text, AfterValidator(_plain_weights)]
"""Where initial weights come from: one of NO_FILES, or a file's path."""
BackboneName = Annotated[str, AfterValidator(_known_backbone)]
"""One of BACKBONES, or timm's name after TIMM."""
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
SplitNumber = Annotated[int, Field(ge=0, le=999_999)]
SplitKey = Annotated[SplitNumber, BeforeValidator(_key_of_split)]
"""Number of a split as the key of a mapping."""
DISTINCT = AfterValidator(_distinct)
"""Of a tuple: nothing is given twice."""
WHOLE = BeforeValidator(_whole)
"""Of a choice among whole numbers."""
LATER = "later"
"""Of a key that is younger than kept results: left at its default, it is no part of a run's hash."""


class Settings(BaseModel):
    """Base of every settings object: immutable, numbers are finite, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


def within(short_edges: tuple[int, ...], max_long_edge: int, names: str) -> None:
    """Raise ValueError if the shorter side is to be longer than the bound of the longer one, so that it never is.

    Args:
        short_edges: sizes of the shorter side.
        max_long_edge: bound of the longer side.
        names: the two keys.
    """
    if short_edges and max(short_edges) > max_long_edge:
        raise ValueError(
            f"{names}: the shorter side ({max(short_edges)}) exceeds the bound of the longer one ({max_long_edge})"
        )


def leaving_enough(crop: int, factor: float, name: str) -> None:
    """Raise ValueError if a resized view of a crop is smaller than what a network gets at least.

    Args:
        crop: its side, pixels.
        factor: of that side.
        name: key of the factor, beside `crop`.
    """
    if (side := round(crop * factor)) < MIN_SIDE:
        raise ValueError(
            f"{name} {factor} leaves {side} of the crop's {crop} pixels, and at least {MIN_SIDE} are needed; raise "
            f"`{name}` or `crop`"
        )


def fitting_weights(backbone: str, weights: str, sha256: str | None, frozen_stages: int) -> None:
    """Raise ValueError if keys of `model` contradict each other: each library has weights of its own networks only."""
    own, other = ("timm", "imagenet") if backbone.startswith(TIMM) else ("imagenet", "timm")
    if weights == other:
        raise ValueError(
            f"model.weights '{other}' are no weights of model.backbone '{backbone}'; write {own}, none or a file's "
            "path beside `backbone`"
        )
    if sha256 and weights in NO_FILES:
        raise ValueError(f"model.weights_sha256 needs a file in model.weights, found '{weights}'")
    if frozen_stages and weights == "none":
        raise ValueError("model.frozen_stages would keep random weights, since model.weights is none; set one of them")
