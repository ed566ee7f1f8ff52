"""Labels behind re-trained methods, scored by hand, and the order of methods before and after."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from simformer.claims.label_quality import order_kept, write_label_quality
from simformer.data.checked import label_checksum
from simformer.data.images import write_label
from simformer.data.labels import LabelledImage, LabelSet

CLASSES = ("sky", "sea", "cat", "dog")
NOVEL = (2, 3)
TRUTH = {"one": [[0, 2, 2, 2, 3, 255]], "two": [[1, 1, 3, 3, 3, 3]], "base": [[0, 0, 1, 1, 0, 0]]}
MADE = {"one": [[0, 2, 2, 3, 3, 3]], "two": [[1, 1, 255, 3, 3, 2]], "base": [[0, 0, 1, 1, 0, 0]]}


def label_set(root, maps, kind, novel=NOVEL):
    images = []
    for name, rows in maps.items():
        write_label(root / f"{name}.png", np.array(rows, np.uint8))
        held = tuple(sorted(set(TRUTH[name][0]) - {255}))
        checksum = label_checksum(np.array(rows, np.uint8))
        images.append(LabelledImage(name, f"{name}.jpg", f"{name}.png", 1, 6, held, "", checksum))
    LabelSet(CLASSES, novel, tuple(images), root, kind, "d", () if kind == "full" else NOVEL).save()
    return str(root / "labels.json")


@pytest.fixture
def spec(tmp_path):
    masked = {name: [[c if c in (0, 1) else 255 for c in rows[0]]] for name, rows in TRUTH.items()}
    common = {"dataset": "toys", "split": "split1", "seed": 0}
    common |= {"masked": label_set(tmp_path / "masked", masked, "weak")}
    common |= {"truth": label_set(tmp_path / "full", TRUTH, "full", ())}
    without_two = {name: rows for name, rows in MADE.items() if name != "two"}
    runs = []
    for method, made, novel in (("good", MADE, 60.0), ("lossy", without_two, 70.0)):
        path = tmp_path / f"{method}.json"
        path.write_text(json.dumps({"novel": novel, "base": 80.0 + novel / 10}))
        labels = label_set(tmp_path / method, made, "maps", ())
        runs.append(common | {"method": method, "path": str(path), "labels": labels})
    rows = [{"method": "good", "label": "Good*"}, {"method": "lossy", "label": "Lossy*"}]
    return {"title": "Table 9", "rows": rows, "runs": runs}


def test_labels_by_hand(spec, tmp_path):
    write_label_quality(spec, tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv").set_index("method")
    # cat: 2 of 3 found, and 1 wrong; dog: 1 + 2 of 5 found, and 1 wrong; the unknown pixel counts nowhere.
    assert table.loc["good", "labels"] == pytest.approx(100 * (2 / 4 + 3 / 6) / 2, abs=1e-3)
    assert table.loc["good", "unlabelled"] == pytest.approx(100 * 1 / 8, abs=1e-3)
    assert table.loc["good", "clutter"] == 100.0  # the one pixel of no class became a dog
    # An image that the label set lacks is unlabelled.
    assert table.loc["lossy", "labels"] == pytest.approx(100 * (2 / 3 + 1 / 6) / 2, abs=1e-3)
    assert table.loc["lossy", "unlabelled"] == pytest.approx(100 * 4 / 8, abs=1e-3)
    text = (tmp_path / "out.md").read_text()
    assert "0 of 1 pairs of methods" in text and "spans 1.0 points" in text and "Lossy*" in text


def test_pixels_of_no_class(spec, tmp_path):
    run = spec["runs"][0]
    left_out = {
        name: [[255 if t == 255 else m for m, t in zip(MADE[name][0], TRUTH[name][0], strict=True)]] for name in MADE
    }
    run["labels"] = label_set(tmp_path / "left_out", left_out, "maps", ())
    write_label_quality(spec, tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv").set_index("method").loc["good", "clutter"] == 0.0
    full = {name: [[0 if t == 255 else t for t in rows[0]]] for name, rows in TRUTH.items()}
    run["truth"] = label_set(tmp_path / "all_classes", full, "full", ())
    write_label_quality(spec, tmp_path / "out.csv")
    assert np.isnan(pd.read_csv(tmp_path / "out.csv").set_index("method").loc["good", "clutter"])


def test_order_of_pairs_that_are_far_apart():
    assert order_kept([10.0, 20.0, 21.0], [1.0, 3.0, 2.0]) == (2, 2)  # the second and third are too near
    assert order_kept([10.0, 20.0], [3.0, 1.0]) == (0, 1)
    assert order_kept([10.0, 20.0], [1.0, 1.0]) == (0, 1)
    assert order_kept([50.0, 60.0, 70.0], [math.nan, 1.0, 2.0]) == (1, 1)  # the first has no novel test image
    assert order_kept([50.0, 60.0], [math.nan, math.nan]) == (0, 0)
