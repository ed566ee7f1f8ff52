"""Initial backbone weights of a study: which there are, where each comes from, and which are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from simformer.config.fields import NO_FILES
from simformer.config.paths import own_file
from simformer.config.settings import ModelSettings
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue, Cell
from simformer.text.explain import origin


def initial_weights(catalogue: Catalogue, cells: Iterable[Cell]) -> list[tuple[str, str, str]]:
    """Return dataset, backbone and source of the initial weights of some trainings, each once."""
    models = ((cell[0], catalogue.run(*cell).settings.model) for cell in cells)
    return list(dict.fromkeys((dataset, model.backbone, model.weights) for dataset, model in models))


def weights_file(catalogue: Catalogue, dataset: str, backbone: str) -> Path:
    """Return where checked initial weights are kept."""
    return Path(catalogue.study.data, "weights", f"{dataset}.{backbone}.safetensors")


def weights_key(catalogue: Catalogue, cells: Iterable[Cell], dataset: str, backbone: str, source: str) -> str:
    """Return the file and the key that name the initial weights of some trainings, one of `initial_weights`."""
    cell = next(cell for cell in cells if initial_weights(catalogue, [cell]) == [(dataset, backbone, source)])
    return f"{origin(catalogue.layers(*cell[:3]), ('model', 'weights'))}: settings.model.weights"


def absent_weights(catalogue: Catalogue, cells: Iterable[Cell]) -> Iterator[str]:
    """Yield a line for each file of initial weights that is to be read and is not there."""
    cells = list(cells)
    for dataset, backbone, source in initial_weights(catalogue, cells):
        if source not in NO_FILES and not weights_file(catalogue, dataset, backbone).exists():
            try:
                own_file(source, weights_key(catalogue, cells, dataset, backbone, source))
            except UserError as error:
                yield str(error)


def weights_of_backbone(catalogue: Catalogue, dataset: str, backbone: str) -> ModelSettings:
    """Return the settings that name a backbone's initial weights on a dataset: the dataset's, or those of methods.

    Raises: UserError if two of them name different weights, which would have the same file, or none has the backbone.
    """
    named = {"the dataset": catalogue.model(dataset)}
    for path in sorted((catalogue.root / "methods").glob("*.yaml")):
        named[f"method '{path.stem}'"] = catalogue.model(dataset, path.stem)
    named = {who: model for who, model in named.items() if model.backbone == backbone and model.weights != "none"}
    if not named:
        raise UserError(f"{catalogue.source}: neither {dataset} nor a method has initial weights of '{backbone}'")
    (first, chosen), *others = named.items()
    for who, model in others:
        if (model.weights, model.weights_sha256) != (chosen.weights, chosen.weights_sha256):
            raise UserError(
                f"{catalogue.root / 'methods'}: on {dataset}, {first} and {who} start '{backbone}' from different "
                f"weights, '{chosen.weights}' and '{model.weights}' (or another weights_sha256); give them the same"
            )
    return chosen
