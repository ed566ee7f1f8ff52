"""Reading and writing of single files."""

import errno
import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from simformer.atomic import atomic_write_bytes, atomic_write_text, remove_leftovers
from simformer.commands.inputs import new_file
from simformer.data.images import encode_label, encode_png, photograph_size, read_image, read_label, write_label
from simformer.errors import UserError


def four_bit_png() -> bytes:
    """Return a gray PNG of 4 bits per pixel whose raw value is 3 everywhere."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header, rows = struct.pack(">IIBBBBB", 4, 4, 4, 0, 0, 0, 0), zlib.compress(b"\x00\x33\x33" * 4)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", [".prepared", "model.safetensors", "a[1]*.txt", "é" * 120])
def test_what_a_killed_writer_left_can_be_removed(tmp_path, monkeypatch, name):
    (tmp_path / "other.txt").touch()
    atomic_write_text(tmp_path / name, "old")
    monkeypatch.setattr("os.replace", lambda *_: os._exit(9))
    if (child := os.fork()) == 0:
        atomic_write_text(tmp_path / name, "new")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert len(list(tmp_path.iterdir())) == 3
    remove_leftovers(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {name, "other.txt"}
    assert (tmp_path / name).read_text() == "old"


def test_atomic_write_replaces_the_old_content_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write_text(path, "old")
    atomic_write_text(path, "néw\n")
    assert path.read_bytes() == "néw\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_atomic_write_keeps_the_old_file_and_removes_its_own_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    atomic_write_bytes(path, b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_a_folder_where_a_file_is_to_be_written_is_named_and_kept(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match=r"there: a folder; expected the name of a file to write"):
        atomic_write_text(tmp_path / "there", "content")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_disk_that_refuses_names_the_file_and_not_a_temporary_one(tmp_path, monkeypatch):
    def refuse(**options):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / ".file.x.part"))

    monkeypatch.setattr("simformer.atomic.tempfile.mkstemp", refuse)
    with pytest.raises(OSError) as raised:
        atomic_write_text(tmp_path / "file", "content")
    assert raised.value.filename == str(tmp_path / "file")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
@pytest.mark.parametrize("function", ["tempfile.mkstemp", "Path.mkdir"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch, number, function):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), str(tmp_path / ".file.x.part"))

    monkeypatch.setattr(f"simformer.atomic.{function}", refuse)
    with pytest.raises(UserError) as raised:
        atomic_write_text(tmp_path / "new/file", "content")
    assert str(raised.value) == f"{_made(tmp_path)}: nothing can be written into this folder; name another one"


def _made(folder):
    return folder / "new" if (folder / "new").exists() else folder


def test_a_file_for_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match=f"^{tmp_path}: nothing can be written into this folder; name another one$"):
        new_file(tmp_path / "a/b/model.onnx")


def test_atomic_write_gives_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    atomic_write_bytes(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


@given(label=arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_label_maps_survive_writing_and_reading(tmp_path_factory, label):
    path = tmp_path_factory.getbasetemp() / "label.png"
    write_label(path, label)
    np.testing.assert_array_equal(read_label(path), label)


@given(label=arrays(np.uint8, (3, 5)), seed=st.integers(0, 99))
def test_the_palette_of_a_label_map_is_not_applied(tmp_path_factory, label, seed):
    path = tmp_path_factory.getbasetemp() / "palette.png"
    image = Image.fromarray(label).convert("P")
    image.frombytes(label.tobytes())
    image.putpalette(np.random.default_rng(seed).integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(path)
    assert Image.open(path).mode == "P"
    np.testing.assert_array_equal(read_label(path), label)


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.int64), np.zeros((2, 2, 3), np.uint8)])
def test_write_label_refuses_what_is_no_label_map(tmp_path, array):
    with pytest.raises(ValueError, match="uint8"):
        write_label(tmp_path / "a.png", array)


def test_label_maps_are_plain_gray_pngs_and_smaller_than_images():
    y, x = np.mgrid[:200, :300]
    label = (20 + np.hypot(y - 90, x - 140) // 30).astype(np.uint8)
    data = encode_label(label)
    with Image.open(io.BytesIO(data)) as image:
        image.verify()
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (300, 200))
        np.testing.assert_array_equal(np.asarray(image), label)
    assert len(data) < 0.9 * len(encode_png(label))


@pytest.mark.parametrize("mode", ["RGB", "LA", "I;16", "1"])
def test_label_map_of_another_mode_is_refused(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: label map has mode '" + mode):
        read_label(tmp_path / "a.png")


def test_label_map_of_fewer_bits_is_refused_because_decoders_scale_it(tmp_path):
    (tmp_path / "a.png").write_bytes(four_bit_png())
    assert np.asarray(Image.open(tmp_path / "a.png")).max() == 51
    with pytest.raises(UserError, match="4 bits per channel"):
        read_label(tmp_path / "a.png")


def test_label_map_in_a_lossy_format_is_refused(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(UserError, match="is a JPEG file; expected PNG"):
        read_label(tmp_path / "a.png")


@pytest.mark.parametrize(("mode", "colour"), [("L", 90), ("P", 7), ("CMYK", (9, 8, 7, 0)), ("RGB", (1, 2, 3))])
def test_images_of_any_mode_become_rgb(tmp_path, mode, colour):
    path = tmp_path / ("a.png" if mode == "P" else "a.jpg")
    image = Image.new(mode, (6, 4), colour)
    image.save(path)
    array = read_image(path)
    assert array.shape == (4, 6, 3) and array.dtype == np.uint8
    expected = np.asarray(Image.open(path).convert("RGB"))
    np.testing.assert_array_equal(array, expected)
    if mode == "L":
        assert (array == 90).all()


def test_images_are_turned_upright(tmp_path):
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:, :8] = 250
    exif = Image.Exif()
    exif[274] = 6  # stored on its side: turn clockwise by 90 degrees to see it upright
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    array = read_image(tmp_path / "a.jpg")
    assert array.shape == upright.shape
    assert np.abs(array.astype(int) - upright).mean() < 5


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_the_size_of_a_photograph(mode, form):
    if (mode, form) == ("CMYK", "PNG"):
        mode = "P"
    buffer, turned = io.BytesIO(), io.BytesIO()
    image = Image.new(mode, (60, 40))
    image.save(buffer, form)
    assert photograph_size(buffer.getvalue(), "a") == (40, 60)
    exif = Image.Exif()
    exif[274] = 6
    image.save(turned, form, exif=exif)
    assert photograph_size(turned.getvalue(), "a") == (60, 40)


def test_a_photograph_is_checked_as_thoroughly_as_by_reading_it(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=90)
    whole, path, verdicts = buffer.getvalue(), tmp_path / "a.jpg", []
    for length in [*range(0, len(whole), 201), *range(len(whole) - 8, len(whole) + 1)]:
        path.write_bytes(whole[:length])
        verdicts.append(
            (is_accepted(lambda: read_image(path)), is_accepted(lambda n=length: photograph_size(whole[:n], "a")))
        )
    assert {read for read, _ in verdicts} == {True, False}
    assert all(read == sized for read, sized in verdicts)


def is_accepted(check):
    """Return whether a check raises no UserError."""
    try:
        check()
    except UserError:
        return False
    return True


@pytest.mark.parametrize("read", [read_image, read_label])
def test_broken_files_are_named(tmp_path, read):
    path = tmp_path / "a.png"
    with pytest.raises(UserError, match=r"a\.png: .*not found"):
        read(path)
    path.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"a\.png: not an image"):
        read(path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    path.write_bytes(encode_png(noise)[:2000])
    with pytest.raises(UserError, match=r"a\.png: truncated"):
        read(path)


def test_a_disk_that_is_full_amid_the_writing_is_told_with_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as error:
        atomic_write_bytes(tmp_path / "file", b"x")
    assert error.value.filename == str(tmp_path / "file") and not list(tmp_path.iterdir())
