"""docs/results.md: the tables that are kept in the repository, as the rules wrote them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from simformer.analysis import markup
from simformer.analysis.pages.kept import ABOUT_TABLES, PAGES, PICTURES
from simformer.atomic import atomic_write_text

HEAD = """# Results so far

Made from `docs/results/` by `snakemake --cores 1 docs/results.md`; do not edit. `simformer keep` copies the tables of a
study there.
What they say, and what they do not say: README.md, docs/demo.md.
"""


def results_page(studies: Sequence[Path], results: Path, place: Path) -> str:
    """Return the page: per study its description, then its tables with what is about them, and its figures.

    Args:
        studies: study files, whose first comment describes them.
        results: folder of the kept results (see kept.py).
        place: folder of the page, for its links.
    """
    parts = [HEAD, "Studies: " + ", ".join(map(_link, studies)) + ".\n"]
    for study in studies:
        folder = results / study.stem
        lines = takewhile(lambda line: line.startswith("#"), study.read_text(encoding="utf-8").splitlines())
        parts.append(
            "\n".join(
                [
                    f"## {markup.name(study.stem)}",
                    "",
                    f"{markup.code(f'config/{study.name}')}:",
                    "",
                    "```yaml",
                    *lines,
                    "```",
                    "",
                ]
            )
        )
        for table in _ordered(folder):
            parts.append(table.read_text(encoding="utf-8"))
            comparisons = [folder / kind / table.name for kind in ABOUT_TABLES]
            parts += [path.read_text(encoding="utf-8") for path in comparisons if path.exists()]
        for picture in sorted(path for pattern in PICTURES for path in folder.glob(pattern)):
            shown = f"![{markup.name(picture.stem)}]({markup.target(os.path.relpath(picture, place))})"
            parts.append(f"{markup.code(str(picture.relative_to(folder)))}:\n\n{shown}\n")
    return "\n".join(parts)


def _link(study: Path) -> str:
    return f"[{markup.name(study.stem)}](#{markup.target(study.stem)})"


def _ordered(folder: Path) -> list[Path]:
    """The tables of a study: of experiments first, then PAGES; RETAB's claims are among those of all baselines."""
    names = sorted(path.stem for path in folder.glob("*.md"))
    if "baseline_checks" in names:
        names = [name for name in names if name != "retab_checks"]
    return [folder / f"{name}.md" for name in sorted(names, key=lambda name: name in PAGES)]


def write_results_page(studies: Sequence[Path], results: Path, output: Path) -> None:
    """Write `results_page`."""
    atomic_write_text(output, results_page(studies, results, output.parent))
