"""Training of a round's classifier, and its class activation maps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from simformer.baselines.class_maps.cam import class_activation_maps, equal_sizes
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapJob, MapSet
from simformer.baselines.classifier import multilabel_loss
from simformer.baselines.conta.confounder import Confounder
from simformer.baselines.conta.context_attention import place_in_crops, place_in_views
from simformer.baselines.conta.context_classifier import ContextClassifier
from simformer.baselines.conta.image_contexts import Contexts
from simformer.baselines.conta.rounds import MASKLESS
from simformer.baselines.conta.settings import ContextClassifierSettings
from simformer.baselines.settings import CamSettings, NetworkSpec
from simformer.baselines.training.crop_training import crop_batch
from simformer.baselines.training.crops import Crops, Sample
from simformer.baselines.training.network_file import read_network
from simformer.baselines.training.network_training import NetworkTraining, new_network, run_training
from simformer.baselines.training.sgd import build_sgd
from simformer.data.identity import require_split
from simformer.data.labels import LabelledImage, LabelSet
from simformer.errors import UserError
from simformer.training.job import Job

KIND = "conta"


def train_context_classifier(
    spec: NetworkSpec[ContextClassifierSettings], job: Job, predicted: MapSet | None, confounder: Confounder | None
) -> None:
    """Train the classifier of a round from the initial weights; an interrupted training continues.

    Args:
        spec: kind 'conta'.
        job: of its label set only the image-level labels are used (`image_labels`).
        predicted: masks predicted by the segmentation network of the round before; None without attention.
        confounder: their averages; None without attention.
    Raises: UserError if masks are missing or have no use, or are of another dataset or split.
    """
    device, settings, labels = job.device, spec.settings, job.labels
    _check(settings, predicted is not None and confounder is not None)
    if confounder is not None and len(confounder.masks) != len(labels.classes):
        raise UserError(
            f"average masks of {len(confounder.masks)} classes, but {labels.root} has {len(labels.classes)}; give "
            "--confounder those of this dataset"
        )
    inputs = {}
    if predicted is not None:
        require_split(predicted.source, labels.identity)
        inputs["predicted masks"] = predicted.hash
    if confounder is not None:
        inputs["average masks"] = confounder.hash
    count = len(labels.classes)
    network = new_network(spec, job, lambda: ContextClassifier(spec.backbone, settings.stride, count, confounder))
    network.trunk.widen()
    network.to(device)
    names = [image.name for image in labels.images]
    contexts = Contexts(settings.context, network.trunk.attention, predicted, names, spec.seed, device)

    def loss(samples: list[Sample]) -> tuple[Tensor, dict[str, float]]:
        batch, of_images = crop_batch(samples, device), contexts([sample.name for sample in samples])
        of_crops = place_in_crops(of_images, [sample.placement for sample in samples], batch.padding)
        logits = network(batch.images, of_crops).mean(dim=(2, 3))
        return multilabel_loss(logits, batch.present, settings.reference_classes, batch.unknown), {}

    def sgd(network: ContextClassifier, settings: ContextClassifierSettings) -> torch.optim.SGD:
        return build_sgd(network, network.trunk, settings)

    samples = Crops(job.data, labels, settings, spec.seed)
    run_training(NetworkTraining(spec, network, samples, loss, sgd, inputs), job)


class ContextResponse:
    """A trained classifier of a round, together with the context maps of the training images.

    Args:
        path: network file.
        predicted: masks predicted for its training; None without attention.
        labels: the training images.
        device: of the network.
    Raises: UserError if the classifier was trained on other classes.
    """

    def __init__(self, path: Path, predicted: MapSet | None, labels: LabelSet, device: torch.device) -> None:
        stored = read_network(path, KIND, ContextClassifierSettings)
        require_split(stored.identity, labels.identity)
        if predicted is not None:
            require_split(predicted.source, labels.identity)
        settings, tensors = stored.spec.settings, stored.tensors
        _check(settings, predicted is not None)
        confounder = None
        if "trunk.attention.confounder" in tensors:
            masks, known = tensors["trunk.attention.confounder"], tensors["trunk.attention.known"]
            side = round(masks.shape[1] ** 0.5)
            confounder = Confounder(masks.view(-1, side, side), known)
        self.network = ContextClassifier(stored.spec.backbone, settings.stride, len(stored.classes), confounder)
        self.network.trunk.widen()
        stored.fill(self.network).eval().to(device)
        attention, names = self.network.trunk.attention, [image.name for image in labels.images]
        self.contexts = Contexts(settings.context, attention, predicted, names, stored.spec.seed, device)
        self.labels = labels
        self.device = device
        self.identity = stored.hash if predicted is None else f"{stored.hash} {predicted.hash}"

    @torch.inference_mode()
    def maps(
        self, data: Path, images: list[LabelledImage], settings: CamSettings, blind: bool = False
    ) -> Iterator[tuple[LabelledImage, ClassMaps]]:
        """Yield the class activation maps of images; each view has the context map of its image, mirrored with it.

        Args:
            data: folder of the prepared dataset.
            images: training images.
            settings: sizes and scales.
            blind: with context maps of 0, to see what the network owes to them.
        """
        for batch in equal_sizes(images, settings.batch_images):
            contexts = self.contexts([image.name for image in batch]) * (not blind)

            def response(views: Tensor, present: Tensor, contexts: Tensor = contexts) -> Tensor:
                maps: Tensor = self.network(views, place_in_views(contexts, *views.shape[-2:]))
                return maps

            count = len(self.labels.classes)
            yield from class_activation_maps(response, data, batch, count, settings, self.device)


def context_classifier_maps(response: ContextResponse, settings: CamSettings, job: MapJob) -> MapSet:
    """Write the class activation maps of a round for a shard of the images."""
    return job.write(response.identity, settings, lambda images: response.maps(job.data, images, settings))


def _check(settings: ContextClassifierSettings, given: bool) -> None:
    """Refuse context maps without predicted masks, and predicted masks that would not be used."""
    if (settings.context not in MASKLESS) != given:
        needed = "have no use; leave out" if given else "are needed; give"
        raise UserError(
            f"a classifier with context '{settings.context}': masks of the round before {needed} "
            "--predicted (and, to train, --confounder)"
        )
