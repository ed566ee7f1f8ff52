"""Counts of what work asks of PyTorch: operators, arithmetic, memory, traffic with a card. No clock is read.

Work may run on the `meta` device, which stands for a card: tensors have a size there but no values. What waits for a
real card (the host reads a value, or copies to the card without `non_blocking`) is counted, and answered with made-up
values. What fails on a real card (operands on two devices), or has a size that depends on values, fails here, too.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.optim import optimizer
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

CARD, HOST = "meta", "cpu"
READS = ("_local_scalar_dense", "item", "equal", "is_nonzero")
"""Operators by which the host reads one value."""
SIZED_BY_VALUES = ("nonzero", "masked_select", "_unique", "_unique2", "unique_dim", "unique_consecutive", "bincount")
"""Operators whose result has a size that the host must read first."""
LITERALS = ("tensor", "new_tensor", "as_tensor")
"""Functions that make a tensor from Python's numbers, and copy it to the card where it is to be there."""
COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put")


@dataclass
class Counts:
    """What some work took.

    Attributes:
        operators: operator calls, without those that only look at a tensor in another way.
        flops: multiplications and additions of matrix products, convolutions and attention.
        allocations: memory blocks that tensors asked for.
        allocated_bytes: their bytes.
        peak_bytes: most bytes of them in use at a time.
        to_card_bytes, to_host_bytes: copies between the host and the card.
        waits: times that the host waits for the card.
    """

    operators: int = 0
    flops: int = 0
    allocations: int = 0
    allocated_bytes: int = 0
    peak_bytes: int = 0
    to_card_bytes: int = 0
    to_host_bytes: int = 0
    waits: int = 0


@dataclass
class Memory:
    """Blocks of memory in use: those that were there before, and those that the work asked for."""

    counts: Counts
    live: int = 0
    known: dict[int, weakref.ref] = field(default_factory=dict)

    def seen(self, tensor: Tensor) -> None:
        """Take note of a tensor that the work was given."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.known:
            self.known[key] = weakref.ref(storage, lambda _: self.known.pop(key, None))

    def made(self, tensor: Tensor) -> None:
        """Count a tensor that an operator has returned, if its memory is new."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return

        def freed(_: object) -> None:
            self.known.pop(key, None)
            self.live -= size

        self.known[key] = weakref.ref(storage, freed)
        self.counts.allocations += 1
        self.counts.allocated_bytes += size
        self.live += size
        self.counts.peak_bytes = max(self.counts.peak_bytes, self.live)


class CountingMode(TorchDispatchMode):
    """Counts every operator that runs inside of it, those of the backward pass included.

    Attributes:
        counts: so far.
        calls: operator calls by name.
        waits: what the host has waited for, in order: operator and shape.

    Args:
        answer: makes the values of a tensor that is copied from the card; by default zeros.
    """

    def __init__(self, answer: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.counts = Counts()
        self.calls: Counter[str] = Counter()
        self.waits: list[str] = []
        self.answer = answer or (lambda like: torch.zeros(like.shape, dtype=like.dtype))
        self._memory = Memory(self.counts)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = func._overloadpacket.__name__
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        for tensor in given:
            self._memory.seen(tensor)
        if func._overloadpacket not in flop_registry and func.has_kernel_for_dispatch_key(COMPOSITE):
            with self:  # in inference mode some operators arrive before they are taken apart
                return func.decompose(*args, **kwargs)
        if not func.is_view and name not in READS:
            self.counts.operators += 1
            self.calls[name] += 1
        result = self._run(name, func, args, kwargs, given)
        if (formula := flop_registry.get(func._overloadpacket)) is not None:
            self.counts.flops += formula(*args, **kwargs, out_val=result)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._memory.made(leaf)
        return result

    def _run(self, name: str, func: Any, args: tuple, kwargs: dict, given: list[Tensor]) -> Any:
        """Run an operator, or stand for it where it crosses between host and card."""
        on_card = any(tensor.device.type == CARD for tensor in given)
        if name in READS and on_card:
            self.wait(name, given[0])
            return 1.0 if given[0].is_floating_point() else 0
        by_mask = name in INDEXING and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        sized = name == "repeat_interleave" and kwargs.get("output_size") is None
        if on_card and (name in SIZED_BY_VALUES or by_mask or sized):
            what = f"{name} by a mask" if by_mask else name
            raise RuntimeError(f"{what}: the size of the result depends on values on the card")
        if name == "_to_copy" and args[0].device.type != torch.device(kwargs.get("device") or args[0].device).type:
            return self._cross(args[0], kwargs.get("non_blocking", False), lambda: func(*args, **kwargs))
        if name == "copy_" and args[0].device.type != args[1].device.type:
            target, source = args[:2]
            blocking = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
            values = self._cross(source, blocking, lambda: target)
            return target if target.device.type == CARD else target.copy_(values)
        _refuse_mixture(name, given)
        return func(*args, **kwargs)

    def _cross(self, source: Tensor, non_blocking: bool, to_card: Callable[[], Tensor]) -> Tensor:
        """Copy between the host and the card."""
        if source.device.type == HOST:
            self.counts.to_card_bytes += source.nbytes
            if not non_blocking:
                self.wait("copy to the card", source)
            return to_card()
        self.counts.to_host_bytes += source.nbytes
        self.wait("copy to the host", source)
        return self.answer(source)

    def wait(self, what: str, tensor: Tensor) -> None:
        """Count that the host waits."""
        self.counts.waits += 1
        self.waits.append(f"{what} {tuple(tensor.shape)}")


class LiteralsMode(TorchFunctionMode):
    """Counts tensors that are made from Python's numbers for the card; no operator shows their copy."""

    def __init__(self, counting: CountingMode) -> None:
        super().__init__()
        self.counting = counting

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in LITERALS and result.device.type == CARD:
            self.counting.counts.to_card_bytes += result.nbytes
            self.counting.wait("numbers to the card", result)
        return result


def _refuse_mixture(name: str, given: list[Tensor]) -> None:
    """Refuse operands on two devices; a card takes a single value of the host along."""
    devices = {tensor.device.type for tensor in given if tensor.dim()}
    if len(devices) > 1:
        shapes = ", ".join(f"{tuple(t.shape)} on the {'card' if t.device.type == CARD else 'host'}" for t in given)
        raise RuntimeError(f"{name}: operands on two devices: {shapes}")


@contextlib.contextmanager
def counting(answer: Callable[[Tensor], Tensor] | None = None) -> Iterator[CountingMode]:
    """Count what runs inside; no garbage is collected meanwhile, so that its times change no count."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        with as_on_a_card(), CountingMode(answer) as mode, LiteralsMode(mode):
            yield mode
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def as_on_a_card() -> Iterator[None]:
    """Treat `meta` as a card in what PyTorch offers there by name of the device.

    Optimisers and clipping take the way with one kernel for many tensors. Autocast, which `meta` lacks, does nothing.
    """
    original = torch.autocast

    def autocast(device_type: str, *args: Any, **kwargs: Any) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext() if device_type == CARD else original(device_type, *args, **kwargs)

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch("torch.autocast", autocast))
        for module in (optimizer, _foreach_utils):
            for name in ("_get_foreach_kernels_supported_devices", "_get_fused_kernels_supported_devices"):
                devices = [*getattr(module, name)(), CARD]
                stack.enter_context(mock.patch.object(module, name, lambda devices=devices: list(devices)))
        yield
