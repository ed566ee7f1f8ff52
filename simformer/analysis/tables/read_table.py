"""Reading tables that other stages wrote: a missing or damaged table, or a missing column, is reported in one line."""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from simformer.analysis.tables.table_text import METRIC_NAMES
from simformer.errors import UserError, if_made
from simformer.text.explain import shown
from simformer.text.to_make import to_make

KEYS = ("dataset", "split", "method", "metric")
"""Columns that tell the lines of an experiment apart."""
NAMES = ("dataset", "split", "method", "label", "metric")
"""Columns that hold names: one such as "NA" or "nan" stays a name, while an empty number is NaN."""


def read_table(path: Path, *columns: str, **options: Any) -> pd.DataFrame:
    """Read a csv that `table_text.csv_text` has written, or the log of a training.

    Args:
        path: the file.
        columns: names that it must have; those that are not in NAMES hold numbers.
        options: of `pandas.read_csv`.
    Raises: UserError if it is missing, unreadable, cut off, no table, has no row, lacks a column, or has words for
        numbers.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if text and not text.endswith("\n"):
            raise ValueError("its last line has no end")
        head = pd.read_csv(io.StringIO(text), **options | {"nrows": 0}).columns
        names: dict[str, Any] = {"dtype": dict.fromkeys(NAMES, str), "keep_default_na": False}
        names["na_values"] = {column: [""] for column in head if column not in NAMES}
        table: pd.DataFrame = pd.read_csv(io.StringIO(text), **names | options)
    except FileNotFoundError:
        raise UserError(f"{path}: no such table; `{to_make(path)}` makes it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read this table ({error.strerror}); {if_made()}") from None
    except ValueError as error:  # so are all that pandas has for files that it cannot parse
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a table, or one that is cut off ({reason}); {if_made()}") from None
    if missing := [name for name in columns if name not in table]:
        raise UserError(f"{path}: not the expected table: it has no column '{missing[0]}'; {if_made()}")
    if table.empty:
        raise UserError(f"{path}: a table without a row; {if_made()}")
    for name in columns:
        if name not in NAMES and not _numeric(table[name]):
            words = table[name].astype(str)
            wrong = next((word for word in words if pd.isna(pd.to_numeric(word, errors="coerce"))), words.iloc[0])
            raise UserError(f"{path}: column '{name}' should hold numbers, found {shown(wrong)}; {if_made()}")
    return table


def read_results(path: Path, *columns: str) -> pd.DataFrame:
    """Read the csv of an experiment (`tables.collect`): a line for each metric of each method on each split.

    Args:
        path: the file.
        columns: that it must have, beside KEYS.
    Raises: UserError as `read_table`, for an unknown metric, and for a line that is missing or occurs twice.
    """
    table = read_table(path, *KEYS, *columns)
    if unknown := [metric for metric in table["metric"].unique() if metric not in METRIC_NAMES]:
        raise UserError(f"{path}: not the expected table: unknown metric {shown(unknown[0])}; {if_made()}")
    lines = Counter(table[[*KEYS]].itertuples(index=False, name=None))
    places = dict.fromkeys((dataset, split) for dataset, split, *_ in lines)
    wanted = itertools.product(places, table["method"].unique(), table["metric"].unique())
    for (dataset, split), method, metric in wanted:
        if (count := lines[dataset, split, method, metric]) != 1:
            found = "no line" if count == 0 else f"{count} lines"
            raise UserError(
                f"{path}: edited, or cut off: {found} for {metric} of '{method}' on {dataset} {split}; {if_made()}"
            )
    return table


def require_lines(path: Path, table: pd.DataFrame, asked: Iterable[tuple[str, str, str]]) -> None:
    """Raise UserError unless a table of results has every dataset, split and method that is asked for."""
    there = set(table[[*KEYS[:3]]].itertuples(index=False, name=None))
    for dataset, split, method in asked:
        if (dataset, split, method) not in there:
            raise UserError(
                f"{path}: cut off, or of another study: no line of '{method}' on {dataset} {split}; {if_made()}"
            )


def _numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
