"""docs/results.md: what is kept in the repository, as links to the tables and as pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from simformer.analysis import markup
from simformer.analysis.pages.kept import ABOUT_TABLES, FOLDERS, PAGES, PICTURES, kept_name
from simformer.atomic import atomic_write_text
from simformer.config.layers import read_yaml

HEAD = """# Results so far

This page lists the tables and pictures that git keeps. docs/findings.md, docs/demo.md and docs/baselines.md explain
what they show and what they do not show.

Generated from `docs/results/` by `snakemake --cores 1 docs/results.md`; do not edit. `simformer keep` copies the tables
of a study to that folder, and the pictures below. To get any other table or picture, ask Snakemake for its file."""
ABOUT = dict(zip(ABOUT_TABLES, ("differences", "tests over seeds", "labels", "diagnostics", "classes"), strict=True))
"""What a table in each folder tells about the table of the same name."""


def results_page(studies: Sequence[Path], results: Path, place: Path) -> str:
    """Return the page: per folder of kept results, every study that makes some of them with its tables; then pictures.

    Args:
        studies: study files; their first comments describe them.
        results: folder of the kept results (see kept.py).
        place: folder of the page, for its links.
    """
    parts = [HEAD]
    makers: dict[str, dict[Path, list[str]]] = {}
    for study in studies:
        content = read_yaml(study)
        name = kept_name(study, Path(content.get("results", "results")))
        if (results / name).is_dir():
            makers.setdefault(name, {})[study] = content.get("experiments", [])
    parts.append(
        "Folders: " + ", ".join(f"[{markup.name(name)}](#{markup.target(name)})" for name in sorted(makers)) + "."
    )
    for name, made in sorted(makers.items()):
        folder = results / name
        own = next((study for study in made if study.stem == name), next(iter(made)))
        order = sorted(made, key=lambda study: (study != own, study))
        tables: dict[Path, list[Path]] = {study: [] for study in order}
        for table in sorted(folder.glob("*.md"), key=lambda table: (table.stem in PAGES, table)):
            tables[next((study for study in order if table.stem in made[study]), own)].append(table)
        parts.append(f"## {markup.name(name)}")
        for study in (study for study in order if tables[study]):
            lines = takewhile(lambda line: line.startswith("#"), study.read_text(encoding="utf-8").splitlines())
            parts.append("\n".join([f"{markup.code(f'config/{study.name}')}:", "", "```yaml", *lines, "```"]))
            parts.append("\n".join(f"- {_links(table, place)}" for table in tables[study]))
        for picture in sorted(path for pattern in PICTURES for path in folder.glob(pattern)):
            shown = f"![{markup.name(picture.stem)}]({_target(picture, place)})"
            parts.append(f"{markup.code(str(picture.relative_to(folder)))}:\n\n{shown}")
    return "\n\n".join(parts) + "\n"


def _links(table: Path, place: Path) -> str:
    """A table by its title, which its first line has in bold type or as a heading, and what is about it."""
    first = table.read_text(encoding="utf-8").partition("\n")[0]
    title = first.strip("*# ") if first.startswith(("**", "# ")) else markup.name(table.stem)
    about = {name: table.parent / name / table.name for name in FOLDERS[1:]}
    links = [f"[{ABOUT[name]}]({_target(path, place)})" for name, path in about.items() if path.exists()]
    return ": ".join([f"[{title}]({_target(table, place)})", *([", ".join(links)] if links else [])])


def _target(path: Path, place: Path) -> str:
    return markup.target(os.path.relpath(path, place))


def write_results_page(studies: Sequence[Path], results: Path, output: Path) -> None:
    """Write `results_page`."""
    atomic_write_text(output, results_page(studies, results, output.parent))
