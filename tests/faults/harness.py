"""What bad input must lead to: an exit status, one line that helps, and a folder in which nothing has changed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simformer.cli import main
from simformer.data.images import write_label
from simformer.data.layout import write_lists

CLASSES = ("sky", "grass", "cow", "sheep", "barn")
TRAIN = tuple(f"train{number}" for number in range(8))
TEST = tuple(f"test{number}" for number in range(4))
SIDE = 64
PROGRESS = re.compile(r"\d%\||it/s|image/s")
"""Tells the lines of a progress bar."""


OTHER_KINDS: dict[str, Callable[[Path], object]] = {
    "a folder; expected ": Path.mkdir,
    "a named pipe; expected ": os.mkfifo,
    "a link that leads nowhere": lambda path: path.symlink_to(path.name),
    "a link that leads nowhere (to /nowhere.png)": lambda path: path.symlink_to("/nowhere.png"),
}
"""What may stand where a file is expected: how messages call it, and what puts it there."""


def write_dataset(folder: Path) -> Path:
    """Write a folder dataset: 8 training and 4 test images of 64 x 64 pixels, five classes, all in every image."""
    rng = np.random.default_rng(0)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number, name in enumerate((*TRAIN, *TEST)):
        label = np.repeat(np.roll(np.arange(SIDE) * len(CLASSES) // SIDE, 5 * number)[None], SIDE, axis=0)
        label = label.astype(np.uint8)
        pixels = (label[..., None] * 45 + rng.integers(0, 40, (SIDE, SIDE, 3))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"images/{name}.png")
        write_label(folder / f"labels/{name}.png", label)
    write_lists(folder, CLASSES, TRAIN, TEST)
    return folder


def prepare_arguments(source: Path | dict[str, Any], destination: Path) -> list[str]:
    """Return the command that prepares a dataset from a folder, or from a source with all its options."""
    option = source if isinstance(source, dict) else {"kind": "folder", "path": str(source)}
    return ["prepare", "--source", json.dumps(option), "--output", str(destination)]


def audit_arguments(data: Path, index: str = "new.json", report: str = "report.json") -> list[str]:
    """Return the command that audits a dataset, and writes the result beside it."""
    return ["audit", "--data", str(data), "--index", str(data / index), "--report", str(data / report)]


def listing(folder: Path) -> dict[str, str]:
    """Return every path below a folder with what tells its content: a checksum, or where a link leads."""
    found: dict[str, str] = {}
    folders = [os.fspath(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                name = os.path.relpath(entry.path, folder)
                if entry.is_symlink():
                    found[name] = f"-> {os.readlink(entry.path)}"
                elif entry.is_file():
                    with open(entry.path, "rb") as file:
                        found[name] = hashlib.sha256(file.read()).hexdigest()
                elif entry.is_dir():
                    found[name] = "folder"
                    folders.append(entry.path)
                else:
                    found[name] = "other"
    return dict(sorted(found.items()))


def complaint(arguments: Sequence[object], capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    """Run a subcommand that must fail; returns its one line on stderr."""
    capsys.readouterr()
    try:
        ended = main([str(argument) for argument in arguments])
    except SystemExit as error:
        ended = error.code
    text = capsys.readouterr().err.replace("\r", "\n")
    lines = [line for line in text.splitlines() if line.strip() and not PROGRESS.search(line)]
    assert ended == status, f"exit status {ended}, expected {status}; stderr: {text}"
    assert "Traceback" not in text
    assert lines, "nothing on stderr"
    assert len(lines) == 1, f"{len(lines)} lines on stderr: {text}"
    return lines[0]


def refused(
    arguments: Sequence[object],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    *says: str,
    status: int = 1,
) -> str:
    """Run a subcommand that must refuse its input: exit status, one line with all of `says`, nothing changed.

    Args:
        arguments: the subcommand and its options.
        folder: everything that the case has on disk; its files must be the same before and after.
        capsys: the test's fixture.
        says: what the line must hold: the thing at fault, what was found, what to do.
        status: expected exit status.
    """
    before = listing(folder)
    line = complaint(arguments, capsys, status)
    assert listing(folder) == before, "files changed"
    missing = [words for words in says if words not in line]
    assert not missing, f"{missing} not in: {line}"
    return line
