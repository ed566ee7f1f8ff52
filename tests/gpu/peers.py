"""(e) Beside other programs, in one run and in turn: Hugging Face's MaskFormer, the transcription, torchmetrics."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping

import numpy as np
import torch

from simformer.config.settings import TrainSettings
from simformer.inference import class_scores
from simformer.metrics import confusion_matrix
from simformer.models.maskformer import MaskFormer
from tests import workloads
from tests.gpu.needs import why_not_compiled
from tests.gpu.report import Context, Report
from tests.gpu.speed import free
from tests.gpu.timing import Step, Times, tf32, time_in_turn
from tests.reference.step import plain_step

SHIPPED, COMPILED = 3.0, 1.3
"""How many times as fast as Hugging Face's MaskFormer our SimFormer is to train: as shipped; bf16 and compiled."""
CONFUSION = 5.0
COMPILER = 45.0
"""Seconds without which nothing is compiled."""
ROOMY = 40 * 2**30
"""Bytes of a card on which all programs fit side by side with the images of a whole step; elsewhere two images do."""
SIMFORMER, MASKFORMER, THEIRS = "our SimFormer", "our MaskFormer", "Hugging Face's MaskFormer"
TRANSCRIBED, SINGLE = "the transcribed SimFormer", "our SimFormer in their precision"
HALF, STEP = "bf16 and compiled", "training step"


def run(context: Context, report: Report) -> None:
    """Time each group of programs in turn."""
    case = workloads.resized(workloads.CASES[context.sizes.cases[0]], images=_images(context))
    theirs = _there(report, "transformers", THEIRS)
    report.attempt("training steps", lambda: training(context, report, case, theirs, report.left() * 0.5))
    free(context)
    report.attempt("inference", lambda: inference(context, report, case, theirs, report.left() * 0.3), 5)
    free(context)
    if _there(report, "torchmetrics", "torchmetrics' confusion matrix"):
        report.attempt("confusion matrix", lambda: confusion(context, report, case, report.left() * 0.2))
    why = why_not_compiled(context.on_card)
    if theirs and not why:  # last, since nothing can interrupt the compiler
        report.attempt("training steps, compiled", lambda: compiled(context, report, case, report.left()), COMPILER)
        free(context)
        report.attempt(
            "inference, compiled", lambda: inference_compiled(context, report, case, report.left()), COMPILER
        )
    elif theirs:
        report.missing(f"{THEIRS}, {HALF}", why)


def _images(context: Context) -> int:
    if not context.on_card or torch.cuda.get_device_properties(context.device).total_memory >= ROOMY:
        return context.sizes.images
    return 2


def _there(report: Report, package: str, what: str) -> bool:
    there = importlib.util.find_spec(package) is not None
    if not there:
        report.missing(what, f"the package {package} is not installed here")
    return there


def ours(case: workloads.Case, method: str, device: str) -> Step:
    """Return our training step as its command makes it: with bf16, what stays in single precision may use TF32."""
    work = workloads.build(case, method, device)
    allowed = work.config.settings.optim.precision != "fp32"

    def step() -> None:
        with tf32(allowed):
            work.step()

    return step


def training(context: Context, report: Report, case: workloads.Case, theirs: bool, seconds: float) -> None:
    """Training steps: ours by default, the transcription and Hugging Face's as shipped."""
    device = context.device
    steps = {
        SIMFORMER: ours(case, "simformer", device),
        MASKFORMER: ours(case, "maskformer", device),
        TRANSCRIBED: plain_step(case, "simformer", device),
    }
    if theirs:
        from tests.gpu.hugging_face import training_step

        steps[THEIRS] = training_step(case, device, None, False)
        steps[SINGLE] = workloads.build(case, "simformer", device, "fp32").step
    mode = {SIMFORMER: TrainSettings().optim.precision, MASKFORMER: TrainSettings().optim.precision}
    found = _in_turn(context, report, f"training step, {case.name}, {case.images} images", steps, mode, seconds)
    _ratio(context, report, found, SIMFORMER, TRANSCRIBED, None, STEP)
    if theirs:
        _ratio(context, report, found, SIMFORMER, THEIRS, SHIPPED, STEP)
        _ratio(context, report, found, SINGLE, THEIRS, None, STEP)
        _ratio(context, report, found, MASKFORMER, THEIRS, None, STEP)


def compiled(context: Context, report: Report, case: workloads.Case, seconds: float) -> None:
    """Training steps: ours by default, and theirs with what makes it fast."""
    from tests.gpu.hugging_face import training_step

    other = training_step(case, context.device, torch.bfloat16, True)
    steps = {SIMFORMER: ours(case, "simformer", context.device), f"{THEIRS}, {HALF}": other}
    mode = {SIMFORMER: TrainSettings().optim.precision}
    found = _in_turn(context, report, f"training step, {case.name}, {case.images} images", steps, mode, seconds)
    _ratio(context, report, found, SIMFORMER, f"{THEIRS}, {HALF}", COMPILED, STEP)
    report.number(f"loss of {THEIRS}, {HALF}, after these steps", float(other()), "", "a compiler can spoil it unseen")


def inference(context: Context, report: Report, case: workloads.Case, theirs: bool, seconds: float) -> None:
    """Class of every pixel of some crops, from images on the host to ids on the host, as shipped."""
    steps = {MASKFORMER: our_inference(context, case)}
    if theirs:
        from tests.gpu.hugging_face import inference_step

        steps[THEIRS] = inference_step(case, context.device, None, False)
    found = _in_turn(context, report, f"inference, {case.name}, {case.images} images", steps, {}, seconds)
    if theirs:
        _ratio(context, report, found, MASKFORMER, THEIRS, None, "inference")


def inference_compiled(context: Context, report: Report, case: workloads.Case, seconds: float) -> None:
    """The same, and theirs with what makes it fast."""
    from tests.gpu.hugging_face import inference_step

    other = f"{THEIRS}, {HALF}"
    theirs = inference_step(case, context.device, torch.bfloat16, True)
    steps = {MASKFORMER: our_inference(context, case), other: theirs}
    found = _in_turn(context, report, f"inference, {case.name}, {case.images} images", steps, {}, seconds)
    _ratio(context, report, found, MASKFORMER, other, None, "inference")


def our_inference(context: Context, case: workloads.Case) -> Step:
    """Return our prediction of some crops."""
    torch.manual_seed(0)
    model = MaskFormer(case.classes, case.settings("maskformer").model).eval().to(context.device)
    images = torch.cat([group.images for group in workloads.new_groups(case, "maskformer")])

    def step() -> torch.Tensor:
        scores = class_scores(model, images.to(context.device, non_blocking=True), (case.crop, case.crop))
        return scores.argmax(1).to(torch.uint8).cpu()

    return step


def confusion(context: Context, report: Report, case: workloads.Case, seconds: float) -> None:
    """Count the pixels of some images by prediction and truth, from ids on the device."""
    importlib.import_module("simformer.models.torchvision_ops")  # first, see there: torchmetrics imports torchvision
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    rng, shape = np.random.default_rng(0), (case.images, *context.sizes.photograph)
    truth = rng.integers(0, case.classes, shape).astype(np.uint8)
    truth[rng.random(shape) < 0.1] = 255
    predicted = rng.integers(0, case.classes, shape).astype(np.uint8)
    there = torch.from_numpy(predicted).to(context.device)

    def ours() -> np.ndarray:
        return confusion_matrix(there.cpu().numpy(), truth, case.classes)

    def theirs() -> np.ndarray:
        wanted = torch.from_numpy(truth).to(context.device)
        found = multiclass_confusion_matrix(there.long(), wanted.long(), case.classes, ignore_index=255)
        return found.cpu().numpy()

    same = np.array_equal(ours()[:-1, :-1].T, theirs())
    report.holds("both count the same pixels", same)
    steps: dict[str, Step] = {"our confusion matrix": ours, "torchmetrics'": theirs}
    name = f"confusion matrix of {case.images} images"
    found = _in_turn(context, report, name, steps, {}, seconds)
    _ratio(context, report, found, "our confusion matrix", "torchmetrics'", CONFUSION, "confusion matrix")


def _in_turn(
    context: Context,
    report: Report,
    what: str,
    steps: Mapping[str, Callable[[], object]],
    modes: Mapping[str, str],
    seconds: float,
) -> dict[str, Times]:
    """Time programs in turn, and report the median of each with its quartiles."""
    found = time_in_turn(steps, context.device, context.sizes.steps, context.sizes.warmup, seconds)
    for name, times in found.items():
        low, high = times.quartiles
        note = f"{1000 * low:.1f} to {1000 * high:.1f}, n = {len(times.seconds)}"
        shown = f"{name} ({modes[name]})" if name in modes else name
        report.number(f"{what}: {shown}", 1000 * times.median, "ms", note)
    return found


def _ratio(
    context: Context,
    report: Report,
    found: Mapping[str, Times],
    ours: str,
    other: str,
    wanted: float | None,
    what: str,
) -> None:
    """Report how many times as long another program takes; the quartiles are those of the rounds' own ratios."""
    ratios = Times(tuple(b / a for a, b in zip(found[ours].seconds, found[other].seconds, strict=True)))
    low, high = ratios.quartiles
    name, note = f"{what}: {other} over {ours}", f"{low:.2f} to {high:.2f}"
    if wanted is None or not context.on_card:
        report.number(name, ratios.median, "times as long", note)
    else:
        report.target(name, ratios.median, "times as long", at_least=wanted, note=note)
