"""Time and memory per stage, from benchmark files and train.json."""

import json

import pandas as pd
import pytest

from simformer.analysis.tables.stage_costs import stage_costs, write_stage_costs
from simformer.config.paths import CHECKOUT
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"


def benchmark(path, seconds, memory="100.0"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEAD}\n{seconds}\t0:00:01\t{memory}\t1\t1\t1\t1\t1\t1\t1\n")


@pytest.fixture
def results(tmp_path):
    """Two seeds of a response, a method's mixed labels and training, and a file that belongs to no seed."""
    for seed in range(2):
        maps = tmp_path / f"scenes/full/maps/seam/seed{seed}"
        benchmark(maps / "train.benchmark.tsv", 50 + seed, 400)
        for part, memory in ((1, 120), (2, "-")):
            benchmark(maps / f"psa/{part}of2.benchmark.tsv", 10 * part + seed, memory)
        benchmark(maps / "psa/train.benchmark.tsv", 5)
        benchmark(maps / "seeds/seeds.benchmark.tsv", 3)
    (tmp_path / "scenes/full/maps/seam/seed0/train.json").write_text(
        json.dumps({"hash": "0", "seconds": 80.5, "steps": 750, "device": "cpu", "memory_mb": 500})
    )
    benchmark(tmp_path / "scenes/split1/seam_retrained/seed0/mixed/mixed.benchmark.tsv", 2)
    benchmark(tmp_path / "other.benchmark.tsv", 1000)
    return tmp_path


@pytest.fixture(scope="module")
def study():
    """Table 1 of the scenes, as the demo has it, with two seeds."""
    splits = {1: {"novel": ["sea", "brick"]}}
    return Catalogue({"datasets": {"scenes": {"splits": splits}}, "seeds": [0, 1]}, "study", CHECKOUT / "config")


@pytest.mark.parametrize(
    "other",
    [
        "demo/scenes/split1/simformer/seed0/train",  # the demo's results lie in a folder below the paper's
        "demo/scenes/full/maps/seam/seed0/train",
        "toys/split1/simformer/seed0/train",
        "scenes/split2/simformer/seed0/train",
        "scenes/split1/simformer_j50/seed0/train",
        "scenes/split1/simformer/seed7/train",
    ],
)
def test_stages_of_other_studies_are_not_listed(study, results, other):
    before = stage_costs(study, results)
    benchmark(results / f"{other}.benchmark.tsv", 1000)
    pd.testing.assert_frame_equal(stage_costs(study, results), before)


def test_maps_with_a_seed_of_their_own_are_listed(catalogue, tmp_path):
    method = {"label": "M", "labels": "maps", "maps": {"seed": 5}}
    study = catalogue({"methods/plain": method}, {"datasets": {"toys": {"splits": {1: {"novel": ["sea"]}}}}})
    for seed in (0, 5, 6):
        benchmark(tmp_path / f"results/toys/full/maps/classifier/seed{seed}/train.benchmark.tsv", 1)
    assert set(stage_costs(study, tmp_path / "results")["seed"]) == {0, 5}


def test_stages_and_their_costs(study, results):
    table = stage_costs(study, results)
    assert "other" not in str(table.values)
    found = {(r.of, r.stage, r.seed): r for r in table.itertuples()}
    interrupted = found["maps/seam", "train", 0]  # the benchmark knows the last part only
    assert (interrupted.seconds, interrupted.steps, interrupted.memory_mb) == (80.5, 750, 500)
    assert found["maps/seam", "train", 1].seconds == 51 and pd.isna(found["maps/seam", "train", 1].steps)
    passed = found["maps/seam", "psa", 1]
    assert (passed.jobs, passed.seconds, passed.memory_mb) == (2, 32, 120)
    assert found["maps/seam", "seeds", 0].seconds == 3
    assert found["seam_retrained", "mixed", 0].split == "split1"


def test_page_averages_over_seeds(study, results, tmp_path):
    write_stage_costs(study, results, tmp_path / "out/stage_costs.csv")
    assert len(pd.read_csv(tmp_path / "out/stage_costs.csv")) == 9
    lines = (tmp_path / "out/stage_costs.md").read_text().splitlines()
    (line,) = [line for line in lines if "psa |" in line]
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "scenes", "full", "maps/seam", "psa", "2", "31.0", "-", "120", "2", "",
    ]  # fmt: skip


def test_nothing_has_finished(study, tmp_path):
    with pytest.raises(UserError, match="no stage has finished"):
        stage_costs(study, tmp_path)
