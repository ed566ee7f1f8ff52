"""Training of a round's classifier, and its class activation maps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from simformer.baselines.class_maps.cam import class_activation_maps, equal_sizes
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapSet, settings_hash, write_maps
from simformer.baselines.classifier import multilabel_loss
from simformer.baselines.conta.confounder import Confounder
from simformer.baselines.conta.context import place_in_crops, place_in_views
from simformer.baselines.conta.context_classifier import ContextClassifier
from simformer.baselines.conta.contexts import Contexts
from simformer.baselines.conta.rounds import MASKLESS
from simformer.baselines.conta.settings import ContextClassifierSettings
from simformer.baselines.settings import CamSettings, NetworkSpec
from simformer.baselines.training.crops import Crops, network_input
from simformer.baselines.training.network_file import read_network
from simformer.baselines.training.network_training import NetworkTraining, run_training
from simformer.baselines.training.sgd import build_sgd, sgd_step, total_steps
from simformer.baselines.training.strided_backbone import freeze_stages
from simformer.data.identity import require_split
from simformer.data.labels import LabelledImage, LabelSet
from simformer.data.shards import WHOLE, Shard
from simformer.errors import UserError
from simformer.models.weights import initialise_backbone
from simformer.train import Runtime, TrainOutputs
from simformer.training.checkpoint import file_hash

KIND = "conta"


def train_context_classifier(
    spec: NetworkSpec[ContextClassifierSettings],
    data: Path,
    labels: LabelSet,
    weights: Path | None,
    state: Path,
    outputs: TrainOutputs,
    runtime: Runtime,
    predicted: MapSet | None,
    confounder: Confounder | None,
) -> None:
    """Train the classifier of a round from the initial weights; an interrupted training continues.

    Args:
        spec: kind 'conta'.
        data: folder of the prepared dataset (images only are read from it).
        labels: a label set of which only the image-level labels are used (`image_labels`).
        weights: initial backbone weights, None for random ones.
        state, outputs, runtime: see `run_training`.
        predicted: masks predicted by the segmentation network of the round before; None without attention.
        confounder: their averages; None without attention.
    """
    device, settings = torch.device(runtime.device), spec.settings
    _check(settings, predicted is not None and confounder is not None)
    if confounder is not None and len(confounder.masks) != len(labels.classes):
        raise UserError(
            f"average masks of {len(confounder.masks)} classes, but {labels.root} has {len(labels.classes)}; give "
            "--confounder those of this dataset"
        )
    torch.manual_seed(spec.seed)
    network = ContextClassifier(spec.backbone, settings.stride, len(labels.classes), confounder)
    if weights is not None:
        initialise_backbone(network.trunk.backbone, weights)
    freeze_stages(network.trunk.backbone, settings.frozen_stages)
    network.trunk.widen()
    network.to(device)
    optimizer = build_sgd(network, network.trunk, settings)
    steps = total_steps(settings, len(labels.images))
    contexts = _contexts(spec, network, predicted, labels, device)

    def advance(step: int, samples: list) -> dict[str, float]:
        padding = torch.stack([sample.crop.padding for sample in samples]).to(device)
        of_images = contexts([sample.name for sample in samples])
        of_crops = place_in_crops(of_images, [sample.placement for sample in samples], padding)
        logits = network(network_input([sample.crop for sample in samples], device), of_crops).mean(dim=(2, 3))
        present = torch.stack([sample.present for sample in samples]).to(device)
        loss = multilabel_loss(logits, present, settings.reference_classes)
        return sgd_step(loss, network, optimizer, step, steps, settings)

    inputs = {"labels": labels.hash, "initial weights": file_hash(weights)}
    if predicted is not None:
        require_split(predicted.source, labels.identity)
        inputs["predicted masks"] = predicted.hash
    samples = Crops(data, labels, settings, spec.seed)
    training = NetworkTraining(network, optimizer, spec, samples, steps, advance, labels.identity, inputs)
    run_training(training, state, outputs, runtime)


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
        self.contexts = _contexts(stored.spec, self.network, predicted, labels, device)
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

            def response(views, present, contexts=contexts):
                return self.network(views, place_in_views(contexts, *views.shape[-2:]))

            count = len(self.labels.classes)
            yield from class_activation_maps(response, data, batch, count, settings, self.device)


def context_classifier_maps(
    response: ContextResponse, data: Path, settings: CamSettings, manifest: Path, shard: Shard = WHOLE
) -> MapSet:
    """Write the class activation maps of a round for a shard of the images (see `write_maps`)."""
    identity = settings_hash(response.identity, settings)
    return write_maps(response.labels, identity, lambda images: response.maps(data, images, settings), manifest, shard)


def _contexts(
    spec: NetworkSpec[ContextClassifierSettings],
    network: ContextClassifier,
    predicted: MapSet | None,
    labels: LabelSet,
    device: torch.device,
) -> Contexts:
    names = [image.name for image in labels.images]
    return Contexts(spec.settings.context, network.trunk.attention, predicted, names, spec.seed, device)


def _check(settings: ContextClassifierSettings, given: bool) -> None:
    """Refuse context maps without predicted masks, and predicted masks that would not be used."""
    if (settings.context not in MASKLESS) != given:
        needed = "have no use; leave out" if given else "are needed; give"
        raise UserError(
            f"a classifier with context '{settings.context}': masks of the round before {needed} "
            "--predicted (and, to train, --confounder)"
        )
