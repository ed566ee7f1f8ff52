"""Label sets: their file, and the hash that tells one from another."""

from dataclasses import replace

import pytest

from simformer.data.labels import LabelledImage, LabelSet
from simformer.errors import UserError


@pytest.fixture
def labels(tmp_path):
    images = (
        LabelledImage("a", "images/a.jpg", "labels/a.png", 4, 5, (0, 2), "1" * 64, "2" * 64),
        LabelledImage("b", "images/b.jpg", "labels/b.png", 6, 5, (), "3" * 64, "4" * 64),
    )
    return LabelSet(("cat", "sky «é»", "dog"), (1, 2), images, tmp_path, "weak", "d" * 16, (1, 2))


def test_a_label_set_survives_its_file(labels, tmp_path):
    labels.save()
    loaded = LabelSet.load(tmp_path / "labels.json")
    assert loaded == labels
    assert loaded.hash == labels.hash
    assert loaded.label_path(loaded.images[0]) == tmp_path / "labels/a.png"


def test_only_classes_without_masks_count_as_novel_labels(labels):
    assert [labels.novel_labels(image) for image in labels.images] == [[2], []]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "c"},
        {"classes": (0,)},
        {"label_sha256": "5" * 64},
        {"image_sha256": "5" * 64},
        {"height": 7},
    ],
)
def test_the_hash_tells_what_training_reads_but_not_where_it_lies(labels, tmp_path, change):
    other = replace(labels, images=(replace(labels.images[0], **change), labels.images[1]))
    assert other.hash != labels.hash
    assert replace(labels, novel=(1,)).hash != labels.hash
    assert replace(labels, root=tmp_path / "elsewhere").hash == labels.hash


def test_a_missing_label_set_says_how_to_make_it(tmp_path):
    with pytest.raises(UserError, match=r"no such label set; check the path; no study in config/"):
        LabelSet.load(tmp_path / "labels.json")


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"classes": [], "novel": [], "images": [{"name": "a", "classes": []}]}']
)
def test_a_file_of_something_else_is_refused(tmp_path, text):
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(UserError, match="not a label set"):
        LabelSet.load(tmp_path / "labels.json")
