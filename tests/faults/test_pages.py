"""Tables and figures of runs from which nothing follows: dashes with a reason, no `nan`, no bar."""

import math
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from simformer.analysis.figures.comparison import comparison_figure, with_bars
from simformer.analysis.figures.sweeps import draw_panel
from simformer.analysis.pages.table_page import write_table_page
from simformer.analysis.tables.intervals import write_intervals
from simformer.analysis.tables.per_class import write_per_class
from simformer.analysis.tables.t_test import write_t_tests
from simformer.analysis.tables.tables import write_table
from simformer.claims.claim import Claim, save_claims
from simformer.claims.label_quality import write_label_quality
from simformer.claims.table import evaluate, write_check_table
from simformer.data.checked import label_checksum
from simformer.data.images import write_label
from simformer.data.labels import LabelledImage, LabelSet
from tests.faults.runs import Runs, cells, written

NAN, INF, THIRD = math.nan, math.inf, 100 / 3
VALUES = {
    "no spread": {"good": [THIRD] * 5, "poor": [12.5] * 5},
    "one seed": {"good": [THIRD], "poor": [12.5]},
    "one seed beside several": {"good": [THIRD], "poor": [12.5, 13.0]},
    "absent classes": {"good": [None] * 3, "poor": [None] * 3},
    "absent classes, one seed": {"good": [None], "poor": [None]},
    "absent in one run": {"good": [1.0, None, 3.0], "poor": [2.0, 2.5, 2.2]},
    "absent, one seed": {"good": [None], "poor": [2.0]},
    "zero": {"good": [0.0, 0.0], "poor": [-0.0, 0.0]},
    "hundred": {"good": [100.0, 100.0], "poor": [100.0, 99.99999]},
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_every_table_of_numbers_that_are_not_there(values, tmp_path):
    runs = Runs(tmp_path, values)
    paper = {"reported": {"toys": {"split1": {"good": {"novel": INF}, "poor": {"novel": 30.0}}}}}
    paper |= {"published_std": {"toys": {"split1": {"good": 0, "poor": NAN}}}, "published_p": {}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_table(runs.spec(**paper), tmp_path / "table.csv")
        write_t_tests(runs.spec(**paper), tmp_path / "t_test.csv")
        write_intervals(runs.spec(), tmp_path / "intervals.csv")
        write_per_class(runs.spec(), tmp_path / "per_class.csv")
        for page in list(tmp_path.glob("*.md")):
            write_table_page(page, tmp_path / f"pages/{page.stem}.html")
    written(tmp_path)
    for row in cells((tmp_path / "per_class.md").read_text()):
        assert row[0] != "ghost" or row[3:] == ["-", "-"]
    table = pd.read_csv(tmp_path / "intervals.csv")
    assert table[["image_low", "image_high"]].isna().all(axis=None), "all images agree"
    assert not table["shown"].any() or (table["p"] < 1).any()


def test_the_table_says_why_there_is_no_test(tmp_path):
    write_t_tests(Runs(tmp_path, VALUES["no spread"]).spec(metrics=["novel"]), tmp_path / "t.csv")
    text = (tmp_path / "t.md").read_text()
    head, _, row = cells(text)
    line = dict(zip(head, row, strict=True))
    assert line["first (n)"] == "33.3 ± 0.00 (5)" and line["difference"] == "+20.8"
    assert line["95 % interval"] == "- (no spread)"
    assert [line[name] for name in ("g", "t (freedom)", "p", "p (Holm)")] == ["-"] * 4
    assert "No spread: every seed or draw of images gives the same number, up to rounding" in text
    assert "No spread" in (tmp_path / "t.tex").read_text()
    write_t_tests(Runs(tmp_path, VALUES["one seed"]).spec(metrics=["novel"]), tmp_path / "one.csv")
    assert "fewer than two seeds" in (tmp_path / "one.md").read_text()
    assert "+20.8 to" not in text and "+20.8 to" not in (tmp_path / "one.md").read_text()


def test_an_absent_class_is_a_dash_everywhere(tmp_path):
    runs = Runs(tmp_path, VALUES["absent classes"], novel=(2,))
    write_intervals(runs.spec(metrics=["novel"]), tmp_path / "i.csv")
    row = cells((tmp_path / "i.md").read_text())[2]
    assert row[3:6] == ["-", "-", "-"] and row[7] == "no"
    assert "no test image shows any of the classes" in (tmp_path / "i.md").read_text()


def test_labels_without_a_novel_pixel(tmp_path):
    pixels = np.zeros((2, 2), np.uint8)
    places = {}
    for name, held in (("masked", (0, 1)), ("truth", (0,)), ("labels", (0, 1))):
        root = tmp_path / "input" / name
        write_label(root / "a.png", pixels)
        image = LabelledImage("a", "a.jpg", "a.png", 2, 2, held, "", label_checksum(pixels))
        kind = {"masked": "weak", "truth": "full", "labels": "maps"}[name]
        novel, hidden = (1,) if kind == "weak" else (), () if kind == "full" else (1,)
        LabelSet(("sky", "cat"), novel, (image,), root, kind, "d", hidden).save()
        places[name] = str(root / "labels.json")
    (tmp_path / "input/m.json").write_text('{"novel": null, "base": null}')
    run = {"dataset": "toys", "split": "s", "method": "good", "seed": 0, "path": str(tmp_path / "input/m.json")}
    spec = {"title": "T", "rows": [{"method": "good", "label": "Good"}], "runs": [run | places]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_label_quality(spec, tmp_path / "q.csv")
    written(tmp_path)
    assert cells((tmp_path / "q.md").read_text())[2] == ["Good", *"-----"]


def claim(first, second, **changes) -> Claim:
    content = {"check": "S1", "method": "seam", "statement": "more", "first": "seam", "second": "plain"}
    content |= {"statistic": "difference", "expected": "above", "bound": 0.0}
    names = tuple(f"i{n}" for n in range(len(first)))
    return Claim(images=names, first_values=first, second_values=second, **content | changes)


CLAIMS = {
    "one image": ([claim([0.5], [0.1])], "-"),
    "no image": ([claim([], [])], "-"),
    "every image agrees": ([claim([0.5] * 4, [0.1] * 4)], "yes"),
    "every image agrees on the opposite": ([claim([0.1] * 4, [0.5] * 4)], "opposite"),
    "a ratio to nothing": ([claim([1.0, 2.0], [0.0, 0.0], statistic="ratio", bound=1)], "-"),
    "a class that no arm holds": ([claim(np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), statistic="iou")], "-"),
    "seeds without spread": ([claim([0.5, 0.6, 0.7], [0.1] * 3)] * 3, "yes"),
    "a ratio whose logarithm is nothing": ([claim([0.0, 0.0], [1.0, 2.0], statistic="ratio", bound=1)] * 3, "opposite"),
    "a ratio beyond all bounds": (
        [claim([1e-300, 2e-300], [1.0, 2.0], statistic="ratio"), claim([1e300, 2e300], [1.0, 3.0], statistic="ratio"),
         claim([1.0, 2.0], [1.0, 2.0], statistic="ratio")], "yes",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("claims", "shown"), CLAIMS.values(), ids=CLAIMS)
def test_claims_that_nothing_speaks_for(claims, shown, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(claims, draws=200)
    assert found["shown"] == shown
    files = []
    for seed, one in enumerate(claims):
        save_claims(tmp_path / f"input/{seed}.json", [one])
        files.append({"dataset": "toys", "split": "s", "seed": seed, "path": str(tmp_path / f"input/{seed}.json")})
    write_check_table({"files": files}, tmp_path / "checks.csv")
    text = written(tmp_path)
    line = cells((tmp_path / "checks.md").read_text())[2]
    assert line[5].startswith("-") or found["low"] < found["high"]
    assert line[6].startswith("-") or found["seed_low"] < found["seed_high"]
    assert ("no spread" in line[5] + line[6]) == ("No spread:" in text)


@pytest.fixture
def table():
    rows = (("a", 50.0, 2.0, 3), ("b", 40.0, NAN, 1), ("c", THIRD, 7e-15, 5), ("d", NAN, NAN, 0))
    lines = [
        {"dataset": "toys", "split": "s", "method": method, "label": method, "metric": "novel", "mean": mean}
        | {"std": std, "n": n, "reported": NAN}
        for method, mean, std, n in rows
    ]
    return pd.DataFrame(lines)


def test_error_bars_only_where_there_is_spread(table):
    bars = with_bars(table, [])
    assert bars["below"].notna().tolist() == [True, False, False, False]
    (axis,) = comparison_figure(bars).axes
    (container,) = axis.containers
    lengths = [np.ptp(segment[:, 0]) for segment in container.lines[2][0].get_segments() if len(segment)]
    assert [length for length in lengths if np.isfinite(length)] == [4.0]
    figure, axis = plt.subplots()
    draw_panel(axis, table, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, "a")
    (container,) = axis.containers
    lengths = [np.ptp(segment[:, 1]) for segment in container.lines[2][0].get_segments() if len(segment)]
    assert [length for length in lengths if np.isfinite(length)] == [4.0]
    figure.canvas.draw()
    plt.close("all")
