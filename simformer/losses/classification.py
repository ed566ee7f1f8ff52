"""Proposal classification loss L_cls (Eq. 1)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from simformer.losses.matching import Matches
from simformer.losses.precision import full_precision, promote


def classification_loss(
    class_logits: Tensor,
    matches: Matches,
    no_object: float,
    group_images: int,
    num_groups: int,
    unknown: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of every query with its matched class, or with 'no object' if nothing is matched with it.

    Base and novel classes have the same weight (1). Within a group of consecutive images the loss is the weighted
    mean over all queries; over groups it is the plain mean.

    If it is unknown whether an image shows a class, an unmatched query learns nothing about that class: the class is
    left out of the query's softmax. "No object" would claim that the class is absent. A matched query belongs to its
    own class and to no other, whatever the image shows, so there all classes count.

    Args:
        class_logits: [L, B, N, K+1], the last column is 'no object'.
        matches: pairs of all layers and images.
        no_object: weight of unmatched queries.
        group_images: images of one group; divides B.
        num_groups: groups of the whole step, on all devices and in all accumulated passes.
        unknown: classes that are unknown in each image, bool [B, K+1] (`unknown_columns`); None if all are known.

    Returns: what these B images add to the loss of each layer, [L].
    """
    layers, images, queries, columns = class_logits.shape
    classes = torch.full((layers, images, queries), columns - 1, device=class_logits.device)
    classes[matches.layer, matches.image, matches.query] = matches.class_id
    with full_precision(class_logits):
        logits = promote(class_logits)
        if unknown is not None:
            unmatched = classes == columns - 1
            logits = logits.masked_fill(unmatched[..., None] & unknown[:, None], -math.inf)
        surprise = F.cross_entropy(logits.flatten(0, 2), classes.flatten(), reduction="none")
        weight = torch.ones_like(surprise).masked_fill(classes.flatten() == columns - 1, no_object)
        by_group = layers, images // group_images, group_images * queries
        mass = weight.view(by_group).sum(-1).clamp(min=torch.finfo(weight.dtype).tiny)
        return ((weight * surprise).view(by_group).sum(-1) / mass).sum(1) / num_groups
