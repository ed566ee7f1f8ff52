"""One table from nothing, and what an edit makes run again."""

import csv
import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("restored")
TABLE = "results/tiny/modules.md"
TARGETS = [TABLE]
"""What the copy of these tests has made."""


def test_table_holds_what_the_runs_measured(finished):
    run = finished.folder / "results/tiny/scenes/split1/simformer/seed0"
    measured = json.loads((run / "metrics.json").read_text())
    with (finished.folder / TABLE.replace(".md", ".csv")).open() as stream:
        found = {r["metric"]: float(r["mean"]) for r in csv.DictReader(stream) if r["method"] == "simformer"}
    assert found == pytest.approx({name: measured[name] for name in ("novel", "base", "all")}, abs=1e-3)


def test_comments_and_key_order_plan_nothing(finished, tiny):
    for path in (finished.folder / "config").rglob("*.yaml"):
        path.write_text("# a comment\n" + path.read_text())
    finished.study({key: tiny[key] for key in reversed(tiny)})
    assert finished.planned(TABLE) == set()


def test_another_methods_file_plans_nothing(finished):
    path = finished.folder / "config/methods/mine.yaml"
    path.write_text("label: Mine\ninherits: simformer\nsettings: {loss: {alpha: 0.3}}\n")
    assert finished.planned(TABLE) == set()


def test_library_edit_plans_nothing(finished):
    path = finished.folder / "simformer/train.py"
    path.write_text(path.read_text() + "\n# a comment\n")
    assert finished.planned(TABLE) == set()


def test_another_number_of_gpus_plans_nothing(finished):
    assert finished.planned("--set-resources", "train:gpu=4", "--", TABLE) == set()


def test_new_seed_plans_exactly_its_jobs(finished, study_with):
    finished.study(study_with(seeds=[0, 3]))
    jobs = finished.planned(TABLE)
    assert {rule for rule, _ in jobs} == {"resolve_config", "train", "evaluate", "metrics", "table"}
    assert all("seed=3" in wildcards for rule, wildcards in jobs if rule != "table")


def test_method_setting_reruns_that_method_and_what_needs_it(finished):
    path = finished.folder / "config/methods/simformer_pr_pi.yaml"
    path.write_text(path.read_text().replace("beta: 0.0", "beta: 0.01"))
    jobs = finished.planned(TABLE)
    assert {rule for rule, _ in jobs} == {"resolve_config", "train", "evaluate", "metrics", "table"}
    assert all("method=simformer_pr_pi" in wildcards for rule, wildcards in jobs if rule != "table")


PREPARE = ("--until", "mask_labels", "image_labels", "backbone_weights")
"""As the pages of kept single runs have it."""


def test_kept_metrics_count_as_made_once_the_data_are_prepared(finished, study_with):
    finished.study(study_with(seeds=[0, 3], results="results/kept"))
    table = TABLE.replace("tiny", "kept", 1)
    done = finished.snakemake("--cores", "1", *PREPARE, "--", table)
    assert done.returncode == 0, done.stdout + done.stderr
    for metrics in (finished.folder / "results/tiny").rglob("seed0/metrics.json"):
        copy = finished.folder / "results/kept" / metrics.relative_to(finished.folder / "results/tiny")
        copy.parent.mkdir(parents=True)
        shutil.copyfile(metrics, copy)
    jobs = finished.planned(table)
    assert {rule for rule, _ in jobs} == {"resolve_config", "train", "evaluate", "metrics", "table"}
    assert all("seed=3" in wildcards for rule, wildcards in jobs if rule != "table")


@pytest.mark.parametrize("page", sorted(Path("docs/results").glob("*/runs/README.md")), ids=str)
def test_pages_of_kept_runs_prepare_the_data_first(page):
    lines = [line.strip() for line in page.read_text().splitlines() if line.startswith("    ")]
    prepare, copy, run = (line for line in lines if not line.startswith("export "))
    assert " ".join(PREPARE) in prepare and copy.startswith("mkdir") and run.startswith("snakemake")
