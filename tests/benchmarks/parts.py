"""Parts of a training step and of an evaluation, ours and another program's, on the same data."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch

from simformer.config.settings import IGNORE, LossSettings
from simformer.losses.matching import match
from simformer.losses.total import SimFormerLoss, total
from simformer.metrics import confusion_matrix
from simformer.models.simnet import SimNet
from tests.reference.losses import PlainLoss, labelled
from tests.reference.losses import match as plain_match
from tests.reference.network import PlainSimNet
from tests.workloads import Case, new_groups

Pair = tuple[Callable[[], object], Callable[[], object]]
"""Our way, and the other one."""


def parts(case: Case) -> dict[str, Pair]:
    """Return every part: matching, SimNet's two losses with their gradients, confusion matrix."""
    return {
        "matching": matching(case, torch.float32),
        "matching, ours in bf16": matching(case, torch.bfloat16),
        "SimNet part": simnet_part(case, torch.float32),
        "SimNet part, ours in bf16": simnet_part(case, torch.bfloat16),
        "confusion matrix (against torchmetrics)": confusion(case),
    }


def output_of(case: Case, dtype: torch.dtype = torch.float32) -> SimpleNamespace:
    """Random logits and embeddings of a step, as the network gives them in a precision."""
    generator, model = torch.Generator().manual_seed(0), case.settings("simformer").model
    layers, side = model.decoder_layers, case.crop // 4

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype).requires_grad_()

    return SimpleNamespace(
        class_logits=normal(layers, case.images, case.queries, case.classes + 1),
        mask_logits=normal(layers, case.images, case.queries, side, side),
        embeddings=normal(case.images, model.dim, side, side),
    )


def matching(case: Case, dtype: torch.dtype) -> Pair:
    """All layers and images of a step; the released way goes through them one by one, in single precision."""
    output, exact, settings = output_of(case, dtype), output_of(case), case.settings("simformer").matching
    targets = [target for group in new_groups(case, "simformer") for target in group.targets]
    images = [labelled(target) for target in targets]

    def ours() -> object:
        return match(output.class_logits, output.mask_logits, targets, settings)

    def plain() -> object:
        return [
            plain_match(*logits, image, settings)
            for layer in zip(exact.class_logits, exact.mask_logits, strict=True)
            for *logits, image in zip(*layer, images, strict=True)
        ]

    return ours, plain


def simnet_part(case: Case, dtype: torch.dtype) -> Pair:
    """L_sim and L_dist of all pairs of a step, forward and backward; the released way is in single precision."""
    output, exact, settings = output_of(case, dtype), output_of(case), case.settings("simformer")
    only = LossSettings(cls=0, focal=0, dice=0, beta=0)
    sections = only, settings.matching, settings.similarity, range(case.classes - case.novel, case.classes)
    targets = [target for group in new_groups(case, "simformer") for target in group.targets]
    images = [labelled(target) for target in targets]
    simnet, plain_simnet = SimNet(settings.model.dim), PlainSimNet(settings.model.dim)
    plain_simnet.take(simnet.state_dict())
    loss, plain_loss = SimFormerLoss(*sections), PlainLoss(*sections)
    seeds, groups = list(range(case.images // 2)), case.images // 2
    with torch.no_grad():
        matches = match(output.class_logits, output.mask_logits, targets, settings.matching)

    def ours() -> None:
        with mock.patch("simformer.losses.total.match", lambda *_: matches):
            terms = loss(output, targets, num_masks=1, num_groups=groups, simnet=simnet, seeds=seeds)
        total(terms).backward()

    def plain() -> None:
        last = exact.class_logits[-1], exact.mask_logits[-1], exact.embeddings
        terms = []
        for group in range(groups):
            pair = slice(2 * group, 2 * group + 2)
            part = [tensor[pair] for tensor in last]
            terms += plain_loss.transfer(*part, images[pair], plain_simnet, group, seeds[group]).values()
        (sum(terms) / groups).backward()

    return ours, plain


def confusion(case: Case) -> Pair:
    """One image of 640 x 480 pixels, from ids on the host."""
    importlib.import_module("simformer.models.torchvision_ops")  # first, see there: torchmetrics imports torchvision
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, case.classes, (2, 480, 640)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.1] = IGNORE

    def ours() -> object:
        return confusion_matrix(predicted, truth, case.classes)

    def theirs() -> object:
        ids = torch.from_numpy(predicted).long(), torch.from_numpy(truth).long()
        return multiclass_confusion_matrix(*ids, case.classes, ignore_index=IGNORE)

    assert np.array_equal(ours()[:-1, :-1].T, theirs().numpy())
    return ours, theirs
