"""(c) Time, memory, kernels, waits and transfers of every kind of step, at the paper's sizes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import torch

from simformer.build import Training
from simformer.config.settings import TrainSettings
from tests import workloads
from tests.gpu.needs import why_not_compiled
from tests.gpu.networks import Baselines
from tests.gpu.photographs import Photographs, write_photographs
from tests.gpu.profile import profile_steps, sync_places
from tests.gpu.report import Context, Report
from tests.gpu.stages import stages
from tests.gpu.timing import Step, tf32, time_steps

NEEDS, MOST = 6.0, 16.0
"""Seconds that a measurement needs at least, and may take at most, without building and profiling."""
PROFILED = 2
ONLY_ON_A_CARD = "kernels, waits, transfers and peak memory of a card are measured on a card only"
USUAL = "as its command runs"
"""Mode of steps that have no precision to choose."""


@dataclass
class Measured:
    """How fast some work is, as it stands in the JSON.

    Attributes:
        case, work, mode: what ran: sizes, program, precision.
        images: of a step.
        as_trained: whether this is what the command does by default; the cost plan reads these.
        seconds, low, high, steps: median and quartiles of a step, and how many were timed.
        images_per_second: at the median.
        peak_bytes: most memory of tensors on the card.
        busy_share: of the step's time, in which the card runs something: the union of its kernels' and copies' times in
            the profiled steps over the median of the others.
        kernels, syncs, to_device_bytes, to_host_bytes: of a step.
        sync_places: lines at which the host waits, and how often in a step.
        why: reasons for what is null.
    """

    case: str
    work: str
    mode: str
    images: int
    as_trained: bool
    seconds: float
    low: float
    high: float
    steps: int
    images_per_second: float
    peak_bytes: int | None = None
    busy_share: float | None = None
    kernels: float | None = None
    syncs: float | None = None
    to_device_bytes: float | None = None
    to_host_bytes: float | None = None
    sync_places: dict[str, int] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """A step to measure.

    Attributes:
        case, work, mode, images, as_trained: see `Measured`.
        build: returns the step.
        allow_tf32: for what stays in single precision on the card; None leaves what PyTorch does by default.
        needs: seconds without which it is left out.
    """

    case: str
    work: str
    mode: str
    images: int
    as_trained: bool
    build: Callable[[], Step]
    allow_tf32: bool | None = None
    needs: float = NEEDS

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.case}, {self.work}, {self.mode}, {self.images} images"


def run(context: Context, report: Report) -> None:
    """Measure, the most important first; what there is no time for is named."""
    first, *others = (workloads.CASES[name] for name in context.sizes.cases)
    shots = report.attempt("synthetic photographs", lambda: photographs(context, first))
    _all(context, report, trainings(context, first))
    report.attempt("largest batch", lambda: largest_batch(context, report, first), 20 if context.on_card else 0)
    for case in others:
        _all(context, report, trainings(context, case))
    if shots:
        _all(context, report, after_training(context, first, shots))
        _all(context, report, baselines(context, first, shots))
    if why := why_not_compiled(context.on_card):
        report.missing("compiled networks", why)
    _all(context, report, compiled(context, first))
    for case in others:
        mine = report.attempt("synthetic photographs", lambda case=case: photographs(context, case), NEEDS)
        if mine:
            _all(context, report, after_training(context, case, mine))
            _all(context, report, baselines(context, case, mine))
        report.attempt("largest batch", lambda case=case: largest_batch(context, report, case), 20)
        _all(context, report, compiled(context, case))


def photographs(context: Context, case: workloads.Case) -> Photographs:
    """Write the synthetic photographs of a case."""
    sizes = context.sizes
    return write_photographs(context.folder / f"photographs {case.name}", case, sizes.photographs, sizes.photograph)


def trainings(context: Context, case: workloads.Case) -> list[Job]:
    """Return the steps of SimFormer and MaskFormer in every precision, the one by default first."""
    jobs = [_training(context, case, method, mode) for method in workloads.METHODS for mode in _modes(context)]
    return sorted(jobs, key=lambda job: (not job.as_trained, job.work != "simformer"))


def _modes(context: Context) -> tuple[str, ...]:
    if not context.on_card:
        return "fp32", "bf16"
    return "fp32", "tf32", "bf16" if context.bf16 else "fp16"


def _training(
    context: Context, case: workloads.Case, method: str, mode: str, wrap: Callable[[Training], Training] | None = None
) -> Job:
    case = workloads.resized(case, images=context.sizes.images)
    precision = mode.partition("+")[0].replace("tf32", "fp32")

    def build() -> Step:
        return workloads.build(case, method, context.device, precision, wrap).step

    usual = mode == TrainSettings().optim.precision
    return Job(case.name, method, mode, case.images, usual, build, allow_tf32=mode != "fp32")


def compiled(context: Context, case: workloads.Case) -> list[Job]:
    """Return SimFormer's step with compiled backbone, pixel decoder and transformer; the losses stay as they are."""
    if why_not_compiled(context.on_card):
        return []
    job = _training(context, case, "simformer", f"{_modes(context)[-1]}+compile", compile_networks)
    return [replace(job, needs=50.0)]


def compile_networks(training: Training) -> Training:
    """Compile what has fixed shapes, in place."""
    for part in (training.model.backbone, training.model.pixel_decoder, training.model.transformer):
        part.compile(dynamic=False)
    return training


def after_training(context: Context, case: workloads.Case, shots: Photographs) -> list[Job]:
    """Return the steps of evaluation, pseudo-labels, class maps and walks."""
    found = stages(shots, case, context.sizes.backbone, context.sizes.images, context.device)
    return [Job(case.name, work, USUAL, images, True, build) for work, (images, build) in found.items()]


def baselines(context: Context, case: workloads.Case, shots: Photographs) -> list[Job]:
    """Return the steps of the baselines' networks."""
    sizes, folder = context.sizes, context.folder / f"baselines {case.name}"
    made = Baselines(shots, case, sizes.backbone, sizes.images, context.device, folder)
    images = {"RIB tuning": 1}
    return [
        Job(case.name, work, USUAL, images.get(work, sizes.images), True, build) for work, build in made.steps().items()
    ]


def _all(context: Context, report: Report, jobs: list[Job]) -> None:
    for job in jobs:
        report.attempt(job.name, lambda job=job: report.step(asdict(measure(context, job, report.left()))), job.needs)
        free(context)


def measure(context: Context, job: Job, seconds: float) -> Measured:
    """Time a step, and on a card profile it.

    Args:
        context: device and sizes.
        job: what is measured.
        seconds: that are left; a fraction of them is used.
    """
    sizes, device = context.sizes, context.device
    with tf32(job.allow_tf32):
        step = job.build()
        if context.on_card:
            torch.cuda.reset_peak_memory_stats(device)
        times = time_steps(step, device, sizes.steps, sizes.warmup, min(MOST, 0.5 * seconds))
        low, high = times.quartiles
        found = Measured(
            job.case, job.work, job.mode, job.images, job.as_trained,
            times.median, low, high, len(times.seconds), job.images / times.median,
        )  # fmt: skip
        if len(times.seconds) < sizes.steps:
            found.why["steps"] = f"fewer than {sizes.steps} steps were timed where the time did not suffice"
        if context.on_card:
            found.peak_bytes = torch.cuda.max_memory_allocated(device)
            _look_inside(found, step, device)
        else:
            found.why["peak_bytes"] = ONLY_ON_A_CARD
    return found


def _look_inside(found: Measured, step: Step, device: str) -> None:
    """Profile a step; where the profiler or PyTorch's warnings fail, the reason is told and the times stay."""
    try:
        profile = profile_steps(step, device, PROFILED)
        found.busy_share = min(1.0, profile.busy_seconds / found.seconds)
        found.kernels, found.syncs = profile.kernels, profile.syncs
        found.to_device_bytes, found.to_host_bytes = profile.to_device_bytes, profile.to_host_bytes
    except Exception as error:
        found.why["kernels"] = f"the profiler failed ({type(error).__name__}: {error})"
    try:
        found.sync_places = sync_places(step, device)
    except Exception as error:
        found.why["sync_places"] = f"the places of waits are unknown ({type(error).__name__}: {error})"


def largest_batch(context: Context, report: Report, case: workloads.Case) -> None:
    """Measure SimFormer, as it is trained by default, with the most images that fit the memory."""
    sizes, device = context.sizes, context.device
    name = f"{case.name}, SimFormer's largest batch within {sizes.memory / 2**30:.0f} GiB"
    if not context.on_card:
        report.missing(name, ONLY_ON_A_CARD)
        return
    mode = TrainSettings().optim.precision
    whole = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, sizes.memory / whole), device)
    try:
        images = _guess(context, case, mode)
        started = time.monotonic()
        while images >= 2:
            smaller = replace(context, sizes=replace(sizes, images=images))
            try:
                found = measure(smaller, _training(smaller, case, "simformer", mode), report.left())
            except torch.cuda.OutOfMemoryError:
                images -= 2
                free(context)
                if time.monotonic() - started > MOST:
                    report.missing(name, f"not found in {MOST:.0f} s; {images + 2} images do not fit")
                    return
                continue
            found.as_trained = False
            report.number(name, images, "images", f"peak {found.peak_bytes / 2**30:.1f} GiB of tensors")
            report.step(asdict(found))
            return
        report.missing(name, "not even two images fit")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        free(context)


def _guess(context: Context, case: workloads.Case, mode: str) -> int:
    """Estimate how many images fit, from the memory that two and four take; the allocator needs some more."""
    peaks = []
    for images in (2, 4):
        small = replace(context, sizes=replace(context.sizes, images=images))
        step = _training(small, case, "simformer", mode).build()
        torch.cuda.reset_peak_memory_stats(context.device)
        step()
        step()
        peaks.append(torch.cuda.max_memory_allocated(context.device))
        del step
        free(context)
    pair = max(1, peaks[1] - peaks[0])
    room = 0.94 * context.sizes.memory - peaks[0]
    return max(2, 2 + 2 * int(room // pair))


def free(context: Context) -> None:
    """Give the memory of what is no longer used back."""
    gc.collect()
    if context.on_card:
        torch.cuda.empty_cache()
