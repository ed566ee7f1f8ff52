"""From the pixels of any picture to 8-bit RGB as a viewer shows it; the table is in `simformer.data.images`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simformer.errors import UserError

DIRECT = ("1", "L", "P", "RGB", "CMYK", "YCbCr")
"""Pillow's modes without transparency that it converts itself."""
WITH_ALPHA = ("LA", "PA", "RGBA", "RGBa")
DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
"""Modes of one channel of 16 bits."""

DARKEST = 16
"""Of 256. A 16-bit picture that stays below it all over holds other numbers than brightness over the whole range."""

WHITE = 255


def to_rgb(image: Image.Image, depth: int, where: str) -> NDArray[np.uint8]:
    """Return a loaded picture as RGB, uint8 [H, W, 3], not yet turned.

    Args:
        image: the picture.
        depth: bits per channel in its file.
        where: the file, for messages.

    Raises:
        UserError: a mode, depth or kind of transparency whose look is not certain.
    """
    if image.mode not in DIRECT + WITH_ALPHA + DEEP or depth > 16:
        raise UserError(
            f"{where}: picture of mode '{image.mode}' with {depth} bits per channel, whose colours are not certain; "
            "convert it to RGB or gray of 8 bits"
        )
    key = image.info.get("transparency")
    if image.mode in DEEP:
        values = np.asarray(image)
        pixels = _bright((values >> 8).astype(np.uint8), where)
        return _on_white(np.repeat(pixels[..., None], 3, axis=2), None if key is None else values == key, where)
    if image.mode in WITH_ALPHA or (image.mode == "P" and image.has_transparency_data):
        rgba = image.convert("RGBA")
        if depth == 16:
            _bright(np.asarray(rgba)[..., :3], where)
        if rgba.getchannel("A").getextrema()[1] == 0:
            raise _invisible(where)
        return np.array(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))
    pixels = np.array(image.convert("RGB"))
    if depth == 16 and image.mode == "RGB":
        _bright(pixels, where)
        if key is not None:
            raise UserError(f"{where}: 16 bits per channel with a transparent colour; save it with 8 bits")
    if key is None or image.mode not in ("1", "L", "RGB"):
        return pixels
    scale = 255 // (2**depth - 1) if image.mode != "RGB" and depth < 8 else 1
    return _on_white(pixels, (pixels == np.multiply(key, scale)).all(axis=2), where)


def turn_upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn pixels [H, W, ...] as an EXIF orientation (1 to 8) says; any other value leaves them as they are."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(pixels[rows, columns])


def _bright(pixels: NDArray[np.uint8], where: str) -> NDArray[np.uint8]:
    """Return the upper 8 of 16 bits; UserError if next to nothing would be seen of them."""
    if pixels.max() < DARKEST:
        raise UserError(
            f"{where}: 16 bits per channel, but no value above {256 * DARKEST - 1} of 65535: with 8 bits it would be "
            "nearly black; spread its values over the whole range, or save it with 8 bits"
        )
    return pixels


def _on_white(pixels: NDArray[np.uint8], transparent: NDArray[np.bool_] | None, where: str) -> NDArray[np.uint8]:
    """Return pixels with those of the transparent colour, bool [H, W], in white."""
    if transparent is None:
        return pixels
    if transparent.all():
        raise _invisible(where)
    pixels[transparent] = WHITE
    return pixels


def _invisible(where: str) -> UserError:
    return UserError(f"{where}: every pixel is transparent, so nothing is seen; remove the transparency")
