"""Copies of tensors from the host to a device."""

from __future__ import annotations

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Copy a tensor to a device, if it is not there.

    On CUDA the host goes on meanwhile. Elsewhere it waits: MPS may read the tensor after it has been freed.
    """
    return tensor.to(device, non_blocking=torch.device(device).type == "cuda")
