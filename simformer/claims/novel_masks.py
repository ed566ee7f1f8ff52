"""What a network's masks do on the novel pixels of images: whether they overlap, and which class takes whose pixels."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

INSIDE = 0.5
"""Mask value above which a pixel lies under a mask."""


class NovelMasks:
    """Collects images, and tells what they say together.

    The query that serves a class in an image is the one that gives the class the highest probability.

    Args:
        classes: K names in id order.
        novel: ids of the novel classes.
    """

    def __init__(self, classes: Sequence[str], novel: Sequence[int]) -> None:
        self.classes, self.novel = classes, list(novel)
        self.own: list[float] = []
        self.others: list[float] = []
        self.shared = self.covered = self.right_among_own = 0
        self.counts = np.zeros((len(classes), len(classes)), np.int64)
        self.queries: dict[int, Counter[int]] = defaultdict(Counter)

    def add(self, probability: Tensor, masks: Tensor, truth: np.ndarray) -> None:
        """Measure one image.

        Args:
            probability: of the classes for every query, the last 'no object', [N, K + 1].
            masks: values of the queries' masks in 0..1, [N, H, W], on the same device.
            truth: class ids, IGNORE where no class owns a pixel, uint8 [H, W].
        """
        present = [c for c in self.novel if (truth == c).any()]
        if not present:
            return
        label_map = torch.from_numpy(truth).to(masks.device)
        novel = torch.isin(label_map, torch.tensor(present, device=masks.device))
        labels, values, probability = label_map[novel].long(), masks[:, novel], probability[:, :-1]
        serving = probability[:, present].argmax(dim=0)
        for c, query in zip(present, serving.tolist(), strict=True):
            self.queries[c][query] += 1
            self.own.append(float(values[query, labels == c].mean()))
            if len(present) > 1:
                self.others.append(float(values[query, labels != c].mean()))
        if len(present) > 1:
            self.shared += len(labels)
            self.covered += int(((values[serving] > INSIDE).sum(dim=0) > 1).sum())
        scores = probability.T @ values
        among_own = torch.tensor(present, device=labels.device)[scores[present].argmax(dim=0)]
        self.right_among_own += int((among_own == labels).sum())
        pairs = labels * len(self.classes) + scores.argmax(dim=0)
        self.counts += torch.bincount(pairs, minlength=self.counts.size).view(self.counts.shape).cpu().numpy()

    def result(self) -> dict[str, float | str]:
        """Return the numbers of all images.

        Returns: NaN, or an empty name, where the images have no value.
            `own`: mean value, on the pixels of a class, of the mask of the query that serves it; 0..1; over all
                pairs of an image and a novel class.
            `others`: the same on the pixels of the image's other novel classes.
            `covered`: percent of the novel pixels that lie under the masks of two novel classes of the image or more,
                in images with two or more.
            `right_among_own`: percent of the novel pixels that get their class if the image's own novel classes alone
                compete.
            `right`: the same if all K classes compete, as in inference.
            `taker`, `taken`: the class that takes most of the novel pixels that are wrong then, and percent of these.
            `loser`: the class that loses most pixels to it.
            `one_query`: percent of the images in which a novel class has its most frequent query, mean over classes.
        """
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        pixels, missed, taker = self.counts.sum(), wrong.sum(), int(wrong.sum(axis=0).argmax())
        usual = [max(counter.values()) / counter.total() for counter in self.queries.values()]
        return {
            "own": _mean(self.own),
            "others": _mean(self.others),
            "covered": percent(self.covered, self.shared),
            "right_among_own": percent(self.right_among_own, pixels),
            "right": percent(pixels - missed, pixels),
            "taker": self.classes[taker] if missed else "",
            "taken": percent(wrong[:, taker].sum(), missed),
            "loser": self.classes[int(wrong[:, taker].argmax())] if missed else "",
            "one_query": 100 * _mean(usual),
        }


def percent(part: float, whole: float) -> float:
    """Return a share in percent, NaN of nothing."""
    return 100 * float(part) / float(whole) if whole else math.nan


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
