"""Runs of two methods whose numbers and names a test chooses, and what was written about them."""

import json
import re
from pathlib import Path

import numpy as np

from simformer.data.identity import Identity
from simformer.data.splits import Split
from simformer.metrics import Evaluation

NO_NUMBER = re.compile(r"(?i)(?<![a-z])[+-]?(nan|inf|infinity)(?![a-z])")
"""A number that is none."""
CLASSES = ("sky", "cat", "ghost")


def written(folder: Path) -> str:
    """Everything that was written as text; a page must hold no `nan` and no `inf`."""
    paths = [p for p in folder.rglob("*") if p.suffix in (".md", ".html", ".tex", ".csv", ".svg", ".json", ".js")]
    texts = {path: path.read_text(encoding="utf-8") for path in paths if "input" not in path.parts}
    found = {path.name: match[0] for path, text in texts.items() if (match := NO_NUMBER.search(text))}
    assert texts and not found
    return "\n".join(texts.values())


def cells(markdown: str) -> list[list[str]]:
    """Cells of the tables, for names without special characters."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def images(hits, truth=None, names=None, classes=("sky", "cat"), hidden=(1,)) -> Evaluation:
    """An evaluation of images of which `hits` pixels per class are hit, of those that `truth` has."""
    hits = np.array(hits, np.int64)
    truth = np.full_like(hits, 100) if truth is None else np.array(truth, np.int64)
    confusion = np.zeros((len(classes) + 1,) * 2, np.int64)
    confusion[: len(classes), : len(classes)] = np.diag(hits.sum(axis=0))
    missed = truth - hits  # taken for the class that follows
    for k in range(len(classes)):
        confusion[(k + 1) % len(classes), k] += missed[:, k].sum()
    predicted = hits + np.roll(missed, 1, axis=1)
    named = tuple(names or (f"i{k}" for k in range(len(hits))))
    return Evaluation(confusion, hits, truth, predicted, named, Identity(tuple(classes), "d", hidden), "m", "t")


class Runs:
    """Runs of two methods of which `values` tells the metrics, with a dataset in which one class has no pixel."""

    def __init__(
        self, folder: Path, values: dict[str, list[float | None]], classes=CLASSES, label="", novel=(1, 2)
    ) -> None:
        self.input, self.label = folder / "input", label
        Split(classes, novel=novel).save(self.input / "split.yaml")
        truth = [[100, 50, 0]] * 4
        self.runs = []
        for method, numbers in values.items():
            for seed, value in enumerate(numbers):
                place = self.input / method / str(seed)
                images([[80, 20, 0]] * 4, truth, classes=classes, hidden=novel).save(place / "1of1.npz")
                iou = dict(zip(classes, (80.0, value, None), strict=True))
                (place / "m.json").write_text(json.dumps({"novel": value, "base": 80.0, "all": value, "iou": iou}))
                run = {"dataset": "toys", "split": "split1", "method": method, "seed": seed}
                run |= {"path": str(place / "m.json"), "evaluation": [str(place / "1of1.npz")]}
                self.runs.append(run | {"groups": str(self.input / "split.yaml")})

    def spec(self, **changes) -> dict:
        rows = [{"method": name, "label": self.label or name.title(), "ranked": True} for name in ("good", "poor")]
        content = {"title": "Table 9", "rows": rows, "runs": self.runs, "metrics": ["novel", "base", "all"]}
        content |= {"compare": [["good", "poor"]], "reported": {}, "published_std": {}, "published_p": {}}
        return content | {"command": "snakemake"} | changes
