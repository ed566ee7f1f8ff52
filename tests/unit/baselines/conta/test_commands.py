"""The command line of CONTA: a round by hand, byte for byte that of the library, and what it refuses."""

import pytest

from simformer import cli
from simformer.baselines.class_maps.map_files import MapSet
from tests.unit.baselines.conta.first_round import CLASSIFIER, SEGMENTATION, SIDE, with_context
from tests.unit.baselines.stages import CAM


def call(name: str, **options) -> int:
    """Run a subcommand; keywords become options."""
    pairs = [(f"--{key.replace('_', '-')}", str(value)) for key, value in options.items()]
    return cli.main([name, *(text for pair in pairs for text in pair)])


def training(folder, spec, labels, data) -> dict:
    return {
        "spec": spec.model_dump_json(), "data": data, "labels": labels.root / "labels.json", "state": folder / "state",
        "network": folder / "model.safetensors", "log": folder / "log.csv", "facts": folder / "train.json",
        "device": "cpu",
    }  # fmt: skip


def test_a_round_by_hand(scenes, stages, image_set, round1, tmp_path):
    images = {"data": scenes.data, "labels": image_set.root / "labels.json", "device": "cpu"}
    assert call("segmentation", **training(tmp_path / "s", SEGMENTATION, round1.masks, scenes.data)) == 0
    network = tmp_path / "s/model.safetensors"
    assert network.read_bytes() == round1.segmentation.read_bytes()

    predicted, settings = tmp_path / "predictions/maps.json", CAM.model_dump_json()
    options = {"network": network, "settings": settings, "grid": SIDE, "output": predicted}
    assert call("predictions", **options, **images) == 0
    assert MapSet.load(predicted).hash == round1.predicted.hash

    averages, maps = tmp_path / "confounder.safetensors", stages.maps.root / "maps.json"
    options = {"predicted": predicted, "maps": maps, "labels": images["labels"], "threshold": 0.5, "output": averages}
    assert call("confounder", **options) == 0

    given = {"predicted": predicted, "confounder": averages}
    assert call("conta", **training(tmp_path / "c", CLASSIFIER, image_set, scenes.data), **given) == 0
    network = tmp_path / "c/model.safetensors"
    assert network.read_bytes() == round1.model.read_bytes()

    output = tmp_path / "cam/1of2.json"
    options = {"network": network, "predicted": predicted, "settings": settings, "shard": "1of2", "output": output}
    assert call("conta_cam", **options, **images) == 0
    checksums = MapSet.load(output).checksums
    assert len(checksums) == len(image_set.images) / 2 and checksums.items() <= round1.maps.checksums.items()


@pytest.mark.parametrize("kind", ["zero", "constant"])
def test_controls_read_no_mask(scenes, image_set, tmp_path, capsys, kind):
    options = training(tmp_path, with_context(kind), image_set, scenes.data)
    assert call("conta", **options) == 0
    images = {"data": scenes.data, "labels": image_set.root / "labels.json", "device": "cpu"}
    settings = {"settings": CAM.model_dump_json(), "output": tmp_path / "cam/maps.json"}
    assert call("conta_cam", network=options["network"], **settings, **images) == 0
    assert call("conta", **training(tmp_path, CLASSIFIER, image_set, scenes.data)) == 1
    assert "context 'own': masks of the round before are needed; give --predicted" in capsys.readouterr().err
