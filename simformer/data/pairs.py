"""Choice of the reference image B for an input image A, from image-level labels only (Sec. 3.4).

Only classes that are known to be in both images count as common; an unknown class does not. But an unknown class is not
counted as absent either: if a rule prefers images that share exactly one novel class, it may be a second one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from simformer.data.labels import LabelSet, present_classes, unknown_classes

SMALLEST_FIRST = 0.01
"""Released rule: probability of taking the common class with the fewest candidates."""
UNIQUE_CAP = 500
"""Released rule: a class without candidates counts as having this many."""


class PairChooser:
    """Chooses references by class co-occurrence; memory is O(images x classes), no table over image pairs.

    Args:
        labels: the training label set (its image-level labels are all that is used).
        mode: 'paper', 'code' or 'self', see `PairSettings`.
    """

    def __init__(self, labels: LabelSet, mode: Literal["paper", "code", "self"]) -> None:
        self.mode = mode
        present = present_classes(labels.images, len(labels.classes))
        is_novel = np.zeros(len(labels.classes), dtype=bool)
        is_novel[list(labels.novel)] = True
        self.novel = present & is_novel
        self.base = present & ~is_novel
        unknown = unknown_classes(labels.images, len(labels.classes))
        self.possible = self.novel | (unknown & is_novel)

    def choose(self, image: int, rng: np.random.Generator) -> int:
        """Return the index of the reference for an image; the image itself if nothing fits."""
        if self.mode == "self":
            return image
        candidates = self._paper(image, rng) if self.mode == "paper" else self._code(image, rng)
        candidates[image] = False
        found = np.flatnonzero(candidates)
        return int(rng.choice(found)) if len(found) else image

    def _paper(self, image: int, rng: np.random.Generator) -> np.ndarray:
        """A common novel and a common base class; else novel only, base only, none.

        The common novel class c is drawn uniformly from those of A that allow the best of these; images that
        share c and no other novel class come first.
        """
        others = np.ones(len(self.novel), dtype=bool)
        others[image] = False
        shares_base = self._shares_base(image) & others
        mine = np.flatnonzero(self.novel[image] & self.novel[others].any(axis=0))
        if not len(mine):
            return shares_base
        with_base = mine[self.novel[shares_base][:, mine].any(axis=0)]
        chosen = rng.choice(with_base if len(with_base) else mine)
        shares_chosen = self.novel[:, chosen] & (shares_base if len(with_base) else others)
        only_chosen = shares_chosen & self._shares_exactly_one(image)
        return only_chosen if only_chosen.any() else shares_chosen

    def _code(self, image: int, rng: np.random.Generator) -> np.ndarray:
        """The released rule: a novel class decides only if A has two or more, else a common base class."""
        mine = np.flatnonzero(self.novel[image])
        if len(mine) < 2:
            return self._shares_base(image)
        exactly_one = self._shares_exactly_one(image)
        if rng.random() < SMALLEST_FIRST:
            sizes = (self.novel[:, mine] & exactly_one[:, None]).sum(axis=0)
            chosen = mine[np.argmin(np.where(sizes == 0, UNIQUE_CAP, sizes))]
        else:
            chosen = rng.choice(mine)
        fits: np.ndarray = self.novel[:, chosen] & exactly_one
        return fits

    def _shares_base(self, image: int) -> np.ndarray:
        return np.asarray(self.base[:, self.base[image]].any(axis=1))

    def _shares_exactly_one(self, image: int) -> np.ndarray:
        one = self.novel[:, self.novel[image]].sum(axis=1) == 1
        surely_one: np.ndarray = one & (self.possible[:, self.possible[image]].sum(axis=1) == 1)
        return surely_one
