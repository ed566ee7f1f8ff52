"""Comparisons of rows of a table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simformer.analysis.tables.intervals import write_intervals
from simformer.analysis.tables.statistics import paired_bootstrap, welch
from simformer.data.identity import Identity
from simformer.data.shards import Shard
from simformer.data.splits import Split
from simformer.metrics import Evaluation

CLASSES = ("sky", "sea", "cat")
SPLIT = Split(CLASSES, novel=(2,))


def stored(path: Path, share: float, seed: int) -> Evaluation:
    """An evaluation of 12 images in two shards, in which `share` of every class is hit, about."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(50, 100, (12, 3))
    hits = rng.binomial(truth, share)
    for number in (1, 2):
        rows = slice(number - 1, 12, 2)
        confusion = np.zeros((4, 4), dtype=np.int64)
        confusion[:3, :3] = np.diag(hits[rows].sum(axis=0))
        for k in range(3):  # what is missed goes to the next class
            confusion[(k + 1) % 3, k] = (truth - hits)[rows, k].sum()
        predicted = hits + np.roll(truth - hits, 1, axis=1)
        names = tuple(f"i{n:02}" for n in range(12))[rows]
        counts = confusion, hits[rows], truth[rows], predicted[rows]
        shard = Evaluation(*counts, names, Identity(CLASSES, "d", ()), "m", "t", Shard(number, 2))
        shard.save(path / f"{number}of2.npz")
    return Evaluation.load(shards(path))


def shards(path: Path) -> list[Path]:
    return [path / "1of2.npz", path / "2of2.npz"]


@pytest.fixture
def new_spec(tmp_path):
    """Stored evaluations of three methods and the specification of their comparison."""

    def make(seeds: int) -> dict:
        SPLIT.save(tmp_path / "split.yaml")
        runs = []
        for m, (method, share) in enumerate({"good": 0.9, "poor": 0.4, "same": 0.4}.items()):
            for seed in range(seeds):
                folder = tmp_path / method / str(seed)
                stored(folder, share, 10 * m + seed)
                run = {"dataset": "toys", "split": "split1", "method": method, "seed": seed}
                files = {"evaluation": list(map(str, shards(folder))), "groups": str(tmp_path / "split.yaml")}
                runs.append(run | files)
        rows = [{"method": name, "label": name.title()} for name in ("poor", "same", "good")]
        pairs = [["good", "poor"], ["same", "poor"]]
        return {"title": "Table 9: toys", "compare": pairs, "metrics": ["novel", "all"], "rows": rows, "runs": runs}

    return make


def test_lines_and_numbers_of_the_csv(new_spec, tmp_path):
    write_intervals(new_spec(3), tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(zip(table.method, table.baseline, table.metric, strict=True)) == [
        ("good", "poor", "novel"),
        ("good", "poor", "all"),
        ("same", "poor", "novel"),
        ("same", "poor", "all"),
    ]
    first = table.iloc[0]
    good, poor = ([Evaluation.load(shards(tmp_path / m / str(s))) for s in range(3)] for m in ("good", "poor"))
    means = []
    for group in (good, poor):
        counts = (np.array([getattr(e, name)[:, 2].sum() for e in group]) for name in ("hits", "truth", "predicted"))
        hits, truth, predicted = counts
        means.append(100 * hits / (truth + predicted - hits))
    assert first.difference == pytest.approx(means[0].mean() - means[1].mean(), abs=1e-3)
    over_images, over_seeds = paired_bootstrap(good, poor, [2]), welch(*means)
    assert (first.image_low, first.image_high) == pytest.approx((over_images.low, over_images.high), abs=1e-3)
    assert (first.seed_low, first.seed_high) == pytest.approx(
        (over_seeds.interval.low, over_seeds.interval.high), abs=1e-3
    )
    assert (first.images, first.seeds) == (12, 3)
    assert table.shown.tolist() == [True, True, False, False]


def test_one_seed_is_compared_over_images_alone(new_spec, tmp_path):
    write_intervals(new_spec(1), tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert table.seed_low.isna().all() and table.p.isna().all()
    assert table.shown.tolist() == [True, True, False, False]
    text = (tmp_path / "out.md").read_text()
    assert "| Good - Poor " in text and "**Table 9: toys: differences**" in text
    cells = [cell.strip() for cell in text.splitlines()[4].split("|")]
    assert cells[1:4] == ["Good - Poor", "novel mIoU", "toys split1"]
    assert cells[6:9] == ["-", "1", "yes"]
