"""Copies of a study's tables and pictures for docs/results, which git keeps; results/ itself is never kept.

Snakemake makes nothing whose file is there already, so a table in results/ of a fresh clone would look finished.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from simformer.atomic import atomic_write_bytes
from simformer.errors import UserError, to_make

PAGES = ("baseline_checks", "retab_checks", "stage_costs")
"""Tables that are no experiments."""
ABOUT_TABLES = ("intervals", "t_test", "label_quality", "per_class")
"""Folders of what is made from all runs of a table, in files of its name."""
TABLES = tuple(f"{folder}*.{kind}" for folder in ("", *(f"{name}/" for name in ABOUT_TABLES)) for kind in ("csv", "md"))
PICTURES = ("figures/*.png", "*/split*/gallery.*.png", "*/split*/curves.*.png", "*/split*/maps.png",
            "*/split*/retab.seed*.png", "gallery/screenshots/*.png", "report/*.png")  # fmt: skip
"""Patterns below the folder of a study's results."""
WIDTH = 1600
"""Of a kept picture at most, pixels."""
ROUNDS = 3
"""Of k-means, which makes the colours of an octree fit photographs; a median cut loses classes that fill little."""


def page_picture(content: bytes) -> bytes:
    """Return a PNG as a page needs it: at most WIDTH pixels wide and of 256 colours, a tenth of the bytes."""
    with Image.open(io.BytesIO(content)) as picture:
        picture = picture.convert("RGB")
    picture.thumbnail((WIDTH, picture.height))
    buffer = io.BytesIO()
    picture.quantize(256, Image.Quantize.FASTOCTREE, ROUNDS, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()


def keep_results(results: Path, kept: Path) -> list[Path]:
    """Copy the small files that tables and pages show; what was kept before and is not there now stays.

    Args:
        results: folder of a study's results.
        kept: folder of all kept results, e.g. docs/results; the copies lie in its folder of the same name.
    Returns: the copies that are new or changed.
    Raises: UserError if there is no table.
    """
    found = sorted({path for pattern in (*TABLES, *PICTURES) for path in results.glob(pattern)})
    if not any(path.suffix == ".md" for path in found):
        raise UserError(f"{results}: no tables to keep; make some first, e.g. `{to_make(results / 'table1.csv')}`")
    changed = []
    for path in found:
        copy, content = kept / results.name / path.relative_to(results), path.read_bytes()
        content = page_picture(content) if path.suffix == ".png" else content
        if not copy.exists() or copy.read_bytes() != content:
            atomic_write_bytes(copy, content)
            changed.append(copy)
    return changed
