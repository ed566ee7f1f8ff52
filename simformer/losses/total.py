"""The full loss of a training step (Eq. 5): Eq. 1, 2 and 4 for every decoder layer, L_sim and Eq. 3 for the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from simformer.config.settings import IGNORE, LossSettings, MatchingSettings, SimilaritySettings
from simformer.data.targets import Target, unknown_columns
from simformer.losses.classification import classification_loss
from simformer.losses.complementary import complementary_loss
from simformer.losses.grid import to_grid
from simformer.losses.mask import mask_losses
from simformer.losses.matching import Matches, match
from simformer.losses.sampling import gather_points, sample_base_points, sample_novel_points
from simformer.losses.similarity import PairBalance, SimNet, class_scores, distillation_loss, similarity_loss
from simformer.machine.copies import send


class Prediction(Protocol):
    """What the losses read of the model's output."""

    class_logits: Tensor
    """[L, B, N, K+1], the last decoder layer last; the last column is 'no object'."""
    mask_logits: Tensor
    """[L, B, N, h, w]."""
    embeddings: Tensor
    """Pixel embeddings, [B, C, h, w]."""


class SimFormerLoss:
    """Eq. 5 for some of the groups of a training step; the only state is one PairBalance per pair.

    A group is `group_images` consecutive images that share one normalisation (one GPU of the reference
    set-up); with pairs it is an input image and its reference image. The loss of a step is the mean over its
    groups: it may be split over devices and accumulated passes, and what the calls return adds up.
    """

    def __init__(
        self,
        loss: LossSettings,
        matching: MatchingSettings,
        similarity: SimilaritySettings,
        novel_ids: Sequence[int],
        group_images: int = 2,
    ) -> None:
        self.loss = loss
        self.matching = matching
        self.similarity = similarity
        self.novel_ids = torch.tensor(sorted(novel_ids), dtype=torch.int64)
        self.group_images = group_images
        self.balances: dict[int, PairBalance] = {}

    @property
    def leaves_heads_out(self) -> bool:
        """Whether the weights are such that the loss does not depend on the class head or on the mask head."""
        return not self.loss.cls or not (self.loss.focal or self.loss.dice)

    def __call__(
        self,
        output: Prediction,
        targets: list[Target],
        *,
        num_masks: float,
        num_groups: int,
        simnet: SimNet | None = None,
        seeds: Sequence[int] = (),
        first_slot: int = 0,
        progress: float = 1.0,
    ) -> dict[str, Tensor]:
        """Compute what some groups add to the loss of the step.

        Args:
            output: the model's output for B images.
            targets: their targets, all of one size H x W, on the same device.
            num_masks: classes with a mask (`mask.count_masks`) in all images of the step.
            num_groups: groups of the step, on all devices and in all passes.
            simnet: similarity network; None without pairs (no L_sim and L_dist).
            seeds: with SimNet, one seed per group of this call, for its sampled pixels.
            first_slot: number of this call's first group within the step; it selects the pair balances.
            progress: share of the training's steps that are done, which `loss.ramp` goes by.

        Returns: weighted terms, scalars: 'cls', 'focal' and 'dice' (L_mask), 'comp' (with `exclusive` and
            `present`) summed over layers, 'sim', 'dist'. Terms that the settings switch off are absent.

        Raises:
            ValueError: when the images do not fill whole groups, or SimNet comes without pairs or seeds.
            FloatingPointError: when the logits are not finite.
        """
        layers, images = output.class_logits.shape[:2]
        if images % self.group_images:
            raise ValueError(f"{images} images do not fill groups of {self.group_images}")
        matches = match(output.class_logits, output.mask_logits, targets, self.matching)
        matched = output.mask_logits[matches.layer, matches.image, matches.query]
        label_maps = torch.stack([target.label_map for target in targets])
        padding = torch.stack([target.padding for target in targets])
        weights, terms = self.loss, {}
        groups = self.group_images, num_groups
        unknown = unknown_columns(targets, output.class_logits.shape[-1])
        if unknown is not None:
            unknown = send(unknown, padding.device)
        if weights.cls:
            cls = classification_loss(output.class_logits, matches, weights.no_object, *groups, unknown)
            terms["cls"] = weights.cls * cls.sum()
        if weights.focal or weights.dice:
            chosen = matches.with_mask
            ids = matches.class_id[chosen].to(label_maps.dtype)
            masks = label_maps[matches.image[chosen]] == ids[:, None, None]
            layer = matches.layer[chosen]
            focal, dice = mask_losses(matched[chosen], masks, layer, layers, num_masks, num_groups)
            terms["focal"], terms["dice"] = weights.focal * focal.sum(), weights.dice * dice.sum()
        if weights.beta:
            not_base = (label_maps == IGNORE) & ~padding
            kept = None
            if weights.present and weights.present_gate:
                kept = send(torch.tensor([target.kept for target in targets]), padding.device)
            doubtful = None if unknown is None else unknown.any(1)
            comp = complementary_loss(matched, matches, not_base, layers, weights, *groups, kept, progress, doubtful)
            terms["comp"] = weights.beta * comp.sum()
        if weights.sim and simnet is not None:
            size = output.embeddings.shape[-2:]
            maps = to_grid(label_maps, size).flatten(1), to_grid(padding, size).flatten(1)
            sim, dist = self._transfer(output, matches, *maps, simnet, seeds, first_slot, unknown)
            terms["sim"] = weights.sim * sim / num_groups
            if weights.alpha:
                terms["dist"] = weights.alpha * dist / num_groups
        return terms

    def _transfer(
        self,
        output: Prediction,
        matches: Matches,
        labels: Tensor,
        padding: Tensor,
        simnet: SimNet,
        seeds: Sequence[int],
        first_slot: int,
        unknown: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Sum L_sim and L_dist over the pairs; labels and padding at the grid, [B, P] each."""
        if self.group_images != 2 or len(seeds) != len(labels) // 2:
            raise ValueError(f"SimNet needs groups of 2 images (found {self.group_images}) and a seed for each")
        of_pairs = output.class_logits[-1], output.mask_logits[-1].flatten(2), output.embeddings.flatten(2)
        maps = (labels, padding, *of_pairs)
        labels, padding, class_logits, mask_logits, embeddings = (t.unflatten(0, (-1, 2)) for t in maps)
        novel_ids = send(self.novel_ids, labels.device)
        sim = dist = torch.zeros((), device=labels.device)
        at_once = _pairs_at_once(labels.device, len(seeds))
        for first in range(0, len(seeds), at_once):
            pairs = range(first, first + at_once)
            own: slice | Tensor = slice(pairs.start, pairs.stop)
            generators = [torch.Generator().manual_seed(seeds[pair]) for pair in pairs]
            common = [frozenset.intersection(*matches.base_ids[2 * pair : 2 * pair + 2]) for pair in pairs]
            points = sample_base_points(labels[own], padding[own], common, self.similarity, generators)
            features = gather_points(embeddings[own].detach() if self.similarity.detach else embeddings[own], points)
            balances = [self._balance(first_slot + pair) for pair in pairs]
            ids = labels[own].gather(-1, points)
            doubt = None if unknown is None else unknown.unflatten(0, (-1, 2))[own]
            sim = sim + similarity_loss(features, ids, simnet, balances, self.similarity, doubt).sum()
            taught = [p for p in pairs if frozenset.intersection(*matches.novel_ids[2 * p : 2 * p + 2])]
            if self.loss.alpha and taught:
                own = own if len(taught) == at_once else send(torch.tensor(taught), labels.device)
                generators = [generators[pair - first] for pair in taught]
                points = sample_novel_points(labels[own], padding[own], self.similarity, generators)
                features = gather_points(embeddings[own].detach(), points)
                scores = class_scores(class_logits[own], gather_points(mask_logits[own], points), novel_ids)
                dist = dist + distillation_loss(scores, features, simnet, self.similarity).sum()
        return sim, dist

    def _balance(self, slot: int) -> PairBalance:
        """Return the pair counts of a slot, new at its first use."""
        if slot not in self.balances:
            self.balances[slot] = PairBalance(self.similarity.balance_window, self.similarity.balance_stride)
        return self.balances[slot]

    def state_dict(self) -> dict[str, dict[str, list[list[int]]]]:
        """Return the pair counts by slot; the states of several devices merge by the union of their keys."""
        return {str(slot): balance.state_dict() for slot, balance in self.balances.items()}

    def load_state_dict(self, state: dict[str, dict[str, list[list[int]]]]) -> None:
        """Replace the pair counts of all slots by stored ones."""
        self.balances.clear()
        for slot, counts in state.items():
            self._balance(int(slot)).load_state_dict(counts)


def _pairs_at_once(device: torch.device, pairs: int) -> int:
    """Return how many pairs of images share an operation: all on a GPU; one on a CPU, where more leave its cache."""
    return 1 if device.type == "cpu" else pairs


def total(terms: dict[str, Tensor]) -> Tensor:
    """Sum the weighted terms to the loss that is minimised (Eq. 5), scalar."""
    return torch.stack(list(terms.values())).sum()
