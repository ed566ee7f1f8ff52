"""ADE20K from archives in the exact form of SceneParse150."""

import zipfile

import numpy as np
import pytest

from simformer.data.ade20k import IDS
from simformer.data.audit import audit
from simformer.errors import UserError
from tests.published import assert_equal, png, prepared, refused, rewrite_zip, source, write_ade20k, write_zip


def test_the_archive_becomes_a_dataset(tmp_path):
    truth = write_ade20k(tmp_path / "ade.zip")
    assert_equal(prepared(source("ade20k", archive=tmp_path / "ade.zip"), tmp_path / "out"), truth)
    index, _ = audit(tmp_path / "out", workers=1)
    assert (len(index.train), len(index.test), len(index.classes)) == (12, 4, 150)
    assert [record.name for record in (*index.train, *index.test)] == list(truth)
    assert (index.train[0].name, index.test[-1].name) == ("ADE_train_00000001", "ADE_val_00000004")


@pytest.mark.parametrize("palette", [False, True])
def test_every_class_and_unlabelled(palette):
    values = np.arange(151).reshape(1, 151)
    np.testing.assert_array_equal(IDS.decode(png(values, palette), "a.png"), [[255, *range(150)]])


def test_other_values_are_refused():
    with pytest.raises(UserError) as error:
        IDS.decode(png(np.array([[0, 150, 151, 255]])), "x/a.png")
    assert str(error.value) == "x/a.png: label ids out of range: 151, 255; expected 1..150, or 0 for unlabelled"


def test_a_folder_on_disk_without_the_top_folder(tmp_path):
    truth = write_ade20k(tmp_path / "ade.zip", train=2, test=1)
    with zipfile.ZipFile(tmp_path / "ade.zip") as pack:
        pack.extractall(tmp_path)
    folder = tmp_path / "ADEChallengeData2016"
    assert_equal(prepared(source("ade20k", archive=folder), tmp_path / "out"), truth)


def test_images_and_labels_without_each_other_are_named(tmp_path):
    archive = tmp_path / "ade.zip"
    write_ade20k(archive, train=3, test=2)
    top = "ADEChallengeData2016"
    rewrite_zip(
        archive,
        {
            f"{top}/annotations/training/ADE_train_00000002.png": None,
            f"{top}/images/validation/ADE_val_00000001.jpg": None,
        },
    )
    assert refused(source("ade20k", archive=archive), tmp_path / "out") == [
        f"{archive}: 2 problems found in this dataset:",
        f"  training image ADE_train_00000002: no label; expected ADE_train_00000002.png in annotations/ of {archive}",
        f"  test image ADE_val_00000001: no photograph; expected ADE_val_00000001.jpg in images/ of {archive}",
    ]


def test_another_archive_is_explained(tmp_path):
    archive = write_zip(tmp_path / "release_test.zip", {"release_test/testing/ADE_test_00000001.jpg": b"x"})
    folders = "images/training/, images/validation/, annotations/training/, annotations/validation/"
    assert refused(source("ade20k", archive=archive), tmp_path / "out") == [
        f"{archive}: missing files of {folders}; SceneParse150 has {folders}"
    ]
