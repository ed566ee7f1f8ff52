"""(a) The card computes what the CPU computes: step, gradients, golden numbers; bf16 and compiled beside fp32.

A network with random weights has queries that cost nearly the same, so that a rounding error can change the matching.
The step is therefore compared in two halves: the network, driven backwards by given gradients, and the losses with the
gradients of what they read, on one output.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor

from simformer.data.transforms import normalise
from simformer.losses.mask import count_masks
from simformer.losses.matching import match
from simformer.models.maskformer import MaskFormer
from tests import workloads
from tests.equations.toy import golden_numbers
from tests.gpu.needs import why_not_compiled
from tests.gpu.report import Context, Report
from tests.gpu.speed import compile_networks, free
from tests.gpu.timing import tf32

OUTPUTS = ("class_logits", "mask_logits", "embeddings")
GOLDEN = 1e-4
"""Of the golden numbers, as in tests/equations/test_golden.py: absolute."""
FP32_OUTPUT, FP32_LOSS, FP32_GRADIENT = 1e-5, 5e-5, 2e-3
"""Relative to the CPU. Outputs and all gradients together: the norm of the difference over the norm. On a CPU single
precision is off double precision by 6e-7 and 3e-4, since activations near zero fall to either side."""
BF16_OUTPUT, BF16_COSINE, BF16_TOTAL = 3e-2, 0.97, 5e-2
"""Relative to fp32 on the same device; the cosine is that of all gradients together. On a CPU: 9e-3 and 0.991."""
TOTAL = 1e-3
"""Of a whole step's loss relative to the CPU, where the matching is free to differ."""
COMPILER = 40.0
"""Seconds without which nothing is compiled."""
RESIDUAL = 0.3
"""Factor of each residual branch's last norm: with constant statistics random networks would otherwise grow without
bound, and every rounding error with them."""


def run(context: Context, report: Report) -> None:
    """Compare; each comparison is reported by itself."""
    case = workloads.CASES[context.sizes.cases[0]]
    case = workloads.resized(case, images=2, model=case.model | {"dropout": 0.0})
    with tf32(False):
        report.attempt("golden numbers", lambda: golden(context, report))
        report.attempt("halves of the step", lambda: halves(context, report, case))
        free(context)
        report.attempt("whole step", lambda: whole_step(context, report, case))
        report.attempt("loss that is not finite", lambda: not_finite(context, report, case))


def halves(context: Context, report: Report, case: workloads.Case) -> None:
    """Compare the network, and the losses on one output, with the CPU's."""
    host, card = Half.new(case, "cpu"), Half.new(case, context.device)
    plain = Driven.of(host, None)
    report.attempt("network, fp32", lambda: same_network(report, card, plain))
    report.attempt("losses, fp32", lambda: same_losses(report, card, host))
    free(context)
    report.attempt("network, bf16", lambda: bf16_network(report, card, plain))
    report.attempt("compiled network", lambda: compiled_network(context, report, card, plain), COMPILER)


def golden(context: Context, report: Report) -> None:
    """Compare every loss on the toy batch with the authors' code."""
    numbers = golden_numbers(context.device)
    for name, (value, expected) in numbers.items():
        if not abs(value - expected) <= GOLDEN:
            report.check(f"golden number: {name}", abs(value - expected), "", at_most=GOLDEN, note=f"{value} found")
    worst = max(abs(value - expected) for value, expected in numbers.values())
    report.check(f"golden numbers of the released code, largest error of {len(numbers)}", worst, "", at_most=GOLDEN)


@dataclass(frozen=True)
class Half:
    """A training with the same weights and data on any device."""

    work: workloads.Workload
    device: torch.device

    @classmethod
    def new(cls, case: workloads.Case, device: str) -> Half:
        """Build it; weights and data are drawn on the CPU."""
        work = workloads.build(case, "simformer", device, "fp32")
        _tame(work.training.model)
        work.training.model.train()
        return cls(work, torch.device(device))

    @property
    def model(self) -> MaskFormer:
        """The network."""
        return self.work.training.model

    @property
    def images(self) -> Tensor:
        """Its input."""
        return normalise(torch.cat([group.images for group in self.work.groups]).to(self.device))

    @property
    def targets(self) -> list:
        """The targets of its images."""
        return [target for group in self.work.groups for target in group.to(self.device).targets]


@dataclass(frozen=True)
class Driven:
    """A network's outputs, and its gradients for given gradients of them; all on the CPU."""

    outputs: dict[str, Tensor]
    gradients: dict[str, Tensor]

    @classmethod
    def of(cls, half: Half, precision: torch.dtype | None) -> Driven:
        """Run a network forwards and backwards, under autocast if a precision is given."""
        model = half.model
        model.zero_grad(set_to_none=True)
        with torch.autocast(half.device.type, precision, enabled=precision is not None):
            output = model(half.images)
        tensors = [getattr(output, name) for name in OUTPUTS]
        generator = torch.Generator().manual_seed(0)
        given = [torch.randn(t.shape, generator=generator).to(t.device, t.dtype) for t in tensors]
        torch.autograd.backward(tensors, given)
        outputs = {name: t.detach().float().cpu() for name, t in zip(OUTPUTS, tensors, strict=True)}
        gradients = {name: p.grad.float().cpu() for name, p in model.named_parameters() if p.grad is not None}
        model.zero_grad(set_to_none=True)
        return cls(outputs, gradients)

    @property
    def flat(self) -> Tensor:
        """All gradients one after another, in double precision."""
        return torch.cat([gradient.double().flatten() for gradient in self.gradients.values()])


def _tame(model: MaskFormer) -> None:
    for name, buffer in model.named_buffers():
        if name.endswith("bn3.weight"):
            buffer.mul_(RESIDUAL)


def difference(found: Tensor, wanted: Tensor) -> float:
    """Norm of the difference, relative to the norm of what is wanted."""
    return float((found.double() - wanted.double()).norm() / wanted.double().norm().clamp_min(1e-30))


def same_network(report: Report, card: Half, plain: Driven) -> None:
    """Compare outputs and gradients in fp32."""
    found = Driven.of(card, None)
    for name in OUTPUTS:
        error = difference(found.outputs[name], plain.outputs[name])
        report.check(f"fp32, {name} against the CPU", error, "relative", at_most=FP32_OUTPUT)
    _same_gradients(report, "fp32, gradients against the CPU", found, plain)


def _same_gradients(report: Report, name: str, found: Driven, wanted: Driven) -> None:
    if found.gradients.keys() != wanted.gradients.keys():
        report.failed(name, "other parameters have a gradient")
        return
    report.check(name, difference(found.flat, wanted.flat), "relative", at_most=FP32_GRADIENT)
    smallest = 1e-6 * float(wanted.flat.norm())
    errors = {
        key: difference(found.gradients[key], value)
        for key, value in wanted.gradients.items()
        if float(value.norm()) > smallest
    }
    worst = max(errors, key=errors.__getitem__)
    report.number(f"{name}, worst tensor", errors[worst], "relative", worst)


def same_losses(report: Report, card: Half, host: Half) -> None:
    """Compare matching, terms, and the gradients of what the losses read, on one output."""
    with torch.no_grad():
        output = host.model(host.images)
    sides = [_losses(half, {name: getattr(output, name) for name in OUTPUTS}) for half in (card, host)]
    found, wanted = sides
    report.holds("matching of one output as on the CPU", found.pairs == wanted.pairs, f"{len(wanted.pairs)} pairs")
    for name, value in wanted.terms.items():
        error = abs(found.terms[name] - value) / max(abs(value), 1e-6)
        report.check(f"fp32, loss '{name}' of one output against the CPU", error, "relative", at_most=FP32_LOSS)
    for name in OUTPUTS:
        if wanted.gradients[name] is not None:
            error = difference(found.gradients[name], wanted.gradients[name])
            note = f"of the losses for {name}"
            report.check("fp32, gradient against the CPU", error, "relative", at_most=FP32_GRADIENT, note=note)


def _losses(half: Half, output: dict[str, Tensor]) -> SimpleNamespace:
    """Return pairs, terms and gradients of the losses, on the CPU."""
    training, targets = half.work.training, half.targets
    leaves = {name: value.detach().clone().to(half.device).requires_grad_() for name, value in output.items()}
    prediction = SimpleNamespace(**leaves)
    matches = match(leaves["class_logits"], leaves["mask_logits"], targets, training.loss.matching)
    columns = [getattr(matches, name).tolist() for name in ("layer", "image", "query", "row")]
    terms = training.loss(
        prediction,
        targets,
        num_masks=count_masks(targets),
        num_groups=len(half.work.groups),
        simnet=training.simnet,
        seeds=range(len(half.work.groups)),
    )
    torch.stack(list(terms.values())).sum().backward()
    gradients = {name: None if leaf.grad is None else leaf.grad.cpu() for name, leaf in leaves.items()}
    values = {name: float(term.detach()) for name, term in terms.items()}
    return SimpleNamespace(pairs=list(zip(*columns, strict=True)), terms=values, gradients=gradients)


def bf16_network(report: Report, card: Half, plain: Driven) -> None:
    """Compare the network under bf16 with fp32."""
    found = Driven.of(card, torch.bfloat16)
    for name in OUTPUTS:
        error = difference(found.outputs[name], plain.outputs[name])
        report.check(f"bf16, {name} against fp32", error, "relative", at_most=BF16_OUTPUT)
    cosine = float(torch.nn.functional.cosine_similarity(found.flat, plain.flat, dim=0))
    report.check("bf16, gradients against fp32", cosine, "cosine", at_least=BF16_COSINE)


def compiled_network(context: Context, report: Report, card: Half, plain: Driven) -> None:
    """Compare the compiled network with the eager one, both in fp32; it stays compiled."""
    if why := why_not_compiled(context.on_card):
        report.missing("compiled network against the eager one", why)
        return
    compile_networks(card.work.training)
    found = Driven.of(card, None)
    for name in OUTPUTS:
        error = difference(found.outputs[name], plain.outputs[name])
        report.check(f"compiled fp32, {name} against the CPU", error, "relative", at_most=FP32_OUTPUT)
    _same_gradients(report, "compiled fp32, gradients against the CPU", found, plain)


def whole_step(context: Context, report: Report, case: workloads.Case) -> None:
    """Compare the loss of the first training step, as the loop makes it, in every precision."""

    def first(device: str, precision: str) -> dict[str, float]:
        work = workloads.build(case, "simformer", device, precision)
        _tame(work.training.model)
        work.step()
        return work.step.terms()

    host, card, half = first("cpu", "fp32"), first(context.device, "fp32"), first(context.device, "bf16")
    for name, found, bound in (("fp32", card, TOTAL), ("bf16", half, BF16_TOTAL)):
        error = abs(found["total"] - host["total"]) / host["total"]
        report.check(f"first training step, {name}, loss against the CPU's fp32", error, "relative", at_most=bound)
        error = abs(found["grad_norm"] - host["grad_norm"]) / host["grad_norm"]
        report.number(f"first training step, {name}, gradient norm against the CPU's fp32", error, "relative")


def not_finite(context: Context, report: Report, case: workloads.Case, most: int = 25) -> None:
    """Spoil one weight: the training must stop within some steps and say so, and no other weight may be spoilt."""
    work = workloads.build(case, "simformer", context.device)
    with torch.no_grad():
        work.training.model.class_head.bias[0] = torch.nan
    told = _told(work.step, most)
    report.holds("a loss that is not finite stops the training", "finite" in told, told[:120])
    parameters = {n: p for n, p in work.training.model.named_parameters() if n != "class_head.bias"}
    spoilt = [name for name, parameter in parameters.items() if not bool(torch.isfinite(parameter).all())]
    report.holds("... before any other weight is spoilt", not spoilt, ", ".join(spoilt[:3]))


def _told(step: workloads.Step, most: int) -> str:
    try:
        for _ in range(most):
            step()
        step.terms()
    except Exception as error:
        return str(error)
    return f"{most} steps went on"
