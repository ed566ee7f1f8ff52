"""From a resolved configuration to data, networks, loss and optimiser: the only place that sees all of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from simformer.config import RunConfig
from simformer.data.labels import LabelSet
from simformer.data.loader import TrainingGroups
from simformer.data.pairs import PairChooser
from simformer.errors import UserError
from simformer.losses.total import SimFormerLoss
from simformer.model_file import read_model, write_model
from simformer.models.maskformer import MaskFormer
from simformer.models.simnet import SimNet
from simformer.models.weights import initialise_backbone
from simformer.schedule import build_optimizer


@dataclass(frozen=True)
class Training:
    """The parts of one training run."""

    model: MaskFormer
    simnet: SimNet | None
    loss: SimFormerLoss
    optimizer: torch.optim.AdamW
    groups: TrainingGroups

    @property
    def modules(self) -> list[nn.Module]:
        """The networks that are trained."""
        return [self.model] if self.simnet is None else [self.model, self.simnet]


def build_training(
    config: RunConfig, data: Path, labels: LabelSet, weights: Path | None, device: torch.device
) -> Training:
    """Build everything that `train` needs, deterministically from the configuration's seed.

    Args:
        config: the resolved run.
        data: folder of the prepared dataset.
        labels: label set to train on.
        weights: initial backbone weights (safetensors), None to start from random ones.
        device: where the networks live.
    Raises: UserError if weights do not fit, or weights are demanded but not given.
    """
    settings = config.settings
    if (config.labels in ("weak", "crop")) != bool(labels.novel) or (config.labels == "crop") != labels.crop_scope:
        scope = " and labels of crops" if labels.crop_scope else ""
        raise UserError(
            f"{labels.root}: method '{config.method}' trains on {config.labels} labels, but this label set has "
            f"{len(labels.novel)} classes without masks{scope}; it belongs to another split or method"
        )
    if (settings.model.weights == "none") != (weights is None):
        raise UserError(
            f"model.weights is '{settings.model.weights}', but "
            f"{'no weight file' if weights is None else str(weights)} was given with --weights"
        )
    torch.manual_seed(config.seed)
    model = MaskFormer(len(labels.classes), settings.model)
    simnet = SimNet(settings.model.dim, settings.model.simnet_dim) if settings.loss.sim > 0 else None
    if weights is not None:
        initialise_backbone(model.backbone, weights)
    model.to(device)
    if simnet is not None:
        simnet.to(device)
    chooser = None if settings.pairing.mode == "none" else PairChooser(labels, settings.pairing.mode)
    groups = TrainingGroups(data, labels, settings.augment, settings.optim.group_images, chooser, config.seed)
    optimizer = build_optimizer([m for m in (model, simnet) if m is not None], model.backbone, settings.optim)
    loss = SimFormerLoss(
        settings.loss,
        settings.matching,
        settings.similarity,
        novel_ids=labels.novel,
        group_images=settings.optim.group_images,
    )
    return Training(model, simnet, loss, optimizer, groups)


def save_model(path: Path, training: Training, config: RunConfig, labels: LabelSet) -> None:
    """Write the trained weights with the configuration and class names inside, atomically (see model_file.py)."""
    tensors = {f"model.{k}": v for k, v in training.model.state_dict().items()}
    if training.simnet is not None:
        tensors |= {f"simnet.{k}": v for k, v in training.simnet.state_dict().items()}
    write_model(path, tensors, config, labels.classes)


@dataclass(frozen=True)
class TrainedModel:
    """Trained networks in eval mode (SimNet if the method has one), their configuration and class names."""

    model: MaskFormer
    simnet: SimNet | None
    config: RunConfig
    classes: tuple[str, ...]


def load_model(path: Path, device: torch.device) -> TrainedModel:
    """Build the networks of a model file; raises UserError if it is not one."""
    stored = read_model(path)
    settings = stored.config.settings.model
    model = MaskFormer(len(stored.classes), settings)
    model.load_state_dict(_part(stored.tensors, "model."))
    simnet = None
    if weights := _part(stored.tensors, "simnet."):
        simnet = SimNet(settings.dim, settings.simnet_dim)
        simnet.load_state_dict(weights)
        simnet.eval().to(device)
    return TrainedModel(model.eval().to(device), simnet, stored.config, stored.classes)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors of one network, without its prefix."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
