"""Pixel-pixel similarity transfer (Sec. 3.4): L_sim trains SimNet on base pixels, L_dist (Eq. 3) hands it on.

Both compare the J sampled pixels of an input image with those of its reference image, in two directions:
similarity [0, i, j] is between pixel i of the first and j of the second image, [1, i, j] the other way round.
They do so for G pairs of images at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from simformer.config.settings import IGNORE, SimilaritySettings
from simformer.losses.precision import full_precision, promote
from simformer.machine.copies import send

SimNet = Callable[[Tensor, Tensor], Tensor]
"""Maps pixels [G, 2, J, C] and [G, 2, I, C] to the probability that pixel i and j are of one class, [G, 2, J, I]."""


class PairBalance:
    """Running numbers of dissimilar and similar pixel pairs, which balance L_sim (Sec. 3.4)."""

    def __init__(self, window: int, stride: int) -> None:
        self.stride = stride
        self.counts: deque[Tensor] = deque([torch.ones(2, dtype=torch.int64)], maxlen=window)

    def update(self, similar: Tensor) -> Tensor:
        """Count every stride-th pair of a new iteration, then weigh the window's pairs.

        Args:
            similar: bool [2, J, I].

        Returns: weight of a dissimilar and of a similar pair, each the share of the other kind, [2].
        """
        counted = similar[:, :: self.stride, :: self.stride]
        number = counted.sum()
        self.counts.append(torch.stack([counted.numel() - number, number]))
        total = torch.stack([send(count, similar.device) for count in self.counts]).sum(0)
        return total.flip(0) / total.sum()

    def state_dict(self) -> dict[str, list[list[int]]]:
        """Return the window's counts, oldest first: {'counts': [[dissimilar, similar], ...]}."""
        return {"counts": torch.stack([count.cpu() for count in self.counts]).tolist()}

    def load_state_dict(self, state: dict[str, list[list[int]]]) -> None:
        """Replace the window by a stored one."""
        self.counts = deque(map(torch.tensor, state["counts"]), maxlen=self.counts.maxlen)


def similarity_loss(
    features: Tensor,
    labels: Tensor,
    simnet: SimNet,
    balances: Sequence[PairBalance],
    settings: SimilaritySettings,
    unknown: Tensor | None = None,
) -> Tensor:
    """L_sim (Sec. 3.4): balanced binary cross-entropy of SimNet on pixel pairs with a base pixel in them.

    A pair is similar if both pixels have the same base class. A base pixel and a pixel outside the base region are
    dissimilar. Two pixels outside it are left out. With the paper's pairs both pixels must be base, and the mean over
    similar pairs has the same weight as the mean over dissimilar ones. If it is unknown whether an image shows a base
    class, its pixels outside the base region may belong to that class. Pairs of such a pixel and a pixel of the class
    in the other image are then left out too.

    Args:
        features: pixel embeddings of the two images of each pair, [G, 2, J, C].
        labels: class ids of these pixels, IGNORE where not base, [G, 2, J].
        simnet: similarity network, in training mode.
        balances: running pair counts of each pair, updated here; not used with the paper's pairs.
        settings: which pairs, and whether the features are detached, so that L_sim trains SimNet only.
        unknown: classes that are unknown in each image, bool [G, 2, K+1] (`unknown_columns`); None if all are known.

    Returns: [G]; 0 where no pair of pixels is valid.
    """
    partner = labels.flip(1)
    probability = _similarities(simnet, features.detach() if settings.detach else features)
    similar = labels[..., None] == partner[:, :, None]
    first, second = (labels != IGNORE)[..., None], (partner != IGNORE)[:, :, None]
    if settings.pairs == "paper":
        return _balanced_entropy(probability, similar, first & second)
    valid = first | second
    if unknown is not None:
        first_may, second_may = _may_be(labels, unknown.flip(1)), _may_be(partner, unknown)
        valid = valid & ~(first_may[..., None] & ~second) & ~(second_may[:, :, None] & ~first)
    with full_precision(probability):
        shares = torch.stack([balance.update(own) for balance, own in zip(balances, similar, strict=True)])
        dissimilar_weight, similar_weight = shares.to(probability.dtype)[:, :, None, None, None].unbind(1)
        weight = valid * torch.where(similar, similar_weight, dissimilar_weight)
        entropy = F.binary_cross_entropy(probability, similar.to(probability.dtype), weight, reduction="none")
        return entropy.sum((1, 2, 3)) / valid.sum((1, 2, 3)).clamp(min=1)


def _may_be(labels: Tensor, unknown: Tensor) -> Tensor:
    """Return which pixels are of a base class that is unknown in the other image, [G, 2, J].

    Args:
        labels: class ids of the pixels, IGNORE where not base, [G, 2, J].
        unknown: classes that are unknown in the other image, bool [G, 2, K+1].
    """
    ids = labels.long()
    return unknown.gather(-1, ids.masked_fill(labels == IGNORE, unknown.shape[-1] - 1))


def _balanced_entropy(probability: Tensor, similar: Tensor, valid: Tensor) -> Tensor:
    """Half the mean over dissimilar and half that over similar pairs, [G, 2, J, I] each; 0 for a kind that lacks."""
    with full_precision(probability):
        kinds = torch.stack([valid & ~similar, valid & similar])
        entropy = F.binary_cross_entropy(probability, similar.to(probability.dtype), reduction="none")
        return ((kinds * entropy).sum((2, 3, 4)) / kinds.sum((2, 3, 4)).clamp(min=1)).sum(0) / 2


def _similarities(simnet: SimNet, features: Tensor) -> Tensor:
    """Run SimNet in the precision of the features, [G, 2, J, C]; returns its probabilities, at least single."""
    half = features.dtype in (torch.bfloat16, torch.float16)
    with torch.autocast(features.device.type, features.dtype if half else None, enabled=half):
        return promote(simnet(features, features.flip(1)))


def class_scores(class_logits: Tensor, mask_logits: Tensor, novel_ids: Tensor) -> Tensor:
    """Semantic scores of the novel classes: sum over queries of class probability times mask probability.

    Args:
        class_logits: [..., N, K+1].
        mask_logits: mask logits at the sampled pixels, [..., J, N].
        novel_ids: int64 [Kn].

    Returns: [..., J, Kn], positive.
    """
    with full_precision(class_logits):
        return promote(mask_logits).sigmoid() @ promote(class_logits).softmax(-1)[..., novel_ids]


def distillation_loss(scores: Tensor, features: Tensor, simnet: SimNet, settings: SimilaritySettings) -> Tensor:
    """L_dist (Eq. 3): the cosine of two pixels' novel scores follows the similarity that SimNet sees.

    Args:
        scores: novel scores of the sampled pixels of the two images of each pair, [G, 2, J, Kn].
        features: their pixel embeddings, [G, 2, J, C]; no gradient flows into them or into SimNet.
        simnet: the teacher, in training mode.
        settings: student (cross-image, or as released same-image), form and clamp.

    Returns: the mean over the 2 J J pixel pairs of each pair of images, [G]; 'cce' is never positive.
    """
    with torch.no_grad():
        teacher = _similarities(simnet, features)
    with full_precision(scores):
        unit = F.normalize(promote(scores), dim=-1, eps=1e-8)
        partner = unit.flip(1) if settings.student == "cross" else unit
        student = (unit @ partner.mT).relu()
        if settings.form == "cce":
            sure, unsure = (teacher - 0.5).relu(), (0.5 - teacher).relu()
            return -(sure * (1 + student).log() + unsure * (2 - student).log()).mean((1, 2, 3))
        low, high = settings.clamp, 1 - settings.clamp
        sides = student.clamp(low, high), teacher.clamp(low, high).to(student.dtype)
        return torch.stack([F.binary_cross_entropy(*pair) for pair in zip(*sides, strict=True)])
