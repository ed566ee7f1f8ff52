"""Images as RGB arrays and label maps as class ids: the only place where picture files are read and written.

Photographs are JPEG, PNG, WebP, TIFF, BMP or GIF files, whatever their ending. What a viewer shows on a white page
becomes 8-bit RGB, upright:

| in the file                                   | becomes                                                           |
|-----------------------------------------------|-------------------------------------------------------------------|
| RGB, gray, black and white; 1 to 8 bits       | the same; gray in all three channels                              |
| palette                                       | its colours                                                       |
| transparency: alpha channel, palette, colour  | laid on white; refused if no pixel would be seen                  |
| CMYK, YCbCr                                   | RGB by Pillow's formula; JPEG with CMYK inverted, as Adobe has it |
| 16 bits, gray or RGB                          | the upper 8 bits; refused if no value is above 4095 of 65535,     |
|                                               | if inverted, or RGB with a transparent colour                     |
| 32 bits, floating point, LAB, other modes     | refused                                                           |
| several frames or pages (GIF, APNG, TIFF)     | refused; of a phone's JPEG with further pictures, the first       |
| EXIF or XMP orientation                       | turned upright                                                    |
| ICC profile, gamma, gain map                  | not applied: values are taken as sRGB                             |
| PNG text or profile that unpacks to over 1 MB | refused                                                           |
| more than `LARGEST_PIXELS` pixels             | refused                                                           |

Label maps are PNG files whose raw values are the ids:

| in the file                                   | becomes                                                           |
|-----------------------------------------------|-------------------------------------------------------------------|
| one gray channel of 8 bits                    | ids 0..255; gamma and a transparent colour change nothing         |
| palette of 1, 2, 4 or 8 bits                  | its indices are the ids; the colours are not looked at            |
| gray of 1, 2, 4 or 16 bits, alpha, RGB        | refused                                                           |
| EXIF or XMP orientation other than upright    | refused                                                           |
| several frames; JPEG and all other formats    | refused                                                           |

Of both, a file that is truncated, damaged, empty or not a plain file is refused.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from simformer.atomic import atomic_write_bytes, read_file
from simformer.data.pixels import to_rgb, turn_upright
from simformer.errors import UserError

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""Pillow's names of the formats of photographs; MPO is a JPEG with further pictures behind it."""

LARGEST_PIXELS = 178_956_970
"""Pixels of the largest picture that is read: beyond it Pillow suspects an attack on the memory."""

PNG_LEVEL = 3
"""zlib level of images that are written: a third of the time of the usual 6, a few percent larger."""

LABEL_LEVEL = 1
"""zlib level of label maps, run lengths alone: on real maps a quarter larger than level 7, in a third of its time."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

PNG_DEPTH = 24
"""Offset of the bit depth in a PNG file, whose first chunk is always the header."""

TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap height and width."""

MIN_IS_WHITE = 0
"""TIFF's photometric interpretation of inverted gray."""

DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for a broken file; UnidentifiedImageError is an OSError."""

NO_IMAGES = (
    (0, b"version https://git-lfs", "a pointer of Git LFS instead of the image; get the image with: git lfs pull"),
    (0, b"<", "a web page or XML text instead of an image; download the image again"),
    (0, b"%PDF", "a PDF document; convert it to JPEG or PNG"),
    (4, b"ftyp", "an HEIC picture or a film, which is not supported; convert it to JPEG or PNG"),
    (0, b"II*\0", "a TIFF of a kind that is not read, or its header is corrupt; convert it to 8-bit RGB or gray"),
    (0, b"MM\0*", "a TIFF of a kind that is not read, or its header is corrupt; convert it to 8-bit RGB or gray"),
)
"""Files that Pillow does not know: where their mark is, the mark, and what they are."""

Image.MAX_IMAGE_PIXELS = None  # LARGEST_PIXELS is checked instead, with a message of ours


def encode_png(array: NDArray[np.uint8]) -> bytes:
    """Return an image, uint8 [H, W, 3], as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(buffer, format="PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def encode_label(array: NDArray[np.uint8], colours: NDArray[np.uint8] | None = None) -> bytes:
    """Return a label map as the bytes of a PNG file: one 8-bit channel, rows unfiltered.

    PNG's row filters help photographs. Ids in uniform regions compress better as they are, and decode in half
    the time; Pillow cannot be told to leave a gray image unfiltered.

    Args:
        array: class ids, uint8 [H, W].
        colours: palette, uint8 [256, 3]; None for gray.

    Raises:
        ValueError: the array is not a two-dimensional uint8 array.
    """
    if array.dtype != np.uint8 or array.ndim != 2:
        raise ValueError(f"a label map is uint8 [H, W], got {array.dtype} {list(array.shape)}")
    height, width = array.shape
    rows = np.zeros((height, 1 + width), np.uint8)
    rows[:, 1:] = array
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if colours is None else 3, 0, 0, 0)
    palette = () if colours is None else ((b"PLTE", colours.astype(np.uint8).tobytes()),)
    packer = zlib.compressobj(LABEL_LEVEL, strategy=zlib.Z_RLE)
    pixels = packer.compress(rows.tobytes()) + packer.flush()
    return PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), *palette, (b"IDAT", pixels), (b"IEND", b""))
    )


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a photograph with `decode_image`; also raises UserError if the file is missing or cannot be read."""
    return decode_image(read_file(path, "image"), str(path))


def decode_image(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decode a photograph by the table above.

    Args:
        data: content of the file.
        where: the file, for messages.

    Returns: uint8 [H, W, 3], upright.

    Raises:
        UserError: truncated, not an image, or one that the table refuses.
    """
    with _opened(data, where) as image:
        depth = _photograph_depth(image, data, where)
        image.load()
        return turn_upright(to_rgb(image, depth, where), _orientation(image))


def photograph_size(data: bytes, where: str) -> tuple[int, int]:
    """Check a photograph as `decode_image` does, and return its height and width, upright.

    A JPEG is read at an eighth of its size, which goes through all of the file at a fraction of the cost.

    Args and Raises: see `decode_image`.
    """
    with _opened(data, where) as image:
        _photograph_depth(image, data, where)
        if image.format in ("JPEG", "MPO"):
            width, height = image.size
            image.draft("RGB", (1, 1))
            image.load()
            return (width, height) if _orientation(image) in TURNED else (height, width)
    return decode_image(data, where).shape[:2]


def read_label(path: Path) -> NDArray[np.uint8]:
    """Read a label map with `decode_label`; also raises UserError if the file is missing or cannot be read."""
    return decode_label(read_file(path, "label map"), str(path))


def decode_label(data: bytes, where: str) -> NDArray[np.uint8]:
    """Decode a label map by the table above: the raw values of one 8-bit channel, or of a palette, are the ids.

    Args: see `decode_image`.
    Returns: uint8 [H, W].
    Raises: UserError if it is truncated, not a PNG, or one that the table refuses.
    """
    with _opened(data, where) as image:
        if image.format != "PNG":
            raise UserError(f"{where}: label map is a {image.format} file; expected PNG, which keeps ids exactly")
        depth = data[PNG_DEPTH]
        if image.mode != "P" and (image.mode != "L" or depth != 8):
            bits = "1 bit" if depth == 1 else f"{depth} bits"
            raise UserError(
                f"{where}: label map has mode '{image.mode}' with {bits} per channel; expected one "
                "8-bit channel (mode L, or P with the ids as palette indices)"
            )
        label_map = np.array(image)
        if _orientation(image) in range(2, 9):
            raise UserError(
                f"{where}: label map with EXIF orientation {_orientation(image)}, which some programs ignore; "
                "save it upright and without EXIF"
            )
        return label_map


def verify_checksums(data: bytes, where: str) -> None:
    """Verify the checksums of a PNG's chunks, which decoding alone does not; UserError if one is wrong.

    Other formats have none.
    """
    with _opened(data, where) as image:
        image.verify()


def write_label(path: Path, array: NDArray[np.uint8]) -> None:
    """Write a label map, uint8 [H, W], as a single-channel PNG, atomically; ValueError if it is not one.

    It may be lost in a power cut: label sets hold the checksums of their maps, and every reader compares them.
    """
    atomic_write_bytes(path, encode_label(array), durable=False)


@contextmanager
def _opened(data: bytes, where: str) -> Iterator[Image.Image]:
    """Open a picture of one frame; whatever Pillow raises inside becomes a UserError that names the file."""
    if not data:
        raise UserError(f"{where}: empty (0 bytes), not an image; copy or download it again")
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > LARGEST_PIXELS:
                raise UserError(
                    f"{where}: {width}x{height} = {width * height:,} pixels; at most {LARGEST_PIXELS:,} are read: "
                    "scale image and label map down, or cut both into tiles"
                )
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":
                raise UserError(f"{where}: {frames} frames or pages in one file; expected one: save that alone")
            yield image
    except UnidentifiedImageError as error:
        known = (text for start, mark, text in NO_IMAGES if data.startswith(mark, start))
        text = next(known, "not an image, or its header is corrupt; copy or download it again")
        raise UserError(f"{where}: {text}") from error
    except DECODING_ERRORS as error:
        reason = str(error).strip() or type(error).__name__
        if "MAX_TEXT" in reason:
            raise UserError(
                f"{where}: a text or colour profile in it unpacks to more than the 1 MB that is read; save the image "
                "without metadata: exiftool -all= FILE"
            ) from error
        raise UserError(f"{where}: truncated or corrupt ({reason}); copy or download it again") from error


def _photograph_depth(image: Image.Image, data: bytes, where: str) -> int:
    """Return the bits per channel in the file of a photograph; UserError if it is of another format, or inverted."""
    if image.format not in FORMATS:
        raise UserError(f"{where}: a file of format {image.format}, which is not supported; convert it to JPEG or PNG")
    if image.format == "PNG":
        return data[PNG_DEPTH]
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return 8
    depth = max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    if depth > 8 and image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == MIN_IS_WHITE:
        raise UserError(f"{where}: inverted gray of {depth} bits (0 is white); save it with 0 as black, or with 8 bits")
    return int(depth)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a loaded picture; 1, upright, if it has none."""
    orientation: int = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation
