"""Partial tables ask for no run; figures ask for the models that they show."""

import json

import pytest
import yaml

from simformer.study.catalogue import Catalogue
from tests.pipeline import NOVEL_NAMES

CELL = "results/tiny/scenes/split1/simformer/seed0/metrics.json"


@pytest.mark.slow
def test_a_partial_table_trains_nothing_and_follows_the_runs_that_are_there(pipeline):
    target = "results/tiny/partial/table2.md"
    assert pipeline.planned(target) == {("partial_table", "experiment=table2")}
    assert pipeline.snakemake("--cores", "1", target).returncode == 0
    page = pipeline.folder / target
    assert f"snakemake --configfile config/tiny.yaml --cores 1 {CELL}" in page.read_text()
    assert pipeline.planned(target) == set()
    metrics = pipeline.folder / CELL
    metrics.parent.mkdir(parents=True)
    run = Catalogue.read(pipeline.folder / "config/tiny.yaml").run("scenes", "split1", "simformer", 0).hash
    whose = {"run": run, "classes": ["sky", *NOVEL_NAMES], "novel_classes": list(NOVEL_NAMES)}
    metrics.write_text(json.dumps(whose | {"novel": 12.34, "base": 50.0, "all": 40.0}))
    try:
        assert pipeline.planned(target) == {("partial_table", "experiment=table2")}
        assert pipeline.snakemake("--cores", "1", target).returncode == 0
    finally:
        metrics.unlink()
    assert CELL not in page.read_text() and "12.3" in page.read_text()


def test_a_figure_asks_for_its_models_alone(pipeline):
    jobs = pipeline.planned("results/tiny/figures/fig5.pdf")
    assert ("figure", "figure=fig5") in jobs and "sweeps" not in {rule for rule, _ in jobs}
    trained = {wildcards for rule, wildcards in jobs if rule == "train"}
    assert trained == {"dataset=scenes, split=split1, method=simformer, seed=0"}


def test_diagnostics_ask_for_the_networks_of_a_table_and_for_no_evaluation(pipeline):
    jobs = pipeline.planned("results/tiny/diagnostics/modules.png")
    assert ("diagnostics", "experiment=modules") in jobs
    trained = {f"dataset=scenes, split=split1, method={method}, seed=0" for method in ("simformer_pr_pi", "simformer")}
    assert {wildcards for rule, wildcards in jobs if rule == "train"} == trained
    assert not {"evaluate", "metrics"} & {rule for rule, _ in jobs}


@pytest.mark.slow
def test_mistakes_in_a_figure_are_named(pipeline):
    path = pipeline.folder / "config/figures/fig5.yaml"
    content = yaml.safe_load(path.read_text())
    for change, message in (
        ({"methods": ["simformer", "oracle"]}, "kind 'similarity' shows one method, not 2"),
        ({"pixel": [1, 2]}, "`pixel` needs `kind: similarity` and two `images`"),
        ({"dataset": "scens"}, "config/tiny.yaml has no dataset 'scens'; it has scenes"),
    ):
        path.write_text(yaml.safe_dump(content | change))
        done = pipeline.snakemake("--dry-run", "results/tiny/figures/fig5.pdf")
        pipeline.restore()
        assert done.returncode != 0 and message in done.stdout + done.stderr


@pytest.mark.slow
def test_a_first_table_without_iou_has_no_page_of_classes(pipeline, tiny):
    pipeline.study(tiny | {"experiments": ["table3"]})
    rules = {rule for rule, _ in pipeline.planned()}
    assert {"comparison", "curves", "gallery"} <= rules and "statistics" not in rules
