"""One training step of every baseline network, taken from the very functions that train them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import torch

from simformer.baselines import response_networks
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapJob, MapSet
from simformer.baselines.classifier import KIND as CLASSIFIER
from simformer.baselines.classifier import Classifier, train_classifier
from simformer.baselines.conta import round_classifier
from simformer.baselines.conta.confounder import Confounder
from simformer.baselines.conta.round_classifier import KIND as CONTEXT
from simformer.baselines.conta.round_classifier import train_context_classifier
from simformer.baselines.conta.segmentation import KIND as SEGMENTATION
from simformer.baselines.conta.segmentation import train_segmentation
from simformer.baselines.conta.settings import ContextClassifierSettings
from simformer.baselines.dataset_settings import BaselineSettings
from simformer.baselines.expansion.psa_irn import train_expander
from simformer.baselines.response_networks import train_response
from simformer.baselines.retab.networks import AFFINITY_KIND, EDGE_KIND, train_affinity, train_edges
from simformer.baselines.rib.others import FreshCrops, Pool
from simformer.baselines.rib.tuned_maps import Tuner
from simformer.baselines.rib.tuning import STAGES, cut
from simformer.baselines.settings import CamSettings, NetworkSettings, NetworkSpec
from simformer.baselines.training import crop_training
from simformer.baselines.training.network_training import NetworkTraining
from simformer.baselines.training.sgd import sgd_step
from simformer.data.labels import LabelledImage, LabelSet
from simformer.training.job import Job, Runtime, TrainOutputs
from tests.gpu.photographs import Photographs
from tests.workloads import Case

LOOPS = (crop_training, response_networks, round_classifier)
"""Modules whose trainings end in `run_training`."""
CROPS_OF_OTHERS = 32
"""Crops of other images that RIB's tuning draws from; how many there are does not change the time of a step."""


@dataclass(frozen=True)
class Baselines:
    """What the baselines' steps are made of.

    Attributes:
        photographs: the dataset.
        case: crop of the networks.
        backbone: of the networks.
        images: of a step.
        device: of the networks.
        folder: for files.
    """

    photographs: Photographs
    case: Case
    backbone: str
    images: int
    device: str
    folder: Path

    def spec(self, kind: str, settings: NetworkSettings) -> NetworkSpec:
        """Return the specification of a training, with the case's crop and the wanted images per step."""
        changed = settings.model_copy(update={"crop": self.case.crop, "batch_images": self.images})
        return NetworkSpec[type(settings)](kind=kind, backbone=self.backbone, seed=0, settings=changed)

    def job(self, labels: LabelSet) -> Job:
        """Return a training job on some labels, which is never run."""
        outputs = TrainOutputs(*(self.folder / name for name in ("model", "log", "facts")))
        return Job(self.photographs.data, labels, None, self.folder / "state", outputs, Runtime(device=self.device))

    def steps(self) -> dict[str, Callable[[], Callable[[], object]]]:
        """Return, by name, what builds each training and returns its step."""
        known, shots = BaselineSettings(), self.photographs
        tagged, labelled = self.job(shots.tags), self.job(shots.full)
        context = ContextClassifierSettings(**known.classifier.model_dump())
        begin = {
            "classifier": lambda: train_classifier(self.spec(CLASSIFIER, known.classifier), tagged),
            "plain stride 8": lambda: train_response(self.spec("plain", known.plain), tagged),
            "SEAM": lambda: train_response(self.spec("seam", known.seam), tagged),
            "CPN": lambda: train_response(self.spec("cpn", known.cpn), tagged),
            "PSA affinity": lambda: train_expander(self.spec("psa", known.psa), labelled),
            "IRN boundary": lambda: train_expander(self.spec("irn", known.irn), labelled),
            "RETAB boundary": lambda: train_edges(self.spec(EDGE_KIND, known.retab_boundary), self.job(shots.weak)),
            "RETAB affinity": lambda: train_affinity(
                self.spec(AFFINITY_KIND, known.retab_affinity), labelled, shots.weak.novel
            ),
            "CONTA classifier": lambda: train_context_classifier(
                self.spec(CONTEXT, context), tagged, *self.predictions(known.conta.grid)
            ),
            "CONTA segmentation": lambda: train_segmentation(self.spec(SEGMENTATION, known.segmentation), labelled),
        }
        built = {name: lambda start=start: one_step(captured(start)) for name, start in begin.items()}
        return built | {"RIB tuning": lambda: self.tuning(known)}

    def predictions(self, side: int) -> tuple[MapSet, Confounder]:
        """Return random masks of every image's classes, as a segmentation network predicts them, and their averages."""
        tags, generator = self.photographs.tags, torch.Generator().manual_seed(0)

        def compute(images: list[LabelledImage]) -> Iterator[tuple[LabelledImage, ClassMaps]]:
            for image in images:
                masks = torch.rand(len(image.classes), side, side, generator=generator)
                yield image, ClassMaps(tuple(image.classes), masks / masks.sum(0), 1, (side, side))

        count = len(tags.classes)
        masks = torch.rand(count, side, side, generator=generator)
        job = MapJob(self.folder, tags, torch.device("cpu"), self.folder / "predicted" / "maps.json")
        predicted = job.write("synthetic", CamSettings(), compute)
        return predicted, Confounder(masks, torch.ones(count, dtype=torch.bool))

    def tuning(self, known: BaselineSettings) -> Callable[[], object]:
        """Return what fine-tunes the classifier on some images side by side, decoding them included."""
        device, shots, rib, trained = torch.device(self.device), self.photographs, known.rib, known.classifier
        count = len(shots.tags.classes)
        torch.manual_seed(0)
        network = Classifier(self.backbone, trained.stride, count).eval().to(device)
        constant, tuned = cut(network, STAGES - 1)
        at_once = min(self.images, rib.images_at_once, len(shots.tags.images))
        others = min(rib.other_images, len(shots.tags.images) - 1)
        crops = trained.model_copy(update={"crop": self.case.crop})
        pool = None
        if others:
            fresh = FreshCrops(shots.data, shots.tags, crops, others, rib.candidates, 0, constant, device)
            pool = Pool(fresh, CROPS_OF_OTHERS)
        tuner = Tuner(constant, tuned, pool, rib, known.cam, 0, device)
        return lambda: tuner.trajectories(shots.data, list(shots.tags.images[:at_once]), count)


def captured(begin: Callable[[], None]) -> NetworkTraining:
    """Let a function build its training, and return what it would run."""
    found: list[NetworkTraining] = []
    with ExitStack() as stack:
        for module in LOOPS:
            stack.enter_context(patch.object(module, "run_training", lambda training, *_: found.append(training)))
        begin()
    return found[0]


def one_step(training: NetworkTraining) -> Callable[[], object]:
    """Return a training's step on the images of its first step, which are loaded once."""
    samples = [training.samples[position] for position in range(training.spec.settings.batch_images)]
    network, settings = training.network.train(), training.spec.settings
    optimizer = training.optimizer_of(network, settings)
    return lambda: sgd_step(training.loss(samples)[0], network, optimizer, 0, 1, settings)
