"""Staging of a layout: what is kept of a run that did not end, and what is not."""

import pytest

from simformer.data.layout import IMAGES, LABELS, missing_pieces, write_lists
from simformer.data.staging import staged_layout
from simformer.errors import UserError


def begin(destination, fingerprint, error):
    """Write one file, then fail."""
    with pytest.raises(type(error)), staged_layout(destination, fingerprint) as staging:
        (staging / LABELS / "a.png").write_bytes(b"a")
        (staging / LABELS / ".b.png.xyz.part").write_bytes(b"half")
        raise error


def end(destination, fingerprint):
    """Finish a layout; returns the labels that were there at the start."""
    with staged_layout(destination, fingerprint) as staging:
        found = sorted(path.name for path in (staging / LABELS).iterdir())
        write_lists(staging, ["x"], ["a"], ["b"])
    return found


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interrupted_run_is_continued(tmp_path, error):
    begin(tmp_path / "out", "one", error)
    assert not (tmp_path / "out").exists()
    assert end(tmp_path / "out", "one") == ["a.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [IMAGES, LABELS, "classes.json", "train.txt", "test.txt"]
    )


@pytest.mark.parametrize("later", ["two", None])
def test_another_source_starts_afresh(tmp_path, later):
    begin(tmp_path / "out", "one", KeyboardInterrupt())
    assert end(tmp_path / "out", later) == []


def test_without_a_fingerprint_nothing_is_kept(tmp_path):
    begin(tmp_path / "out", None, KeyboardInterrupt())
    assert not list(tmp_path.iterdir())


def test_bad_input_leaves_nothing(tmp_path):
    begin(tmp_path / "out", "one", UserError("bad"))
    assert not list(tmp_path.iterdir())


def test_killed_amid_the_renaming_the_rest_is_done_again(tmp_path):
    begin(tmp_path / "out", "one", KeyboardInterrupt())
    (tmp_path / ".out.staging" / IMAGES).rmdir()
    assert end(tmp_path / "out", "one") == ["a.png"]


def test_a_missing_piece_that_is_called_otherwise_is_noticed(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for name in ("val.txt", "train.txt", "classes.json"):
        (tmp_path / name).touch()
    assert missing_pieces(tmp_path) == [
        "labels (masks is there; if it is meant, rename it to labels)",
        "test.txt (val.txt is there; if it is meant, rename it to test.txt)",
    ]
