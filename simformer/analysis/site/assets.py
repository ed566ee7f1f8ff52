"""Files of the gallery site that a browser reads without a server: data as scripts, label maps and photographs."""

from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from simformer.atomic import atomic_write_bytes
from simformer.data.images import encode_label
from simformer.text.json_text import json_text

THUMBNAIL = 112
"""Side of a thumbnail in pixels."""

PHOTOGRAPH_QUALITY, THUMBNAIL_QUALITY = 92, 80
"""JPEG qualities."""


def write_script(path: Path, content: Any) -> None:
    """Write data as a script: a page opened from disk may run scripts, but not read files.

    Args:
        path: the `.js` file.
        content: what JSON can hold; the page's `receive` gets it under the file's address.
    """
    text = json_text(content, separators=(",", ":"), ensure_ascii=True)
    text = text.replace("</", r"<\/")  # the same for JavaScript, and no end of a script for a page that holds it
    atomic_write_bytes(path, f"receive({text});\n".encode(), durable=False)


def packed(array: np.ndarray) -> str:
    """Return the bytes of an array, compressed (zlib) and as base64 text."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()


def write_label_script(path: Path, ids: np.ndarray, colours: np.ndarray) -> None:
    """Write a label map, uint8 [H, W], as a script that holds a palette PNG in base64."""
    write_script(path, base64.b64encode(encode_label(ids, colours)).decode())


def encode_jpeg(image: np.ndarray) -> bytes:
    """Return a photograph, uint8 [H, W, 3], as the bytes of a JPEG file, its colours at full resolution."""
    return _jpeg(Image.fromarray(image), PHOTOGRAPH_QUALITY)


def encode_thumbnail(image: np.ndarray) -> bytes:
    """Return the middle square of a photograph, uint8 [H, W, 3], as a small JPEG file."""
    small = ImageOps.fit(Image.fromarray(image), (THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return _jpeg(small, THUMBNAIL_QUALITY)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
