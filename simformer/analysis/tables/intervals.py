"""Differences between the rows of a table, with confidence intervals over test images and over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simformer.analysis.markup import strong
from simformer.analysis.tables.numbers import ends, footnote, signed
from simformer.analysis.tables.statistics import paired_bootstrap, welch
from simformer.analysis.tables.table_text import METRIC_NAMES, csv_text, markdown
from simformer.atomic import atomic_write_text
from simformer.data.identity import require_groups
from simformer.data.splits import Split
from simformer.metrics import Evaluation, require_same_test, scores

NOTE = (
    "Differences in percentage points, with 95 % intervals. Over images: a paired bootstrap of the test images, with "
    "the trainings as they are. Over seeds: Welch's t-test, which needs at least two seeds. `shown`: yes if every "
    "interval in the line excludes 0."
)

LACKS = ["image_lack", "seed_lack", "lack"]
"""Columns that say why there is no number. They are not in the csv, where the number's cell is empty."""


def compare(spec: dict[str, Any]) -> pd.DataFrame:
    """Compare methods pair by pair.

    Args:
        spec: `compare` (list of [method, baseline]), `metrics` (of novel, base, all), `runs` (list of {dataset, split,
            method, seed, evaluation: paths of its shards, groups: path of split.yaml}).
    Returns: one line per (dataset, split, pair, metric) with `difference` of the means over seeds, `seeds` and `images`
        (numbers of), `image_low`, `image_high`, `seed_low`, `seed_high`, Welch's `p`, `shown`, and LACKS: why an
        interval or the difference is not there.
    """
    evaluations: dict[tuple[str, str, str], list[Evaluation]] = {}
    splits: dict[tuple[str, str], Split] = {}
    tested: dict[tuple[str, str], Evaluation] = {}
    for run in spec["runs"]:
        place = run["dataset"], run["split"]
        loaded = Evaluation.load([Path(shard) for shard in run["evaluation"]], run.get("hash"))
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


def _line(
    evaluations: Mapping[tuple[str, str, str], Sequence[Evaluation]],
    place: tuple[str, str],
    split: Split,
    pair: Sequence[str],
    metric: str,
) -> dict[str, Any]:
    first, second = groups = [evaluations[*place, method] for method in pair]
    values = [
        np.array([scores(e.confusion, split.classes, split.novel)[metric] for e in group], dtype=np.float64)
        for group in groups
    ]
    images = paired_bootstrap(first, second, metric_classes(split, metric))
    test = welch(values[0].tolist(), values[1].tolist())
    given = [interval for interval in (images, test.interval) if not interval.lack]
    difference = values[0].mean() - values[1].mean()
    return {
        "dataset": place[0],
        "split": place[1],
        "method": pair[0],
        "baseline": pair[1],
        "metric": metric,
        "difference": difference,
        "images": len(groups[0][0].images),
        "image_low": images.low,
        "image_high": images.high,
        "seeds": min(map(len, values)),
        "seed_low": test.interval.low,
        "seed_high": test.interval.high,
        "p": test.p,
        "shown": bool(given) and all(interval.excludes_zero for interval in given),
        "image_lack": images.lack,
        "seed_lack": test.interval.lack,
        "lack": "" if np.isfinite(difference) else "no value",
    }


def write_intervals(spec: dict[str, Any], csv: Path) -> None:
    """Write the comparisons as `csv`, and beside it as Markdown.

    Args:
        spec: see `compare`; also `title` and `rows` (list of {method, label}).
        csv: path of the csv.
    """
    table = compare(spec)
    atomic_write_text(csv, csv_text(table.drop(columns=LACKS), "%.4f"))
    atomic_write_text(csv.with_suffix(".md"), intervals_page(table, spec["title"], spec["rows"]))


def intervals_page(table: pd.DataFrame, title: str, rows: Sequence[dict[str, str]]) -> str:
    """Return comparisons as Markdown.

    Args:
        table: see `compare`.
        title: of the table whose rows are compared.
        rows: list of {method, label}.
    """
    labels = {row["method"]: row["label"] for row in rows}
    printed = pd.DataFrame(
        {
            "difference of": [METRIC_NAMES[metric] for metric in table["metric"]],
            "on": table["dataset"] + " " + table["split"],
            "mean": [signed(difference) for difference in table["difference"]],
            "over images": _intervals(table, "image"),
            "over seeds": _intervals(table, "seed"),
            "n": table["seeds"].astype(str),
            "shown": table["shown"].map({True: "yes", False: "no"}),
        }
    ).set_axis([f"{labels[a]} - {labels[b]}" for a, b in zip(table["method"], table["baseline"], strict=True)])
    note = footnote(NOTE, table[LACKS].values.ravel(), told=("few seeds",))
    return f"{strong(f'{title}: differences')}\n\n{markdown(printed, 'comparison')}\n\n{note}\n"


def _intervals(table: pd.DataFrame, over: str) -> list[str]:
    columns = table[[f"{over}_low", f"{over}_high", f"{over}_lack"]]
    return [ends(low, high, lack, signed) for low, high, lack in columns.itertuples(index=False)]
