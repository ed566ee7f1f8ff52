"""The control of clutter changes pixels of no class outside the base masks, and nothing else."""

import json
from pathlib import Path

import numpy as np

from simformer.config.settings import IGNORE
from tests.clutter_control import FILLED, LEFT_OUT, filled, page

SKY, CAT, DOG = 0, 1, 2


def test_pixels_of_no_class_get_the_nearest_novel_class():
    true = np.array([[SKY, IGNORE, CAT, IGNORE, IGNORE, IGNORE, DOG, IGNORE]], np.uint8)
    masked = np.where(np.isin(true, (CAT, DOG)), IGNORE, true).astype(np.uint8)
    assert filled(true, masked, (CAT, DOG))[0, [0, 1, 2, 3, 5, 6, 7]].tolist() == [SKY, CAT, CAT, CAT, DOG, DOG, DOG]


def test_an_image_without_novel_classes_stays_as_it_is():
    true = np.array([[SKY, IGNORE]], np.uint8)
    assert filled(true, true, (CAT, DOG)).tolist() == [[SKY, IGNORE]]


def test_the_page_shows_both_trainings():
    rows = {LEFT_OUT: {"novel": 80.0, "base": 70.0, "all": 75.0}, FILLED: {"novel": 60.0, "base": 70.5, "all": 65.0}}
    text = page({"dataset": "toys", "split": "split1", "seed": 0, "share": 0.378, "rows": rows})
    assert "These are 38 %" in text and f"| {FILLED} | 60.0 | 70.5 | 65.0 |" in text


def test_the_kept_page_is_that_of_its_numbers():
    numbers = Path("docs/results/msrc21/clutter.json")
    assert numbers.with_suffix(".md").read_text() == page(json.loads(numbers.read_text()))
