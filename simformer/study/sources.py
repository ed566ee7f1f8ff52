"""The user's own datasets and predictions: which key of which file names each, and which are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from simformer.config.paths import own_file
from simformer.config.sources import archives
from simformer.data.identity import OtherRun
from simformer.errors import UserError
from simformer.metrics import read_shard, scored_predictions
from simformer.study.catalogue import Catalogue, Cell
from simformer.study.runs import Runs


def own_sources(catalogue: Catalogue, dataset: str) -> dict[str, str]:
    """Return the paths of a dataset's source as they are written, by file and key, e.g. `mine.yaml: source.path`."""
    source, changed = catalogue.datasets[dataset].source, catalogue.study.datasets[dataset].source
    named = {"path": source.path} if source.kind == "folder" else {}
    for name, archive in archives(source).items():
        if archive.path is not None:
            named[f"{name}.path"] = archive.path
    files = str(catalogue.root / "datasets" / f"{dataset}.yaml"), f"{catalogue.source}: datasets.{dataset}"
    keys = {key: any(key.startswith(own) for own in changed) for key in named}
    return {f"{files[keys[key]]}{'.' if keys[key] else ': '}source.{key}": text for key, text in named.items()}


def absent_sources(catalogue: Catalogue, datasets: Iterable[str]) -> Iterator[str]:
    """Yield a line for each source of a dataset that is to be prepared, and is not there."""
    for dataset in datasets:
        if not Path(catalogue.study.data, dataset, "index.json").exists():
            for where, text in own_sources(catalogue, dataset).items():
                try:
                    own_file(text, where)
                except UserError as error:
                    yield str(error)


def absent_predictions(catalogue: Catalogue, experiments: Iterable[str]) -> Iterator[str]:
    """Yield a line for each method of another program whose predictions are not there: the first folder of them."""
    told = set()
    runs = Runs(catalogue)
    for cell in (cell for name in experiments for cell in catalogue.cells(name) if not runs.is_trained(cell)):
        try:
            own_file(runs.predictions(cell), f"{catalogue.root / 'methods' / cell[2]}.yaml: predictions")
        except UserError as error:
            if cell[2] not in told:
                yield str(error)
            told.add(cell[2])


def scored_folder(runs: Runs, dataset: str, split: str, method: str, seed: int, shard: str) -> list[str]:
    """Return the folder of another program's predictions, as the input of the job that scores a shard of them.

    Snakemake leaves an output alone whose input is missing. This is right for scores of a folder that was removed
    later, and wrong if the study names another folder now. Such a folder is no input until it is there, so that the
    job runs and says what is missing.
    """
    cell = dataset, split, method, seed
    folder, scores = runs.predictions(cell), Path(runs.file(f"evaluation/{shard}.npz", cell))
    if Path(folder).exists() or not scores.exists():
        return [folder]
    try:
        return [folder] if read_shard(scores).predictions == folder else []
    except UserError:
        return []


def require_predictions(runs: Runs, cell: Cell, numbers: Path) -> None:
    """Raise UserError if a file of numbers scores other predictions of another program than the study names.

    Args:
        runs: of the study.
        cell: of a method of another program's predictions.
        numbers: its metrics.json, or a shard of its evaluation.
    """
    named = runs.predictions(cell)
    found = read_shard(numbers).predictions if numbers.suffix == ".npz" else scored_predictions(numbers)
    if found != named:
        where = f"{runs.catalogue.root / 'methods' / cell[2]}.yaml: predictions"
        raise OtherRun(
            f"{numbers}: scores {found or 'predictions of an older version, which did not say where they were'}, but "
            f"{where} names {named}; run snakemake again, or name the folder that was scored"
        )
