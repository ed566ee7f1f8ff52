"""The negative controls change what they say, nothing else, and only while they train."""

import json
from collections import Counter
from pathlib import Path

from simformer.losses import complementary
from tests.negative_controls import AS_IT_IS, SHUFFLED, TURNED, page, shuffled, turned_terms


def test_novel_classes_change_places_and_base_classes_stay(masked):
    changed = shuffled(masked)
    novel = set(masked.novel)
    before, after = (Counter(tuple(labels.novel_labels(i)) for i in labels.images) for labels in (masked, changed))
    assert before == after
    assert changed.images != masked.images
    for image, other in zip(masked.images, changed.images, strict=True):
        assert set(image.classes) - novel == set(other.classes) - novel
        assert other.classes == tuple(sorted(other.classes))


def test_the_terms_are_turned_for_a_while():
    with turned_terms():
        assert complementary.ramp(0.75, 0.5, 1.0) == -0.5
    assert complementary.ramp(0.75, 0.5, 1.0) == 0.5


def test_the_page_says_who_loses_and_who_does_not():
    rows = {
        name: {"novel": novel, "base": 80.0, "all": 75.0}
        for name, novel in zip((AS_IT_IS, SHUFFLED, TURNED), (85.0, 10.0, 86.0), strict=True)
    }
    result = {"dataset": "scenes", "split": "split2", "seed": 0, "steps": 2000, "rows": rows}
    text = page(result)
    assert f"With {SHUFFLED}, it loses 75.0 points" in text
    assert f"With {TURNED}, it does not lose" in text


def test_the_kept_page_is_that_of_its_numbers():
    numbers = Path("docs/results/demo_development/controls.json")
    assert numbers.with_suffix(".md").read_text() == page(json.loads(numbers.read_text()))
