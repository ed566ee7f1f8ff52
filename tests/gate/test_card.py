"""No hidden work on the CPU: with tensors on `meta` in place of a card no operator mixes devices, and the host waits
where it must only (tests/gate/counting.py)."""

import pytest
import torch

from tests.gate.counting import CARD, as_on_a_card, counting
from tests.gate.counts import QUICK, counted
from tests.gate.tasks import in_half_precision, random_values
from tests.workloads import TINY, build, with_terms_of_plus

ON_CARD = QUICK["tiny", CARD]
TRAININGS = [task for task in ON_CARD if task.startswith(("simformer", "maskformer"))]
WAITS = {
    "evaluation": ["copy to the card", "copy to the host"],
    "pseudo-labels": ["copy to the card", "copy to the card", "copy to the host"],
}
"""One batch: its images, in two sizes for pseudo-labels, and its predicted classes."""


def waits(task):
    return [wait.split(" (")[0] for wait in counted("tiny", CARD, task).waits]


@pytest.mark.parametrize("task", ON_CARD)
def test_all_work_is_done_on_the_card(task):
    """An operator with operands on two devices, or whose result's size depends on values, would have failed."""
    numbers = counted("tiny", CARD, task).numbers
    assert numbers["to_card_bytes"] > 0 and numbers["operators"] > 100


@pytest.mark.parametrize("task", TRAININGS)
def test_a_training_step_waits_for_the_matching_alone(task):
    assert waits(task) == ["copy to the host"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_terms_against_overlap_and_the_papers_pairs_wait_for_nothing(precision):
    def changed(training):
        loss = with_terms_of_plus(training).loss
        loss.similarity = loss.similarity.model_copy(update={"pairs": "paper", "detach": False})
        return in_half_precision(training) if precision == "bf16" else training

    with as_on_a_card():
        work = build(TINY, "simformer", CARD, "fp32", changed)
    with counting(random_values) as mode:
        work.step()
    assert [wait.split(" (")[0] for wait in mode.waits] == ["copy to the host"]


def test_a_row_of_the_log_waits_once_for_all_its_steps():
    with as_on_a_card():
        work = build(TINY, "maskformer", CARD, "fp32")
        with counting(random_values) as mode:
            for _ in range(3):
                work.step()
            work.step.terms()
    assert [wait.split(" (")[0] for wait in mode.waits] == ["copy to the host"] * 4
    assert mode.waits[-1] == "copy to the host (3, 7)"


@pytest.mark.parametrize("task", WAITS)
def test_inference_waits_for_its_images_and_classes(task):
    assert waits(task) == WAITS[task]


CARD_TENSOR = torch.empty(4, 4, device=CARD)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda x: x + torch.ones(4), "add: operands on two devices"),
        (lambda x: x @ torch.ones(4, 4), "mm: operands on two devices"),
        (lambda x: x[torch.tensor([0, 1])], "index: operands on two devices"),
        (lambda x: torch.cat([x, torch.ones(1, 4)]), "cat: operands on two devices"),
        (lambda x: x[x > 0], "index by a mask.* depends on values on the card"),
        (lambda x: x.nonzero(), "nonzero.* depends on values on the card"),
        (lambda x: torch.unique(x), "unique.* depends on values on the card"),
    ],
)
def test_what_fails_on_a_card_fails_here(work, message):
    with counting(), pytest.raises(RuntimeError, match=message):
        work(CARD_TENSOR)


@pytest.mark.parametrize(
    ("work", "wait"),
    [
        (lambda x: x.sum().item(), "_local_scalar_dense ()"),
        (lambda x: float(x[0, 0]), "_local_scalar_dense ()"),
        (lambda x: bool((x > 0).any()), "_local_scalar_dense ()"),
        (lambda x: x.cpu(), "copy to the host (4, 4)"),
        (lambda x: x.tolist(), "copy to the host (4, 4)"),
        (lambda x: torch.ones(4).to(x.device), "copy to the card (4,)"),
        (lambda x: torch.tensor([1, 2], device=x.device), "numbers to the card (2,)"),
        (lambda x: x.new_tensor([1.0]), "numbers to the card (1,)"),
        (lambda x: x.copy_(torch.ones(4, 4)), "copy to the card (4, 4)"),
    ],
)
def test_what_waits_for_a_card_is_counted(work, wait):
    with counting() as mode:
        work(CARD_TENSOR)
    assert mode.waits == [wait]


@pytest.mark.parametrize(
    "work",
    [
        lambda x: torch.ones(4).to(x.device, non_blocking=True),
        lambda x: x.copy_(torch.ones(4, 4), non_blocking=True),
        lambda x: x * 2 + torch.tensor(1.0),
        lambda x: torch.where(x > 0, x, 0.0),
        lambda x: x.masked_fill(x > 0, 1.0),
        lambda x: torch.ones(3)[torch.tensor([0])].item(),
    ],
)
def test_what_does_not_wait_is_not_counted(work):
    with counting() as mode:
        work(CARD_TENSOR)
    assert mode.waits == []


def test_memory_is_counted_while_it_is_in_use():
    with counting() as mode:
        a = torch.ones(256)
        b = a * 2
        del a
        c = (b.view(16, 16) + 1).sum()
        del b, c
    assert mode.counts.operators == 4 and mode.counts.allocations == 4
    assert mode.counts.allocated_bytes == 3 * 1024 + 4 and mode.counts.peak_bytes == 2 * 1024 + 4


def test_arithmetic_is_counted_forward_and_backward():
    x, y = torch.ones(2, 3, requires_grad=True), torch.ones(3, 5, requires_grad=True)
    with counting() as mode:
        (x @ y).sum().backward()
    assert mode.counts.flops == 3 * (2 * 2 * 3 * 5)
    with counting() as mode, torch.inference_mode():
        x @ y
    assert mode.counts.flops == 2 * 2 * 3 * 5
