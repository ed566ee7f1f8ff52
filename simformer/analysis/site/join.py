"""The gallery site as a whole: its page, and the list of what datasets, splits and methods it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from simformer.analysis.site.assets import write_script
from simformer.atomic import atomic_write_bytes
from simformer.data.splits import Split
from simformer.errors import UserError


def write_site(title: str, views: Sequence[Mapping[str, Any]], output: Path) -> None:
    """Write the page, its scripts and style, and `contents.js`.

    Args:
        title: of the page.
        views: one per dataset and split: `dataset`, `title`, `split`, `groups` (path of its split.yaml) and `methods`,
            a list of `method`, `label` and `folder` (below the site, with `predictions.js`).
        output: `index.html`.
    Raises: UserError for a site without a view, in which there is nothing to look at.
    """
    if not views:
        raise UserError(
            f"{output}: no method of the study's first table has a model to show; "
            "name a table with a training first in `experiments`"
        )
    content = [
        {key: view[key] for key in ("dataset", "title", "split", "methods")}
        | {"novel": Split.load(Path(view["groups"])).novel}
        for view in views
    ]
    write_script(output.parent / "contents.js", {"title": title, "views": content})
    for file in sorted(files("simformer.analysis.site").joinpath("static").iterdir(), key=lambda file: file.name):
        atomic_write_bytes(output.parent / file.name, file.read_bytes(), durable=False)
