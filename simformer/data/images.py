"""Images as RGB arrays and label maps as class ids: the only place where picture files are read and written."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from simformer.data.files import atomic_write_bytes
from simformer.errors import UserError

PNG_LEVEL = 3
"""zlib level of images that are written: a third of the time of the usual 6, a few percent larger."""

LABEL_LEVEL = 1
"""zlib level of label maps, run lengths alone: on real maps a quarter larger than level 7, in a third of its time."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

PNG_DEPTH = 24
"""Offset of the bit depth in a PNG file, whose first chunk is always the header."""

TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""

DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)
"""What Pillow raises for a broken file; UnidentifiedImageError is an OSError."""


def encode_png(array: NDArray[np.uint8]) -> bytes:
    """Return an image, uint8 [H, W, 3], as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def encode_label(array: NDArray[np.uint8]) -> bytes:
    """Return a label map, uint8 [H, W], as the bytes of a PNG file: one 8-bit channel, rows unfiltered.

    PNG's row filters help photographs. Ids in uniform regions compress better as they are, and decode in half
    the time; Pillow cannot be told to leave a gray image unfiltered.

    Raises:
        ValueError: the array is not a two-dimensional uint8 array.
    """
    if array.dtype != np.uint8 or array.ndim != 2:
        raise ValueError(f"a label map is uint8 [H, W], got {array.dtype} {list(array.shape)}")
    height, width = array.shape
    rows = np.zeros((height, 1 + width), np.uint8)
    rows[:, 1:] = array
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(LABEL_LEVEL, strategy=zlib.Z_RLE)
    pieces = ((b"IHDR", header), (b"IDAT", packer.compress(rows.tobytes()) + packer.flush()), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in pieces
    )


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a photograph with `decode_image`; also raises UserError if the file is missing or cannot be read."""
    return decode_image(_read(path, "image"), str(path))


def decode_image(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decode a photograph in any Pillow format as RGB, turned upright as its EXIF orientation says.

    Args:
        data: content of the file.
        where: the file, for messages.

    Returns: uint8 [H, W, 3]; gray, palette, CMYK and transparent images are converted.

    Raises:
        UserError: truncated or not an image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except DECODING_ERRORS as error:
        raise UserError(f"{where}: {describe_decoding_error(error)}; copy or download it again") from error


def photograph_size(data: bytes, where: str) -> tuple[int, int]:
    """Check that a photograph, given as the bytes of its file, decodes to the end.

    A JPEG is read at an eighth of its size, which goes through all of the file at a fraction of the cost.

    Args:
        data: the file in any Pillow format.
        where: the file, for messages.

    Returns: height and width, upright.

    Raises:
        UserError: truncated or not an image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in TURNED
            image.draft("RGB", (1, 1))
            image.load()
    except DECODING_ERRORS as error:
        raise UserError(f"{where}: {describe_decoding_error(error)}; copy or download it again") from error
    return (width, height) if turned else (height, width)


def read_label(path: Path) -> NDArray[np.uint8]:
    """Read a label map with `decode_label`; also raises UserError if the file is missing or cannot be read."""
    return decode_label(_read(path, "label map"), str(path))


def decode_label(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decode a label map: one 8-bit PNG channel whose raw values are the ids (a palette is not applied).

    Args:
        data: content of the file.
        where: the file, for messages.

    Returns: uint8 [H, W].

    Raises:
        UserError: truncated, not a PNG, or not a single 8-bit channel.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            depth = data[PNG_DEPTH]
            if image.format != "PNG":
                raise UserError(f"{where}: label map is a {image.format} file; expected PNG, which keeps ids exactly")
            if image.mode != "P" and (image.mode != "L" or depth != 8):
                raise UserError(
                    f"{where}: label map has mode '{image.mode}' with {depth} bits per channel; expected one "
                    "8-bit channel (mode L, or P with the ids as palette indices)"
                )
            return np.array(image)
    except DECODING_ERRORS as error:
        raise UserError(f"{where}: {describe_decoding_error(error)}; copy or download it again") from error


def write_label(path: Path, array: NDArray[np.uint8]) -> None:
    """Write a label map, uint8 [H, W], as a single-channel PNG, atomically; ValueError if it is not one."""
    atomic_write_bytes(path, encode_label(array))


def describe_decoding_error(error: Exception) -> str:
    """Return in the user's words why an image file could not be decoded."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or its header is corrupt"
    if isinstance(error, PermissionError):
        return "permission to read denied"
    return f"truncated or corrupt ({str(error).strip() or type(error).__name__})"


def _read(path: Path, what: str) -> bytes:
    """Return the content of a file; UserError if it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: {what} not found") from None
    except OSError as error:
        raise UserError(f"{path}: {describe_decoding_error(error)}; copy or download it again") from error
