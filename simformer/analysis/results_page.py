"""docs/results.md: the tables that are kept in the repository, as the rules wrote them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from simformer.data.files import atomic_write_text

HEAD = """# Results so far

Made from `results/` by `snakemake docs/results.md`; do not edit. What they say, and what they do not say:
README.md, docs/demo.md.
"""


def results_page(studies: Sequence[Path], results: Path, place: Path) -> str:
    """Return the page: per study its description, then its tables, their intervals, and its figures.

    Args:
        studies: study files, whose first comment describes them.
        results: folder with `<study>/table*.md`, `<study>/intervals/`, `<study>/figures/*.png`.
        place: folder of the page, for its links.
    """
    parts = [HEAD]
    for study in studies:
        folder = results / study.stem
        lines = takewhile(lambda line: line.startswith("#"), study.read_text(encoding="utf-8").splitlines())
        parts.append("\n".join([f"## {study.stem}", "", f"`config/{study.name}`:", "", "```yaml", *lines, "```", ""]))
        for table in sorted(folder.glob("*.md")):
            parts.append(table.read_text(encoding="utf-8"))
            comparison = folder / "intervals" / table.name
            if comparison.exists():
                parts.append(comparison.read_text(encoding="utf-8"))
            figure = folder / "figures" / f"{table.stem}.png"
            if figure.exists():
                parts.append(f"![{table.stem}]({os.path.relpath(figure, place)})\n")
    return "\n".join(parts)


def write_results_page(studies: Sequence[Path], results: Path, output: Path) -> None:
    """Write `results_page`."""
    atomic_write_text(output, results_page(studies, results, output.parent))
