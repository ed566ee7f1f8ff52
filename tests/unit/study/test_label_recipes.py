"""A plan tells which finished trainings had other labels than the study now asks for."""

import json

import pytest
import yaml

from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.label_recipes import map_networks
from simformer.study.plan import make_plan

SINGLE = {"pairing": {"mode": "none"}, "loss": {"sim": 0, "alpha": 0}}
METHODS = {
    "weak": {"label": "W"},
    "other": {"label": "V", "inherits": "weak"},
    "again": {"label": "A", "settings": SINGLE, "labels": "pseudo", "teacher": "weak", "pseudo": {"rule": "common"}},
    "walk": {"label": "C", "settings": SINGLE, "labels": "maps", "maps": {"expansion": "irn"}},
    "walked": {"label": "R", "settings": SINGLE, "labels": "maps", "maps": {"expansion": "retab"}},
    "rounds": {"label": "T", "settings": SINGLE, "labels": "maps", "maps": {"response": "conta"}},
}


@pytest.fixture
def study(tmp_path):
    """Return a function that resolves the study, with changes of methods and of the dataset's baselines."""

    def resolve(baselines=None, **changes) -> Catalogue:
        files = {f"methods/{name}": content | changes.get(name, {}) for name, content in METHODS.items()}
        files["datasets/toys"] = {"title": "Toys", "source": {"kind": "scenes"}, "baselines": baselines or {}}
        files["experiments/all"] = {"title": "All", "methods": list(METHODS)}
        for name, content in files.items():
            path = tmp_path / "config" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(content))
        study = {
            "results": str(tmp_path / "results"),
            "data": str(tmp_path / "data"),
            "datasets": {"toys": {"splits": {1: {"novel": ["sea"]}}}},
            "experiments": ["all"],
            "seeds": [0],
        }
        return Catalogue(study, "study.yaml", tmp_path / "config")

    return resolve


@pytest.fixture
def trained(study):
    """All trainings of the study and the networks behind its maps, as finished ones leave them."""
    catalogue = study()
    plan = make_plan(catalogue)
    for training in plan.trainings:
        labels = {"again": "../../weak/seed0/pseudo_common0.1", "weak": "../../masked", "other": "../../masked"}
        record = {"hash": catalogue.run(*training.cell).hash, "device": "cpu"}
        name = training.cell[2]
        (training.folder / "mixed").mkdir(parents=True)
        (training.folder / "model.safetensors").touch()
        (training.folder / "train.json").write_text(json.dumps(record | {"labels": labels.get(name, "mixed")}))
        if name in ("walk", "walked", "rounds"):
            (training.folder / "mixed/facts.json").write_text('{"gamma": 0.1}')
    for network in map_networks(catalogue, [training.cell for training in plan.trainings]):
        network.path.parent.mkdir(parents=True)
        network.path.touch()
        spec = catalogue.network(network.dataset, network.kind, network.seed, network.response)
        network.path.with_name("train.json").write_text(json.dumps({"hash": spec.hash, "device": "cpu"}))
    return plan


def changed(catalogue) -> set[str]:
    return {t.cell[2] for t in make_plan(catalogue).trainings if t.status != "done"}


def networks_to_do(catalogue) -> set[str]:
    return {path.parent.name for path, done in make_plan(catalogue).map_networks.items() if not done}


def test_nothing_is_changed_if_the_study_is_not(study, trained):
    assert changed(study()) == set() and networks_to_do(study()) == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"again": {"pseudo": {"rule": "common", "gamma": 0.7}}}, {"again"}),
        ({"again": {"pseudo": {"rule": "released"}}}, {"again"}),
        ({"again": {"teacher": "other"}}, {"again"}),
        ({"walk": {"maps": {"expansion": "irn", "gamma": 0.5}}}, {"walk"}),
        ({"baselines": {"classifier": {"lr": 0.5}}}, {"walk", "walked", "rounds"}),
        ({"baselines": {"retab_affinity": {"lr": 0.5}}}, {"walked"}),
        ({"baselines": {"segmentation": {"epochs": 3}}}, {"rounds"}),
        ({"baselines": {"irn": {"epochs": 2}}}, {"walk", "rounds"}),
    ],
)
def test_trainings_with_other_labels_are_changed(changes, expected, study, trained):
    assert changed(study(**changes)) == expected


def test_networks_of_other_settings_are_to_do(study, trained):
    found = make_plan(study(baselines={"retab_boundary": {"lr": 0.5}})).map_networks
    assert [path.parent.name for path, done in found.items() if not done] == ["boundary"]


def test_what_an_older_record_does_not_tell_is_not_compared(study, trained):
    (training,) = (t for t in trained.trainings if t.cell[2] == "again")
    record = json.loads((training.folder / "train.json").read_text())
    del record["labels"]
    (training.folder / "train.json").write_text(json.dumps(record))
    assert changed(study(again={"pseudo": {"rule": "released"}})) == set()


def test_a_damaged_record_of_mixed_labels_is_named(study, trained):
    (training,) = (t for t in trained.trainings if t.cell[2] == "walk")
    (training.folder / "mixed/facts.json").write_text("{")
    with pytest.raises(UserError, match=r"mixed/facts\.json"):
        make_plan(study())
