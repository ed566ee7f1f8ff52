"""Training curves and methods side by side, by structure."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from simformer.analysis.figures.comparison import comparison_figure, draw_comparison, with_bars
from simformer.analysis.figures.curves import PANELS, curves_figure
from simformer.analysis.figures.style import COLUMN, DPI, PAGE, line_styles
from simformer.data.identity import Identity
from simformer.data.splits import Split
from simformer.metrics import Evaluation
from simformer.training.log import COLUMNS


@pytest.fixture
def spec(tmp_path):
    runs = []
    for method, dist in (("plain", 0.0), ("full", 0.3)):
        for seed in (0, 1):
            log = pd.DataFrame({"step": [10, 20, 30], **{column: [3.0, 2.0, 1.0 + seed] for column in COLUMNS[1:]}})
            log.assign(dist=dist).to_csv(tmp_path / f"{method}.{seed}.csv", index=False)
            runs.append({"method": method, "seed": seed, "path": str(tmp_path / f"{method}.{seed}.csv")})
    rows = [{"method": name, "label": name.title()} for name in ("plain", "full", "absent")]
    return {"title": "Table 9: training", "rows": rows, "runs": runs}


def test_a_panel_per_term_and_a_line_per_run(spec):
    figure = curves_figure(spec)
    assert [axis.get_title() for axis in figure.axes] == list(PANELS.values())
    lines = {column: axis.get_lines() for column, axis in zip(PANELS, figure.axes, strict=True)}
    assert len(lines["total"]) == 4 and len(lines["dist"]) == 2  # a term that a method lacks is not drawn
    assert lines["cls"][1].get_xydata().tolist() == [[10, 3], [20, 2], [30, 2]]
    colours = [line.get_color() for line in lines["total"]]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Plain", "Full"]


def results(splits, seeds, reported=float("nan")):
    """A table as `simformer table` writes it."""
    return pd.DataFrame(
        [
            {"dataset": "toys", "split": split, "method": method, "label": method.title(), "metric": metric}
            | {"mean": mean, "std": 1.0 if seeds > 1 else float("nan"), "n": seeds, "reported": reported}
            for split in splits
            for method, mean in (("poor", 20.0), ("good", 40.0))
            for metric in ("novel", "all")
        ]
    )


def test_a_line_per_method_and_a_point_per_metric():
    figure = comparison_figure(with_bars(results(["split1"], 3), []))
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["Poor", "Good"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]
    points = {container.get_label(): container.lines[0].get_xdata().tolist() for container in axis.containers}
    assert points == {"novel mIoU": [20, 40], "all mIoU": [20, 40]}
    bars = [container.lines[2][0].get_segments()[1][:, 0].tolist() for container in axis.containers]
    assert bars == [[39, 41], [39, 41]] and axis.get_xlabel() == "percent; bars: deviation over seeds"
    assert figure.get_figwidth() == COLUMN


def test_one_seed_has_error_bars_over_images(tmp_path):
    """Two images with IoU 0.5 and 1: draws have 50, 75 or 100 percent."""
    whose = Identity(("sky", "cat", "none"), "d", (1,))
    Split(whose.classes, novel=(1,)).save(tmp_path / "split.yaml")
    hits, truth = np.array([[50, 5, 0], [100, 10, 0]]), np.array([[100, 10, 0], [100, 10, 0]])
    predicted = np.array([[50, 5, 55], [100, 10, 0]])
    confusion = np.array([[150, 0, 0, 0], [0, 15, 0, 0], [50, 5, 0, 0], [0, 0, 0, 0]])
    Evaluation(confusion, hits, truth, predicted, ("a", "b"), whose, "m", "t").save(tmp_path / "1of1.npz")
    run = {"dataset": "toys", "split": "split1", "method": "poor", "seed": 0, "groups": str(tmp_path / "split.yaml")}
    runs = [run | {"evaluation": [str(tmp_path / "1of1.npz")]}]
    table = with_bars(results(["split1"], 1).assign(mean=75.0), runs)
    poor = table["method"] == "poor"
    assert (table.loc[poor, ["below", "above"]] == 25).all(axis=None) and table.loc[~poor, "below"].isna().all()
    (axis,) = comparison_figure(table).axes
    bars = [container.lines[2][0].get_segments()[0][:, 0].tolist() for container in axis.containers]
    assert bars == [[50, 100], [50, 100]] and axis.get_xlabel() == "percent; bars: 95 % over test images"


def test_bars_over_images_are_never_mixed_with_deviations_over_seeds():
    """The axis names one kind of bar: where a method has several seeds, one with a single seed has no bar."""
    table = results(["split1"], 3)
    table.loc[table["method"] == "good", ["n", "std"]] = 1, float("nan")
    run = {"dataset": "toys", "split": "split1", "method": "good", "seed": 0, "groups": "none", "evaluation": ["none"]}
    bars = with_bars(table, [run])
    assert bars.loc[table["method"] == "good", ["below", "above"]].isna().all(axis=None)


def test_without_images_one_seed_has_no_error_bars_and_reported_numbers_are_hollow():
    figure = comparison_figure(with_bars(results([f"split{k}" for k in range(5)], 1, reported=33.0), []))
    assert figure.get_figwidth() == PAGE
    assert sum(axis.axison for axis in figure.axes) == 5
    axis = figure.axes[0]
    assert not any(container.has_xerr for container in axis.containers)
    hollow = [line for line in axis.lines if line.get_markerfacecolor() == "none"]
    assert [line.get_xdata().tolist() for line in hollow] == [[33, 33], [33, 33]]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(names) == ["all mIoU", "all mIoU (paper)", "novel mIoU", "novel mIoU (paper)"]


def test_styles_are_distinct():
    styles = line_styles([str(k) for k in range(20)])
    assert len({(s["color"], s["linestyle"]) for s in styles.values()}) == 20


def test_the_picture_is_as_wide_as_a_column(tmp_path):
    results(["split1"], 3).to_csv(tmp_path / "t.csv", index=False)
    output = tmp_path / "c.pdf"
    draw_comparison({"title": "T", "runs": []}, tmp_path / "t.csv", output)
    assert output.read_bytes().startswith(b"%PDF")
    picture = plt.imread(output.with_suffix(".png"))
    assert picture.shape[1] == pytest.approx(COLUMN * DPI, abs=1)
