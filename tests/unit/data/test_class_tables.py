"""Class tables of the published datasets, their id lists, and the translation of raw ids."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from simformer.data.class_tables import INVALID, IdTable, ade20k, coco_stuff, coco_stuff_10k_images
from simformer.errors import UserError
from tests.published import COCO_RAW_IDS

ROOT = Path(__file__).resolve().parents[3]

EXCLUDED = (16680, 230639, 382127, 429995, 314646, 3518, 58075)
"""Images of COCO-Stuff-10K without any label, which SimFormer's code leaves out by name."""


def test_coco_stuff_has_80_things_and_91_stuff_classes():
    table = coco_stuff()
    assert len(table.names) == len(set(table.names)) == 171
    assert table.raw_ids == tuple(COCO_RAW_IDS)
    assert [table.names[i] for i in (0, 79, 80, 170)] == ["person", "toothbrush", "banner", "wood"]


def test_ade20k_has_150_classes():
    table = ade20k()
    assert len(table.names) == len(set(table.names)) == 150
    assert table.raw_ids == tuple(range(1, 151))
    assert table.names[:3] == ("wall", "building", "sky") and table.names[-1] == "flag"
    assert all(name == name.strip() for name in table.names)


@pytest.mark.parametrize(("dataset", "table"), [("coco_stuff_10k", coco_stuff()), ("ade20k", ade20k())])
def test_the_pinned_splits_mean_these_classes(dataset, table):
    files = sorted((ROOT / "config/splits" / dataset).glob("*.yaml"))
    assert len(files) >= 4
    for file in files:
        for class_id, name in yaml.safe_load(file.read_text())["novel"].items():
            assert table.names[class_id] == name


def test_the_image_lists_are_those_of_the_10k_release():
    ids = coco_stuff_10k_images()
    assert [len(ids["train"]), len(ids["test"])] == [9000, 1000]
    assert len({*ids["train"], *ids["test"]}) == 10000
    assert ids["train"] == sorted(ids["train"]) and ids["test"] == sorted(ids["test"])
    assert {*EXCLUDED} <= {*ids["train"], *ids["test"]}


def test_raw_values_become_class_ids_or_ignore():
    table = IdTable.make({3: 0, 5: 1}, {0, 4}, "3..5")
    np.testing.assert_array_equal(table.relabel(np.array([[0, 3], [4, 5]], np.uint8), "a.png"), [[255, 0], [255, 1]])


def test_other_values_are_named_once_each():
    table = IdTable.make({3: 0, 5: 1}, {0, 4}, "0, or 3..5")
    values = np.array([[0, 9, 9], [3, INVALID, 1]], np.uint8)
    with pytest.raises(UserError) as error:
        table.relabel(values, "a.png")
    assert str(error.value) == f"a.png: label ids out of range: 1, 9, {INVALID}; expected 0, or 3..5"
