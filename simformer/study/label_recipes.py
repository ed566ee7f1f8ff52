"""How the labels of a training are made, as the study says it, and whether a finished training had such labels."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simformer.baselines.conta.rounds import ROUNDS, networks_behind
from simformer.baselines.responses import EXPANSIONS, RESPONSES, WALKS
from simformer.study.catalogue import FULL_SPLIT, Catalogue, Cell
from simformer.study.runs import Runs
from simformer.text.strict_json import NUMBER, read_generated
from simformer.training.record import read_record


@dataclass(frozen=True)
class MapNetwork:
    """A network behind class maps: its file, and the arguments of `Catalogue.network` that resolve its training."""

    path: Path
    dataset: str
    kind: str
    seed: int
    response: str = "classifier"

    def changed(self, catalogue: Catalogue) -> bool:
        """Return whether it is there with other settings; a file without a record counts as the study's."""
        record = self.path.with_name("train.json")
        if not (self.path.exists() and record.exists()):
            return False
        now = catalogue.network(self.dataset, self.kind, self.seed, self.response)
        return bool(read_record(record)["hash"] != now.hash)


def map_networks(catalogue: Catalogue, cells: Iterable[Cell]) -> list[MapNetwork]:
    """List the networks behind the class maps of some trainings, each once."""
    found: list[MapNetwork] = []
    for dataset, split, method, seed in cells:
        if not (maps := catalogue.method(method).maps):
            continue
        response, seed = catalogue.response(dataset, maps.response), seed if maps.seed is None else maps.seed
        results = Path(catalogue.study.results, dataset)
        networks = networks_behind(response) + ([(response, maps.expansion)] if maps.expansion in WALKS else [])
        for name, *stage in networks:
            path = results.joinpath(FULL_SPLIT, "maps", name, f"seed{seed}", *stage, "network.safetensors")
            kind = stage[0] if stage else "conta" if name in ROUNDS else RESPONSES[name].section
            found.append(MapNetwork(path, dataset, kind, seed, name))
        if EXPANSIONS[maps.expansion].base_masks:
            retab = results / split / "retab" / f"seed{seed}"
            affinity = retab / f"{response}{maps.cleaned}" / "affinity"
            found.append(MapNetwork(retab / "boundary/network.safetensors", dataset, "retab_boundary", seed))
            found.append(MapNetwork(affinity / "network.safetensors", dataset, "retab_affinity", seed, response))
    return list(dict.fromkeys(found))


def has_other_labels(catalogue: Catalogue, cell: Cell, folder: Path, record: dict[str, Any]) -> bool:
    """Return whether a finished training had labels of another teacher, rule, gamma or network than the study's.

    What a record of an older version does not tell, or is no longer there, is not compared. Nor are the steps between
    a network and the mixed labels, such as walks; Snakemake compares those.

    Args:
        folder: its run directory.
        record: its train.json.
    """
    method = catalogue.method(cell[2])
    if method.teacher is not None:
        labels = Path(Runs(catalogue).labels(cell)).parent
        return bool(record.get("labels", now := os.path.relpath(labels, folder)) != now)
    if method.maps is None:
        return False
    facts = folder / "mixed" / "facts.json"
    if facts.exists():
        gamma = read_generated(facts, "record of mixed labels", {"gamma": NUMBER})["gamma"]
        if gamma != method.maps.gamma:
            return True
    return any(network.changed(catalogue) for network in map_networks(catalogue, [cell]))
