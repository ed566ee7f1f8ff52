"""Training logs: means over some steps, always as a CSV, and as TensorBoard events on request."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from simformer.atomic import atomic_write_text
from simformer.errors import UserError

TERMS = ("cls", "focal", "dice", "comp", "sim", "dist")
"""Weighted terms of the full loss (Eq. 5); L_mask is focal + dice."""
COLUMNS = ("step", "lr", "total", *TERMS, "grad_norm", "seconds")


class StepMeans:
    """Rows of the steps since the last log row; part of the training state, so that resuming loses none."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def add(self, row: dict[str, float]) -> None:
        """Add the values of one step."""
        self.rows.append(row)

    def take(self) -> dict[str, float]:
        """Return the mean of every value, and start anew."""
        rows, self.rows = self.rows, []
        return {key: math.fsum(row[key] for row in rows) / len(rows) for key in rows[0]}

    def state_dict(self) -> dict[str, list[dict[str, float]]]:
        """Return the rows."""
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, list[dict[str, float]]]) -> None:
        """Take over stored rows."""
        self.rows = list(state["rows"])


class CsvLog:
    """Appends rows to a CSV; on resume the rows after the restored step are dropped.

    Args:
        path: the file.
        step: number of finished steps; later rows of an earlier attempt are removed.
        columns: names of the values of a row.
    """

    def __init__(self, path: Path, step: int, columns: tuple[str, ...] = COLUMNS) -> None:
        kept: list[dict[str, str]] = []
        head = io.StringIO()
        writer = csv.DictWriter(head, columns)
        writer.writeheader()
        try:
            if path.exists() and step:
                with path.open(newline="", encoding="utf-8") as stream:
                    kept = [row for row in csv.DictReader(stream) if row["step"] and int(row["step"]) <= step]
            writer.writerows(kept)
        except (KeyError, ValueError, csv.Error):
            raise UserError(
                f"{path}: damaged: expected rows of numbers, the step first; delete {path.parent} to start over"
            ) from None
        atomic_write_text(path, head.getvalue())
        self._stream = path.open("a", newline="")
        self._writer = csv.DictWriter(self._stream, columns)

    def write(self, row: dict[str, float]) -> None:
        """Append one row and flush it."""
        self._writer.writerow({key: _cell(value) for key, value in row.items()})
        self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _cell(value: float) -> float | str:
    """Return a value as its cell of the CSV; one that is not finite, such as the norm of an overflow, is empty."""
    if not isinstance(value, float):
        return value
    return f"{value:.6g}" if math.isfinite(value) else ""


class TensorBoardLog:
    """Writes the same rows as TensorBoard scalars (needs the `tensorboard` extra)."""

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError("TensorBoard is not installed; type: pip install tensorboard") from None

        self._writer = SummaryWriter(str(folder), purge_step=step or None)

    def write(self, row: dict[str, float]) -> None:
        """Add one point to every curve."""
        for key, value in row.items():
            if key != "step":
                self._writer.add_scalar(key, value, int(row["step"]))

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()
