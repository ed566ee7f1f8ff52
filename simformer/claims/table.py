"""The table of claims: what each property measures, how sure that is over images and seeds, and whether it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simformer.analysis import markup
from simformer.analysis.tables.numbers import NONE, ends, footnote, number
from simformer.analysis.tables.statistics import (
    DRAWS,
    Interval,
    drawn_images,
    lack_of_images,
    no_interval,
    percentile_interval,
    welch,
)
from simformer.analysis.tables.table_text import markdown, write_page
from simformer.claims.claim import VALUES, Claim, load_claims
from simformer.errors import UserError

MANY_SEEDS = 3
"""Number of seeds from which on there is an interval over seeds."""
LACKS = ["lack", "seed_lack"]
"""Columns that say why there is no interval. They are not in the csv, where the interval's cells are empty."""
FORMS = {"ratio": ".3f", "iou": "+.1f", "difference": "+.3g"}
"""Format of the value of a statistic."""
PLACE = ("dataset", "split")
NOTE = (
    "`value` is a difference of two means, their ratio (x), or a difference of mean IoU in percentage points (pp). "
    "There are two 95 % intervals. The one over images is a paired bootstrap "
    f"({DRAWS} draws) with the networks as they are, and each arm is averaged over the seeds. The one over seeds is "
    f"Welch's, from {MANY_SEEDS} seeds on. `shown` is yes if the whole interval over images is beyond the bound, "
    "opposite if all of it is on the wrong side of no difference, - if there is no value, or one image, and no "
    "otherwise. Seeds without a value do not count. (control) marks a negative control: if it does not come out as "
    "stated, the measure is no good."
)


def check_table(spec: dict[str, Any]) -> pd.DataFrame:
    """Evaluate claims, one line per dataset, split and claim, in the order of the files.

    Args:
        spec: `files`, a list of {dataset, split, seed, path}; equal claims of several seeds make one line.
    Returns: columns dataset, split, method, check, statement, first, second, statistic, first_value, second_value,
        value, low, high (interval over images), seed_low, seed_high (over seeds), expected, bound, images, seeds,
        shown (yes, no, opposite, -), control, and LACKS: why an interval is not there.
    Raises: UserError if a file holds the same claim twice.
    """
    groups: dict[tuple[str, ...], list[Claim]] = {}
    for file in spec["files"]:
        place, mine = tuple(file[name] for name in PLACE), set()
        for claim in load_claims(Path(file["path"])):
            key = (*place, claim.method, claim.check, claim.statement, claim.first, claim.second, claim.statistic)
            if key in mine:
                raise UserError(f"{file['path']}: claim {claim.check} ({claim.first}, {claim.second}) occurs twice")
            mine.add(key)
            groups.setdefault(key, []).append(claim)
    return pd.DataFrame([dict(zip(PLACE, key[:2], strict=True)) | evaluate(claims) for key, claims in groups.items()])


def evaluate(claims: Sequence[Claim], draws: int = DRAWS) -> dict[str, Any]:
    """Evaluate one claim, measured with one or several seeds; seeds without a value do not count.

    Args:
        claims: one per seed.
        draws: of the bootstrap.
    Returns: the columns of `check_table` but for dataset and split.
    """
    claim = claims[0]
    means = [(c, _means(c)) for c in claims]
    measured = [c for c, mean in means if np.isfinite(mean).all()]
    names = sorted({name for c in measured for name in c.images})
    per_seed = np.array([mean for _, mean in means if np.isfinite(mean).all()]).reshape(-1, 2)
    first, second = per_seed.mean(axis=0) if measured else np.full(2, math.nan)
    value = float(_compared(first, second, claim))
    images = _over_images(measured, names, draws)
    seeds = _over_seeds(per_seed, claim)
    return {
        **{name: getattr(claim, name) for name in ("method", "check", "statement", "first", "second", "statistic")},
        "first_value": first,
        "second_value": second,
        "value": value,
        "low": images.low,
        "high": images.high,
        "seed_low": seeds.low,
        "seed_high": seeds.high,
        "expected": claim.expected,
        "bound": claim.bound,
        "images": len(names),
        "seeds": len(measured),
        "shown": verdict(images, value, claim),
        "control": "yes" if claim.control else "no",
        "lack": images.lack,
        "seed_lack": seeds.lack,
    }


def verdict(interval: Interval, value: float, claim: Claim) -> str:
    """Tell whether a claim shows: yes, no or opposite, or NONE if nothing could be measured on two images or more.

    Args:
        interval: over images; where all of them agree there is none, and the value itself counts.
        value: what was measured.
        claim: what was expected.
    """
    if interval.lack in ("no value", "one image"):
        return NONE
    low, high = (value, value) if interval.lack == "no spread" else (interval.low, interval.high)
    neutral = 1.0 if claim.statistic == "ratio" else 0.0
    above = claim.expected == "above"
    if low > claim.bound if above else high < claim.bound:
        return "yes"
    return "opposite" if (high < neutral if above else low > neutral) else "no"


def _over_images(claims: Sequence[Claim], names: list[str], draws: int) -> Interval:
    """Percentile interval over draws of the images, each arm averaged over the seeds."""
    if lack := lack_of_images(names):
        return no_interval(lack)
    weights = drawn_images(len(names), draws)
    first, second = np.mean([_arms(claim, names, weights) for claim in claims], axis=0)
    values = _compared(first, second, claims[0])
    size = values if claims[0].statistic == "ratio" else np.maximum(abs(first), abs(second))
    return percentile_interval(values, size)


def _means(claim: Claim) -> np.ndarray:
    """Value of both arms over all images of one seed, [2]; NaN without one."""
    names = sorted(set(claim.images))
    means: np.ndarray = _arms(claim, names, np.ones((1, len(names)), np.int64))[:, 0]
    return means


def _arms(claim: Claim, names: list[str], weights: np.ndarray) -> np.ndarray:
    """Value of both arms over weighted images, [2, draws]: a mean, or mean IoU in percent."""
    if not claim.images:
        return np.full((2, len(weights)), math.nan)
    rows = np.searchsorted(names, claim.images)
    sums = []
    for values in (getattr(claim, name) for name in VALUES):
        total = np.zeros((len(names), *values.shape[1:]))
        np.add.at(total, rows, values)
        sums.append(total)
    with np.errstate(invalid="ignore", divide="ignore"):
        if claim.statistic != "iou":
            counts = weights @ np.bincount(rows, minlength=len(names))
            return np.stack([weights @ total / counts for total in sums])
        pixels = [np.tensordot(weights, total, axes=1) for total in sums]  # [draws, K, 2] each
        held = np.logical_and(*(c[..., 1] > 0 for c in pixels))
        values = [np.where(held, c[..., 0] / c[..., 1], 0.0).sum(axis=1) / held.sum(axis=1) for c in pixels]
        return 100 * np.stack(values)


def _compared(first: np.ndarray, second: np.ndarray, claim: Claim) -> np.ndarray:
    value: np.ndarray
    if claim.statistic != "ratio":
        value = first - second
    else:
        value = np.divide(first, second, out=np.full(np.shape(first), math.nan), where=np.asarray(second) != 0)
    return value


def _over_seeds(per_seed: np.ndarray, claim: Claim) -> Interval:
    """Welch's interval, of logarithms for a ratio; none for fewer than MANY_SEEDS seeds."""
    if len(per_seed) < MANY_SEEDS:
        return no_interval("few seeds")
    if claim.statistic != "ratio":
        return welch(*per_seed.T).interval
    if not (per_seed > 0).all():
        return no_interval("no value")
    found = welch(*np.log(per_seed).T).interval
    with np.errstate(over="ignore"):
        low, high = (float(np.exp(end)) for end in (found.low, found.high))
    if found.lack:
        return found
    return Interval(low, high) if 0 < low < high < math.inf else no_interval("no value")


def write_check_table(spec: dict[str, Any], csv: Path) -> None:
    """Write the table of claims as `csv`, and beside it as Markdown.

    Args:
        spec: see `check_table`.
        csv: path of the csv.
    """
    table = check_table(spec)
    note = footnote(NOTE, table[LACKS].values.ravel(), told=("few seeds", "no value"))
    parts = ["**Properties of the baselines' class maps**", note]
    for (dataset, split, method), lines in table.groupby([*PLACE, "method"], sort=False):
        parts += [f"### {markup.name(f'{method}, {dataset} {split}')}", markdown(_printed(lines), "check")]
    write_page(csv, table.drop(columns=LACKS), parts)


def _printed(table: pd.DataFrame) -> pd.DataFrame:
    """One line per claim, as strings."""
    return pd.DataFrame([_cells(line) for line in table.itertuples()]).set_axis(table["check"])


def _cells(line: Any) -> dict[str, str]:
    """Cells of one line of the table, as `itertuples` gives it."""
    written = partial(_number, statistic=line.statistic)
    return {
        "statement": line.statement + (" (control)" if line.control == "yes" else ""),
        "first": _arm(line.first, line.first_value),
        "second": _arm(line.second, line.second_value),
        "value": written(line.value),
        "over images": ends(line.low, line.high, line.lack, written),
        "over seeds": ends(line.seed_low, line.seed_high, line.seed_lack, written),
        "expected": f"{line.expected} {line.bound:g}",
        "images": str(line.images),
        "seeds": str(line.seeds),
        "shown": line.shown,
    }


def _arm(arm: str, value: float) -> str:
    return arm if pd.isna(value) else f"{arm} {number(value, '.3g')}"


def _number(value: float, statistic: str) -> str:
    text = number(value, FORMS[statistic])
    return text if text == NONE else {"ratio": f"x{text}", "iou": f"{text} pp", "difference": text}[statistic]
