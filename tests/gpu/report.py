"""What a part of the acceptance reports: numbers with their unit, and checks, which are numbers with a bound."""

from __future__ import annotations

import math
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from simformer.atomic import atomic_write_text
from simformer.text.json_text import json_text
from tests.gpu.sizes import Sizes

ROOT = Path(__file__).resolve().parents[2]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Context:
    """Under what conditions a part runs.

    Attributes:
        device: 'cpu', or the card that is examined, e.g. 'cuda:0'.
        sizes: of everything that is run.
        folder: for files of the part; it is new and empty.
        cards: visible ones.
        bf16: whether the device computes in it.
    """

    device: str
    sizes: Sizes
    folder: Path
    cards: int = 0
    bf16: bool = False

    @property
    def on_card(self) -> bool:
        """Whether there is a card; if not, what only a card can tell is reported as missing."""
        return self.device != "cpu"


class Report:
    """Rows of one part. They are written to a file one by one, so that a part that is killed leaves what it has.

    Args:
        path: JSON to write.
        seconds: time that the part has from now on.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self.started = time.monotonic()
        self.seconds = seconds
        self.content: dict[str, Any] = {"status": None, "rows": [], "steps": []}

    def left(self) -> float:
        """Seconds until the part must have ended."""
        return self.started + self.seconds - time.monotonic()

    def number(self, name: str, value: float | None, unit: str, note: str = "") -> None:
        """Report a number without a bound; None needs a note that says why there is none."""
        self._add({"name": name, "value": value, "unit": unit, "passed": None, "note": note})

    def check(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        note: str = "",
    ) -> None:
        """Report a number that must lie within bounds; one that is not finite does not."""
        bounds = {"at_most": at_most, "at_least": at_least}
        passed = _within(value, **bounds)
        self._add({"name": name, "value": value, "unit": unit, **bounds, "passed": passed, "note": note})

    def target(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        note: str = "",
    ) -> None:
        """Report a number that is wanted within bounds; missing them is told, but the card is not to blame."""
        bounds = {"at_most": at_most, "at_least": at_least}
        reached = _within(value, **bounds)
        row = {"name": name, "value": value, "unit": unit, **bounds, "passed": None, "reached": reached, "note": note}
        self._add(row)

    def holds(self, name: str, passed: bool, note: str = "") -> None:
        """Report a check that is either true or not."""
        self._add({"name": name, "value": None, "unit": "", "passed": bool(passed), "note": note})

    def missing(self, name: str, why: str) -> None:
        """Report that something could not be measured, which is no failure."""
        self.number(name, None, "", why)

    def failed(self, name: str, why: str, where: str = "") -> None:
        """Report a measurement that broke."""
        row = {"name": name, "value": None, "unit": "", "passed": False, "note": why}
        self._add(row | ({"traceback": tidy(where)} if where else {}))

    def step(self, row: dict[str, Any]) -> None:
        """Report how fast some work is; the keys are those of `speed.Measured`."""
        self.content["steps"].append(row)
        self.save()
        what = ", ".join(str(row[key]) for key in ("case", "work", "mode", "images"))
        print(f"  {what} images  {1000 * row['seconds']:.1f} ms", file=sys.stderr)

    def attempt(self, name: str, measure: Callable[[], Found], needs: float = 0.0) -> Found | None:
        """Run one measurement; if it breaks, that is reported, and the next one runs all the same.

        Args:
            name: what the row is called if it breaks, or is left out.
            measure: reports what it finds by itself.
            needs: seconds that it takes; without so many left it is left out, which is reported.
        """
        if self.left() < needs:
            self.missing(name, f"left out: it needs about {needs:.0f} s, and this part has {self.left():.0f} s left")
            return None
        try:
            return measure()
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            self.failed(name, tidy(f"{type(error).__name__}: {first}"), traceback.format_exc())
            return None

    def end(self, status: str, reason: str = "", where: str = "") -> None:
        """Report how the part has ended: 'finished' or 'failed'."""
        self.content |= {"status": status, "reason": reason, "traceback": tidy(where)}
        self.save()

    def save(self) -> None:
        """Write what there is."""
        self.content["seconds"] = round(time.monotonic() - self.started, 1)
        atomic_write_text(self.path, json_text(self.content, indent=1) + "\n")

    def _add(self, row: dict[str, Any]) -> None:
        self.content["rows"].append(row)
        self.save()
        verdict = {True: "passed", False: "FAILED", None: ""}[row["passed"]]
        verdict = verdict or {True: "reached", False: "not reached", None: ""}[row.get("reached")]
        shown = "" if row["value"] is None else f"{row['value']:.4g} {row['unit']}"
        print("  " + "  ".join(text for text in (row["name"], shown, verdict, row["note"]) if text), file=sys.stderr)


def _within(value: float, at_most: float | None, at_least: float | None) -> bool:
    """Whether a number is finite and within bounds."""
    return math.isfinite(value) and (at_most is None or value <= at_most) and (at_least is None or value >= at_least)


def tidy(text: str) -> str:
    """Take the paths of this machine out of a traceback."""
    return text.replace(sys.prefix, "<python>").replace(f"{ROOT}/", "").replace(str(Path.home()), "~")
