"""Multi-label classifier over all K classes, trained on image-level labels alone: the source of plain CAMs.

It knows no base mask, so one training per dataset and seed serves every split and every baseline.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.baselines.settings import ClassifierSettings, NetworkSpec
from simformer.baselines.training.crop_training import CropBatch, train_on_crops
from simformer.baselines.training.network_file import StoredNetwork, read_network
from simformer.baselines.training.strided_backbone import strided_backbone
from simformer.training.job import Job

KIND = "classifier"


class Classifier(nn.Module):
    """Backbone and a 1x1 convolution without bias; average pooling of its maps gives the class logits (IRN).

    Args:
        backbone: name, see `build_backbone`.
        stride: of the maps, 8 or 16.
        num_classes: K.
    """

    def __init__(self, backbone: str, stride: int, num_classes: int):
        super().__init__()
        self.backbone = strided_backbone(backbone, stride)
        self.head = nn.Conv2d(self.backbone.channels[-1], num_classes, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the raw class maps A.

        Args:
            images: normalised RGB, [B, 3, H, W].
        Returns: [B, K, h, w] with h = ceil(H / stride); the logit of a class is their mean over h, w.
        """
        maps: Tensor = self.head(self.backbone(images)[-1])
        return maps


def multilabel_loss(logits: Tensor, present: Tensor, reference_classes: int, unknown: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy over images and classes, times K / reference_classes.

    Args:
        logits: [B, K].
        present: image-level labels, bool [B, K].
        reference_classes: number of classes for which the plain mean was tuned.
        unknown: entries of which nobody says whether they are present, which have no part in the mean, bool [B, K];
            None if there are none.
    """
    if unknown is None:
        loss = F.binary_cross_entropy_with_logits(logits, present.to(logits.dtype))
    else:
        entropy = F.binary_cross_entropy_with_logits(logits, present.to(logits.dtype), reduction="none")
        loss = entropy.masked_fill(unknown, 0).sum() / (~unknown).sum().clamp(min=1)
    return loss * logits.shape[1] / reference_classes


def train_classifier(spec: NetworkSpec[ClassifierSettings], job: Job) -> None:
    """Train the classifier; an interrupted training continues.

    Args:
        spec: kind 'classifier'.
        job: of its label set only the image-level labels are used (`image_labels`).
    """
    stride, count = spec.settings.stride, len(job.labels.classes)

    def loss(network: nn.Module, batch: CropBatch) -> Tensor:
        logits = network(batch.images).mean(dim=(2, 3))
        return multilabel_loss(logits, batch.present, spec.settings.reference_classes, batch.unknown)

    train_on_crops(spec, job, lambda: Classifier(spec.backbone, stride, count), loss)


def load_classifier(path: Path, device: torch.device) -> tuple[Classifier, StoredNetwork[ClassifierSettings]]:
    """Return a trained classifier in eval mode, and its file's content."""
    stored = read_network(path, KIND, ClassifierSettings)
    network = Classifier(stored.spec.backbone, stored.spec.settings.stride, len(stored.classes))
    return stored.fill(network).eval().to(device), stored
