"""From a resolved configuration to data, networks, loss and optimiser: the only place that sees all of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from simformer.config.layers import RunConfig
from simformer.config.settings import InferenceSettings
from simformer.data.identity import Identity, require_novel, require_run
from simformer.data.labels import LabelSet
from simformer.data.loader import TrainingGroups
from simformer.data.pairs import PairChooser
from simformer.data.shards import WHOLE
from simformer.data.splits import Split
from simformer.errors import UserError
from simformer.losses.total import SimFormerLoss
from simformer.models.maskformer import MaskFormer
from simformer.models.model_file import REMEDY, StoredModel, read_model, write_model
from simformer.models.simnet import SimNet
from simformer.models.weight_files import misfits
from simformer.models.weights import initialise_backbone
from simformer.training.schedule import build_optimizer


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
    _check_labels(config, labels)
    if (settings.model.weights == "none") != (weights is None):
        raise UserError(
            f"model.weights is '{settings.model.weights}', but "
            f"{'no weight file' if weights is None else str(weights)} was given with --weights"
        )
    torch.manual_seed(config.seed)
    model = MaskFormer(len(labels.classes), settings.model)
    simnet = SimNet.of(settings.model) if settings.has_simnet else None
    if weights is not None:
        initialise_backbone(model.backbone, weights)
    model.to(device)
    if settings.optim.precision != "fp32":  # the order of memory in which half precision is fast
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch's types lack it
    if simnet is not None:
        simnet.to(device)
    chooser = None if settings.pairing.mode == "none" else PairChooser(labels, settings.pairing.mode)
    groups = TrainingGroups(data, labels, settings.augment, settings.optim.group_images, chooser, config.seed)
    networks, undecayed = [m for m in (model, simnet) if m is not None], model.backbone.undecayed()
    optimizer = build_optimizer(networks, model.backbone, settings.optim, undecayed)
    loss = SimFormerLoss(
        settings.loss,
        settings.matching,
        settings.similarity,
        novel_ids=labels.novel,
        group_images=settings.optim.group_images,
    )
    return Training(model, simnet, loss, optimizer, groups)


def _check_labels(config: RunConfig, labels: LabelSet) -> None:
    """Refuse labels of another kind or split than the run's: a weak training never sees masks of novel classes."""
    if labels.shard == WHOLE and labels.kind != config.labels:
        raise UserError(
            f"{labels.root / 'labels.json'}: method '{config.method}' trains on '{config.labels}' labels, but these "
            f"are '{labels.kind}' labels; they belong to another split or method"
        )
    labels.require(config.labels)
    require_novel(Split(labels.classes, labels.hidden, labels.identity.where), config.novel, config.split)


def save_model(
    path: Path, training: Training, config: RunConfig, labels: LabelSet, inference: InferenceSettings | None = None
) -> None:
    """Write the trained weights with all that is needed to use them inside, atomically (see model_file.py)."""
    tensors = {f"model.{k}": v for k, v in training.model.state_dict().items()}
    if training.simnet is not None:
        tensors |= {f"simnet.{k}": v for k, v in training.simnet.state_dict().items()}
    write_model(path, tensors, config, labels.identity, inference)


@dataclass(frozen=True)
class TrainedModel:
    """Trained networks in eval mode (SimNet if the method has one), with what their file says of them (StoredModel).

    Networks that come from no file have neither test size nor colours.
    """

    model: MaskFormer
    simnet: SimNet | None
    config: RunConfig
    identity: Identity
    inference: InferenceSettings | None = None
    colours: NDArray[np.uint8] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """K class names in id order."""
        return self.identity.classes


def load_model(path: Path, device: torch.device, run: str | None = None) -> TrainedModel:
    """Build the networks of a model file.

    Args:
        path: the file.
        device: where the networks live.
        run: hash of the run whose model it must be; None if any will do.
    Raises: UserError if it is not a model file, is of another run, or its tensors are not those of its networks.
    """
    stored = read_model(path)
    require_run(path, stored.config.hash, run)
    settings = stored.config.settings.model
    model = MaskFormer(len(stored.identity.classes), settings)
    simnet = SimNet.of(settings) if _needs_simnet(stored) else None
    both = nn.ModuleDict({"model": model} if simnet is None else {"model": model, "simnet": simnet})
    if problems := misfits(both.state_dict(), stored.tensors):
        raise UserError(f"{path}: its tensors are not those of its network: {problems}; {REMEDY}")
    both.load_state_dict(stored.tensors)
    both.eval().to(device)
    return TrainedModel(model, simnet, stored.config, stored.identity, stored.inference, stored.colours)


def _needs_simnet(stored: StoredModel) -> bool:
    """Whether a model has a SimNet: if its method trains one; an imported file may lack it or have one more."""
    if stored.imported:
        return any(name.startswith("simnet.") for name in stored.tensors)
    return stored.config.settings.has_simnet
