"""The contract of `simformer.data.images`: what each kind of picture becomes, and which ones are refused."""

import zlib

import numpy as np
import pytest
from PIL import Image

from simformer.data import images
from simformer.data.audit import audit
from simformer.data.images import decode_image, decode_label, photograph_size, read_image, read_label
from simformer.data.pixels import turn_upright
from simformer.errors import UserError
from tests.faults.harness import OTHER_KINDS, audit_arguments, refused
from tests.faults.pictures import GRAY, LABEL, RGB, SIDE, deep, exif, frames, picture, png, saved

ALPHA = np.where(np.arange(SIDE) < 20, 0, 255).astype(np.uint8)[None].repeat(SIDE, 0)
WIDE = RGB.astype(int)
ON_WHITE = np.where((ALPHA == 0)[..., None], 255, RGB)
GRAY_ON_WHITE = np.where(ALPHA == 0, 255, GRAY)
PACKED = {2: np.packbits(np.unpackbits(GRAY[..., None], axis=2)[..., :2].reshape(SIDE, -1), axis=1)}
DARK = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 4096


def gray(array: np.ndarray) -> np.ndarray:
    """Return one channel as three."""
    return np.repeat(array[..., None], 3, axis=2)


def rgba(alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([RGB, alpha]))


def with_clear_colour(key: int) -> bytes:
    """Return a palette picture in which one index is transparent."""
    image = picture().quantize(16)
    return saved(image, "PNG", transparency=key)


READ = {
    "RGB PNG": (saved(picture(), "PNG"), RGB),
    "RGB BMP": (saved(picture(), "BMP"), RGB),
    "RGB TIFF": (saved(picture(), "TIFF"), RGB),
    "RGB WebP": (saved(picture(), "WEBP", lossless=True), RGB),
    "gray PNG": (saved(Image.fromarray(GRAY), "PNG"), gray(GRAY)),
    "2-bit gray": (png(PACKED[2], 2, 0), gray(GRAY // 64 * 85)),
    "1-bit": (saved(Image.fromarray(GRAY > 99), "PNG"), gray(np.where(GRAY > 99, 255, 0))),
    "palette": (saved(Image.fromarray(LABEL).convert("P"), "PNG"), gray(LABEL)),
    "GIF of one frame": (saved(Image.fromarray(GRAY), "GIF"), gray(GRAY)),
    "RGBA on white": (saved(rgba(ALPHA), "PNG"), ON_WHITE),
    "opaque RGBA": (saved(rgba(np.full_like(ALPHA, 255)), "PNG"), RGB),
    "RGBA TIFF": (saved(rgba(ALPHA), "TIFF"), ON_WHITE),
    "LA on white": (saved(Image.fromarray(np.dstack([GRAY, ALPHA])), "PNG"), gray(GRAY_ON_WHITE)),
    "transparent gray": (saved(Image.fromarray(GRAY), "PNG", transparency=7), gray(np.where(GRAY == 7, 255, GRAY))),
    "transparent 2-bit gray": (
        png(PACKED[2], 2, 0, ((b"tRNS", b"\0\1"),)),
        gray(np.where(GRAY // 64 == 1, 255, GRAY // 64 * 85)),
    ),
    "transparent RGB": (
        saved(picture(), "PNG", transparency=tuple(map(int, RGB[3, 4]))),
        np.where((RGB[3, 4] == RGB).all(2, keepdims=True), 255, RGB),
    ),
    "16-bit gray": (png(deep(WIDE[..., 0] * 256 + 77), 16, 0), gray(GRAY)),
    "16-bit gray, transparent": (
        png(deep(WIDE[..., 0] * 257), 16, 0, ((b"tRNS", b"\x07\x07"),)),
        gray(np.where(GRAY == 7, 255, GRAY)),
    ),
    "16-bit RGB": (png(deep(WIDE * 256 + 9), 16, 2), RGB),
    "16-bit gray TIFF": (saved(Image.fromarray((WIDE[..., 0] * 256 + 5).astype(np.uint16)), "TIFF"), gray(GRAY)),
    "16-bit RGBA": (png(deep(np.dstack([RGB, ALPHA]).astype(int) * 257), 16, 6), ON_WHITE),
    "gamma is not applied": (png(GRAY, 8, 0, ((b"gAMA", (100000).to_bytes(4, "big")),)), gray(GRAY)),
    "broken EXIF turns nothing": (
        saved(picture(), "JPEG", exif=b"Exif\0\0nonsense"),
        decode_image(saved(picture(), "JPEG"), "one"),
    ),
    "a phone's JPEG with a second picture": (
        saved(picture(), "MPO", save_all=True, append_images=[picture("L")], quality=90),
        decode_image(saved(picture(), "JPEG", quality=90), "one"),
    ),
}
"""Pictures and what they become."""


@pytest.mark.parametrize("kind", READ)
def test_every_picture_becomes_what_a_viewer_shows(kind):
    data, expected = READ[kind]
    np.testing.assert_array_equal(decode_image(data, "a"), expected)
    assert photograph_size(data, "a") == expected.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_pictures_of_every_format_are_turned_upright(form, orientation):
    image = picture().crop((0, 0, 40, 24))
    options = {"lossless": True} if form == "WEBP" else {}
    plain = decode_image(saved(image, form, **options), "a")
    data = saved(image, form, exif=exif(orientation), **options)
    turned = decode_image(data, "a")
    np.testing.assert_array_equal(turned, turn_upright(plain, orientation))
    assert photograph_size(data, "a") == turned.shape[:2]


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    np.testing.assert_array_equal(decode_image(saved(picture(), "PNG", exif=exif(orientation)), "a"), RGB)


def test_cmyk_is_read_as_adobe_writes_it():
    colour = np.full((8, 8, 3), (200, 30, 60), np.uint8)
    data = saved(Image.fromarray(colour).convert("CMYK"), "JPEG", quality=100)
    assert np.abs(decode_image(data, "a").astype(int) - colour).max() < 6


def test_a_palette_with_a_clear_colour_is_laid_on_white():
    data = with_clear_colour(3)
    indices = np.array(picture().quantize(16))
    assert (decode_image(data, "a")[indices == 3] == 255).all()


HUGE = zlib.compress(bytes(2_000_000))
"""A text of PNG that unpacks to more than Pillow reads."""
REFUSED = {
    "empty": (b"", "empty (0 bytes), not an image"),
    "text": (b"hello", "not an image"),
    "web page": (b"<!DOCTYPE html><html>404</html>", "a web page or XML text instead of an image"),
    "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "PDF": (b"%PDF-1.7\n", "a PDF document; convert it"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
    "PPM": (saved(picture(), "PPM"), "a file of format PPM, which is not supported; convert it to JPEG or PNG"),
    "JPEG 2000": (saved(picture(), "JPEG2000"), "a file of format JPEG2000, which is not supported"),
    "GIF of frames": (frames("GIF"), "2 frames or pages in one file; expected one"),
    "APNG": (frames("PNG"), "2 frames or pages in one file"),
    "WebP of frames": (frames("WEBP"), "2 frames or pages in one file"),
    "TIFF of pages": (frames("TIFF"), "2 frames or pages in one file"),
    "float TIFF": (saved(Image.fromarray(GRAY.astype(np.float32) / 255), "TIFF"), "mode 'F' with 32 bits"),
    "32-bit TIFF": (saved(Image.fromarray(GRAY.astype(np.int32)), "TIFF"), "mode 'I' with 32 bits"),
    "LAB TIFF": (saved(Image.new("LAB", (SIDE, SIDE)), "TIFF"), "mode 'LAB' with 8 bits per channel"),
    "12 bits in 16, gray": (png(deep(DARK), 16, 0), "no value above 4095 of 65535"),
    "12 bits in 16, RGB": (png(deep(np.dstack([DARK] * 3)), 16, 2), "nearly black; spread its values"),
    "12 bits in 16, RGBA": (png(deep(np.dstack([DARK, DARK, DARK, DARK * 0 + 65535])), 16, 6), "no value above 4095"),
    "12 bits in 16, TIFF": (saved(Image.fromarray(DARK.astype(np.uint16)), "TIFF"), "no value above 4095"),
    "inverted 16-bit TIFF": (
        saved(Image.fromarray((WIDE[..., 0] * 257).astype(np.uint16)), "TIFF", tiffinfo={262: 0}),
        "inverted gray of 16 bits",
    ),
    "16-bit RGB with a clear colour": (
        png(deep(WIDE * 257), 16, 2, ((b"tRNS", bytes(6)),)),
        "16 bits per channel with a transparent colour; save it with 8 bits",
    ),
    "nothing visible": (saved(rgba(np.zeros_like(ALPHA)), "PNG"), "every pixel is transparent, so nothing is seen"),
    "one clear gray": (saved(Image.new("L", (9, 9), 5), "PNG", transparency=5), "every pixel is transparent"),
    "too many pixels": (png(np.zeros((1, 1), np.uint8), 1, 0, side=(30000, 30000)), "30000x30000 = 900,000,000 pixels"),
    "a huge text": (
        png(GRAY, 8, 0, ((b"zTXt", b"a\0\0" + HUGE),)),
        "a text or colour profile in it unpacks to more",
    ),
    "truncated JPEG": (saved(picture(), "JPEG")[:900], "truncated or corrupt"),
    "truncated WebP": (saved(picture(), "WEBP")[:200], "; "),
    "truncated TIFF": (saved(picture(), "TIFF")[:3000], "; "),
    "float RGB TIFF": (b"II*\0\x08\0\0\0" + bytes(30), "; "),
}
"""Pictures that no training may see, and the reason."""


@pytest.mark.parametrize("kind", REFUSED)
def test_pictures_that_are_refused(kind):
    data, reason = REFUSED[kind]
    for read in (decode_image, photograph_size):
        with pytest.raises(UserError, match=r"^images/a\.png: ") as error:
            read(data, "images/a.png")
        assert reason in str(error.value)
        assert "\n" not in str(error.value)


LABELS_READ = {
    "gray": png(LABEL, 8, 0),
    "gray with a clear colour": png(LABEL, 8, 0, ((b"tRNS", b"\0\3"),)),
    "gray with gamma": png(LABEL, 8, 0, ((b"gAMA", (220000).to_bytes(4, "big")),)),
    "palette of 8 bits": png(LABEL, 8, 3, ((b"PLTE", bytes(range(15))),)),
    "palette of 4 bits": png(LABEL[:, ::2] * 16 + LABEL[:, 1::2], 4, 3, ((b"PLTE", bytes(range(15))),)),
    "palette with clear colours": png(LABEL, 8, 3, ((b"PLTE", bytes(range(15))), (b"tRNS", b"\0\1\2"))),
    "upright by EXIF": saved(Image.fromarray(LABEL), "PNG", exif=exif(1)),
}


@pytest.mark.parametrize("kind", LABELS_READ)
def test_raw_values_of_a_label_map_are_its_ids(kind):
    np.testing.assert_array_equal(decode_label(LABELS_READ[kind], "a"), LABEL)


LABELS_REFUSED = {
    "RGB": (saved(picture(), "PNG"), "mode 'RGB' with 8 bits per channel; expected one 8-bit channel"),
    "RGBA": (saved(rgba(ALPHA), "PNG"), "mode 'RGBA'"),
    "LA": (saved(Image.fromarray(np.dstack([LABEL, ALPHA])), "PNG"), "mode 'LA'"),
    "1-bit": (saved(Image.fromarray(LABEL > 2), "PNG"), "mode '1' with 1 bit per channel"),
    "2-bit gray": (png(PACKED[2], 2, 0), "mode 'L' with 2 bits per channel"),
    "16-bit": (png(deep(LABEL), 16, 0), "with 16 bits per channel"),
    "JPEG": (saved(Image.fromarray(LABEL), "JPEG"), "is a JPEG file; expected PNG, which keeps ids exactly"),
    "WebP": (saved(picture(), "WEBP"), "is a WEBP file; expected PNG"),
    "TIFF": (saved(Image.fromarray(LABEL), "TIFF"), "is a TIFF file; expected PNG"),
    "turned by EXIF": (saved(Image.fromarray(LABEL), "PNG", exif=exif(6)), "EXIF orientation 6"),
    "mirrored by EXIF": (saved(Image.fromarray(LABEL), "PNG", exif=exif(2)), "EXIF orientation 2"),
    "frames": (frames("PNG"), "2 frames or pages"),
    "a huge text": (
        png(LABEL, 8, 0, ((b"zTXt", b"a\0\0" + HUGE),)),
        "without metadata: exiftool -all= FILE",
    ),
    "empty": (b"", "empty (0 bytes)"),
    "too many pixels": (png(np.zeros((1, 1), np.uint8), 8, 0, side=(20000, 20000)), "at most 178,956,970 are read"),
}


@pytest.mark.parametrize("kind", LABELS_REFUSED)
def test_label_maps_that_are_refused(kind):
    data, reason = LABELS_REFUSED[kind]
    with pytest.raises(UserError, match=r"^labels/a\.png: ") as error:
        decode_label(data, "labels/a.png")
    assert reason in str(error.value)


@pytest.mark.parametrize("says", OTHER_KINDS)
@pytest.mark.parametrize("read", [read_image, read_label])
def test_what_is_no_file_is_named_and_never_waited_for(tmp_path, says, read):
    OTHER_KINDS[says](tmp_path / "a.png")
    with pytest.raises(UserError) as error:
        read(tmp_path / "a.png")
    assert str(error.value).startswith(f"{tmp_path}/a.png: {says}")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"x")

    def deny(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "read_bytes", deny)
    with pytest.raises(UserError, match=r"a\.png: permission to read denied; allow it with chmod u\+r"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["12 bits in 16, gray", "too many pixels", "GIF of frames", "nothing visible", "HEIC"])
def test_the_audit_refuses_them_in_one_line(data, tmp_path, capsys, kind):
    content, reason = REFUSED[kind]
    (data / "images/train3.png").write_bytes(content)
    refused(audit_arguments(data), tmp_path, capsys, "images/train3.png: ", reason)


@pytest.mark.parametrize("kind", ["16-bit", "turned by EXIF", "RGB", "frames"])
def test_the_audit_refuses_label_maps_in_one_line(data, tmp_path, capsys, kind):
    content, reason = LABELS_REFUSED[kind]
    (data / "labels/test1.png").write_bytes(content)
    refused(audit_arguments(data), tmp_path, capsys, "labels/test1.png: ", reason)


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (1, 1, "1x1 pixels (width x height); expected sides of at least 8"),
        (2, 600, "2x600 pixels"),
        (600, 7, "600x7 pixels"),
        (4, 20000, "expected sides of at least 8"),
        (8, 1032, "129 times as long as the short side; expected at most 128 times"),
    ],
)
def test_images_that_are_tiny_or_strips_are_named(data, tmp_path, capsys, width, height, reason):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)).save(
        data / "images/train0.png"
    )
    (data / "labels/train0.png").write_bytes(saved(Image.new("L", (width, height)), "PNG"))
    refused(audit_arguments(data), tmp_path, capsys, "images/train0.png: ", reason)


def test_a_label_map_one_pixel_too_small_is_named(data, tmp_path, capsys):
    (data / "labels/train0.png").write_bytes(saved(Image.new("L", (SIDE, SIDE - 1)), "PNG"))
    refused(audit_arguments(data), tmp_path, capsys, "train0.png is 64x64", "is 64x63; expected equal sizes")


def test_every_file_is_decoded_once(data, monkeypatch):
    counted = []
    for name in ("decode_image", "decode_label"):
        whole = getattr(images, name)
        monkeypatch.setattr(
            f"simformer.data.inspection.{name}", lambda d, w, whole=whole: counted.append(w) or whole(d, w)
        )
    audit(data, 1)
    assert len(counted) == len(set(counted)) == 24
