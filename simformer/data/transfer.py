"""Batches on their way to the GPU."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

import torch
from torch import Tensor

from simformer.data.loader import Group


def on_device(batches: Generator[list[Group], None, None], device: torch.device) -> Generator[list[Group], None, None]:
    """Yield the groups of each step with their images and label maps on a device.

    On a GPU the copies run beside the step before, in a stream of their own and from page-locked memory: the host is
    ahead of the GPU once matching is done. On a CPU nothing is copied.
    """
    with closing(batches):
        if device.type != "cuda":
            yield from batches
            return
        stream = torch.cuda.Stream(device)
        for groups in batches:
            with torch.cuda.stream(stream):
                groups = [_copy(group, device) for group in groups]
            current = torch.cuda.current_stream(device)
            current.wait_stream(stream)
            for tensor in (tensor for group in groups for tensor in _tensors(group)):
                tensor.record_stream(current)  # its memory is free again only when this stream is done with it
            yield groups


def _copy(group: Group, device: torch.device) -> Group:
    targets = [replace(t, label_map=t.label_map.pin_memory(), padding=t.padding.pin_memory()) for t in group.targets]
    return replace(group, images=group.images.pin_memory(), targets=targets).to(device)


def _tensors(group: Group) -> list[Tensor]:
    return [group.images, *(tensor for target in group.targets for tensor in (target.label_map, target.padding))]
