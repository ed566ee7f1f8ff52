"""The list of trainings behind a study, and what of it is already there."""

import json
from pathlib import Path

import pytest
import yaml

from simformer.plan import describe, trainings
from simformer.study import Catalogue

SINGLE = {"loss": {"alpha": 0, "beta": 0, "sim": 0}, "pairing": {"mode": "none"}}
FILES = {
    "datasets/toys": {"title": "Toys", "source": {"kind": "scenes"}, "settings": {"optim": {"steps": 5}}},
    "methods/weak": {"label": "W"},
    "methods/oracle": {"label": "O", "labels": "full", "settings": SINGLE},
    "methods/again": {"label": "A", "inherits": "oracle", "labels": "pseudo", "teacher": "weak"},
    "experiments/one": {"title": "1", "methods": ["again", "oracle"]},
    "experiments/two": {"title": "2", "methods": ["oracle", "weak"]},
}


@pytest.fixture
def catalogue(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / "config" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    splits = {1: {"novel": ["sea"]}, 2: {"novel": ["star"]}}
    study = {"datasets": {"toys": {"splits": splits}}, "experiments": ["one", "two"], "seeds": [0, 7]}
    return Catalogue(study, "study.yaml", tmp_path / "config")


def test_each_training_is_listed_once_teachers_first_and_oracles_shared(catalogue):
    places = trainings(catalogue)
    assert len(places) == len(set(places)) == 2 * (2 + 2) + 2
    assert {p for p in places if p[2] == "oracle"} == {("toys", "full", "oracle", 0), ("toys", "full", "oracle", 7)}
    for split in ("split1", "split2"):
        for seed in (0, 7):
            assert places.index(("toys", split, "weak", seed)) < places.index(("toys", split, "again", seed))


def test_the_plan_tells_finished_changed_interrupted_and_missing_trainings(catalogue, tmp_path):
    def folder(place) -> Path:
        return tmp_path.joinpath(*map(str, place))

    def finish(place, config_hash):
        folder(place).mkdir(parents=True)
        (folder(place) / "model.safetensors").touch()
        (folder(place) / "train.json").write_text(json.dumps({"hash": config_hash}))

    done, changed, interrupted = trainings(catalogue)[:3]
    finish(done, catalogue.run(*done).hash)
    finish(changed, "0" * 16)
    (folder(interrupted) / "state").mkdir(parents=True)
    (folder(interrupted) / "state" / "state.pt").touch()
    head, *lines = describe(catalogue, folder).splitlines()
    assert head == "study.yaml: 10 trainings, 1 done, 9 to do"
    assert [line[:14].strip() for line in lines] == ["done", "changed", "interrupted", *["to do"] * 7]
    assert lines[0].split()[1:3] == ["5", "steps"]
    assert lines[0].endswith(str(folder(done)))


def test_new_settings_do_not_make_an_old_model_look_finished(catalogue, tmp_path):
    place = trainings(catalogue)[0]
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "train.json").write_text(json.dumps({"hash": "0" * 16}))
    catalogue.run(*place).save(tmp_path / "config.yaml")
    assert "1 done" not in describe(catalogue, lambda _: tmp_path).splitlines()[0]
    assert all(line.split()[0] == "changed" for line in describe(catalogue, lambda _: tmp_path).splitlines()[1:])
