"""Networks and losses as one module: from groups of images to the terms of Eq. 5."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from simformer.data.loader import Group
from simformer.data.transforms import normalise
from simformer.losses.total import SimFormerLoss
from simformer.models.maskformer import MaskFormer
from simformer.models.simnet import SimNet


class Objective(nn.Module):
    """One forward pass over some groups of a step; a single module, which several processes can train together.

    Args:
        model: the segmentation network.
        simnet: similarity network, None without pairs.
        loss: Eq. 5.
        precision: dtype of the model's forward pass (autocast); float32 for none.
    """

    def __init__(self, model: MaskFormer, simnet: SimNet | None, loss: SimFormerLoss, precision: torch.dtype):
        super().__init__()
        self.model = model
        self.simnet = simnet
        self.loss = loss
        self.precision = precision

    def forward(
        self,
        groups: Sequence[Group],
        num_masks: float,
        num_groups: int,
        seeds: Sequence[int],
        first_slot: int,
        progress: float = 1.0,
    ) -> dict[str, Tensor]:
        """Compute what the groups add to the loss of the step: arguments and result as in `SimFormerLoss`."""
        device, half = next(self.model.parameters()).device, self.precision != torch.float32
        groups = [group.to(device) for group in groups]
        images = normalise(torch.cat([group.images for group in groups]))
        if half:
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, self.precision, enabled=half):
            output = self.model(images)
        targets = [target for group in groups for target in group.targets]
        return self.loss(
            output,
            targets,
            num_masks=num_masks,
            num_groups=num_groups,
            simnet=self.simnet,
            seeds=seeds,
            first_slot=first_slot,
            progress=progress,
        )
