"""Eq. 1-5 as the specifications say them: image by image, layer by layer, pair by pair, with every mask at full size.

This is what the released code does, written again from its description. It is slow on purpose: tests compare our losses
with it, and benchmarks measure against it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from simformer.config.settings import LossSettings, MatchingSettings, SimilaritySettings
from simformer.data.targets import Target

NOT_BASE = 255


@dataclass
class Labelled:
    """One training image: classes with a mask first, masks at full size (empty ones for novel classes)."""

    class_ids: Tensor
    has_mask: Tensor
    masks: Tensor
    label_map: Tensor
    padding: Tensor

    def to(self, device: str | torch.device) -> Labelled:
        """Return the same image's labels on another device."""
        return Labelled(*(getattr(self, field.name).to(device) for field in fields(self)))


def labelled(target: Target) -> Labelled:
    """Return a target of the project's loader as the reference's own kind."""
    masks = [
        target.label_map == number if own else torch.zeros_like(target.padding)
        for number, own in zip(target.class_ids, target.has_mask, strict=True)
    ]
    return Labelled(target.class_ids, target.has_mask, torch.stack(masks), target.label_map, target.padding)


def focal(logits: Tensor, masks: Tensor) -> Tensor:
    """Focal loss of each of T masks, mean over pixels: [T, P] -> [T]."""
    score = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    p_t = score * masks + (1 - score) * (1 - masks)
    alpha_t = 0.25 * masks + 0.75 * (1 - masks)
    return (alpha_t * (1 - p_t) ** 2 * entropy).mean(1)


def dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Dice loss of each of T masks: [T, P] -> [T]."""
    score = logits.sigmoid()
    return 1 - (2 * (score * masks).sum(1) + 1) / (score.sum(1) + masks.sum(1) + 1)


@torch.no_grad()
def match(class_logits: Tensor, mask_logits: Tensor, image: Labelled, settings: MatchingSettings) -> tuple:
    """Match queries [N] and targets [M] of one image and one decoder layer: two lists of indices."""
    masks = F.interpolate(image.masks[None].to(mask_logits.dtype), size=mask_logits.shape[-2:], mode="nearest")[0]
    z, t = mask_logits.flatten(1), masks.flatten(1)
    s = z.sigmoid()
    if_one = 0.25 * (1 - s) ** 2 * F.binary_cross_entropy_with_logits(z, torch.ones_like(z), reduction="none")
    if_zero = 0.75 * s**2 * F.binary_cross_entropy_with_logits(z, torch.zeros_like(z), reduction="none")
    by_focal = (if_one @ t.T + if_zero @ (1 - t).T) / z.shape[1]
    by_dice = 1 - (2 * s @ t.T + 1) / (s.sum(1)[:, None] + t.sum(1)[None] + 1)
    by_mask = (settings.focal * by_focal + settings.dice * by_dice) * t.any(1)
    cost = by_mask - settings.cls * class_logits.softmax(-1)[:, image.class_ids]
    queries, targets = linear_sum_assignment(cost.cpu().numpy())
    return torch.as_tensor(queries, device=z.device), torch.as_tensor(targets, device=z.device)


class PlainLoss:
    """The weighted terms of one step over groups of two images (one GPU of the released code each)."""

    def __init__(self, loss: LossSettings, matching: MatchingSettings, similarity: SimilaritySettings, novel_ids):
        self.loss, self.matching, self.similarity = loss, matching, similarity
        self.novel_ids = sorted(novel_ids)
        self.queues: dict[int, tuple[deque, deque]] = {}

    def __call__(self, output, images: list[Labelled], simnet: nn.Module | None, seeds) -> dict[str, Tensor]:
        """Return what is minimised, term by term; seeds are those of the groups' pixel samples."""
        groups = len(images) // 2
        masks = max(1.0, sum(int(image.has_mask.sum()) for image in images) / groups)
        terms: dict[str, Tensor] = {}
        for group in range(groups):
            part = slice(2 * group, 2 * group + 2)
            for class_logits, mask_logits in zip(output.class_logits, output.mask_logits, strict=True):
                for name, value in self.layer(class_logits[part], mask_logits[part], images[part], masks).items():
                    terms[name] = terms.get(name, 0) + value / groups
            if simnet is not None:
                last = output.class_logits[-1][part], output.mask_logits[-1][part], output.embeddings[part]
                for name, value in self.transfer(*last, images[part], simnet, group, seeds[group]).items():
                    terms[name] = terms.get(name, 0) + value / groups
        return terms

    def layer(self, class_logits: Tensor, mask_logits: Tensor, images: list[Labelled], masks: float) -> dict:
        """Return the terms of Eq. 1 and Eq. 4 of one decoder layer and one group; masks: mean number per group."""
        pairs = [match(*item, self.matching) for item in zip(class_logits, mask_logits, images, strict=True)]
        void = class_logits.shape[-1] - 1
        wanted = torch.full(class_logits.shape[:2], void, device=class_logits.device)
        weight = torch.ones(void + 1, dtype=class_logits.dtype, device=class_logits.device)
        weight[void] = self.loss.no_object
        foc = dic = comp = torch.zeros((), dtype=class_logits.dtype, device=class_logits.device)
        with_novel = 0
        for number, ((queries, targets), image) in enumerate(zip(pairs, images, strict=True)):
            wanted[number, queries] = image.class_ids[targets]
            large = F.interpolate(
                mask_logits[number, queries][None], size=image.label_map.shape, mode="bilinear", align_corners=False
            )[0]
            own = image.has_mask[targets]
            if own.any():
                truth = image.masks[targets[own]].to(large.dtype).flatten(1)
                foc = foc + focal(large[own].flatten(1), truth).sum() / masks
                dic = dic + dice(large[own].flatten(1), truth).sum() / masks
            if not own.all():
                ignored = torch.full_like(large[:1], math.log(self.loss.gamma / (1 - self.loss.gamma)))
                union = torch.cat([large[~own], ignored]).max(0).values.flatten()[None]
                region = 1 - image.masks.any(0).to(large.dtype)
                region = (region * (1 - image.padding.to(large.dtype))).flatten()[None]
                comp = comp + self.loss.focal * focal(union, region)[0] + self.loss.dice * dice(union, region)[0]
                with_novel += 1
        terms = {"cls": self.loss.cls * F.cross_entropy(class_logits.transpose(1, 2), wanted, weight)}
        terms |= {"focal": self.loss.focal * foc, "dice": self.loss.dice * dic}
        if self.loss.beta:
            terms["comp"] = self.loss.beta * comp / (with_novel + 1e-5)
        return terms

    def transfer(self, class_logits, mask_logits, embeddings, images, simnet, slot: int, seed: int) -> dict:
        """Return L_sim and L_dist of one pair of images."""
        grid = embeddings.shape[-2:]
        labels = torch.stack([F.interpolate(i.label_map[None, None].float(), grid)[0, 0].flatten() for i in images])
        padding = torch.stack([F.interpolate(i.padding[None, None].float(), grid)[0, 0].flatten() for i in images]) > 0
        generator = torch.Generator().manual_seed(seed)
        points = self.base_points(labels, padding, images, generator)
        terms = {"sim": self.loss.sim * self.sim(embeddings.detach(), labels, points, simnet, slot)}
        if self.loss.alpha:
            novel = [set(i.class_ids[~i.has_mask].tolist()) for i in images]
            dist = torch.zeros((), dtype=class_logits.dtype, device=class_logits.device)
            if novel[0] & novel[1]:
                points = draw(labels == NOT_BASE, self.similarity.points, generator)
                dist = self.dist(class_logits, mask_logits, embeddings.detach(), points, simnet)
            terms["dist"] = self.loss.alpha * dist
        return terms

    def base_points(self, labels: Tensor, padding: Tensor, images: list[Labelled], generator) -> Tensor:
        """Draw the pixels of L_sim, [2, J]: most from one common base class, the others from the rest."""
        base = [set(i.class_ids[i.has_mask].tolist()) for i in images]
        common = sorted(base[0] & base[1])
        if common:
            region = labels == common[int(torch.randint(len(common), (), generator=generator))]
        else:
            region = labels != NOT_BASE
        others = round(self.similarity.points * self.similarity.other_share)
        inside = draw(region, self.similarity.points - others, generator)
        return torch.cat([inside, draw(~region & ~padding, others, generator)], dim=1)

    def sim(self, embeddings: Tensor, labels: Tensor, points: Tensor, simnet: nn.Module, slot: int) -> Tensor:
        """L_sim (Sec. 3.4)."""
        features, chosen = at(embeddings, points), labels.gather(1, points)
        similarity = simnet(features, features.flip(0))
        similar = chosen[:, :, None] == chosen.flip(0)[:, None]
        base = chosen != NOT_BASE
        valid = base[:, :, None] | base.flip(0)[:, None]
        window, stride = self.similarity.balance_window, self.similarity.balance_stride
        negatives, positives = self.queues.setdefault(slot, (deque([1], window), deque([1], window)))
        counted = similar[:, ::stride, ::stride]
        positives.append(int(counted.sum()))
        negatives.append(int((~counted).sum()))
        count = sum(negatives) + sum(positives)
        weight = torch.where(similar, sum(negatives) / count, sum(positives) / count).to(similarity.dtype) * valid
        entropy = F.binary_cross_entropy(similarity, similar.to(similarity.dtype), reduction="none")
        return (weight * entropy).sum() / max(int(valid.sum()), 1)

    def dist(self, class_logits, mask_logits, embeddings, points: Tensor, simnet: nn.Module) -> Tensor:
        """L_dist (Eq. 3), between pixels of the two images, as binary cross-entropy."""
        features = at(embeddings, points)
        with torch.no_grad():
            teacher = simnet(features, features.flip(0))
        probability = class_logits.softmax(-1)[..., self.novel_ids]
        scores = torch.einsum("bqk,bqhw->bkhw", probability, mask_logits.sigmoid())
        scores = at(scores, points)
        student = F.cosine_similarity(scores[:, :, None], scores.flip(0)[:, None], dim=-1).relu()
        clamp = self.similarity.clamp
        student, teacher = student.clamp(clamp, 1 - clamp), teacher.clamp(clamp, 1 - clamp)
        return (-teacher * student.log() - (1 - teacher) * (1 - student).log()).mean()


def draw(region: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw pixels of each region without replacement; what it lacks comes from outside it."""
    keys = torch.rand(region.shape, generator=generator).to(region.device)
    return (region + 0.1 * keys).topk(count, dim=1).indices


def at(maps: Tensor, points: Tensor) -> Tensor:
    """Read maps [2, D, h, w] at points [2, J]: [2, J, D]."""
    return torch.stack([part.flatten(1)[:, chosen].T for part, chosen in zip(maps, points, strict=True)])
