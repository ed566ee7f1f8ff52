"""Copies of a study's tables and pictures for docs/results, which git keeps; results/ itself is never kept.

Snakemake makes nothing whose file is there already, so a table in results/ of a fresh clone would look finished.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from simformer.atomic import atomic_write_bytes
from simformer.errors import UserError
from simformer.study.files import TAKEN
from simformer.text.to_make import to_make

PAGES = TAKEN["experiment"]
"""Tables that are no experiments."""
ABOUT_TABLES = ("intervals", "t_test", "label_quality", "diagnostics", "per_class")
"""Folders of what is made from all runs of a table, in files of its name."""
FOLDERS = ("", *ABOUT_TABLES[:4])
"""Those whose tables are kept."""
LEFT_OUT = ("retab_checks", "stage_costs")
"""Tables that are not: RETAB's claims are among `baseline_checks`, and times are those of one machine."""
PICTURES = (
    "figures/fig[367].png",
    "figures/fig4*.png",
    "*/split*/maps.png",
    "gallery/screenshots/similarity.png",
    "report/tables.png",
)
"""What README and docs/results.md show, as patterns below the folder of a study's results."""
WIDTH = 1000
"""Of a kept picture at most, pixels."""
ROUNDS = 3
"""Of k-means, which makes the colours of an octree fit photographs; a median cut loses classes that fill little."""


def page_picture(content: bytes) -> bytes:
    """Return a PNG as a page needs it: at most WIDTH pixels wide and of 256 colours, a tenth of the bytes."""
    with Image.open(io.BytesIO(content)) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((WIDTH, picture.height))
    buffer = io.BytesIO()
    picture.quantize(256, Image.Quantize.FASTOCTREE, ROUNDS, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()


def kept_name(study: Path, results: Path) -> str:
    """Return the name by which a study's results are kept.

    It is that of the study, or, where it adds to the results of another study, whose file is named like their folder
    (demo_plus.yaml to the demo's), the name of that one.
    """
    return results.name if study.with_stem(results.name).exists() else study.stem


def keep_results(study: Path, results: Path, kept: Path, example: str = "table1") -> list[Path]:
    """Copy the small files that README and docs show; what was kept before and is not there now stays.

    Args:
        study: the study file; `kept_name` says by which name its results are kept.
        results: folder of the study's results.
        kept: folder of all kept results, e.g. docs/results.
        example: a table that the study has, for messages.
    Returns: the copies that are new or changed.
    Raises: UserError if there is no table.
    """
    tables = [
        path
        for folder in FOLDERS
        for csv in results.joinpath(folder).glob("*.csv")
        for path in (csv, csv.with_suffix(".md"))
        if csv.stem not in LEFT_OUT and path.exists()
    ]
    if not tables:
        made = to_make(results / f"{example}.csv", [study])
        raise UserError(f"{results}: no tables to keep; make some first, e.g. `{made}`")
    name, changed = kept_name(study, results), []
    for path in sorted([*tables, *(path for pattern in PICTURES for path in results.glob(pattern))]):
        copy, content = kept / name / path.relative_to(results), path.read_bytes()
        content = page_picture(content) if path.suffix == ".png" else content
        if not copy.exists() or copy.read_bytes() != content:
            atomic_write_bytes(copy, content)
            changed.append(copy)
    return changed
