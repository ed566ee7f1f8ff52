"""Numbers that are not there: no p, no interval, no error bar without real spread, and no `nan` on any page."""

import json
import math
import re
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simformer.analysis.check_table import evaluate, write_check_table
from simformer.analysis.comparison import comparison_figure, with_bars
from simformer.analysis.cost import training_time
from simformer.analysis.intervals import write_intervals
from simformer.analysis.label_quality import write_label_quality
from simformer.analysis.numbers import ends, number, signed, with_deviation
from simformer.analysis.per_class import write_per_class
from simformer.analysis.statistics import (
    hedges_g,
    holm,
    image_bootstrap,
    lack_of_spread,
    mean_and_deviation,
    paired_bootstrap,
    welch,
)
from simformer.analysis.sweeps import draw_panel
from simformer.analysis.t_test import write_t_tests
from simformer.analysis.table_page import write_table_page
from simformer.analysis.tables import write_table
from simformer.baselines.claims import Claim, save_claims
from simformer.data.images import write_label
from simformer.data.labels import LabelledImage, LabelSet
from simformer.data.splits import Split
from simformer.json_text import json_text
from simformer.metrics import Evaluation
from simformer.trackers import CsvLog

THIRD, NAN, INF = 100 / 3, math.nan, math.inf
WITHOUT_SPREAD = {
    "thirds": ([THIRD] * 5, [12.5] * 5, "no spread"),
    "rounding alone": ([0.1 + 0.2, 0.3, 0.3], [0.7, 0.1 * 7, 0.7], "no spread"),
    "sums in another order": ([sum([0.1] * 10), 1.0], [10 * 0.1, 1.0], "no spread"),
    "all zero": ([0.0] * 3, [0.0, -0.0, 0.0], "no spread"),
    "rounding beside a large number": ([1e9, 1e9], [1e-9, 2e-9], "no spread"),
    "smallest numbers": ([5e-324, 0.0], [0.0, 0.0], "no spread"),
    "one seed": ([1.0], [2.0, 3.0], "few seeds"),
    "one seed of each": ([1.0], [2.0], "few seeds"),
    "no seed": ([], [2.0, 3.0], "no value"),
    "nothing": ([], [], "no value"),
    "NaN": ([1.0, NAN, 2.0], [3.0, 4.0], "no value"),
    "infinity": ([1.0, 2.0], [INF, 4.0], "no value"),
    "minus infinity": ([-INF, -INF], [4.0, 4.0], "no value"),
    "too large for a variance": ([1e200, 2e200], [-1e200, 3e200], "no spread"),
}
NO_NUMBER = re.compile(r"(?i)(?<![a-z])[+-]?(nan|inf|infinity)(?![a-z])")


def written(folder: Path) -> str:
    """Everything that was written as text; a page must hold no `nan` and no `inf`."""
    paths = [p for p in folder.rglob("*") if p.suffix in (".md", ".html", ".tex", ".csv", ".svg", ".json", ".js")]
    texts = {path: path.read_text(encoding="utf-8") for path in paths if "input" not in path.parts}
    found = {path.name: match[0] for path, text in texts.items() if (match := NO_NUMBER.search(text))}
    assert texts and not found
    return "\n".join(texts.values())


def cells(markdown: str) -> list[list[str]]:
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


@pytest.mark.parametrize(("a", "b", "lack"), WITHOUT_SPREAD.values(), ids=WITHOUT_SPREAD)
def test_no_test_without_spread(a, b, lack):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, g = welch(a, b), hedges_g(a, b)
    numbers = (found.p, found.t, found.freedom, found.interval.low, found.interval.high)
    assert all(map(math.isnan, numbers)) and found.interval.lack == lack and not found.interval.excludes_zero
    assert math.isnan(g)


def test_real_spread_however_small_is_tested():
    found = welch([50.0, 50.0 + 1e-9, 50.0], [50.0, 50.0, 50.0])
    assert 0 < found.p < 1 and found.interval.low < found.interval.high and not found.interval.lack
    one_varies = welch([50.0] * 4, [40.0, 42.0, 44.0])
    assert 0 < one_varies.p < 0.1 and one_varies.freedom == pytest.approx(2)
    assert welch(np.linspace(0, 1e-7, 200) + 9, np.linspace(0, 1e-7, 200)).p > 0, "no p value is 0"


results = st.lists(
    st.one_of(
        st.sampled_from([0.0, -0.0, 12.5, THIRD, 100.0, 33.3, 0.1 + 0.2, 0.3, 1e-300, 5e-324, 1e300]),
        st.floats(-1e6, 1e6),
        st.floats(allow_nan=True, allow_infinity=True),
    ),
    max_size=5,
)


@given(results, results)
@settings(max_examples=400, deadline=None)
def test_there_is_a_test_only_where_results_vary(a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, g = welch(a, b), hedges_g(a, b)
    numbers = [found.p, found.t, found.freedom, found.interval.low, found.interval.high]
    if found.interval.lack:
        assert all(map(math.isnan, numbers))
    else:
        assert all(map(math.isfinite, numbers)) and 0 < found.p <= 1 and found.interval.low < found.interval.high
        assert len(a) > 1 and len(b) > 1 and (len(set(a)) > 1 or len(set(b)) > 1)
        size = max(map(abs, [*a, *b]))
        assert max(max(a) - min(a), max(b) - min(b)) > 1e-12 * size
    assert not math.isinf(g) and (math.isnan(g) or not lack_of_spread(a, b))
    text = ends(found.interval.low, found.interval.high, found.interval.lack, signed)
    texts = [text, number(found.p, ".2g"), number(g, ".2f"), with_deviation(*mean_and_deviation(a))]
    assert not any(map(NO_NUMBER.search, texts))


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=6))
def test_holm_keeps_missing_values_out(p):
    adjusted = holm(p)
    for before, after in zip(p, adjusted, strict=True):
        assert math.isfinite(after) == math.isfinite(before)
    known = [value for value in p if math.isfinite(value)]
    assert [value for value in adjusted if math.isfinite(value)] == holm(known)


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (NAN, ".1f", "-"), (INF, "+.1f", "-"), (-INF, ".2g", "-"), (None, ".1f", "-"), (np.float64("nan"), ".3f", "-"),
        (-0.0, "+.1f", "+0.0"), (-0.04, ".1f", "0.0"), (-0.04, "+.1f", "-0.0"), (-0.001, ".2f", "0.00"),
        (99.96, ".1f", "100.0"), (-0.6, ".1f", "-0.6"), (5.29e-5, ".2g", "5.3e-05"), (0.0, ".0f", "0"),
    ],
)  # fmt: skip
def test_one_formatter(value, form, text):
    assert number(value, form) == text


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [(1.0, 0.5, "1.0 ± 0.5"), (1.0, NAN, "1.0"), (NAN, NAN, "-"), (NAN, 1.0, "-"), (INF, 1.0, "-"), (1.0, INF, "1.0")],
)
def test_a_mean_and_its_deviation(mean, deviation, text):
    assert with_deviation(mean, deviation) == text


def images(hits, truth=None, names=None, classes=("sky", "cat")) -> Evaluation:
    """An evaluation of images of which `hits` pixels per class are hit, of those that `truth` has."""
    hits = np.array(hits, np.int64)
    truth = np.full_like(hits, 100) if truth is None else np.array(truth, np.int64)
    confusion = np.zeros((len(classes) + 1,) * 2, np.int64)
    confusion[: len(classes), : len(classes)] = np.diag(hits.sum(axis=0))
    confusion[0, : len(classes)] += (truth - hits).sum(axis=0)
    return Evaluation(confusion, hits, truth, hits, tuple(names or (f"i{k}" for k in range(len(hits)))), classes)


SAME = [[50, 80]] * 6
NO_INTERVAL = {
    "one image": (images([[50, 80]]), images([[10, 80]]), [0, 1], "one image"),
    "all images equal": (images(SAME), images([[30, 60]] * 6), [0, 1], "no spread"),
    "equal methods": (images([[50, 80], [20, 10], [5, 6]]),) * 2 + ([0, 1], "no spread"),
    "a class in no image": (images(SAME, [[100, 0]] * 6), images(SAME, [[100, 0]] * 6), [1], "no value"),
    "a class in one image": (
        images([[50, 7], [60, 0], [70, 0]], [[100, 10], [100, 0], [100, 0]]),
        images([[50, 3], [60, 0], [70, 0]], [[100, 10], [100, 0], [100, 0]]), [1], "no spread",
    ),
    "no class chosen": (images(SAME), images(SAME), [], "no value"),
    "no image": (images(np.zeros((0, 2), int)), images(np.zeros((0, 2), int)), [0], "no value"),
}  # fmt: skip


@pytest.mark.parametrize(("a", "b", "chosen", "lack"), NO_INTERVAL.values(), ids=NO_INTERVAL)
def test_no_interval_over_images_that_say_nothing(a, b, chosen, lack):
    found = paired_bootstrap([a], [b], chosen, draws=200)
    assert math.isnan(found.low) and math.isnan(found.high) and found.lack == lack and not found.excludes_zero
    if lack == "one image":
        assert image_bootstrap([a], chosen, draws=200).lack == lack


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 3)), max_size=5), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_bootstrap_intervals_have_a_width_or_a_reason(pixels, seed):
    truth = np.array([[100, size] for _, size in pixels]).reshape(-1, 2)
    first = np.array([[hit, size] for hit, size in pixels]).reshape(-1, 2)
    second = np.array([[hit // 2, 0] for hit, _ in pixels]).reshape(-1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = paired_bootstrap([images(first, truth)], [images(second, truth)], [0, 1], draws=50, seed=seed)
    assert (found.lack == "") == (found.low < found.high)
    assert not found.lack or math.isnan(found.low)


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
    "a ratio to nothing": ([claim([1.0, 2.0], [0.0, 0.0], statistic="ratio", bound=1)], "no"),
    "a class that no arm holds": ([claim(np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), statistic="iou")], "no"),
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


class Runs:
    """Runs of two methods of which `values` tells the metrics, with a dataset in which one class has no pixel."""

    def __init__(self, folder: Path, values: dict[str, list[float | None]]) -> None:
        self.input = folder / "input"
        classes = ("sky", "cat", "ghost")
        Split(classes, novel=(1, 2)).save(self.input / "split.yaml")
        truth = [[100, 50, 0]] * 4
        self.runs = []
        for method, numbers in values.items():
            for seed, value in enumerate(numbers):
                place = self.input / method / str(seed)
                images([[80, 20, 0]] * 4, truth, classes=classes).save(place / "1of1.npz")
                iou = {"sky": 80.0, "cat": value, "ghost": None}
                (place / "m.json").write_text(json.dumps({"novel": value, "base": 80.0, "all": value, "iou": iou}))
                run = {"dataset": "toys", "split": "split1", "method": method, "seed": seed}
                run |= {"path": str(place / "m.json"), "evaluation": [str(place / "1of1.npz")]}
                self.runs.append(run | {"groups": str(self.input / "split.yaml")})

    def spec(self, **changes) -> dict:
        rows = [{"method": name, "label": name.title(), "ranked": True} for name in ("good", "poor")]
        content = {"title": "Table 9", "rows": rows, "runs": self.runs, "metrics": ["novel", "base", "all"]}
        content |= {"compare": [["good", "poor"]], "reported": {}, "published_std": {}, "published_p": {}}
        return content | {"command": "snakemake"} | changes


VALUES = {
    "no spread": {"good": [THIRD] * 5, "poor": [12.5] * 5},
    "one seed": {"good": [THIRD], "poor": [12.5]},
    "one seed beside several": {"good": [THIRD], "poor": [12.5, 13.0]},
    "absent classes": {"good": [None] * 3, "poor": [None] * 3},
    "absent classes, one seed": {"good": [None], "poor": [None]},
    "NaN": {"good": [1.0, NAN, 3.0], "poor": [2.0, 2.5, 2.2]},
    "infinity": {"good": [1.0, INF, 3.0], "poor": [-INF, 2.5, 2.2]},
    "NaN alone": {"good": [NAN], "poor": [2.0]},
    "zero": {"good": [0.0, 0.0], "poor": [-0.0, 0.0]},
    "hundred": {"good": [100.0, 100.0], "poor": [100.0, 99.99999]},
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_every_table_of_numbers_that_are_not_there(values, tmp_path):
    runs = Runs(tmp_path, values)
    paper = {"reported": {"toys": {"split1": {"good": {"novel": INF}, "poor": {"novel": 30.0}}}}}
    paper |= {"published_std": {"toys": {"split1": {"good": 0, "poor": NAN}}}, "published_p": {"toys": {"split1": 0}}}
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
    assert "No spread: the numbers are equal, or differ by rounding alone" in text
    assert "No spread" in (tmp_path / "t.tex").read_text()
    write_t_tests(Runs(tmp_path, VALUES["one seed"]).spec(metrics=["novel"]), tmp_path / "one.csv")
    assert "Fewer than two seeds" in (tmp_path / "one.md").read_text()
    assert "+20.8 to" not in text and "+20.8 to" not in (tmp_path / "one.md").read_text()


def test_an_absent_class_is_a_dash_everywhere(tmp_path):
    runs = Runs(tmp_path, VALUES["absent classes"])
    Split(("sky", "cat", "ghost"), novel=(2,)).save(tmp_path / "input/split.yaml")
    write_intervals(runs.spec(metrics=["novel"]), tmp_path / "i.csv")
    row = cells((tmp_path / "i.md").read_text())[2]
    assert row[3:6] == ["-", "-", "-"] and row[7] == "no"
    assert "the test images hold none of the classes" in (tmp_path / "i.md").read_text()


def test_labels_without_a_novel_pixel(tmp_path):
    pixels = np.zeros((2, 2), np.uint8)
    places = {}
    for name, held in (("masked", (0, 1)), ("truth", (0,)), ("labels", (0, 1))):
        root = tmp_path / "input" / name
        write_label(root / "a.png", pixels)
        image = LabelledImage("a", "a.jpg", "a.png", 2, 2, held, "", "")
        LabelSet(("sky", "cat"), () if name == "truth" else (1,), (image,), root).save()
        places[name] = str(root / "labels.json")
    (tmp_path / "input/m.json").write_text('{"novel": null, "base": null}')
    run = {"dataset": "toys", "split": "s", "method": "good", "seed": 0, "path": str(tmp_path / "input/m.json")}
    spec = {"title": "T", "rows": [{"method": "good", "label": "Good"}], "runs": [run | places]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_label_quality(spec, tmp_path / "q.csv")
    written(tmp_path)
    assert cells((tmp_path / "q.md").read_text())[2] == ["Good", "-", "-", "-", "-"]


@pytest.fixture
def table():
    rows = (("a", 50.0, 2.0, 3), ("b", 40.0, NAN, 1), ("c", THIRD, 7e-15, 5), ("d", NAN, NAN, 0))
    lines = [
        {"dataset": "toys", "split": "s", "method": method, "label": method, "metric": "novel", "mean": mean}
        | {"std": std, "n": n, "reported": NAN}
        for method, mean, std, n in (
            ("a", 50.0, 2.0, 3),
            ("b", 40.0, NAN, 1),
            ("c", THIRD, 7e-15, 5),
            ("d", NAN, NAN, 0),
        )
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


@pytest.mark.parametrize("bad", [NAN, INF, -INF, [NAN, {"a": INF}], {"a": (1.0, NAN)}, np.float64("nan")])
def test_json_that_every_program_reads(bad):
    def refuse(token):
        raise AssertionError(token)

    assert "null" in json_text(bad) and json.loads(json_text({"x": bad}), parse_constant=refuse)
    assert json_text({"x": [1, "NaN", True]}) == '{"x": [1, "NaN", true]}'


def test_a_training_log_has_empty_cells(tmp_path):
    log = CsvLog(tmp_path / "log.csv", 0, ("step", "total", "grad_norm"))
    log.write({"step": 10, "total": 1.5, "grad_norm": INF})
    log.write({"step": 20, "total": NAN, "grad_norm": 2.0})
    log.close()
    assert (tmp_path / "log.csv").read_text().splitlines()[1:] == ["10,1.5,", "20,,2"]


@pytest.mark.parametrize("speed", [NAN, INF, 0.0, -1.0, None])
def test_a_speed_that_is_none_is_not_used(speed, new_config):
    run = new_config()
    told = training_time(run, [{"device": "cpu", "steps_per_second": speed}], gpu=False)
    assert told == training_time(run, [], gpu=False) and math.isfinite(told.hours) and not told.measured
