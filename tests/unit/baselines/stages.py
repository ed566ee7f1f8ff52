"""Image-level labels of the scenes, tiny networks of every kind, and maps made with them."""

from types import SimpleNamespace

import pytest
import torch

from simformer.baselines.class_maps.map_files import MapJob
from simformer.baselines.class_maps.seeds import write_seeds
from simformer.baselines.classifier import train_classifier
from simformer.baselines.expansion.psa_irn import train_expander
from simformer.baselines.response_networks import response_maps
from simformer.baselines.settings import AffinitySettings, CamSettings, ClassifierSettings, NetworkSpec, SeedSettings
from simformer.data.masking import image_labels
from simformer.data.shards import WHOLE
from simformer.training.job import TrainOutputs
from tests.conftest import job_in

CPU = torch.device("cpu")
CAM = CamSettings(scales=(1.0, 0.5), batch_images=3)
SEEDS = SeedSettings(threshold=0.5)
COMMON = {
    "frozen_stages": 0, "epochs": 1, "batch_images": 6, "lr": 0.02, "crop": 48, "long_edges": None, "scales": (1, 1),
}  # fmt: skip


def made_maps(labels, name, compute, manifest, shard=WHOLE):
    """Write maps that no network makes; the name stands for what decides them."""
    return MapJob(manifest.parent, labels, CPU, manifest, shard).write(name, CAM, compute)


def spec(kind: str, **changes) -> NetworkSpec:
    """Return the specification of a tiny network."""
    settings = ClassifierSettings if kind == "classifier" else AffinitySettings
    return NetworkSpec[settings](kind=kind, backbone="tiny", seed=0, settings=settings(**COMMON | changes))


def train(folder, network_spec, data, labels, **options) -> TrainOutputs:
    """Train a network in a folder; options are those of Runtime."""
    run, job = (
        train_classifier if network_spec.kind == "classifier" else train_expander,
        job_in(folder, data, labels, **options),
    )
    run(network_spec, job)
    return job.outputs


def pipeline(data, labels, folder):
    """Run every stage that needs no mask: classifier, maps, seeds, both networks."""
    classifier = train(folder / "classifier", spec("classifier"), data, labels)
    maps = cam(classifier.model, data, labels, folder / "cam")
    seeds = write_seeds(maps, data, labels, SEEDS, folder / "seeds")
    psa, irn = (train(folder / kind, spec(kind, radius=3), data, seeds) for kind in ("psa", "irn"))
    return SimpleNamespace(classifier=classifier, maps=maps, seeds=seeds, psa=psa, irn=irn)


def cam(model, data, labels, folder, shard=WHOLE, settings=CAM):
    """Make the maps of a trained classifier."""
    manifest = "maps.json" if shard == WHOLE else f"{shard.number}of{shard.count}.json"
    return response_maps(model, settings, MapJob(data, labels, CPU, folder / manifest, shard))


@pytest.fixture(scope="session")
def image_set(scenes, tmp_path_factory):
    """The scenes with image-level labels alone."""
    return image_labels(scenes.index, tmp_path_factory.mktemp("image_labels"))


@pytest.fixture(scope="session")
def stages(scenes, image_set, tmp_path_factory):
    """Tiny networks, maps and seeds of the scenes."""
    return pipeline(scenes.data, image_set, tmp_path_factory.mktemp("stages"))
