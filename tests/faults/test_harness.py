"""The harness itself: it finds a changed file, a second line and a wrong exit status."""

import pytest

from tests.faults.harness import complaint, listing, refused


def test_a_listing_tells_content_links_and_folders(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_text("1")
    (tmp_path / "c").symlink_to("a")
    before = listing(tmp_path)
    assert before["a"] == "folder" and before["c"] == "-> a" and len(before["a/b"]) == 64
    (tmp_path / "a/b").write_text("2")
    assert listing(tmp_path) != before


def test_bad_input_is_one_line(source, tmp_path, capsys):
    (source / "classes.json").write_text("[]")
    refused(["split", "--data", source, "--spec", "{}", "--output", tmp_path / "s"], tmp_path, capsys, "classes.json")


def test_success_is_no_complaint(source, tmp_path, capsys):
    with pytest.raises(AssertionError, match="exit status 0, expected 1"):
        complaint(["split", "--data", source, "--spec", '{"novel": ["cow"]}', "--output", tmp_path / "s.yaml"], capsys)
