"""The training state: complete, atomic, and never another training's."""

import errno
import os
import random
import traceback

import numpy as np
import pytest
import torch
from torch import nn

from simformer.errors import UserError
from simformer.training.checkpoint import load_state, save_state

IDENTITY = {"settings": "a" * 16, "labels": "b" * 16}


def new_parts(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    return {"model": model, "optimizer": torch.optim.AdamW(model.parameters(), lr=0.1)}


def train_a_bit(parts):
    for _ in range(3):
        parts["optimizer"].zero_grad()
        parts["model"](torch.randn(4, 3)).square().sum().backward()
        parts["optimizer"].step()


def draw():
    """Draw from every random generator that a training may use, the cached Gaussian of NumPy included."""
    return random.random(), np.random.standard_normal(), np.random.random(), torch.rand(1).item()


def tensors(tree):
    """All tensors of a state dict, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    values = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else []
    return [t for value in values for t in tensors(value)]


def test_a_folder_without_a_state_starts_at_step_0(tmp_path):
    assert load_state(tmp_path / "none", new_parts(), IDENTITY) == 0


def test_every_part_and_every_random_generator_comes_back(tmp_path):
    parts = new_parts()
    train_a_bit(parts)
    np.random.standard_normal()
    save_state(tmp_path / "state", parts, 7, IDENTITY)
    expected = draw()
    saved = [t.clone() for part in parts.values() for t in tensors(part.state_dict())]

    others = new_parts(seed=1)
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert draw() != expected
    assert load_state(tmp_path / "state", others, IDENTITY) == 7
    assert draw() == expected
    loaded = [t for part in others.values() for t in tensors(part.state_dict())]
    assert len(saved) == len(loaded) > 10
    assert all(torch.equal(a, b) for a, b in zip(saved, loaded, strict=True))


def test_a_resumed_optimizer_goes_on_like_the_first(tmp_path):
    parts = new_parts()
    train_a_bit(parts)
    save_state(tmp_path, parts, 3, IDENTITY)
    train_a_bit(parts)
    others = new_parts(seed=1)
    load_state(tmp_path, others, IDENTITY)
    train_a_bit(others)
    assert all(map(torch.equal, tensors(parts["model"].state_dict()), tensors(others["model"].state_dict())))


@pytest.mark.parametrize("name", list(IDENTITY))
def test_another_trainings_state_is_refused_with_both_hashes(tmp_path, name):
    save_state(tmp_path, new_parts(), 3, IDENTITY)
    parts = new_parts(seed=1)
    before = [t.clone() for t in tensors(parts["model"].state_dict())]
    with pytest.raises(UserError) as error:
        load_state(tmp_path, parts, IDENTITY | {name: "c" * 16})
    text = str(error.value)
    assert f"other {name} (hash {IDENTITY[name]}, now {'c' * 16})" in text
    assert f"Delete {tmp_path}" in text
    (other,) = set(IDENTITY) - {name}
    assert f"other {other}" not in text
    assert all(map(torch.equal, before, tensors(parts["model"].state_dict())))


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"nonsense", lambda data: b""])
def test_a_damaged_state_is_explained(tmp_path, damage):
    save_state(tmp_path, new_parts(), 3, IDENTITY)
    path = tmp_path / "state.pt"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="not a readable training state") as error:
        load_state(tmp_path, new_parts(), IDENTITY)
    assert str(path) in str(error.value)
    assert f"delete {tmp_path} to start over" in str(error.value)


def test_a_file_of_something_else_is_explained(tmp_path):
    torch.save({"model": {}}, tmp_path / "state.pt")
    with pytest.raises(UserError, match="not a readable training state"):
        load_state(tmp_path, new_parts(), IDENTITY)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_keeps_the_earlier_state_and_leaves_no_rest(tmp_path, monkeypatch, call):
    save_state(tmp_path, new_parts(), 3, IDENTITY)
    before = (tmp_path / "state.pt").read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(UserError) as error:
        patch.setattr(os, call, full)
        save_state(tmp_path, new_parts(seed=1), 6, IDENTITY)
    text = str(error.value)
    assert "cannot save the training state of step 6 (No space left on device)" in text
    assert "earlier step is kept" in text
    assert (tmp_path / "state.pt").read_bytes() == before
    assert os.listdir(tmp_path) == ["state.pt"]
    assert load_state(tmp_path, new_parts(), IDENTITY) == 3
    assert error.value.__suppress_context__, traceback.format_exception(error.value)


def test_a_place_that_cannot_be_written_is_explained(tmp_path):
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot save the training state of step 1 .*no earlier state exists"):
        save_state(tmp_path / "state", new_parts(), 1, IDENTITY)
