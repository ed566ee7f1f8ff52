"""The command line of the baselines: every stage from the index to mixed labels, and what it refuses."""

import json
from dataclasses import replace

import pytest

from simformer import cli
from simformer.baselines.class_maps.map_files import MapSet
from simformer.data.labels import LabelSet
from tests.unit.baselines.stages import CAM, SEEDS, spec


@pytest.fixture(scope="module")
def run(scenes):
    """Run a subcommand on the scenes; keywords become options."""

    def call(name: str, **options) -> int:
        options = (
            {"device": "cpu"} | options if name not in ("image_labels", "gather_maps", "seeds", "mix") else options
        )
        arguments = [name]
        for key, value in options.items():
            arguments += [f"--{key.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
        return cli.main(arguments)

    return call


def network(folder, kind, labels, data) -> dict:
    """Options of a training."""
    return {
        "spec": spec(kind, **({} if kind == "classifier" else {"radius": 3})).model_dump_json(),
        "data": data,
        "labels": labels,
        "state": folder / "state",
        "network": folder / "model.safetensors",
        "log": folder / "log.csv",
        "facts": folder / "train.json",
    }


def test_all_stages_by_hand(run, scenes, stages, masked, tmp_path):
    scenes.index.save(tmp_path / "index.json")
    assert run("image_labels", index=tmp_path / "index.json", output=tmp_path / "image_labels") == 0
    labels = tmp_path / "image_labels/labels.json"
    assert run("classifier", **network(tmp_path / "classifier", "classifier", labels, scenes.data)) == 0
    model = tmp_path / "classifier/model.safetensors"
    assert model.read_bytes() == stages.classifier.model.read_bytes()

    common = {"data": scenes.data, "labels": labels}
    shards = [tmp_path / f"cam/{i}of2.json" for i in (1, 2)]
    for path in shards:
        settings = CAM.model_dump_json()
        assert run("cam", network=model, settings=settings, shard=path.stem, output=path, **common) == 0
    maps = tmp_path / "cam/maps.json"
    assert run("gather_maps", shards=shards, labels=labels, output=maps) == 0

    tuning = json.dumps({"iterations": 2, "other_images": 2, "pool": 8})
    rib = {"output": tmp_path / "rib/1of2.json", "facts": tmp_path / "rib/1of2.facts.json", "shard": "1of2"}
    assert run("rib", network=model, settings=tuning, cam=CAM.model_dump_json(), **rib, **common) == 0
    assert len(MapSet.load(rib["output"]).checksums) == len(scenes.index.train[::2])

    assert run("seeds", maps=maps, settings=SEEDS.model_dump_json(), output=tmp_path / "seeds", **common) == 0
    psa = tmp_path / "psa"
    assert run("affinity", **network(psa, "psa", tmp_path / "seeds/labels.json", scenes.data)) == 0
    walk = json.dumps({"steps": 4})
    expanded = psa / "maps.json"
    options = {"network": psa / "model.safetensors", "maps": maps, "settings": walk, "output": expanded}
    assert run("refine", kind="psa", **options, **common) == 0
    assert len(MapSet.load(expanded).checksums) == len(scenes.index.train)
    masks = masked.root / "labels.json"
    assert run("mix", maps=expanded, labels=masks, gamma=0.1, output=tmp_path / "mixed") == 0
    assert LabelSet.load(tmp_path / "mixed/labels.json").novel == ()


def test_an_interrupted_training_is_told_by_the_exit_status(run, scenes, image_set, tmp_path, capsys):
    options = network(tmp_path, "classifier", image_set.root / "labels.json", scenes.data)
    assert run("classifier", stop_after=2, **options) == 0
    assert (tmp_path / "state/state.pt").exists() and not (tmp_path / "model.safetensors").exists()
    assert run("classifier", **options | {"spec": spec("classifier", lr=0.9).model_dump_json()}) == 1
    assert "belongs to a training with other settings" in capsys.readouterr().err


def test_unknown_settings_are_one_line(run, stages, scenes, image_set, tmp_path, capsys):
    options = {"network": stages.classifier.model, "data": scenes.data, "labels": image_set.root / "labels.json"}
    assert run("cam", settings='{"scale": [1]}', output=tmp_path / "x.json", **options) == 1
    assert "error: --settings: unknown key 'scale'; did you mean 'scales'?" in capsys.readouterr().err


def test_a_classifier_of_other_classes_is_refused(run, stages, scenes, image_set, tmp_path, capsys):
    replace(image_set, classes=("a",), novel=(0,), hidden=(0,), images=(), root=tmp_path).save()
    options = {"network": stages.classifier.model, "data": scenes.data, "labels": tmp_path / "labels.json"}
    assert run("cam", settings="{}", output=tmp_path / "x.json", **options) == 1
    assert "has other classes than" in capsys.readouterr().err
