"""The class maps that are compared, drawn and measured, and the files of claims about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simformer.baselines.conta.rounds import FAMILIES, FIRST, Round
from simformer.baselines.responses import COMPARED, EXPANSIONS, WALKS
from simformer.study.catalogue import Cell
from simformer.study.runs import CELL, Runs

CHECKED = ("maps", "seam", "conta", "cpn", "rib", "retab")
"""What has claims: a rule check_<name> writes checks/<name>.seed<s>.json for every split."""


@dataclass(frozen=True)
class Arm:
    """Class maps that are compared with others, as `read_arms` takes them."""

    name: str
    start: str
    maps: str
    gamma: float
    kind: str | None = None
    walk: dict[str, Any] | None = None


@dataclass(frozen=True)
class ClaimFile:
    """One file of claims."""

    dataset: str
    split: str
    seed: int
    path: str


def mixed_maps(runs: Runs, cell: Cell) -> str:
    """Return the maps that label the novel pixels of a method."""
    maps = runs.catalogue.method(cell[2]).mixed_maps
    place = dict(zip(CELL, cell, strict=True)) | ({} if maps.seed is None else {"seed": maps.seed})
    response = runs.catalogue.response(cell[0], maps.response)
    if EXPANSIONS[maps.expansion].base_masks:
        walk = "anchored" if maps.anchored else "walked"
        return runs.files.retab(f"{response}{maps.cleaned}/{walk}/maps.json").format(**place)
    stage = "cam" if maps.expansion == "none" else maps.expansion
    return runs.files.maps(f"{stage}/maps.json", response).format(**place)


def map_arms(runs: Runs, dataset: str, split: str, seed: int | None = None) -> list[Arm]:
    """Return the maps that are compared: of every response, then as it is expanded; of the study's first seed."""
    seed = runs.catalogue.study.seeds[0] if seed is None else seed
    runs.require(dataset, split)
    arms: dict[str, Arm] = {}
    for method in COMPARED:
        maps = runs.catalogue.method(method).mixed_maps
        folder = runs.catalogue.response(dataset, maps.response)
        start = runs.files.maps("cam/maps.json", folder).format(dataset=dataset, seed=seed)
        arms.setdefault(maps.response, Arm(maps.response, maps.response, start, maps.gamma))
        if maps.expansion != "none":
            name = f"{maps.response}+{maps.expansion}"
            kind: str | None = None
            walk: dict[str, Any] | None = None
            if maps.expansion in WALKS:
                settings = getattr(runs.catalogue.baselines(dataset, maps.response), f"{maps.expansion}_walk")
                kind, walk = maps.expansion, settings.model_dump(mode="json")
            expanded = mixed_maps(runs, (dataset, split, method, seed))
            arms[name] = Arm(name, maps.response, expanded, maps.gamma, kind, walk)
    return list(arms.values())


def last_round(runs: Runs, dataset: str) -> Round:
    """Return CONTA's last round on a dataset."""
    return runs.catalogue.round(dataset, runs.catalogue.response(dataset, FAMILIES[0]))


def conta_arms(runs: Runs, dataset: str, seed: int) -> dict[str, Any]:
    """Return rounds 0 to T, the last round of each control by its context, and the maps of all, by stage."""
    runs.require(dataset)
    last = last_round(runs, dataset)
    rounds = [FIRST, *(Round(last.family, number).response for number in range(1, last.number + 1))]
    controls = {
        runs.catalogue.baselines(dataset, name).conta.context: runs.catalogue.response(dataset, name)
        for name in FAMILIES[1:]
    }
    maps = {
        name: {
            stage: runs.files.maps(f"{stage}/maps.json", name).format(dataset=dataset, seed=seed)
            for stage in ("cam", "irn")
        }
        for name in [*rounds, *controls.values()]
    }
    return {"rounds": rounds, "controls": controls, "maps": maps}


def measured_places(runs: Runs) -> list[tuple[str, str]]:
    """Return the splits whose class maps are measured: of every dataset the first, or all."""
    study = runs.catalogue.study
    last = {"first": 1, "all": None}[study.check_splits]
    return [(name, f"split{number}") for name, mine in study.datasets.items() for number in list(mine.splits)[:last]]


def claim_files(runs: Runs, checks: Sequence[str] = CHECKED) -> list[ClaimFile]:
    """Return the files of claims of the study."""
    return [
        ClaimFile(dataset, split, seed, runs.split_file(f"checks/{name}.seed{seed}.json", dataset, split))
        for dataset, split in measured_places(runs)
        for name in checks
        for seed in runs.catalogue.study.seeds
    ]
