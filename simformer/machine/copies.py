"""Copies of tensors from the host to a device."""

from __future__ import annotations

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Copy a tensor to a device, if it is not there.

    The host goes on meanwhile, but not with MPS, which may read the tensor after it has been freed.
    """
    return tensor.to(device, non_blocking=torch.device(device).type != "mps")
