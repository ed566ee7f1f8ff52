"""RETAB's subcommands, from masked labels to walked maps and pictures, and the choice of maps."""

import pytest
from pydantic import ValidationError

from simformer import cli
from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.responses import sections_behind
from simformer.baselines.settings import MapChoice
from simformer.data.masking import mask_labels
from simformer.data.splits import Split
from tests.unit.baselines.retab.retab_stages import WALK, retab_spec
from tests.unit.baselines.stages import CAM


def run(name: str, *flags: str, **options) -> int:
    """Run a subcommand; keywords become options."""
    arguments = [name, *flags]
    for key, value in options.items():
        arguments += [f"--{key}", str(value)]
    return cli.main(arguments)


def network(folder, kind: str, labels, data) -> dict:
    """Options of a training."""
    files = {"network": "model.safetensors", "log": "log.csv", "facts": "train.json", "state": "state"}
    options = {key: folder / name for key, name in files.items()}
    return options | {"spec": retab_spec(kind).model_dump_json(), "labels": labels, "data": data, "device": "cpu"}


def test_all_stages_by_hand(scenes, split, masked, stages, retab, tmp_path):
    split.save(tmp_path / "split.yaml")
    labels, maps = masked.root / "labels.json", stages.maps.root / "maps.json"
    common = {"data": scenes.data, "labels": labels}
    assert run("retab_boundary", **network(tmp_path / "boundary", "retab_boundary", labels, scenes.data)) == 0
    edges = tmp_path / "boundary/model.safetensors"
    assert edges.read_bytes() == retab.edges.model.read_bytes()
    boundaries = tmp_path / "boundary/maps.json"
    sizes = {"settings": CAM.model_dump_json(), "device": "cpu"}
    assert run("retab_boundary_maps", network=edges, output=boundaries, **sizes, **common) == 0
    walk = WALK.model_dump_json()
    seeds = {"seeds": stages.seeds.root / "labels.json", "boundaries": boundaries, "labels": labels, "settings": walk}
    assert run("retab_seeds", output=tmp_path / "seeds", **seeds) == 0
    options = network(tmp_path / "affinity", "retab_affinity", tmp_path / "seeds/labels.json", scenes.data)
    assert run("retab_affinity", split=tmp_path / "split.yaml", **options) == 0
    affinity = tmp_path / "affinity/model.safetensors"
    assert affinity.read_bytes() == retab.affinity.model.read_bytes()
    walked = {"network": affinity, "maps": maps, "boundaries": boundaries, "settings": walk, "device": "cpu"}
    assert run("retab_walk", output=tmp_path / "walked/maps.json", **walked, **common) == 0
    assert run("retab_walk", "--anchored", output=tmp_path / "anchored/maps.json", **walked, **common) == 0
    for name in ("walked", "anchored"):
        assert MapSet.load(tmp_path / name / "maps.json").checksums == getattr(retab, name).checksums
    full = mask_labels(scenes.data, scenes.index, Split(split.classes, ()), tmp_path / "full")
    picture = {"walked": tmp_path / "walked/maps.json", "truth": full.root / "labels.json", "gamma": 0.1, "images": 2}
    assert run("retab_pictures", output=tmp_path / "page.png", **walked, **picture, **common) == 0
    assert (tmp_path / "page.png").stat().st_size > 10_000
    assert run("retab_control", labels=labels, control="base50", seed=0, output=tmp_path / "control") == 0
    assert (tmp_path / "control/labels.json").exists()


def test_only_retab_can_be_anchored_or_clean_its_own_seeds():
    assert MapChoice(expansion="retab", anchored=True).seed is None
    assert MapChoice(expansion="retab").cleaned == "" and MapChoice(expansion="retab", clean="none").cleaned == ".none"
    with pytest.raises(ValidationError, match="`clean` needs `expansion: retab`, found expansion: irn"):
        MapChoice(expansion="irn", clean="pamr")
    with pytest.raises(ValidationError, match="`anchored` needs `expansion: retab`, found expansion: psa"):
        MapChoice(expansion="psa", anchored=True)


def test_the_sections_behind_retab_are_named_in_the_order_of_its_stages():
    found = sections_behind("classifier", "retab")
    assert found == ("classifier", "cam", "seeds", "retab_boundary", "retab_affinity", "retab_walk")
