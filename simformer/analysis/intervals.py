"""Differences between the rows of a table, with confidence intervals over test images and over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simformer.analysis.statistics import paired_bootstrap, welch
from simformer.analysis.table_text import METRIC_NAMES, markdown
from simformer.data.files import atomic_write_text
from simformer.data.identity import require_groups
from simformer.data.splits import Split
from simformer.metrics import Evaluation, require_same_test, scores

NOTE = (
    "Percentage points, 95 % intervals. Over images: paired bootstrap of the test images, trainings fixed. Over seeds: "
    "Welch's t-test, needs two seeds at least. `shown`: every interval that there is excludes 0."
)


def compare(spec: dict[str, Any]) -> pd.DataFrame:
    """Compare methods pair by pair.

    Args:
        spec: `compare` (list of [method, baseline]), `metrics` (of novel, base, all), `runs` (list of {dataset, split,
            method, seed, evaluation: paths of its shards, groups: path of split.yaml}).
    Returns: one line per (dataset, split, pair, metric) with `difference` of the means over seeds, `seeds` and `images`
        (numbers of), `image_low`, `image_high`, `seed_low`, `seed_high`, Welch's `p`, and `shown`.
    """
    evaluations: dict[tuple[str, str, str], list[Evaluation]] = {}
    splits: dict[tuple[str, str], Split] = {}
    tested: dict[tuple[str, str], Evaluation] = {}
    for run in spec["runs"]:
        place = run["dataset"], run["split"]
        loaded = Evaluation.load([Path(shard) for shard in run["evaluation"]])
        evaluations.setdefault((*place, run["method"]), []).append(loaded)
        split = splits.setdefault(place, Split.load(Path(run["groups"])))
        require_groups(loaded.identity, split)
        require_same_test(loaded, tested.setdefault(place, loaded))
    lines = [
        _line(evaluations, place, split, pair, metric)
        for place, split in splits.items()
        for pair in spec["compare"]
        for metric in spec["metrics"]
    ]
    return pd.DataFrame(lines)


def metric_classes(split: Split, metric: str) -> Sequence[int]:
    """Return the ids of the classes in a mean IoU: novel, base or all."""
    return {"novel": split.novel, "base": split.base, "all": range(len(split.classes))}[metric]


def _line(evaluations: dict, place: tuple[str, str], split: Split, pair: list[str], metric: str) -> dict[str, Any]:
    groups = [evaluations[*place, method] for method in pair]
    values = [
        np.array([scores(e.confusion, split.classes, split.novel)[metric] for e in group], dtype=np.float64)
        for group in groups
    ]
    images = paired_bootstrap(*groups, metric_classes(split, metric))
    test = welch(*values)
    given = [interval for interval in (images, test.interval) if not pd.isna(interval.low)]
    return {
        "dataset": place[0],
        "split": place[1],
        "method": pair[0],
        "baseline": pair[1],
        "metric": metric,
        "difference": values[0].mean() - values[1].mean(),
        "images": len(groups[0][0].images),
        "image_low": images.low,
        "image_high": images.high,
        "seeds": min(map(len, values)),
        "seed_low": test.interval.low,
        "seed_high": test.interval.high,
        "p": test.p,
        "shown": bool(given) and all(interval.excludes_zero for interval in given),
    }


def write_intervals(spec: dict[str, Any], csv: Path) -> None:
    """Write the comparisons as `csv`, and beside it as Markdown.

    Args:
        spec: see `compare`; also `title` and `rows` (list of {method, label}).
        csv: path of the csv.
    """
    table = compare(spec)
    atomic_write_text(csv, table.to_csv(index=False, float_format="%.4f"))
    labels = {row["method"]: row["label"] for row in spec["rows"]}
    printed = pd.DataFrame(
        {
            "difference of": [METRIC_NAMES[metric] for metric in table["metric"]],
            "on": table["dataset"] + " " + table["split"],
            "mean": table["difference"].map("{:+.1f}".format),
            "over images": [_printed(*ends) for ends in zip(table["image_low"], table["image_high"], strict=True)],
            "over seeds": [_printed(*ends) for ends in zip(table["seed_low"], table["seed_high"], strict=True)],
            "n": table["seeds"].astype(str),
            "shown": table["shown"].map({True: "yes", False: "no"}),
        }
    ).set_axis([f"{labels[a]} - {labels[b]}" for a, b in zip(table["method"], table["baseline"], strict=True)])
    title = f"**{spec['title']}: differences**"
    atomic_write_text(csv.with_suffix(".md"), f"{title}\n\n{markdown(printed, 'comparison')}\n\n{NOTE}\n")


def _printed(low: float, high: float) -> str:
    return "-" if pd.isna(low) else f"{low:+.1f} to {high:+.1f}"
