"""The list of trainings behind a study, and what of it is already there."""

import json
from pathlib import Path

import pytest
import yaml

from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.plan import make_plan, trainings
from simformer.study.speeds import Card
from tests.conftest import SINGLE

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
    study = {
        "results": str(tmp_path / "results"),
        "data": str(tmp_path / "data"),
        "datasets": {"toys": {"splits": splits}},
        "experiments": ["one", "two"],
        "seeds": [0, 7],
    }
    return Catalogue(study, "study.yaml", tmp_path / "config")


def finish(folder: Path, config_hash: str, **facts) -> None:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    (folder / "train.json").write_text(json.dumps({"hash": config_hash, "device": "cpu"} | facts))


def test_each_training_is_listed_once_teachers_first_and_oracles_shared(catalogue):
    places = trainings(catalogue, ["one", "two"])
    assert len(places) == len(set(places)) == 2 * (2 + 2) + 2
    assert {p for p in places if p[2] == "oracle"} == {("toys", "full", "oracle", 0), ("toys", "full", "oracle", 7)}
    for split in ("split1", "split2"):
        for seed in (0, 7):
            assert places.index(("toys", split, "weak", seed)) < places.index(("toys", split, "again", seed))


def test_the_plan_tells_finished_changed_interrupted_and_missing_trainings(catalogue):
    done, changed, interrupted, *_ = make_plan(catalogue).trainings
    finish(done.folder, catalogue.run(*done.cell).hash)
    finish(changed.folder, "0" * 16)
    (interrupted.folder / "state").mkdir(parents=True)
    (interrupted.folder / "state" / "state.pt").touch()
    head, *lines = make_plan(catalogue).text(gpu_here=True).splitlines()
    assert head == "study.yaml (one, two): 10 trainings, 1 done, 9 to do"
    assert [line[:14].strip() for line in lines[:10]] == ["done", "changed", "interrupted", *["to do"] * 7]
    assert lines[0].split()[1:3] == ["5", "steps"]


@pytest.mark.parametrize("content", ["{", "[]", '{"device": "cpu"}'])
def test_a_damaged_record_of_a_training_is_named(catalogue, content):
    folder = make_plan(catalogue).trainings[0].folder
    finish(folder, "0" * 16)
    (folder / "train.json").write_text(content)
    with pytest.raises(UserError, match=rf"^{folder}/train\.json: not a record of a training.*run snakemake again"):
        make_plan(catalogue)


def test_a_plan_of_some_experiments_holds_their_trainings_only(catalogue):
    assert {training.cell[2] for training in make_plan(catalogue, ["two"]).trainings} == {"oracle", "weak"}


def test_many_trainings_are_summed_up_by_method(catalogue, monkeypatch):
    monkeypatch.setattr("simformer.study.plan.SINGLE_LINES", 9)
    first = make_plan(catalogue).trainings[0]
    finish(first.folder, "0" * 16)
    lines = make_plan(catalogue).text(gpu_here=True).splitlines()
    rows = {line.split()[1]: line.split()[2:5] for line in lines if line.startswith("  toys ")}
    assert rows == {"weak": ["0", "4", "5"], "again": ["0", "4", "5"], "oracle": ["0", "2", "5"]}
    assert any("changed" in line and str(first.folder) in line for line in lines)


def test_what_splits_and_tables_share_is_counted_once(catalogue):
    plan = make_plan(catalogue)
    assert len(plan.trainings) == 10
    # Table one: 4 x (weak, again) and 4 oracles; table two: 4 oracles and 4 weak.
    assert len(plan.unshared) == 20
    assert "  whole grid: 10 trainings; without sharing between splits and tables: 20" in plan.text(True)
    for method, speed in (("weak", 1.0), ("again", 1.0), ("oracle", 0.5)):
        cell = next(training.cell for training in plan.trainings if training.cell[2] == method)
        folder = next(training.folder for training in plan.trainings if training.cell == cell)
        finish(folder, catalogue.run(*cell).hash, device="H", steps_per_second=speed / 3600)
    text = make_plan(catalogue).text(True)
    # 8 trainings of 5 hours and 2 of 10; alone 12 and 8.
    assert "10 trainings, 60.0 GPU-hours; without sharing between splits and tables: 20, 140.0 GPU-hours" in text


def test_what_was_not_measured_is_called_so(catalogue):
    plan = make_plan(catalogue)
    assert {(training.gpu, training.cpu) for training in plan.trainings} == {(None, None)}
    assert "  time on GPUs: not measured; a finished training" in plan.text(gpu_here=True)
    assert "  no GPU on this machine; time on its CPU: not measured" in plan.text(gpu_here=False)
    assert "no GPU" not in plan.text(gpu_here=True)


def test_a_finished_run_tells_the_speed_of_its_method_on_its_kind_of_device(catalogue):
    first = next(training for training in make_plan(catalogue).trainings if training.cell[2] == "oracle")
    finish(first.folder, catalogue.run(*first.cell).hash, steps_per_second=0.001)
    plan = make_plan(catalogue)
    for training in plan.trainings:
        assert training.gpu is None and (training.cpu is not None) == (training.cell[2] == "oracle")
        if training.cpu:
            assert training.cpu.hours == pytest.approx(5000 / 3600)
    assert "time on its CPU: 1.4 hours (trainings: 1 measured in this study on cpu; 8 not measured)" in plan.text(False)


def test_a_finished_run_on_several_gpus_tells_the_speed_of_one(catalogue):
    cell = next(training.cell for training in make_plan(catalogue).trainings if training.cell[2] == "oracle")
    folder = next(training.folder for training in make_plan(catalogue).trainings if training.cell == cell)
    finish(folder, catalogue.run(*cell).hash, device="H", processes=4, steps_per_second=8.0)
    (gpu,) = {training.gpu for training in make_plan(catalogue).trainings if training.cell[2] == "oracle"}
    assert gpu.source == "measured in this study on H" and gpu.hours == pytest.approx(5 / 2 / 3600)


def test_the_acceptance_check_of_a_card_tells_until_a_finished_run_does(catalogue, tmp_path, monkeypatch):
    changes = {"model": {"backbone": "resnet50"}, "augment": {"crop": 640}, "optim": {"steps": 3600}}
    toys = FILES["datasets/toys"] | {"settings": changes}
    (tmp_path / "config/datasets/toys.yaml").write_text(yaml.safe_dump(toys))
    study = Catalogue(catalogue.study.model_dump(mode="json"), "study.yaml", tmp_path / "config")
    optim = study.run(*trainings(study, ["two"])[0]).settings.optim
    step = {"seconds": 0.5, "images": optim.batch_images, "mode": optim.precision}
    card = Card("NVIDIA H100", "docs/results/gpu/h100.json", {"coco": {"simformer": step}})
    monkeypatch.setattr("simformer.study.plan.read_cards", lambda: (card,))
    plan = make_plan(study, ["two"])
    assert {(t.cell[2], t.gpu and t.gpu.hours, t.cpu) for t in plan.trainings} == {
        ("weak", 0.5, None),
        ("oracle", None, None),
    }
    told = "4 measured on NVIDIA H100 (docs/results/gpu/h100.json); 2 not measured"
    assert f"  time on GPUs: 2.0 GPU-hours (trainings: {told})" in plan.text(gpu_here=True)
    done = next(training for training in plan.trainings if training.cell[2] == "weak")
    finish(done.folder, study.run(*done.cell).hash, device="NVIDIA A100", steps_per_second=1.0)
    assert "3.0 GPU-hours (trainings: 3 measured in this study on NVIDIA A100" in make_plan(study, ["two"]).text(True)


def test_downloads_are_those_that_are_not_there_and_not_the_users_own(catalogue, tmp_path):
    toys = {"title": "Toys", "settings": {"model": {"weights": "none"}}}

    def downloads(**archive):
        (tmp_path / "config/datasets/toys.yaml").write_text(
            yaml.safe_dump(toys | {"source": {"kind": "ade20k", "archive": archive}})
        )
        split = {1: {"novel": ["sea"]}}
        study = catalogue.study.model_dump(mode="json") | {"datasets": {"toys": {"splits": split}}}
        return make_plan(Catalogue(study, "s", tmp_path / "config"))

    published = {"urls": ["http://localhost/a.zip"], "bytes": 2_000_000_000}
    assert downloads(**published).downloads == {"toys/archive": 2_000_000_000}
    assert "2.0 GB to download" in downloads(**published).text(True)
    assert "1 file of unknown size" in downloads(urls=["http://localhost/a.zip"]).text(True)
    assert downloads(**published, path="/mine.zip").downloads == {}
    fetched = tmp_path / "data/downloads/toys/archive"
    fetched.parent.mkdir(parents=True)
    fetched.touch()
    assert downloads(**published).downloads == {}


def test_initial_weights_that_are_published_are_downloads_until_they_are_there(catalogue, tmp_path):
    def plan(weights):
        toys = FILES["datasets/toys"] | {"settings": {"model": {"backbone": "resnet50", "weights": weights}}}
        (tmp_path / "config/datasets/toys.yaml").write_text(yaml.safe_dump(toys))
        return make_plan(Catalogue(catalogue.study.model_dump(mode="json"), "s", tmp_path / "config"))

    assert plan("imagenet").downloads == {"weights/toys.resnet50": None}
    assert "GB; 1 file of unknown size to download" in plan("imagenet").text(True)
    assert plan("none").downloads == {} and "GB; nothing to download" in plan("none").text(True)
    file = tmp_path / "data/weights/toys.resnet50.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    assert plan("imagenet").downloads == {}


def test_folders_that_cannot_be_written_are_problems(catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    assert [line for line in make_plan(catalogue).problems if "cannot be written" in line] == [
        f"study.yaml: {key}: {tmp_path} cannot be written; change its permissions, or name another folder in `{key}`"
        for key in ("results", "data")
    ]
    for folder in ("results", "data/toys"):
        (tmp_path / folder).mkdir(parents=True)
    assert not make_plan(catalogue).problems


def test_the_networks_behind_class_maps_are_counted_once_for_all_splits_and_methods(catalogue, tmp_path):
    for name, expansion in (("cam", "none"), ("psa", "psa")):
        content = {"label": name, "inherits": "oracle", "labels": "maps", "maps": {"expansion": expansion}}
        (tmp_path / f"config/methods/{name}.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "config/experiments/maps.yaml").write_text(yaml.safe_dump({"title": "maps", "methods": ["cam", "psa"]}))
    folder = tmp_path / "results/toys/full/maps/classifier"
    (folder / "seed7").mkdir(parents=True)
    (folder / "seed7/network.safetensors").touch()
    plan = make_plan(catalogue, ["maps"])
    assert plan.map_networks == {
        folder / f"seed{seed}" / name: (seed, name) == (7, "network.safetensors")
        for seed in (0, 7)
        for name in ("network.safetensors", "psa/network.safetensors")
    }
    assert "besides: 4 networks for class maps, 1 done" in plan.text(gpu_here=True)
    assert make_plan(catalogue, ["two"]).map_networks == {}


def test_retab_has_two_networks_per_split_and_a_seed_of_its_own_saves_some(catalogue, tmp_path):
    def networks(**choice) -> set:
        maps = {"expansion": "retab"} | choice
        content = {"label": "r", "inherits": "oracle", "labels": "maps", "maps": maps}
        (tmp_path / "config/methods/r.yaml").write_text(yaml.safe_dump(content))
        (tmp_path / "config/experiments/one.yaml").write_text(yaml.safe_dump({"title": "1", "methods": ["r"]}))
        study = catalogue.study.model_dump(mode="json") | {"experiments": ["one"]}
        found = make_plan(Catalogue(study, "s", tmp_path / "config"), ["one"]).map_networks
        return {path.relative_to(tmp_path / "results/toys").as_posix() for path in found}

    splits = [f"split{number}" for number in catalogue.study.datasets["toys"].splits]
    kinds = ("boundary/network.safetensors", "classifier/affinity/network.safetensors")

    def expected(*seeds: int) -> set:
        shared = {f"full/maps/classifier/seed{seed}/network.safetensors" for seed in seeds}
        return shared | {f"{split}/retab/seed{seed}/{kind}" for split in splits for seed in seeds for kind in kinds}

    assert networks() == expected(0, 7)
    assert networks(anchored=True) == expected(0, 7)
    assert networks(seed=3) == expected(3)
    own = {path.replace("classifier/affinity", "classifier.pamr/affinity") for path in expected(0, 7)}
    assert networks(clean="pamr") == own


def resolve(catalogue, training, **changes) -> None:
    """Write the config.yaml that the run had."""
    config = catalogue.run(*training.cell)
    training.folder.mkdir(parents=True, exist_ok=True)
    config.model_copy(update={"novel": catalogue.novel(*training.cell[:2])} | changes).save(
        training.folder / "config.yaml"
    )


@pytest.mark.parametrize("recorded", [True, False])
def test_a_training_with_other_novel_classes_is_changed_and_so_are_its_students(catalogue, recorded):
    """`novel` is outside the hash; a record of an older version lacks it, but the run's config.yaml has it."""
    weak, again, *_ = make_plan(catalogue).trainings
    for training, novel in ((weak, "0" * 8), (again, catalogue.novel("toys", "split1"))):
        told = {"novel": novel} if recorded else {}
        finish(training.folder, catalogue.run(*training.cell).hash, **told)
        resolve(catalogue, training, novel=novel)
    assert [t.status for t in make_plan(catalogue).trainings[:2]] == ["changed", "changed"]
    resolve(catalogue, weak)
    told = {"novel": catalogue.novel("toys", "split1")} if recorded else {}
    record = {"hash": catalogue.run(*weak.cell).hash, "device": "cpu"} | told
    (weak.folder / "train.json").write_text(json.dumps(record))
    assert [t.status for t in make_plan(catalogue).trainings[:2]] == ["done", "done"]


def save(training, record=None) -> None:
    (training.folder / "state").mkdir(parents=True, exist_ok=True)
    (training.folder / "state" / "state.pt").touch()
    if record:
        (training.folder / "state" / "state.json").write_text(json.dumps(record))


def test_a_state_of_other_settings_or_novel_classes_is_no_interrupted_training(catalogue):
    settings, novel, old, mine, *_ = make_plan(catalogue).trainings
    right = {t.cell: {"hash": catalogue.run(*t.cell).hash, "novel": catalogue.novel(*t.cell[:2])} for t in
             (settings, novel, old, mine)}  # fmt: skip
    save(settings, right[settings.cell] | {"hash": "0" * 16})
    save(novel, right[novel.cell] | {"novel": "0" * 8})
    save(old)
    resolve(catalogue, old, novel="0" * 8)
    save(mine, right[mine.cell])
    plan = make_plan(catalogue)
    assert [t.status for t in plan.trainings[:4]] == ["changed", "changed", "changed", "interrupted"]
    assert plan.stale == [t.folder / "state" for t in (settings, novel, old)]
    problem = next(line for line in plan.text(gpu_here=True).splitlines() if "problem: " in line)
    assert f"{settings.folder}/state: of other settings or novel classes" in problem and "delete that folder" in problem
