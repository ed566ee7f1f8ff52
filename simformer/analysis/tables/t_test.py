"""Table 7: whether two methods differ over seeds, by Welch's t-test on the raw results, split by split."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simformer.analysis.markup import strong
from simformer.analysis.tables.numbers import NONE, ends, footnote, number, signed, with_deviation
from simformer.analysis.tables.statistics import hedges_g, holm, mean_and_deviation, welch
from simformer.analysis.tables.table_text import METRIC_NAMES, csv_text, latex, markdown
from simformer.atomic import atomic_write_text
from simformer.metrics import run_metrics

NOTE = (
    "Percentage points over seeds; n is the number of seeds of each method. Welch's t-test is two-sided, with unequal "
    "variances, on the raw results. The interval is the 95 % interval of the difference. g is Hedges' effect size: the "
    "difference in pooled standard deviations, corrected for few seeds. p (Holm) is corrected for all splits in which "
    "the two methods are compared on this metric."
)
PUBLISHED_NOTE = (
    "Published: the paper's mean ± deviation of the first and the second method, and its p, where we "
    "have them. The paper's p values do not follow from its own means and deviations, neither by Welch's test nor by "
    "Student's (COCO-Stuff-10K split 4: the paper has 5.29e-5, Welch's test gives 3.9e-6)."
)


def t_tests(spec: dict[str, Any]) -> pd.DataFrame:
    """Compare methods pair by pair.

    Args:
        spec: `compare` (list of [method, baseline]), `metrics`, `runs` (list of {dataset, split, method, seed, path to
            metrics.json}); what the paper says of the novel classes: `reported` (see `tables.collect`),
            `published_std` (dataset -> split -> method -> deviation), `published_p` (dataset -> split -> method ->
            baseline -> p value).
    Returns: one line per (pair, metric, dataset, split) with `mean`, `std`, `n` of both (the baseline's with the prefix
        `baseline_`) and the same of the paper (`published_mean`, `published_std`), `difference`, `low`, `high`, `t`,
        `freedom`, `p`, `g`, `p_holm`, `p_published`, and `lack`: why there is no test.
    """
    values: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for run in spec["runs"]:
        content = run_metrics(run, *spec["metrics"])
        values.setdefault((run["dataset"], run["split"]), {}).setdefault(run["method"], []).append(content)
    families = []
    for pair in spec["compare"]:
        for metric in spec["metrics"]:
            family = pd.DataFrame([_line(values[place], place, pair, metric, spec) for place in values])
            families.append(family.assign(p_holm=holm(family["p"].tolist())))
    return pd.concat(families, ignore_index=True)


def _line(
    runs: dict[str, list[dict[str, Any]]], place: tuple[str, str], pair: list[str], metric: str, spec: dict[str, Any]
) -> dict[str, Any]:
    a, b = ([run[metric] for run in runs[method] if run[metric] is not None] for method in pair)
    test = welch(a, b)
    return {
        "method": pair[0],
        "baseline": pair[1],
        "metric": metric,
        "dataset": place[0],
        "split": place[1],
        **_moments(a, ""),
        **_published(spec, place, pair[0], metric, ""),
        **_moments(b, "baseline_"),
        **_published(spec, place, pair[1], metric, "baseline_"),
        "difference": mean_and_deviation(a)[0] - mean_and_deviation(b)[0],
        "low": test.interval.low,
        "high": test.interval.high,
        "t": test.t,
        "freedom": test.freedom,
        "p": test.p,
        "g": hedges_g(a, b),
        "p_published": _told(spec["published_p"], (*place, *pair)) if metric == "novel" else np.nan,
        "lack": test.interval.lack,
    }


def _told(numbers: dict[str, Any], keys: Sequence[str]) -> float:
    """Return a number of the paper, NaN where it has none."""
    found: Any = numbers
    for key in keys:
        found = found.get(key, {})
    return float(found) if isinstance(found, (int, float)) else np.nan


def _published(spec: dict[str, Any], place: tuple[str, str], method: str, metric: str, prefix: str) -> dict[str, float]:
    spread = _told(spec["published_std"], (*place, method)) if metric == "novel" else np.nan
    mean = _told(spec["reported"], (*place, method, metric))
    return {f"{prefix}published_mean": mean, f"{prefix}published_std": spread}


def _moments(values: list[float], prefix: str) -> dict[str, Any]:
    mean, spread = mean_and_deviation(values)
    return {f"{prefix}mean": mean, f"{prefix}std": spread, f"{prefix}n": len(values)}


def write_t_tests(spec: dict[str, Any], csv: Path) -> None:
    """Write the tests as `csv`, and beside it as Markdown and LaTeX.

    Args:
        spec: see `t_tests`; also `title` and `rows` (list of {method, label}).
        csv: path of the csv.
    """
    table = t_tests(spec)
    atomic_write_text(csv, csv_text(table.drop(columns="lack"), "%.6g"))
    for suffix, text in t_test_pages(table, spec["title"], spec["rows"]).items():
        atomic_write_text(csv.with_suffix(suffix), text)


def t_test_pages(table: pd.DataFrame, title: str, rows: Sequence[dict[str, str]]) -> dict[str, str]:
    """Return tests as Markdown and as LaTeX, by the suffix of the file.

    Args:
        table: see `t_tests`.
        title: of the table whose rows are compared.
        rows: list of {method, label}.
    """
    labels = {row["method"]: row["label"] for row in rows}
    printed = pd.DataFrame([_printed(line) for line in table.to_dict("records")])
    printed.index = [f"{labels[a]} - {labels[b]}" for a, b in zip(table["method"], table["baseline"], strict=True)]
    note = NOTE
    if table[["p_published", "published_mean", "baseline_published_mean"]].isna().all(axis=None):
        printed = printed.drop(columns=[name for name in printed.columns if "published" in name])
    else:
        note = f"{NOTE} {PUBLISHED_NOTE}"
    note, title = footnote(note, table["lack"]), f"{title}: t-test over seeds"
    return {
        ".md": f"{strong(title)}\n\n{markdown(printed, 'comparison')}\n\n{note}\n",
        ".tex": latex(printed, "comparison", title, note),
    }


def _printed(line: Mapping[Hashable, Any]) -> dict[str, str]:
    def moments(prefix: str) -> str:
        return with_deviation(line[f"{prefix}mean"], line[f"{prefix}std"], fine=".2f")

    return {
        "on": f"{line['dataset']} {line['split']}",
        "metric": METRIC_NAMES[line["metric"]],
        "first (n)": f"{moments('')} ({line['n']})",
        "second (n)": f"{moments('baseline_')} ({line['baseline_n']})",
        "published": f"{moments('published_')}; {moments('baseline_published_')}",
        "difference": signed(line["difference"]),
        "95 % interval": ends(line["low"], line["high"], line["lack"], signed),
        "g": number(line["g"], ".2f"),
        "t (freedom)": NONE if line["lack"] else f"{number(line['t'], '.2f')} ({number(line['freedom'], '.1f')})",
        "p": number(line["p"], ".2g"),
        "p (Holm)": number(line["p_holm"], ".2g"),
        "p (published)": number(line["p_published"], ".3g"),
    }
