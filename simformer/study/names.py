"""Names in the configuration: each must be that of a file, and no two rows may be called the same."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from simformer.errors import UserError, did_you_mean


def require_file(root: Path, folder: str, name: str, by: str) -> None:
    """Raise UserError unless the configuration has a file of some name.

    Args:
        root: folder of the configuration.
        folder: of the files: datasets, methods, experiments or figures.
        name: as it is written.
        by: file and key that name it, for the message.
    """
    path = root / folder / f"{name}.yaml"
    if path.exists() or path.is_symlink():
        return
    if (other := path.with_suffix(".yml")).exists():
        hint = f"; rename {other} to {path.name}"
    else:
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        hint = did_you_mean(name, known) or f"; the files in {path.parent} are what can be named"
    raise UserError(f"{by}: no {folder.removesuffix('s')} '{name}' (there is no {path}){hint}")


def refuse_misspelt_dataset(root: Path, name: str, path: Path) -> None:
    """Raise UserError if a table means a dataset but misspells it; one that is not there at all does not matter."""
    known = [file.stem for file in (root / "datasets").glob("*.yaml")]
    near = get_close_matches(name, known, n=1)
    if near and name not in known:
        raise UserError(f"{path}: unknown dataset '{name}'; did you mean '{near[0]}'?")


def require_distinct_labels(root: Path, path: Path, labels: Iterable[tuple[str, str]]) -> None:
    """Raise UserError if two rows or columns, given as method and label, would have the same name."""
    seen: dict[str, str] = {}
    for method, label in labels:
        if label in seen:
            raise UserError(
                f"{path}: '{seen[label]}' and '{method}' have the same label '{label}'; "
                f"change `label` in {root / 'methods' / method}.yaml"
            )
        seen[label] = method
