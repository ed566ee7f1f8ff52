"""Training state on disk: everything that makes a resumed run equal an undisturbed one, written atomically."""

from __future__ import annotations

import hashlib
import io
import os
import random
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from simformer.atomic import atomic_write_bytes, remove_leftovers
from simformer.errors import UserError

STATE_FILE = "state.pt"
FORM = {"step": int, "identity": dict, "parts": dict, "random": dict}
"""What a state holds."""

OPTIONAL = ("usage",)
"""Parts that older states lack; they tell nothing of the result."""


class Stateful(Protocol):
    """A module, optimiser, loss or scaler whose state can be saved."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Take over a state."""


def save_state(folder: Path, parts: dict[str, Stateful], step: int, identity: Mapping[str, str]) -> None:
    """Save all parts, the sampler position (the step) and every random state; the old file survives a failure.

    Args:
        folder: state directory, created if missing.
        parts: model, SimNet, optimiser, loss, scaler and the rows to be logged by name.
        step: number of finished steps; the data of step t is a function of (seed, t).
        identity: hashes of all that decides the result, by name: settings, labels, initial weights.
    Raises: UserError if the disk is full or not writable.
    """
    content = {
        "step": step,
        "identity": dict(identity),
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "random": _random_state(),
    }
    path = folder / STATE_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(content, buffer)
        atomic_write_bytes(path, buffer.getvalue())
    except (OSError, RuntimeError) as error:
        kept = f"the state of an earlier step is kept in {path}" if path.exists() else "no earlier state exists"
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error).splitlines()[0]
        raise UserError(
            f"{path}: cannot save the training state of step {step} ({reason}); {kept}. "
            "Free some disk space and run the same command again"
        ) from None


def load_state(folder: Path, parts: dict[str, Stateful], identity: Mapping[str, str]) -> int:
    """Restore all parts and random states in place; returns the number of finished steps (0: nothing saved).

    Raises: UserError if the state belongs to other settings, labels or weights, or cannot be read.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return 0
    content = _read_state(path)
    stored = content["identity"]
    changed = [f"{k} (hash {stored.get(k)}, now {identity[k]})" for k in identity if stored.get(k) != identity[k]]
    if changed:
        raise UserError(
            f"{path}: belongs to a training with other {', other '.join(changed)}. "
            f"Delete {folder} to start over with the present ones, or restore the old ones to continue"
        )
    try:
        for name, part in parts.items():
            if name in content["parts"] or name not in OPTIONAL:
                part.load_state_dict(content["parts"][name])
        _restore_random_state(content["random"])
    except Exception as error:  # what another version saved can differ in any way
        raise UserError(
            f"{path}: does not fit this training ({_reason(error)}), perhaps written by another version of this "
            f"program or of PyTorch; delete {folder} to start over"
        ) from None
    step: int = content["step"]
    return step


def _read_state(path: Path) -> dict[str, Any]:
    """Return the content of a state file; UserError unless it has the form that `save_state` gives it."""
    try:
        if not path.is_file():
            raise ValueError("a folder, pipe or device")
        with warnings.catch_warnings(action="ignore"):  # of torch.load, about files that are refused anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict):
            raise TypeError(f"a {type(content).__name__}")
        for key, kind in FORM.items():
            if not isinstance(content.get(key), kind):
                raise TypeError(f"no `{key}`" if key not in content else f"`{key}` is a {type(content[key]).__name__}")
        if isinstance(content["step"], bool) or content["step"] < 0:
            raise ValueError(f"step {content['step']}")
    except Exception as error:  # a damaged file can fail in any way
        raise UserError(
            f"{path}: not a readable training state ({_reason(error)}); delete {path.parent} to start over"
        ) from None
    return content


def _reason(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split())[:200] or type(error).__name__


def file_hash(path: Path | None) -> str:
    """Return the first 16 hex digits of a file's sha256, 'none' without a file: for the identity of a state."""
    if path is None:
        return "none"
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def remove_state(folder: Path, *others: str) -> None:
    """Remove the state, other files named, and what killed writers left of them; the folder too if then empty."""
    for name in (STATE_FILE, *others):
        (folder / name).unlink(missing_ok=True)
        remove_leftovers(folder / name)
    with suppress(OSError):
        folder.rmdir()


def _random_state() -> dict[str, Any]:
    """Return the state of every generator; of GPUs that of the current one, which may be another after a resume."""
    numpy_state = np.random.get_state()
    assert isinstance(numpy_state, tuple), "the default form"
    kind, keys, position, has_gauss, cached = numpy_state
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
        **({"mps": torch.mps.get_rng_state()} if torch.backends.mps.is_available() else {}),
    }


def _restore_random_state(state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"][0])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
