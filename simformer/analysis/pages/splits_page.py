"""docs/splits.md: the pinned splits, read from the files that the pipeline uses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from simformer.analysis import markup
from simformer.atomic import atomic_write_text
from simformer.data.splits import read_pinned
from simformer.errors import UserError

HEAD = """# Pinned splits

Generated from `config/splits/` by `snakemake --cores 1 docs/splits.md`; do not edit.

Splits 1 to 4 of both datasets are the paper's. About a quarter of their classes are novel (3:1). Splits 4 to 9 of
COCO-Stuff-10K serve Table 6: each has the novel classes of the split before it and some more, so that 25 to 50 % of the
classes are novel.

To add a split, write one line under a dataset's `splits` in the study, for example `10: {seed: 7, ratio: [3, 1]}`. Its
novel classes are drawn at random with that seed, and `results/<dataset>/split10/split.yaml` lists them.
"""


def write_splits_page(files: Sequence[Path], class_counts: dict[str, int], output: Path) -> None:
    """Write the page: per dataset a table of all splits, then the novel classes of each.

    Args:
        files: pinned split files, `<dataset>/split<k>.yaml`.
        class_counts: K by dataset.
        output: the page.
    Raises: UserError if a file has another name, or is of a dataset without a K.
    """
    datasets: dict[str, dict[int, dict[int, str]]] = {}
    for path in files:
        dataset, number = path.parent.name, re.fullmatch(r"split(\d+)", path.stem)
        if number is None or dataset not in class_counts:
            known = ", ".join(class_counts)
            raise UserError(f"{path}: expected <dataset>/split<k>.yaml of a dataset whose classes are counted: {known}")
        datasets.setdefault(dataset, {})[int(number[1])] = read_pinned(path)
    parts = [HEAD]
    for dataset, splits in sorted(datasets.items()):
        parts.append(_dataset(dataset, dict(sorted(splits.items())), class_counts[dataset]))
    atomic_write_text(output, "\n".join(parts))


def _dataset(dataset: str, splits: dict[int, dict[int, str]], count: int) -> str:
    lines = [
        f"## {markup.name(dataset)}: {count} classes",
        "",
        "The columns on the right say how many novel classes a split shares with each other split.",
        "",
    ]
    lines.append(f"| split | base | novel | novel share | {' | '.join(f'in {number}' for number in splits)} |")
    lines.append("|" + "---:|" * (4 + len(splits)))
    for number, novel in splits.items():
        shared = " | ".join(str(len(novel.keys() & other.keys())) for other in splits.values())
        lines.append(f"| {number} | {count - len(novel)} | {len(novel)} | {len(novel) / count:.1%} | {shared} |")
    for number, novel in splits.items():
        lines += [
            "",
            f"**Split {number}**, novel: {'; '.join(f'{markup.name(name)} ({k})' for k, name in novel.items())}.",
        ]
    return "\n".join(lines) + "\n"
