"""Which runs, images and settings the figures of test images show, and the gallery site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simformer.study.catalogue import Cell
from simformer.study.runs import Runs

Specification = dict[str, Any]


def figure(runs: Runs, name: str) -> Specification:
    """Return what a figure of the configuration shows: title, images, its methods and the hashes of their runs."""
    content = runs.catalogue.figure(name).model_dump(mode="json", include={"title", "images", "count", "pixel"})
    return content | _models(runs, figure_cells(runs, name))


def figure_cells(runs: Runs, name: str) -> list[Cell]:
    """Return the runs whose models a figure shows."""
    found = runs.catalogue.figure(name)
    return [(str(found.dataset), f"split{found.split}", method, int(found.seed or 0)) for method in found.methods]


def gallery(runs: Runs, experiment: str, dataset: str, split: str) -> Specification:
    """Return what a gallery shows: six test images, with the predictions of all methods of an experiment."""
    content = {"title": runs.catalogue.experiment(experiment).title, "images": [], "count": 6, "pixel": None}
    return content | _models(runs, gallery_cells(runs, experiment, dataset, split))


def gallery_cells(runs: Runs, experiment: str, dataset: str, split: str) -> list[Cell]:
    """Return the runs of an experiment's methods in one split, of its first seed, as far as they have a model.

    Raises: UserError if none has one.
    """
    seed = first_seed(runs, experiment)
    methods = runs.catalogue.experiment(experiment).methods
    return runs.with_model(experiment, [(dataset, split, method, seed) for method in methods])


def first_seed(runs: Runs, experiment: str) -> int:
    """Return the first seed of an experiment."""
    return (runs.catalogue.experiment(experiment).seeds or runs.catalogue.study.seeds)[0]


def site(runs: Runs) -> Specification:
    """Return what `write_site` takes: a title, and a view per dataset and split."""
    views: dict[tuple[str, str], Specification] = {}
    for cell in site_cells(runs):
        dataset, split, method, _ = cell
        place = {"dataset": dataset, "split": split, "title": runs.catalogue.datasets[dataset].title}
        place["groups"] = runs.split_file("split.yaml", dataset, split)
        view = views.setdefault((dataset, split), place | {"methods": []})
        label = runs.catalogue.method(method).label
        view["methods"].append({"method": method, "label": label, "folder": site_folder(runs, cell)})
    return {"title": f"SimFormer gallery: {Path(runs.catalogue.study.results).name}", "views": list(views.values())}


def site_cells(runs: Runs) -> list[Cell]:
    """Return what the site shows: the models of the study's first experiment, of its first seed."""
    name = runs.catalogue.study.experiments[0]
    cells = runs.catalogue.cells(name)
    return [cell for cell in cells if cell[3] == first_seed(runs, name) and runs.is_trained(cell)]


def site_folder(runs: Runs, cell: Cell) -> str:
    """Return the folder, within the site, of the predictions of the model that a cell uses."""
    dataset, split, method, seed = cell
    return f"{dataset}/{runs.catalogue.trained_split(split, method)}/{method}/seed{seed}"


def site_files(runs: Runs) -> list[str]:
    """Return what the site is joined from: images of datasets, predictions of models, base and novel classes."""
    cells = site_cells(runs)
    images = [runs.files.site(f"{cell[0]}/images.js") for cell in cells]
    predictions = [runs.files.site(f"{site_folder(runs, cell)}/predictions.js") for cell in cells]
    return list(dict.fromkeys([*images, *predictions, *(runs.split_file("split.yaml", *cell[:2]) for cell in cells)]))


def _models(runs: Runs, cells: list[Cell]) -> Specification:
    labels = [runs.catalogue.method(method).label for _, _, method, _ in cells]
    return {"labels": labels, "hashes": [runs.run(cell).hash for cell in cells]}
