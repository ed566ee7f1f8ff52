"""Datasets as other tools write them: photographs, and what `simformer import` makes of files beside them."""

import csv
import io
import json

import numpy as np
from PIL import Image

from simformer.cli import main
from simformer.data.images import read_label

HEIGHT, WIDTH = 12, 16


def photograph(path, height=HEIGHT, width=WIDTH):
    """Write a photograph whose pixels depend on its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(sum(map(ord, path.name))).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def photographs(folder, *names):
    """Write photographs and return their folder."""
    for name in names:
        photograph(folder / name)
    return folder


def halves(left, right):
    """A label map of two ids side by side."""
    label = np.full((HEIGHT, WIDTH), left, np.uint8)
    label[:, WIDTH // 2 :] = right
    return label


def png(path, array, palette=None):
    """Write an array as PNG: gray, colour, or with a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if palette is not None:
        image.putpalette(palette)
    image.save(path, "PNG")
    return path


def text(path, content, encoding="utf-8", newline="\n"):
    """Write a text file; anything but a text becomes JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_bytes(content.replace("\n", newline).encode(encoding))
    return path


class Made:
    """A dataset in the folder layout."""

    def __init__(self, root):
        self.root = root
        classes = json.loads((root / "classes.json").read_text())
        self.classes, self.tags_only = classes["names"], classes.get("tags_only", [])
        self.train, self.test = ((root / name).read_text().splitlines() for name in ("train.txt", "test.txt"))
        self.tags = {}
        if (root / "tags.csv").exists():
            rows = list(csv.DictReader(io.StringIO((root / "tags.csv").read_text())))
            self.tags = {row.pop("image"): row for row in rows}

    def label(self, name):
        return read_label(self.root / f"labels/{name}.png")

    def names(self, name):
        """Names of the classes in the left and the right half of a label map; None for 255."""
        ids = [int(self.label(name)[HEIGHT // 2, x]) for x in (2, WIDTH - 3)]
        return [None if i == 255 else self.classes[i] for i in ids]


def imported(tmp_path, *options):
    """Import, and return what has been made."""
    output = tmp_path / "out"
    assert main(["import", *map(str, options), "--output", str(output)]) == 0
    return Made(output)


def refused(tmp_path, capsys, *options):
    """Import what cannot be imported; returns the message, which is all that comes of it."""
    output = tmp_path / "out"
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(["import", *map(str, options), "--output", str(output)]) == 1
    error = capsys.readouterr().err
    line = error[error.index("error: ") :]
    assert line.count("\n") == 1 or "problems found" in line, line
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    return line
