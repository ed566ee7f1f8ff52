"""COCO-Stuff from PNG label maps: tiny archives in the exact form, and real pairs where they are at hand."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simformer.data import coco_stuff_maps as importer
from simformer.data.audit import audit
from simformer.data.coco_stuff_maps import IDS
from simformer.errors import UserError
from tests.published import (
    COCO_RAW_IDS,
    NEVER_ANNOTATED,
    assert_equal,
    jpeg,
    png,
    prepared,
    refused,
    rewrite_zip,
    source,
    write_coco_stuff_maps,
)

REAL = Path(__file__).resolve().parents[4] / "shared/realdata/cocostuff_stuffthingmaps"
LABELS, TRAIN, VAL = "stuffthingmaps_trainval2017.zip", "train2017.zip", "val2017.zip"


def release(folder, subset="164k", images=(TRAIN, VAL)):
    """Return the source made of the archives of a folder."""
    return source("coco_stuff_maps", labels=folder / LABELS, images=[folder / name for name in images], subset=subset)


def lists(monkeypatch, train, test):
    """Make the lists of COCO-Stuff-10K short."""
    monkeypatch.setattr(importer, "coco_stuff_10k_images", lambda: {"train": train, "test": test})


def test_the_release_becomes_a_dataset(tmp_path):
    truth = write_coco_stuff_maps(tmp_path)
    assert_equal(prepared(release(tmp_path), tmp_path / "out"), truth)
    index, _ = audit(tmp_path / "out", workers=1)
    assert (len(index.train), len(index.test), len(index.classes)) == (12, 4, 171)
    assert [record.name for record in (*index.train, *index.test)] == list(truth)


@pytest.mark.parametrize("palette", [False, True])
def test_every_class_and_unlabelled(palette):
    values = np.array([[*COCO_RAW_IDS, 256]]) - 1
    np.testing.assert_array_equal(IDS.decode(png(values, palette), "a.png"), [[*range(171), 255]])
    assert (IDS.decode(png(np.array([NEVER_ANNOTATED]) - 1), "a.png") == 255).all()


def test_other_values_are_refused():
    with pytest.raises(UserError) as error:
        IDS.decode(png(np.array([[0, 181, 182, 254, 255]])), "x/a.png")
    assert str(error.value) == (
        "x/a.png: label ids out of range: 182, 254; expected 0..181 (COCO's id minus 1), or 255 for unlabelled"
    )


def test_the_10k_subset_follows_its_lists_and_names(tmp_path, monkeypatch):
    truth = write_coco_stuff_maps(tmp_path)
    lists(monkeypatch, [9, 41], [1009])
    names = {"000000000009": "COCO_train2014_000000000009", "000000000041": "COCO_train2014_000000000041"}
    names["000000001009"] = "COCO_train2014_000000001009"
    expected = {name: truth[number] for number, name in names.items()}
    assert_equal(prepared(release(tmp_path, "10k"), tmp_path / "out"), expected)
    assert (tmp_path / "out/train.txt").read_text().split() == list(names.values())[:2]
    assert (tmp_path / "out/test.txt").read_text().split() == list(names.values())[2:]


def test_photographs_may_have_the_names_of_2014_in_any_folder(tmp_path, monkeypatch):
    truth = write_coco_stuff_maps(tmp_path)
    lists(monkeypatch, [9], [25])
    folder = tmp_path / "photographs/deep/train2014"
    folder.mkdir(parents=True)
    for number in (9, 25):
        (folder / f"COCO_train2014_{number:012d}.jpg").write_bytes(jpeg(truth[f"{number:012d}"], 1))
    labels = prepared(release(tmp_path, "10k", images=("photographs",)), tmp_path / "out")
    assert sorted(labels) == ["COCO_train2014_000000000009", "COCO_train2014_000000000025"]


def test_the_first_source_of_a_photograph_counts(tmp_path, monkeypatch):
    truth = write_coco_stuff_maps(tmp_path)
    lists(monkeypatch, [9], [1009])
    (tmp_path / "mine").mkdir()
    mine = jpeg(truth["000000000009"], 99)
    (tmp_path / "mine/000000000009.jpg").write_bytes(mine)
    prepared(release(tmp_path, "10k", images=("mine", TRAIN, VAL)), tmp_path / "out")
    assert (tmp_path / "out/images/COCO_train2014_000000000009.jpg").read_bytes() == mine


def test_missing_files_are_named(tmp_path):
    write_coco_stuff_maps(tmp_path)
    rewrite_zip(tmp_path / LABELS, {"train2017/000000000009.png": None})
    rewrite_zip(tmp_path / VAL, {"val2017/000000001009.jpg": None})
    where = ", ".join(str(tmp_path / name) for name in (LABELS, TRAIN, VAL))
    images = ", ".join(str(tmp_path / name) for name in (TRAIN, VAL))
    assert refused(release(tmp_path), tmp_path / "out") == [
        f"{where}: 2 problems found in this dataset:",
        f"  training image 000000000009: no label; expected its 12 digits and .png in {tmp_path / LABELS}",
        f"  test image 000000001009: no photograph; expected 000000001009.jpg, or its 12 digits alone, in {images}",
    ]


def test_an_archive_that_lacks_most_of_the_10k_images(tmp_path):
    write_coco_stuff_maps(tmp_path)
    lines = refused(release(tmp_path, "10k"), tmp_path / "out")
    assert lines[0].endswith(": 20000 problems found in this dataset:")
    assert lines[1].startswith("  training image COCO_train2014_000000000077: no photograph; expected COCO_train2014_0")
    assert len(lines) == 22 and lines[-1] == "  ... and 19980 more"


def test_archives_without_such_files_are_explained(tmp_path):
    write_coco_stuff_maps(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/other.jpg").write_bytes(b"")
    assert refused(release(tmp_path, images=("empty",)), tmp_path / "out") == [
        f"{tmp_path / 'empty'}: no .jpg files named like COCO's; expected e.g. 000000000009.jpg"
    ]
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat/000000000009.png").write_bytes(b"")
    (tmp_path / "flat/000000000009.jpg").write_bytes(b"")
    dataset = source("coco_stuff_maps", labels=tmp_path / "flat", images=[tmp_path / "flat"], subset="164k")
    where = f"{tmp_path / 'flat'}, {tmp_path / 'flat'}"
    assert refused(dataset, tmp_path / "out") == [f"{where}: nothing in folders train2017 and val2017; expected both"]


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real COCO-Stuff pairs at {os.path.relpath(REAL)}")
def test_real_pairs_agree_with_the_rank_of_their_raw_ids(tmp_path):
    for subset in ("train", "val"):
        shutil.copytree(REAL / f"{subset}_label", tmp_path / f"labels/{subset}2017")
        shutil.copytree(REAL / f"{subset}_img", tmp_path / f"images/{subset}2017")
    dataset = source("coco_stuff_maps", labels=tmp_path / "labels", images=[tmp_path / "images"], subset="164k")
    found = prepared(dataset, tmp_path / "out")
    assert len(found) == 21
    names = json.loads((tmp_path / "out/classes.json").read_text())["names"]
    for path in (tmp_path / "labels").rglob("*.png"):
        raw = np.asarray(Image.open(path)).astype(int) + 1
        rank = raw - 1 - sum((raw > missing).astype(int) for missing in NEVER_ANNOTATED)
        np.testing.assert_array_equal(found[path.stem], np.where(raw == 256, 255, rank))
    index, _ = audit(tmp_path / "out", workers=1)
    seen = {record.name: {names[i] for i in record.labels} for record in (*index.train, *index.test)}
    assert seen["000000138805"] == {"person", "horse", "sand", "sea", "sky-other"}
    assert seen["000000184101"] == {"oven"}
    assert seen["000000001584"] == {"person", "bus", "building-other", "road", "sky-other", "tree"}
