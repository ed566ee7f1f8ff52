"""Training of the segmentation network between two rounds, and the masks it predicts on the training images."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.class_maps.cam import inference_size, pixels_of
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapJob, MapSet
from simformer.baselines.conta.confounder import squeezed
from simformer.baselines.conta.deeplab import DeepLab, multiscale_logits, segmentation_loss
from simformer.baselines.conta.settings import SegmentationSettings
from simformer.baselines.settings import CamSettings, NetworkSpec
from simformer.baselines.training.crop_training import CropBatch, train_on_crops
from simformer.baselines.training.network_file import read_network
from simformer.data.identity import require_split
from simformer.data.labels import LabelledImage
from simformer.data.transforms import normalise
from simformer.training.job import Job

KIND = "segmentation"


def train_segmentation(spec: NetworkSpec[SegmentationSettings], job: Job) -> None:
    """Train the segmentation network on the masks of a round; an interrupted training continues.

    Args:
        spec: kind 'segmentation'.
        job: its label set has maps with a class id where the walked maps are sure, IGNORE elsewhere.
    """
    count = len(job.labels.classes)

    def loss(network: DeepLab, batch: CropBatch) -> Tensor:
        return segmentation_loss(multiscale_logits(network, batch.images, spec.settings.views), batch.label_maps)

    train_on_crops(spec, job, lambda: DeepLab(spec.backbone, count, spec.settings.atrous), loss, build_optimizer)


def build_optimizer(network: DeepLab, settings: SegmentationSettings) -> torch.optim.SGD:
    """SGD with DeepLab-v2's rates: that of the backbone, `head_lr_factor` times it for weights, more for biases."""
    weights, biases = network.pyramid_parameters()
    backbone = [parameter for parameter in network.backbone.parameters() if parameter.requires_grad]
    groups: list[tuple[list[nn.Parameter], float]] = [
        (backbone, 1.0), (weights, settings.head_lr_factor), (biases, settings.bias_lr_factor)
    ]  # fmt: skip
    return torch.optim.SGD(
        [{"params": p, "lr": settings.lr * f, "base_lr": settings.lr * f} for p, f in groups if p],
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )


def predicted_masks(
    logits: Tensor, classes: tuple[int, ...], height: int, width: int, side: int, unknown: tuple[int, ...] = ()
) -> ClassMaps:
    """Predict one of an image's own classes at every pixel, and average each class's mask over a square grid.

    Args:
        logits: of all K classes, [K, h, w].
        classes: the image-level labels, which alone compete.
        height, width: of the image, pixels.
        side: g, cells.
        unknown: classes that may be in the image, too; what they win is in no mask.
    Returns: s_j of the J classes that got a pixel, in [0, 1], [J, g, g]; their sum is 1 in every cell, or less where an
        unknown class wins.
    """
    if not classes:
        return ClassMaps((), torch.zeros(0, side, side), 1, (side, side))
    own = logits[None, [*classes, *unknown]]
    own = F.interpolate(own, size=(height, width), mode="bilinear", align_corners=False)[0]
    winner = own.argmax(dim=0)
    rows = [row for row in range(len(classes)) if (winner == row).any()]
    masks = torch.stack([winner == row for row in rows]) if rows else winner.new_zeros(0, height, width)
    return ClassMaps(tuple(classes[row] for row in rows), squeezed(masks, side).cpu(), 1, (side, side))


def write_predictions(path: Path, settings: CamSettings, side: int, job: MapJob) -> MapSet:
    """Write the masks that a segmentation network predicts for a shard of the training images.

    Args:
        path: network file.
        settings: the size at which images are seen.
        side: g, of the square grid.
        job: the images.
    Raises: UserError if the network was trained on other classes.
    """
    stored = read_network(path, KIND, SegmentationSettings)
    require_split(stored.identity, job.labels.identity)
    network = DeepLab(stored.spec.backbone, len(stored.classes), stored.spec.settings.atrous)
    stored.fill(network).eval().to(job.device)

    @torch.inference_mode()
    def predicted(image: LabelledImage) -> ClassMaps:
        size = inference_size(image.height, image.width, settings)
        view = normalise(pixels_of(job.data, image, size)[None].to(job.device))
        logits = multiscale_logits(network, view, stored.spec.settings.views)[-1][0]
        return predicted_masks(logits, image.classes, *size, side, image.unknown)

    return job.write_each(f"{stored.hash} {side}", settings, predicted)
