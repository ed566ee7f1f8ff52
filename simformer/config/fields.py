"""Kinds of values that keys have, and the base of every settings object."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MAX_SIDE = 8192
"""Longest side of images and crops that networks get, pixels; above it a single batch would not fit any memory."""


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if doubled := [str(value) for value in values if values.count(value) > 1]:
        raise ValueError(f"has doubles: {', '.join(doubled)}; name each once")
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
    if meant in ("none", "imagenet") and text != meant:
        raise ValueError(f"'{text}' would be the path of a file; write {meant} (for a file of that name ./{text})")
    return text


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
Side = Annotated[int, Field(ge=16, le=MAX_SIDE)]
"""Side of an image or crop that a network gets, pixels; 16 are four cells of the embedding grid."""
LongEdge = Annotated[int, Field(ge=16, le=10**6)]
"""Bound of a longer side, pixels."""
Text = Annotated[str, AfterValidator(_plain_text)]
"""A line of text for tables, pages and paths."""
Weights = Annotated[Text, AfterValidator(_plain_weights)]
"""Where initial weights come from: 'imagenet', 'none', or a file's path."""
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
