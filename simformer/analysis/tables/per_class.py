"""IoU of every class and its share of the test pixels: on which classes a method gains or loses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from simformer.analysis.markup import line, strong
from simformer.analysis.tables.numbers import number, with_deviation
from simformer.analysis.tables.statistics import mean_and_deviation
from simformer.analysis.tables.table_text import markdown, write_page
from simformer.data.identity import require_groups
from simformer.data.splits import Split
from simformer.metrics import Evaluation, run_metrics

NOTE = (
    "IoU in percent, mean over seeds (n: {seeds}). Novel classes come first; within each group, classes are sorted by "
    "their share of the labelled test pixels. -: no test image shows the class."
)


def per_class(spec: dict[str, Any]) -> pd.DataFrame:
    """Collect the IoU of every class.

    Args:
        spec: `runs` (list of {dataset, split, method, seed, path to metrics.json, evaluation: paths of its shards,
            groups: path of split.yaml}).
    Returns: one line per (dataset, split, class, method) with `group` (novel, base), `share` (percent of the labelled
        test pixels), `iou` and `std` (over seeds; empty for one) and `n`, classes in the order of NOTE, methods in
        theirs.
    """
    places: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in spec["runs"]:
        places.setdefault((run["dataset"], run["split"]), []).append(run)
    return pd.concat([_place(place, runs) for place, runs in places.items()], ignore_index=True)


def _place(place: tuple[str, str], runs: list[dict[str, Any]]) -> pd.DataFrame:
    split = Split.load(Path(runs[0]["groups"]))
    evaluation = Evaluation.load([Path(shard) for shard in runs[0]["evaluation"]], runs[0].get("hash"))
    require_groups(evaluation.identity, split)
    pixels = evaluation.truth.sum(axis=0)
    share = 100 * pixels / max(1, pixels.sum())
    values: dict[str, list[dict[str, float | None]]] = {}
    for run in runs:
        content = run_metrics(run, "iou")
        values.setdefault(run["method"], []).append(content["iou"])
    order = sorted(range(len(split.classes)), key=lambda k: (k not in split.novel, -share[k], k))
    return pd.DataFrame(
        [
            {
                "dataset": place[0],
                "split": place[1],
                "class": split.classes[k],
                "group": "novel" if k in split.novel else "base",
                "share": share[k],
                "method": method,
                **_moments([seed[split.classes[k]] for seed in seeds]),
            }
            for k in order
            for method, seeds in values.items()
        ]
    )


def _moments(values: list[float | None]) -> dict[str, float]:
    known = [value for value in values if value is not None]
    iou, spread = mean_and_deviation(known)
    return {"iou": iou, "std": spread, "n": len(known)}


def write_per_class(spec: dict[str, Any], csv: Path) -> None:
    """Write the classes as `csv`, and beside it as Markdown, a table per dataset and split.

    Args:
        spec: see `per_class`; also `title` and `rows` (list of {method, label}).
        csv: path of the csv.
    """
    table = per_class(spec)
    labels = {row["method"]: row["label"] for row in spec["rows"]}
    parts = [strong(f"{spec['title']}: every class")]
    for (dataset, split), lines in table.groupby(["dataset", "split"], sort=False):
        wide: pd.DataFrame | None = None
        for method, mine in lines.groupby("method", sort=False):
            if wide is None:
                columns = {"group": mine["group"], "pixels": [f"{number(share, '.2f')} %" for share in mine["share"]]}
                wide = pd.DataFrame(columns).set_axis(mine["class"].tolist())
            cells = [with_deviation(*row) for row in mine[["iou", "std"]].itertuples(index=False)]
            wide.insert(wide.shape[1], labels[method], cells, allow_duplicates=True)
        assert wide is not None, "a group has at least one line"
        parts += [line(f"{dataset} {split}"), markdown(wide, "class")]
    write_page(csv, table, [*parts, NOTE.format(seeds=int(table["n"].max()))])
