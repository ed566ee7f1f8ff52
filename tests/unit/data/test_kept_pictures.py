"""Small pictures are decoded once, and nothing but time shows it."""

import hashlib

import numpy as np
import pytest

from simformer.data import checked, kept_pictures
from simformer.data.checked import read_photograph_file
from simformer.data.images import encode_png
from simformer.data.kept_pictures import LARGEST, KeptPictures
from simformer.errors import UserError


@pytest.fixture
def photograph(tmp_path, monkeypatch):
    """Return the path of a small photograph, its checksum and its pixels; nothing is kept yet."""
    monkeypatch.setattr(checked, "_kept", KeptPictures())
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(pixels))
    return path, hashlib.sha256(path.read_bytes()).hexdigest(), pixels


def test_a_photograph_is_decoded_once(photograph, monkeypatch):
    path, checksum, pixels = photograph
    decoded = []
    decode_image = checked.decode_image

    def counted(data, where):
        decoded.append(where)
        return decode_image(data, where)

    monkeypatch.setattr(checked, "decode_image", counted)
    for _ in range(3):
        assert np.array_equal(read_photograph_file(path, checksum), pixels)
    assert len(decoded) == 1


def test_what_a_reader_does_to_a_picture_is_not_seen_by_the_next(photograph):
    path, checksum, pixels = photograph
    for _ in range(2):
        found = read_photograph_file(path, checksum)
        assert np.array_equal(found, pixels) and found.flags.writeable
        found[:] = 0


def test_a_kept_photograph_that_was_changed_is_refused(photograph):
    path, checksum, pixels = photograph
    read_photograph_file(path, checksum)
    path.write_bytes(encode_png(255 - pixels))
    with pytest.raises(UserError, match="changed since the audit"):
        read_photograph_file(path, checksum)


def test_a_kept_photograph_is_compared_with_every_checksum(photograph):
    path, checksum, _ = photograph
    read_photograph_file(path, checksum)
    with pytest.raises(UserError, match="changed since the audit"):
        read_photograph_file(path, "0" * 64)


def test_large_pictures_are_not_kept_and_a_full_store_keeps_what_it_has(monkeypatch):
    monkeypatch.setattr(kept_pictures, "BUDGET", 100)
    store, picture = KeptPictures(), np.zeros((6, 10), np.uint8)
    store.keep(1, picture)
    store.keep(2, picture)
    assert store.find(1) is not None and store.find(2) is None
    monkeypatch.setattr(kept_pictures, "BUDGET", 2 * LARGEST)
    store = KeptPictures()
    store.keep(1, np.zeros(LARGEST + 1, np.uint8))
    assert store.find(1) is None
