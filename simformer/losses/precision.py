"""Full-precision arithmetic for losses inside a reduced-precision (autocast) forward pass."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> torch.autocast:
    """Return a context in which operations on the tensor's device keep the precision of their inputs."""
    return torch.autocast(device_type=tensor.device.type, enabled=False)


def promote(tensor: Tensor) -> Tensor:
    """Cast half and bfloat16 to float32; leave float32 and float64 as they are."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
