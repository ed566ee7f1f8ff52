"""Picture files of every kind that the tests of bad input need, as bytes."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

SIDE = 64
RNG = np.random.default_rng(1)
RGB = RNG.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
GRAY = RGB[..., 0]
LABEL = (GRAY % 5).astype(np.uint8)


def png(
    rows: np.ndarray, depth: int, colour: int, chunks: tuple[tuple[bytes, bytes], ...] = (), side: tuple[int, int] = ()
) -> bytes:
    """Return a PNG of raw rows, uint8 [H, bytes per row]; `side` (height, width) is that of square pictures if empty.

    Args:
        rows: the packed samples of each row.
        depth: bits per sample.
        colour: PNG's colour type: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGB and alpha.
        chunks: further chunks before the pixels.
        side: height and width.
    """
    height, width = side or (len(rows), len(rows))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    pieces = ((b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in pieces
    )


def deep(values: np.ndarray) -> np.ndarray:
    """Return 16-bit samples, [H, W] or [H, W, C], as rows of big-endian bytes."""
    return np.ascontiguousarray(values.reshape(len(values), -1).astype(">u2")).view(np.uint8)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """Return a picture as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def picture(mode: str = "RGB") -> Image.Image:
    """Return the noise of this module in a mode of Pillow."""
    return Image.fromarray(RGB).convert(mode)


def exif(orientation: int) -> Image.Exif:
    """Return EXIF data that hold an orientation alone."""
    data = Image.Exif()
    data[274] = orientation
    return data


def frames(form: str) -> bytes:
    """Return a file of two frames or pages."""
    options = {"duration": 100} if form != "TIFF" else {}
    other = Image.fromarray(255 - RGB)
    return saved(picture(), form, save_all=True, append_images=[other], **options)
