"""Claims survive the way through their file, and values that cannot be compared are refused."""

import numpy as np
import pytest

from simformer.claims.claim import Claim, load_claims, save_claims
from simformer.errors import UserError


def claim(**changes) -> Claim:
    content = {
        "check": "S1",
        "method": "seam",
        "statement": "the maps move with the image",
        "first": "seam",
        "second": "plain",
        "images": ("a", "a", "b"),
        "first_values": np.array([0.1, 1 / 3, 2.0]),
        "second_values": np.array([0.0, 1.0, 2.0]),
        "statistic": "ratio",
        "expected": "below",
        "bound": 0.75,
    }
    return Claim(**content | changes)


def test_round_trip_is_exact(tmp_path):
    counts = np.arange(12).reshape(2, 3, 2)
    iou = claim(images=("a", "b"), first_values=counts, second_values=counts + 1, statistic="iou", control=True)
    empty = claim(images=(), first_values=[], second_values=[])
    before = [claim(), iou, empty]
    save_claims(tmp_path / "checks.json", before)
    after = load_claims(tmp_path / "checks.json")
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        for name in Claim.__dataclass_fields__:
            assert np.array_equal(getattr(old, name), getattr(new, name)), name
    assert after[1].control and after[1].first_values.shape == (2, 3, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"first_values": [0.1, 0.2]},
        {"second_values": [0.1, np.nan, 0.2]},
        {"bound": np.inf},
        {"statistic": "iou"},
        {"statistic": "iou", "first_values": np.ones((3, 2, 3)), "second_values": np.ones((3, 2, 3))},
        {"statistic": "median"},
        {"expected": "equal"},
    ],
)
def test_values_that_cannot_be_compared(changes):
    with pytest.raises(ValueError, match=r"claim S1 of seam \(seam against plain\)"):
        claim(**changes)


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(UserError, match="no such file of claims"):
        load_claims(tmp_path / "checks.json")
    for content in ("[", '[{"check": "S1"}]'):
        (tmp_path / "checks.json").write_text(content)
        with pytest.raises(UserError, match="not a file of claims"):
            load_claims(tmp_path / "checks.json")
