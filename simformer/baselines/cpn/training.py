"""What CPN's network learns: two views that hide complementary parts together give the maps of the whole image."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from simformer.baselines.cpn.losses import Views, complementary_pair_loss, cross_pair_loss
from simformer.baselines.cpn.masks import ViewCrops, ViewSample
from simformer.baselines.cpn.settings import CpnSettings
from simformer.baselines.stride8.cross_regularisation import background_prior, normalised_maps
from simformer.baselines.stride8.network import TappedClassifier
from simformer.baselines.stride8.plain import classification_loss, labels_of
from simformer.baselines.stride8.training import Objective
from simformer.baselines.training.crops import Crops, network_input
from simformer.data.labels import LabelSet


def view_shares(visible: Tensor) -> Tensor:
    """Weights of two views: the share of pixels that each shows, made to sum to 1.

    Args:
        visible: bool [B, 2, H, W].
    Returns: [B, 2].
    """
    shares = visible.float().mean(dim=(2, 3))
    return shares / shares.sum(dim=1, keepdim=True).clamp_min(torch.finfo(shares.dtype).tiny)


def cpn_terms(
    network: TappedClassifier, images: Tensor, visible: Tensor, present: Tensor, settings: CpnSettings
) -> dict[str, Tensor]:
    """Compute all terms of CPN's loss on a batch.

    Args:
        network: in train mode.
        images: normalised RGB, [B, 3, H, W]; what a view hides is 0, the mean colour.
        visible: pixels that each view shows, bool [B, 2, H, W].
        present: image-level labels, bool [B, K].
        settings: errors that count.
    Returns: 'cls' (mean of the three), 'cp', 'cpcr', and 'rv' (mean of the three) if it has a weight; scalars.
    """
    size = (images.shape[-2], images.shape[-1])
    views = [images, images * visible[:, :1], images * visible[:, 1:]]
    outputs = [network(view, present) for view in views]
    maps = [normalised_maps(raw, spread, present, size) for raw, spread in outputs]
    pair = Views(*maps, view_shares(visible))
    terms = {
        "cls": torch.stack([classification_loss(raw, present, size) for raw, _ in outputs]).mean(),
        "cp": complementary_pair_loss(pair, present.shape[1]),
        "cpcr": cross_pair_loss(pair, present, settings.topk),
    }
    if settings.rv:
        terms["rv"] = torch.stack([background_prior(spread, present, size) for _, spread in outputs]).mean()
    return terms


def cpn_objective(data: Path, labels: LabelSet, settings: CpnSettings, seed: int) -> Objective:
    """Return crops and loss of CPN's network."""

    def terms(network: TappedClassifier, samples: list[ViewSample], device: torch.device) -> dict[str, Tensor]:
        crops = [item.sample for item in samples]
        visible = torch.stack([item.visible for item in samples]).to(device)
        return cpn_terms(
            network,
            network_input([sample.crop for sample in crops], device),
            visible,
            labels_of(crops, device),
            settings,
        )

    weights = {"cls": 1.0, "cp": settings.cp, "cpcr": settings.cpcr} | ({"rv": settings.rv} if settings.rv else {})
    return Objective(ViewCrops(Crops(data, labels, settings, seed), settings, seed), terms, weights)
