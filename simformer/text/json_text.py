"""JSON that every program can read: NaN and infinity, which JSON does not have, are null."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(content: Any, **layout: Any) -> str:
    """Return content as JSON.

    Args:
        content: what JSON can hold; numbers that are not finite become null.
        layout: further keywords of `json.dumps`.
    """
    try:
        return json.dumps(content, allow_nan=False, **layout)
    except ValueError:
        return json.dumps(_finite(content), allow_nan=False, **layout)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
