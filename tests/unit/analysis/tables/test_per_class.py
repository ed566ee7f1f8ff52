"""IoU of every class beside its share of the pixels."""

import json

import numpy as np
import pandas as pd
import pytest

from simformer.analysis.tables.per_class import write_per_class
from simformer.data.identity import Identity
from simformer.data.shards import Shard
from simformer.data.splits import Split
from simformer.metrics import Evaluation

CLASSES = ("sky", "sea", "cat", "dog", "bee")
TRUTH = np.array([[60, 10, 0, 0, 5], [40, 20, 0, 15, 0]])
IOU = {"b": ({"sky": 90.0, "sea": 50.0}, {"sky": 80.0, "sea": 54.0}), "a": ({"sky": 70.0, "sea": 20.0},) * 2}


@pytest.fixture
def spec(tmp_path):
    Split(CLASSES, novel=(1, 2, 4)).save(tmp_path / "split.yaml")
    for number, row in enumerate(TRUTH):
        confusion = np.diag([*row, 0])
        whose = Identity(CLASSES, "d", ()), "m", "t", Shard(number + 1, 2)
        Evaluation(confusion, row[None], row[None], row[None], (f"image{number}",), *whose).save(
            tmp_path / f"{number}.npz"
        )
    runs = []
    for method, seeds in IOU.items():
        for seed, values in enumerate(seeds):
            path = tmp_path / f"{method}.{seed}.json"
            path.write_text(json.dumps({"iou": {"cat": None, "dog": 10.0, "bee": 1.0} | values}))
            run = {"dataset": "toys", "split": "split1", "method": method, "seed": seed, "path": str(path)}
            shards = [str(tmp_path / f"{k}.npz") for k in range(2)]
            runs.append(run | {"evaluation": shards, "groups": str(tmp_path / "split.yaml")})
    rows = [{"method": "b", "label": "Best"}, {"method": "a", "label": "Other"}]
    return {"title": "Table 9", "rows": rows, "runs": runs}


def test_order_shares_and_means_by_hand(spec, tmp_path):
    write_per_class(spec, tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["class"].tolist() == [name for name in ("sea", "bee", "cat", "sky", "dog") for _ in "ba"]
    assert table["group"].tolist() == ["novel"] * 6 + ["base"] * 4
    sea = table.iloc[0]
    assert (sea["method"], sea["share"], sea["iou"], sea["n"]) == ("b", 20.0, 52.0, 2)
    assert sea["std"] == pytest.approx(np.sqrt(8), abs=1e-4)
    cat = table.iloc[4]
    assert np.isnan(cat["iou"]) and (cat["n"], cat["share"]) == (0, 0)

    lines = (tmp_path / "out.md").read_text().splitlines()
    assert lines[:3] == ["**Table 9: every class**", "", "toys split1"]
    assert [cell.strip() for cell in lines[4].split("|")[1:-1]] == ["class", "group", "pixels", "Best", "Other"]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[6:11]]
    assert cells[0] == ["sea", "novel", "20.00 %", "52.0 ± 2.8", "20.0 ± 0.0"]
    assert cells[2] == ["cat", "novel", "0.00 %", "-", "-"]
