"""Where a speed comes from, and that none is made up."""

import json

import pytest

from simformer.errors import UserError
from simformer.study.speeds import CASES, PAGES, find_speed, read_cards

SIZES = {
    "model": {"backbone": "resnet50"},
    "augment": {"crop": 640},
    "optim": {"batch_images": 8, "precision": "fp32"},
}


@pytest.fixture
def keep(tmp_path):
    """Return a function that keeps the result of an acceptance check."""

    def write(name: str, **content) -> None:
        (tmp_path / PAGES).mkdir(parents=True, exist_ok=True)
        (tmp_path / PAGES / name).write_text(json.dumps(content))

    return write


def step(**changes):
    return {"seconds": 0.25, "images": 8, "mode": "fp32"} | changes


def test_a_card_is_read_from_its_page_and_a_run_on_a_cpu_is_none(keep, tmp_path):
    assert read_cards(tmp_path) == ()
    keep("b.json", gpu="B", speed={"coco": {"simformer": step()}})
    keep("a.json", gpu="A", speed={})
    keep("cpu.json", gpu=None, speed={})
    assert [(card.name, card.page) for card in read_cards(tmp_path)] == [
        ("A", "docs/results/gpu/a.json"),
        ("B", "docs/results/gpu/b.json"),
    ]


def test_a_damaged_page_is_named(keep, tmp_path):
    keep("a.json", gpu="A", speed=3)
    with pytest.raises(UserError, match=r"a\.json: 'speed' of this result of the acceptance check"):
        read_cards(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optim": {"batch_images": 16}},
        {"augment": {"crop": 608}},
        {"model": {"backbone": "resnet18"}},
        {"optim": {"precision": "bf16"}},
        {"optim": {"compile": True}},
    ],
    ids=str,
)
def test_a_card_tells_the_speed_of_the_very_steps_that_were_measured(keep, tmp_path, new_config, changes):
    keep("a.json", gpu="A", speed={CASES["resnet50", 640]: {"simformer": step()}})
    speed = find_speed(new_config(SIZES, changes), (), read_cards(tmp_path), gpu=True)
    assert (speed is None) == bool(changes)
    if speed:
        assert (speed.seconds, speed.source) == (0.25, "measured on A (docs/results/gpu/a.json)")


def test_a_step_without_simnet_is_another_kind(keep, tmp_path, new_config):
    keep("a.json", gpu="A", speed={"coco": {"simformer": step(), "maskformer": step(seconds=0.125)}})
    plain = {"loss": {"alpha": 0.0, "beta": 0.0, "sim": 0.0}, "pairing": {"mode": "none"}}
    cards = read_cards(tmp_path)
    assert find_speed(new_config(SIZES, plain), (), cards, gpu=True).seconds == 0.125
    assert find_speed(new_config(SIZES), (), cards, gpu=False) is None
