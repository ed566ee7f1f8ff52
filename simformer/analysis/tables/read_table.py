"""Reading tables that other stages wrote: a missing or damaged table, or a missing column, is reported in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from simformer.errors import UserError, if_made
from simformer.text.to_make import to_make

NAMES = ("dataset", "split", "method", "label", "metric")
"""Columns that hold names: one such as "NA" or "nan" stays a name, while an empty number is NaN."""


def read_table(path: Path, *columns: str, **options: Any) -> pd.DataFrame:
    """Read a csv that `table_text.csv_text` has written, or the log of a training.

    Args:
        path: the file.
        columns: names that it must have.
        options: of `pandas.read_csv`.
    Raises: UserError if it is missing, unreadable, cut off, no table, or lacks a column.
    """
    try:
        head = pd.read_csv(path, **options | {"nrows": 0}).columns
        names: dict[str, Any] = {"dtype": dict.fromkeys(NAMES, str), "keep_default_na": False}
        names["na_values"] = {column: [""] for column in head if column not in NAMES}
        table: pd.DataFrame = pd.read_csv(path, **names | options)
    except FileNotFoundError:
        raise UserError(f"{path}: no such table; `{to_make(path)}` makes it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read this table ({error.strerror}); {if_made()}") from None
    except ValueError as error:  # so are all that pandas has for files that it cannot parse
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a table, or one that is cut off ({reason}); {if_made()}") from None
    if missing := [name for name in columns if name not in table]:
        raise UserError(f"{path}: not the expected table: it has no column '{missing[0]}'; {if_made()}")
    return table
