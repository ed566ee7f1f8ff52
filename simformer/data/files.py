"""Reading and writing of single files: atomic writes, images as RGB arrays, label maps as class ids."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from simformer.errors import UserError

PNG_LEVEL = 3
"""zlib level of every PNG that is written: a third of the time of the usual 6, a few percent larger."""

PNG_DEPTH = 24
"""Offset of the bit depth in a PNG file, whose first chunk is always the header."""

DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
"""What Pillow raises for a broken file; UnidentifiedImageError is an OSError."""


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or all of the new one, never a part.

    Args:
        path: the file; missing folders above it are made.
        data: its new content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def atomic_write_text(path: Path, data: str) -> None:
    """Write a text file in UTF-8 with `atomic_write_bytes`."""
    atomic_write_bytes(path, data.encode("utf-8"))


def encode_png(array: NDArray[np.uint8]) -> bytes:
    """Return an image [H, W, 3] or a label map [H, W], uint8, as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a photograph in any Pillow format as RGB, turned upright as its EXIF orientation says.

    Returns: uint8 [H, W, 3]; gray, palette, CMYK and transparent images are converted.

    Raises:
        UserError: the file is missing, truncated or not an image.
    """
    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        raise UserError(f"{path}: image not found") from None
    except DECODING_ERRORS as error:
        raise UserError(f"{path}: {describe_decoding_error(error)}; copy or download it again") from error


def read_label(path: Path) -> NDArray[np.uint8]:
    """Read a label map: one 8-bit PNG channel whose raw values are the class ids (a palette is not applied).

    Returns: uint8 [H, W].

    Raises:
        UserError: the file is missing, truncated, not a PNG, or not a single 8-bit channel.
    """
    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            depth = data[PNG_DEPTH]
            if image.format != "PNG":
                raise UserError(f"{path}: label map is a {image.format} file; expected PNG, which keeps ids exactly")
            if image.mode != "P" and (image.mode != "L" or depth != 8):
                raise UserError(
                    f"{path}: label map has mode '{image.mode}' with {depth} bits per channel; expected one "
                    "8-bit channel (mode L, or P with the ids as palette indices)"
                )
            return np.array(image)
    except FileNotFoundError:
        raise UserError(f"{path}: label map not found") from None
    except DECODING_ERRORS as error:
        raise UserError(f"{path}: {describe_decoding_error(error)}; copy or download it again") from error


def write_label(path: Path, array: NDArray[np.uint8]) -> None:
    """Write a label map, uint8 [H, W], as a single-channel PNG, atomically.

    Raises:
        ValueError: the array is not a two-dimensional uint8 array.
    """
    if array.dtype != np.uint8 or array.ndim != 2:
        raise ValueError(f"{path}: a label map is uint8 [H, W], got {array.dtype} {list(array.shape)}")
    atomic_write_bytes(path, encode_png(array))


def describe_decoding_error(error: Exception) -> str:
    """Return in the user's words why an image file could not be decoded."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or its header is corrupt"
    if isinstance(error, PermissionError):
        return "permission to read denied"
    return f"truncated or corrupt ({str(error).strip() or type(error).__name__})"


def _umask() -> int:
    """Return the process's file mode mask (reading it needs a write)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
