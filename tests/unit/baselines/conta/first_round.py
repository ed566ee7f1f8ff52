"""One round of CONTA on the scenes: masks of round 0, segmentation network, predictions, confounder set, classifier."""

from functools import partial
from types import SimpleNamespace

import pytest

from simformer.baselines.class_maps.map_files import MapJob
from simformer.baselines.class_maps.seeds import write_seeds
from simformer.baselines.conta.confounder import confounder
from simformer.baselines.conta.round_classifier import (
    ContextResponse,
    context_classifier_maps,
    train_context_classifier,
)
from simformer.baselines.conta.segmentation import train_segmentation, write_predictions
from simformer.baselines.conta.settings import ContextClassifierSettings, SegmentationSettings
from simformer.baselines.expansion.psa_irn import Expander
from simformer.baselines.settings import NetworkSpec, SeedSettings, WalkSettings
from simformer.training.job import TrainOutputs
from tests.conftest import job_in
from tests.unit.baselines.stages import CAM, COMMON, CPU

SIDE = 6
CLASSIFIER = NetworkSpec[ContextClassifierSettings](
    kind="conta", backbone="tiny", seed=0, settings=ContextClassifierSettings(**COMMON)
)
SEGMENTATION = NetworkSpec[SegmentationSettings](
    kind="segmentation",
    backbone="tiny",
    seed=0,
    settings=SegmentationSettings(**COMMON | {"atrous": (1, 2), "views": (1.0, 0.5)}),
)


def with_context(kind: str) -> NetworkSpec[ContextClassifierSettings]:
    """The specification of a classifier with another context."""
    settings = CLASSIFIER.settings.model_copy(update={"context": kind})
    return CLASSIFIER.model_copy(update={"settings": settings})


def train(run, folder, spec, data, labels, **options) -> TrainOutputs:
    """Train a network in a folder; options are those of Runtime."""
    job = job_in(folder, data, labels, **options)
    run(spec, job)
    return job.outputs


def train_round(folder, spec, data, labels, before, **options) -> TrainOutputs:
    """Train the classifier of the round after `before`; None for a control that reads nothing."""
    inputs = {"predicted": before and before.predicted, "confounder": before and before.confounder}
    return train(partial(train_context_classifier, **inputs), folder, spec, data, labels, **options)


def walked_masks(stages, data, labels, folder):
    """Walk the plain maps with IRN; returns the walked maps and their masks."""
    expander = Expander(stages.irn.model, "irn", WalkSettings(steps=2), CPU)
    walked = expander.write(stages.maps, MapJob(data, labels, CPU, folder / "walked" / "maps.json"))
    return walked, write_seeds(walked, data, labels, SeedSettings(threshold=0.25), folder / "masks")


def first_round(stages, data, labels, folder):
    """Run every stage from the networks of round 0 to the maps of round 1."""
    walked, masks = walked_masks(stages, data, labels, folder)
    segmentation = train(train_segmentation, folder / "segmentation", SEGMENTATION, data, masks).model
    job = MapJob(data, labels, CPU, folder / "predictions" / "maps.json")
    predicted = write_predictions(segmentation, CAM, SIDE, job)
    averages = confounder(predicted, stages.maps, labels, 0.5)
    averages.save(folder / "confounder.safetensors")
    before = SimpleNamespace(
        walked=walked, masks=masks, segmentation=segmentation, predicted=predicted, confounder=averages
    )
    model = train_round(folder / "conta", CLASSIFIER, data, labels, before).model
    response = ContextResponse(model, predicted, labels, CPU)
    maps = context_classifier_maps(response, CAM, MapJob(data, labels, CPU, folder / "conta_cam" / "maps.json"))
    return SimpleNamespace(**vars(before), model=model, response=response, maps=maps)


@pytest.fixture(scope="session")
def round1(scenes, image_set, stages, tmp_path_factory):
    return first_round(stages, scenes.data, image_set, tmp_path_factory.mktemp("round1"))
