"""U7 (CONTA, RIB), E10 (RETAB): permuting hidden pixels changes no byte of what the baselines make."""

import pytest
import torch

from simformer.baselines.class_maps.map_files import MapJob
from simformer.baselines.class_maps.seeds import write_seeds
from simformer.baselines.expansion.psa_irn import Expander
from simformer.baselines.mixing import mixed_labels
from simformer.baselines.response_networks import response_maps
from simformer.baselines.rib.settings import RibSettings
from simformer.baselines.rib.tuned_maps import rib_maps
from simformer.baselines.settings import WalkSettings
from simformer.data.masking import image_labels, mask_labels
from tests.conftest import contents
from tests.unit.baselines.conta.first_round import first_round
from tests.unit.baselines.retab.retab_stages import retab_pipeline
from tests.unit.baselines.seam.test_seam import spec as response_spec
from tests.unit.baselines.seam.test_seam import train as train_kind
from tests.unit.baselines.stages import CAM, CPU, SEEDS, pipeline
from tests.unit.data.test_masking import write_changed


def everything(data, index, split, folder) -> dict[str, bytes]:
    """Run every stage from the index to mixed labels; returns all files but those that hold times."""
    torch.manual_seed(int.from_bytes(folder.name.encode()[-3:], "big"))  # nothing may depend on the global state
    labels = image_labels(index, folder / "image_labels")
    stages = pipeline(data, labels, folder)
    write_seeds(stages.maps, data, labels, SEEDS.model_copy(update={"clean": "pamr"}), folder / "seeds_pamr")
    conta = first_round(stages, data, labels, folder)
    warm = train_kind(folder / "warm", response_spec("warm"), data, labels).model
    for kind in ("seam", "cpn"):
        model = train_kind(folder / kind, response_spec(kind), data, labels, warm).model
        response_maps(model, CAM, MapJob(data, labels, CPU, folder / f"{kind}_cam" / "maps.json"))
    for tier in ("exact", "fast"):
        tuning = RibSettings(tier=tier, iterations=2, other_images=2, pool=8, lr=0.02)
        job = MapJob(data, labels, CPU, folder / f"rib_{tier}" / "maps.json")
        rib_maps(stages.classifier.model, tuning, CAM, job.manifest.with_name("facts.json"), job)
    masked = mask_labels(data, index, split, folder / "masked")
    mixed_labels(conta.maps, masked, 0.1, folder / "mixed" / "conta")
    mixed_labels(stages.maps, masked, 0.1, folder / "mixed" / "none")
    retab = retab_pipeline(data, masked, stages, folder / "retab")
    for name in ("walked", "anchored"):
        mixed_labels(getattr(retab, name), masked, 0.1, folder / "mixed" / name)
    for kind in ("psa", "irn"):
        expander = Expander(getattr(stages, kind).model, kind, WalkSettings(steps=4), CPU)
        expanded = expander.write(stages.maps, MapJob(data, labels, CPU, folder / f"expanded_{kind}" / "maps.json"))
        mixed_labels(expanded, masked, 0.1, folder / "mixed" / kind)
    return {name: data for name, data in contents(folder).items() if not name.endswith(("train.json", "log.csv"))}


@pytest.fixture(scope="module")
def honest(scenes, split, tmp_path_factory):
    return everything(scenes.data, scenes.index, split, tmp_path_factory.mktemp("honest"))


@pytest.mark.parametrize("how", ["permute", pytest.param("reassign", marks=pytest.mark.slow)])
def test_u7_e10_no_hidden_pixel_reaches_networks_maps_seeds_or_mixed_labels(
    scenes, split, honest, tmp_path_factory, how
):
    changed = tmp_path_factory.mktemp("changed")
    index = write_changed(scenes.data, scenes.index, split.novel, how, 1, changed)
    assert everything(changed, index, split, tmp_path_factory.mktemp("out")) == honest
    kinds = {name.split("/")[0] for name in honest}
    assert {
        "classifier",
        "cam",
        "seeds",
        "seeds_pamr",
        "psa",
        "irn",
        "expanded_psa",
        "expanded_irn",
        "mixed",
        "retab",
        "seam_cam",
        "cpn_cam",
        "rib_exact",
        "rib_fast",
    } <= kinds
    assert {"walked", "masks", "segmentation", "predictions", "confounder.safetensors", "conta", "conta_cam"} <= kinds
    stages = {name.split("/")[1] for name in honest if name.startswith("retab/")}
    assert {"boundary", "boundary_maps", "retab_seeds", "affinity", "walked", "anchored"} <= stages
    assert len(honest) > 8 * len(scenes.index.train)


def test_image_level_labels_alone_know_no_mask(scenes, split, tmp_path):
    labels = image_labels(scenes.index, tmp_path / "a")
    index = write_changed(scenes.data, scenes.index, (), "erase", 0, tmp_path / "changed")
    assert image_labels(index, tmp_path / "b").hash == labels.hash
    assert labels.novel == tuple(range(len(labels.classes)))
    assert all(image.label == "" and image.label_sha256 == "" for image in labels.images)
    assert [i.classes for i in labels.images] == [tuple(r.labels) for r in scenes.index.train]
