"""The target of one training image for the losses: class ids, and where the labelled base region is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from simformer.config.settings import IGNORE
from simformer.machine.copies import send


@dataclass(frozen=True)
class Target:
    """Targets of one padded training crop, as the losses of Eq. 1-5 see them (Sec. 3.1).

    The ids stay on the host, where matching needs them; the maps live where the network is.

    Attributes:
        class_ids: M ids present in the image: classes with a mask first (ascending), then those known
            only by an image-level label (ascending), int64 [M], on the host.
        has_mask: whether a class has a mask (base: it owns a pixel of the label map) or only an image-level
            label (novel), bool [M], on the host.
        label_map: class id per pixel; IGNORE for everything that is not labelled (hidden novel pixels,
            unlabelled pixels, padding), uint8 [H, W].
        padding: True on pixels added by padding, bool [H, W].
        kept: share of the not-base pixels of the whole image that the crop keeps, in [0, 1]; on the host.
        unknown: ids of the classes of which nobody says whether the image shows them; no target of theirs is among
            `class_ids`, and no loss takes them for absent.
    """

    class_ids: Tensor
    has_mask: Tensor
    label_map: Tensor
    padding: Tensor
    kept: float = 1.0
    unknown: tuple[int, ...] = ()

    @property
    def masks(self) -> Tensor:
        """Binary masks, all zero for classes without a mask, bool [M, H, W], on the label map's device."""
        ids = torch.where(self.has_mask, self.class_ids, -1).to(self.label_map.device)
        return self.label_map == ids.to(torch.int16)[:, None, None]

    def to(self, device: torch.device | str) -> Target:
        """Return the same target with its maps on another device."""
        label_map, padding = (send(tensor, device) for tensor in (self.label_map, self.padding))
        return replace(self, label_map=label_map, padding=padding)


def make_target(
    label_map: Tensor, padding: Tensor, image_labels: list[int], kept: float = 1.0, unknown: tuple[int, ...] = ()
) -> Target:
    """Build the target of a crop from its (masked) label map and its image-level labels.

    Args:
        label_map: class ids of the crop, IGNORE elsewhere, uint8 [H, W].
        padding: True on padded pixels, bool [H, W].
        image_labels: ids known only by image-level label (novel classes present in the whole image).
        kept, unknown: see `Target`.

    Returns: the Target; base classes that the crop cut away are not in it, image-level labels always are.
    """
    with_mask = np.flatnonzero(np.bincount(label_map.numpy().ravel(), minlength=IGNORE)[:IGNORE]).tolist()
    without_mask = sorted(set(image_labels) - set(with_mask))
    class_ids = torch.tensor(with_mask + without_mask, dtype=torch.int64)
    return Target(class_ids, torch.arange(len(class_ids)) < len(with_mask), label_map, padding, kept, unknown)


def unknown_columns(targets: Sequence[Target], columns: int) -> Tensor | None:
    """Return which of some columns, one per class, are of a class that is unknown in each image.

    Args:
        targets: of B images.
        columns: K + 1, the last one of no class.
    Returns: bool [B, K + 1] on the host; None if every class of every image is known.
    """
    if not any(target.unknown for target in targets):
        return None
    unknown = torch.zeros(len(targets), columns, dtype=torch.bool)
    for row, target in zip(unknown, targets, strict=True):
        row[list(target.unknown)] = True
    return unknown
