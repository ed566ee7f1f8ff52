"""Pixel-pixel similarity transfer: L_sim trains SimNet on base pixels (Eq. 2), L_dist hands it on (Eq. 3).

Both compare the J sampled pixels of an input image with those of its reference image, in two directions:
similarity [0, i, j] is between pixel i of the first and j of the second image, [1, i, j] the other way round.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from simformer.losses.precision import full_precision, promote
from simformer.settings import IGNORE, SimilaritySettings

SimNet = Callable[[Tensor, Tensor], Tensor]
"""Maps pixels [2, J, C] and [2, I, C] to the probability that pixel i and j are of one class, [2, J, I]."""


class PairBalance:
    """Running numbers of dissimilar and similar pixel pairs, which balance L_sim (Sec. 3.3)."""

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
        total = torch.stack([count.to(similar.device) for count in self.counts]).sum(0)
        return total.flip(0) / total.sum()

    def state_dict(self) -> dict[str, list[list[int]]]:
        """Return the window's counts, oldest first: {'counts': [[dissimilar, similar], ...]}."""
        return {"counts": [count.tolist() for count in self.counts]}

    def load_state_dict(self, state: dict[str, list[list[int]]]) -> None:
        """Replace the window by a stored one."""
        self.counts = deque(map(torch.tensor, state["counts"]), maxlen=self.counts.maxlen)


def similarity_loss(features: Tensor, labels: Tensor, simnet: SimNet, balance: PairBalance) -> Tensor:
    """L_sim (Eq. 2): class-balanced binary cross-entropy of SimNet on pixel pairs with a base pixel in them.

    A pair is similar if both pixels have the same base class. A base pixel and one outside the base region
    are dissimilar; two pixels outside it say nothing and are left out. The features are detached: L_sim
    trains SimNet only.

    Args:
        features: pixel embeddings of the two images, [2, J, C].
        labels: class ids of these pixels, IGNORE where not base, [2, J].
        simnet: similarity network, in training mode.
        balance: running pair counts, updated here.

    Returns: scalar; 0 if no pair is valid.
    """
    features, partner = features.detach(), labels.flip(0)
    probability = simnet(promote(features), promote(features.flip(0)))
    similar = labels[:, :, None] == partner[:, None]
    valid = (labels != IGNORE)[:, :, None] | (partner != IGNORE)[:, None]
    with full_precision(probability):
        probability = promote(probability)
        dissimilar_weight, similar_weight = balance.update(similar).to(probability.dtype)
        weight = valid * torch.where(similar, similar_weight, dissimilar_weight)
        entropy = F.binary_cross_entropy(probability, similar.to(probability.dtype), weight, reduction="sum")
        return entropy / valid.sum().clamp(min=1)


def class_scores(class_logits: Tensor, mask_logits: Tensor, novel_ids: Tensor) -> Tensor:
    """Semantic scores of the novel classes: sum over queries of class probability times mask probability.

    Args:
        class_logits: [2, N, K+1].
        mask_logits: mask logits at the sampled pixels, [2, J, N].
        novel_ids: int64 [Kn].

    Returns: [2, J, Kn], positive.
    """
    with full_precision(class_logits):
        return promote(mask_logits).sigmoid() @ promote(class_logits).softmax(-1)[..., novel_ids]


def distillation_loss(scores: Tensor, features: Tensor, simnet: SimNet, settings: SimilaritySettings) -> Tensor:
    """L_dist (Eq. 3): the cosine of two pixels' novel scores follows the similarity that SimNet sees.

    Args:
        scores: novel scores of the sampled pixels of the two images, [2, J, Kn].
        features: their pixel embeddings, [2, J, C]; no gradient flows into them or into SimNet.
        simnet: the teacher, in training mode.
        settings: student (cross-image, or as released same-image), form and clamp.

    Returns: scalar, the mean over all 2 J J pairs; 'cce' is never positive.
    """
    with torch.no_grad():
        teacher = promote(simnet(promote(features), promote(features.flip(0))))
    with full_precision(scores):
        unit = F.normalize(promote(scores), dim=-1, eps=1e-8)
        partner = unit.flip(0) if settings.student == "cross" else unit
        student = (unit @ partner.transpose(1, 2)).relu()
        if settings.form == "cce":
            sure, unsure = (teacher - 0.5).relu(), (0.5 - teacher).relu()
            return -(sure * (1 + student).log() + unsure * (2 - student).log()).mean()
        low, high = settings.clamp, 1 - settings.clamp
        return F.binary_cross_entropy(student.clamp(low, high), teacher.clamp(low, high).to(student.dtype))
