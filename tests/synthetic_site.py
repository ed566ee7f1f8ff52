"""A gallery site without training: synthetic images, predictions and similarities that a test can check by hand."""

from pathlib import Path

import numpy as np

from simformer.analysis.site.assets import encode_jpeg, encode_thumbnail, packed, write_label_script, write_script
from simformer.analysis.site.join import write_site
from simformer.analysis.site.similarity import LEVELS
from simformer.atomic import atomic_write_bytes
from simformer.data.palette import class_colours
from simformer.data.splits import Split

CLASSES = ("sky", "grass", "cow", "sign")
NOVEL = (2, 3)
METHODS = {"plain": "Plain", "good": "Good", "oracle": "Oracle"}
HEIGHT, WIDTH = 48, 64
GRID = (6, 8)


def truth_of(position: int) -> np.ndarray:
    """Sky above, grass below, and a cow (even images) or a sign (odd ones) on the left; a row is unlabelled."""
    ids = np.zeros((HEIGHT, WIDTH), np.uint8)
    ids[24:] = 1
    ids[16:40, 8:24] = 2 + position % 2
    ids[-1] = 255
    return ids


def prediction_of(method: str, position: int) -> np.ndarray:
    """The truth, its unlabelled row as grass; `plain` finds no novel class; `good` moves it by some pixels."""
    ids = np.where(truth_of(position) == 255, 1, truth_of(position)).astype(np.uint8)
    if method == "plain":
        ids[ids >= 2] = 0
    return np.roll(ids, position % 10, axis=1) if method == "good" else ids


def make_site(folder: Path, count: int, similar: int | None = None) -> Path:
    """Build a site of `count` images, the first `similar` of them (all by default) with similarities; its page."""
    colours, images, scores = class_colours(len(CLASSES)), [], {method: [] for method in METHODS}
    for position in range(count):
        name, truth = f"image {position:04d}", truth_of(position)
        photograph = np.random.default_rng([7, position]).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        photograph += (colours[truth] // 2).astype(np.uint8)
        atomic_write_bytes(folder / f"toy/photographs/{name}.jpg", encode_jpeg(photograph), durable=False)
        atomic_write_bytes(folder / f"toy/thumbnails/{name}.jpg", encode_thumbnail(photograph), durable=False)
        write_label_script(folder / f"toy/truth/{name}.js", truth, colours)
        present = [c for c in range(len(CLASSES)) if (truth == c).any()]
        images.append([name, HEIGHT, WIDTH, present])
        for method in METHODS:
            ids, known = prediction_of(method, position), truth != 255
            write_label_script(folder / f"toy/split1/{method}/seed0/maps/{name}.js", ids, colours)
            both = [((ids == c) & (truth == c)).sum() for c in present]
            either = [(((ids == c) | (truth == c)) & known).sum() for c in present]
            scores[method].append([round(100 * float(a / b)) for a, b in zip(both, either, strict=True)])
        if similar is None or position < similar:
            write_similarity(folder / f"toy/split1/good/seed0/similarity/{name}.js")
    write_script(
        folder / "toy/images.js", {"classes": CLASSES, "colours": colours[: len(CLASSES)].tolist(), "images": images}
    )
    for method in METHODS:
        facts = {"similarity": method == "good", "classes": [90.0, 80.0, 70.0, None], "images": scores[method]}
        write_script(folder / f"toy/split1/{method}/seed0/predictions.js", facts)
    Split(CLASSES, NOVEL).save(folder.parent / "split.yaml")
    methods = [{"method": m, "label": text, "folder": f"toy/split1/{m}/seed0"} for m, text in METHODS.items()]
    views = [{"dataset": "toy", "title": "Toy", "split": "split1", "groups": folder.parent / "split.yaml"}]
    write_site("Toy gallery", [view | {"methods": methods} for view in views], folder / "index.html")
    return folder / "index.html"


def write_similarity(path: Path) -> None:
    """Cells of the same column are similar, all others are not."""
    columns = np.arange(GRID[0] * GRID[1]) % GRID[1]
    levels = np.where(columns[:, None] == columns[None], LEVELS - 1, 0).astype(np.uint8)
    write_script(path, {"rows": GRID[0], "columns": GRID[1], "levels": LEVELS, "data": packed(levels)})
