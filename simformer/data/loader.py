"""Training batches as a pure function of (seed, step): which images, which references, which augmentation.

A group is the set of images that share one loss normalisation: an input image and its reference, or single
images. Resuming at step t needs no stored sampler or worker state: group g of step t is always the same.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from simformer.config.settings import IGNORE, AugmentSettings
from simformer.data.checked import read_label_map, read_photograph
from simformer.data.labels import LabelSet
from simformer.data.pairs import PairChooser
from simformer.data.targets import Target, make_target
from simformer.data.transforms import Crop, augment
from simformer.data.workers import Loaders
from simformer.errors import UserError
from simformer.machine.copies import send

ItemT = TypeVar("ItemT")


@dataclass(frozen=True)
class Group:
    """Images that share one loss normalisation.

    Attributes:
        images: raw RGB, uint8 [G, 3, S, S].
        targets: G targets.
        names: G image names, for error messages.
    """

    images: Tensor
    targets: list[Target]
    names: list[str]

    def to(self, device: torch.device) -> Group:
        """Return the same group with images and label maps on another device."""
        targets = [target.to(device) for target in self.targets]
        return replace(self, images=send(self.images, device), targets=targets)


class TrainingGroups(Dataset[Group]):
    """Endless sequence of groups: item n is a pure function of (seed, n).

    Args:
        data: folder of the prepared dataset (images).
        labels: label set to train on.
        augment_settings: crop size and augmentation.
        group_images: images per group.
        chooser: chooses a reference for the first image; None for groups of single images.
        seed: training seed.
    """

    def __init__(
        self,
        data: Path,
        labels: LabelSet,
        augment_settings: AugmentSettings,
        group_images: int,
        chooser: PairChooser | None,
        seed: int,
    ) -> None:
        self.data = data
        self.labels = labels
        self.augment_settings = augment_settings
        self.group_images = group_images
        self.chooser = chooser
        self.seed = seed

    def image_ids(self, group: int) -> list[int]:
        """Indices of the images of a group: fresh permutations of the training set, one after the other."""
        if self.chooser is None:
            first = group * self.group_images
            return [self._nth(first + i) for i in range(self.group_images)]
        image = self._nth(group)
        return [image, self.chooser.choose(image, np.random.default_rng([self.seed, 1, group]))]

    def __getitem__(self, group: int) -> Group:
        samples = [self._sample(image, group, slot) for slot, image in enumerate(self.image_ids(group))]
        images, targets, names = zip(*samples, strict=True)
        return Group(torch.stack(images), list(targets), list(names))

    def _nth(self, position: int) -> int:
        return nth_image(self.seed, position, len(self.labels.images))

    def _sample(self, image_id: int, group: int, slot: int) -> tuple[Tensor, Target, str]:
        image = self.labels.images[image_id]
        crop = self.crop(image_id, group, slot, read_label_map(self.labels, image))
        label_map, novel = crop.label_map, self.labels.novel_labels(image)
        if self.labels.crop_scope:
            novel = [c for c in novel if (label_map == c).any()]
            label_map = label_map.masked_fill(torch.isin(label_map, torch.tensor(self.labels.novel)), IGNORE)
        return crop.image, make_target(label_map, crop.padding, novel, crop.kept, image.unknown), image.name

    def crop(self, image_id: int, group: int, slot: int, label_map: np.ndarray) -> Crop:
        """Augment one image of a group as training does, together with any label map of it.

        Args:
            image_id: index of the image.
            group: number of the group.
            slot: position of the image in its group.
            label_map: uint8 [H, W]. For an image with novel labels, the crop does not depend on it.
        """
        image = self.labels.images[image_id]
        return augment(
            read_photograph(self.data, image),
            label_map,
            self.augment_settings,
            np.random.default_rng([self.seed, 2, group, slot]),
            any_crop=bool(self.labels.novel_labels(image)) and not self.labels.crop_scope,
            hidden=self.labels.novel if self.labels.crop_scope else (),
        )


def nth_image(seed: int, position: int, count: int) -> int:
    """Index of the image at a position of an endless sequence: fresh permutations of 0..count-1, one after another."""
    epoch, offset = divmod(position, count)
    return int(_permutation(seed, epoch, count)[offset])


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, 0, epoch]).permutation(count)


def training_steps(
    groups: Dataset[ItemT],
    groups_per_step: int,
    first_step: int,
    last_step: int,
    workers: int,
    share: range | None = None,
) -> Generator[list[ItemT], None, None]:
    """Yield the groups of each step in [first_step, last_step), or of a share of its 0..groups_per_step-1.

    No global random state is used. Workers leave SIGTERM and SIGINT to the training process, which saves its
    state before it ends; it closes this generator, which ends them.

    Raises: UserError, with its cause, when the loading processes fail.
    """
    share = range(groups_per_step) if share is None else share
    starts = range(first_step * groups_per_step, last_step * groups_per_step, groups_per_step)
    batches = [range(start + share.start, start + share.stop) for start in starts]
    if not workers or not batches:
        yield from ([groups[number] for number in batch] for batch in batches)
        return
    try:
        with Loaders().started(groups, batches, workers) as loaded:
            yield from loaded
    except UserError as error:  # a loading process sends its traceback along, in the text
        raise UserError(str(error).rsplit("UserError: ", 1)[-1].strip()) from None
