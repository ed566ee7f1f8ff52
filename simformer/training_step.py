"""One step of a training: gradient, clipping, update. Only the matching waits for the device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from simformer.build import Training
from simformer.config.layers import RunConfig
from simformer.data.loader import Group
from simformer.errors import UserError
from simformer.losses.mask import count_masks
from simformer.losses.total import total
from simformer.machine.devices import sum_type
from simformer.training.log import TERMS, StepMeans
from simformer.training.objective import Objective
from simformer.training.processes import Processes

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class _Values:
    """What a step has computed for the log: weighted terms and gradient norm, [7], still on the device."""

    step: int
    names: list[str]
    values: Tensor


class TrainingStep:
    """Steps of one training, whose values are collected for the log.

    On a GPU a step is queued while the one before is still computed. `settle` checks its loss and gradient norm, and
    must be called before a row is logged or a state is saved. Until then, an update whose gradient is not finite
    changes no weight. On a CPU, waiting would gain nothing, so both are checked before the update.

    Args:
        training: networks, loss and optimiser.
        config: the resolved run.
        means: rows of the log, to which `settle` adds.
        share: numbers of the groups of every step that this process has.
        processes: those that train together.

    Attributes:
        scaler: loss scaling of fp16, part of the training's state.
    """

    def __init__(
        self, training: Training, config: RunConfig, means: StepMeans, share: range, processes: Processes
    ) -> None:
        optim = config.settings.optim
        self.training, self.config, self.means, self.share, self.processes = training, config, means, share, processes
        self.device = next(training.model.parameters()).device
        if optim.compile:  # the losses stay as they are: the number of targets changes from step to step
            for part in (training.model.backbone, training.model.pixel_decoder, training.model.transformer):
                part.compile(dynamic=False)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=optim.precision == "fp16")
        objective = Objective(training.model, training.simnet, training.loss, PRECISIONS[optim.precision]).train()
        self.objective = processes.parallel(objective, unused=training.loss.leaves_heads_out)
        self.parameters = [p for module in training.modules for p in module.parameters() if p.requires_grad]
        self.waits = self.device.type != "cpu" and bool(training.optimizer.defaults["fused"])
        self._unsettled: list[_Values] = []

    def backward(self, groups: list[Group], step: int) -> Tensor:
        """Accumulate the gradient of a step; returns this process's weighted terms of the loss (Eq. 5), [6].

        All counts and sums are those of the whole step, of which this process has a share of the groups.
        """
        optim, processes, share = self.config.settings.optim, self.processes, self.share
        per_forward = min(optim.groups_per_forward or len(groups), len(groups))
        num_groups = optim.batch_images // optim.group_images
        num_masks = processes.sum([count_masks([target for group in groups for target in group.targets])])[0]
        self.training.optimizer.zero_grad(set_to_none=True)
        sums = torch.zeros(len(TERMS), dtype=sum_type(self.device), device=self.device)
        for first in range(0, len(groups), per_forward):
            chunk = groups[first : first + per_forward]
            slots = share[first : first + per_forward]
            seeds = [_sampling_seed(self.config.seed, step, slot) for slot in slots]
            if processes.size > 1:  # dropout differs between processes, and does not depend on an interruption
                torch.manual_seed(seeds[0])
            with processes.accumulate(self.objective, last=first + per_forward >= len(groups)):
                with processes.together(), _compiler_faults():
                    try:
                        terms = self.objective(chunk, num_masks, num_groups, seeds, slots[0], step / optim.steps)
                    except FloatingPointError as error:
                        raise _non_finite(str(error), _names(chunk), step) from None
                with _compiler_faults():
                    # The losses of the processes add up, but the mean of their gradients is taken.
                    self.scaler.scale(total(terms) * processes.size).backward()
            absent = sums.new_zeros(())
            sums += torch.stack([terms.get(name, absent).detach().to(sums.dtype) for name in TERMS])
        return sums

    def clip_gradient(self) -> Tensor:
        """Bound the norm of the gradient; returns the norm before."""
        self.scaler.unscale_(self.training.optimizer)
        return torch.nn.utils.clip_grad_norm_(self.parameters, self.config.settings.optim.clip_norm)

    def update(self, groups: list[Group], step: int, terms: Tensor, norm: Tensor) -> None:
        """Change the weights by the gradient of a step. Raises: UserError if something is not finite.

        Args:
            groups: this process's groups of the step.
            step: its number.
            terms: what `backward` returned.
            norm: what `clip_gradient` returned.
        """
        self._unsettled.append(_Values(step, _names(groups), torch.cat([terms, norm.to(terms.dtype)[None]])))
        if not self.waits:
            self.settle()
        elif not self.scaler.is_enabled():  # the fused AdamW skips its update where this is set, as for the scaler
            skipped = (~norm.isfinite()).float()
            self.training.optimizer.found_inf = skipped  # type: ignore[attr-defined]  # PyTorch's own scaler sets it
        self.scaler.step(self.training.optimizer)
        self.scaler.update()

    def settle(self) -> None:
        """Add the values of all steps since the last call to the means.

        Raises: UserError that names the first step, its images and what was not finite.
        """
        steps, self._unsettled = self._unsettled, []
        if not steps:
            return
        rows = torch.stack([step.values for step in steps]).tolist()
        for step, (*terms, norm) in zip(steps, rows, strict=True):
            bad = [f"{name} = {value}" for name, value in zip(TERMS, terms, strict=True) if not math.isfinite(value)]
            with self.processes.together():
                if bad:
                    what = f"the loss is not finite: {', '.join(bad)}"
                    raise _non_finite(what, step.names, step.step)
            if not math.isfinite(norm) and not self.scaler.is_enabled():
                names = [name for part in self.processes.gather(step.names) for name in part]
                raise _non_finite(f"the gradient norm is {norm}", names, step.step)
            sums = self.processes.sum(terms)
            self.means.add({"total": math.fsum(sums), **dict(zip(TERMS, sums, strict=True)), "grad_norm": norm})


@contextmanager
def _compiler_faults() -> Iterator[None]:
    """Turn what goes wrong in torch.compile into a line for the user."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise UserError(
            f"optim.compile: PyTorch cannot compile the network here ({lines[0]}); it needs a C++ compiler, and Triton "
            "on a GPU. Install them, or set optim.compile: false, which makes it another run"
        ) from None


def _sampling_seed(seed: int, step: int, group: int) -> int:
    """Seed of the pixel sampling of one group: a function of (seed, step, group)."""
    return ((seed * 1_000_003 + step) * 1_009 + group) % 2**63


def _names(groups: list[Group]) -> list[str]:
    return [name for group in groups for name in group.names]


def _non_finite(what: str, names: list[str], step: int) -> UserError:
    return UserError(
        f"step {step}: {what}. Images of the batch: {', '.join(names)}. Lower optim.lr, or set optim.precision: bf16 "
        "or fp32; the last saved state is untouched"
    )
