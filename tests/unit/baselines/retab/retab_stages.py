"""RETAB's stages on the tiny scenes, from masked labels and class maps to walked maps."""

from types import SimpleNamespace

import pytest

from simformer.baselines.class_maps.map_files import MapJob
from simformer.baselines.retab.cells import write_base_and_seeds
from simformer.baselines.retab.networks import train_affinity, train_edges
from simformer.baselines.retab.propagation import Propagation, write_boundaries
from simformer.baselines.retab.settings import EdgeSettings, TwoStageSettings
from simformer.baselines.settings import AffinitySettings, NetworkSpec
from simformer.training.job import TrainOutputs
from tests.conftest import job_in
from tests.unit.baselines.stages import CAM, COMMON, CPU

WALK = TwoStageSettings(steps=6)


def retab_spec(kind: str, **changes) -> NetworkSpec:
    """Return the specification of a tiny network, 'retab_boundary' or 'retab_affinity'."""
    settings = EdgeSettings if kind == "retab_boundary" else AffinitySettings
    chosen = COMMON | ({} if kind == "retab_boundary" else {"radius": 3}) | changes
    return NetworkSpec[settings](kind=kind, backbone="tiny", seed=0, settings=settings(**chosen))


def retab_train(folder, network_spec, data, labels, novel=(), **options) -> TrainOutputs:
    """Train one of the two networks in a folder; options are those of Runtime."""
    job = job_in(folder, data, labels, **options)
    if network_spec.kind == "retab_boundary":
        train_edges(network_spec, job)
    else:
        train_affinity(network_spec, job, novel)
    return job.outputs


def retab_pipeline(data, masked, stages, folder):
    """Run every stage of RETAB from masked labels, class maps and seeds."""
    edges = retab_train(folder / "boundary", retab_spec("retab_boundary"), data, masked)
    boundaries = write_boundaries(edges.model, CAM, MapJob(data, masked, CPU, folder / "boundary_maps" / "maps.json"))
    seeds = write_base_and_seeds(masked, stages.seeds, boundaries, 0.5, folder / "retab_seeds")
    affinity = retab_train(folder / "affinity", retab_spec("retab_affinity"), data, seeds, masked.novel)
    propagation = Propagation(affinity.model, WALK, CPU)
    walked, anchored = (
        propagation.write(
            stages.maps, boundaries, name == "anchored", MapJob(data, masked, CPU, folder / name / "maps.json")
        )
        for name in ("walked", "anchored")
    )
    return SimpleNamespace(
        edges=edges, boundaries=boundaries, seeds=seeds, affinity=affinity, walked=walked, anchored=anchored
    )


@pytest.fixture(scope="session")
def retab(scenes, masked, stages, tmp_path_factory):
    """All stages of RETAB on the scenes."""
    return retab_pipeline(scenes.data, masked, stages, tmp_path_factory.mktemp("retab"))
