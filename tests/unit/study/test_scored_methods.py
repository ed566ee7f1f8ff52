"""A method that stands for another program's predictions: rows of tables, no training, no model."""

import json
from datetime import datetime

import numpy as np
import pytest

from simformer.data.identity import Identity, OtherRun
from simformer.errors import UserError
from simformer.metrics import Evaluation
from simformer.study import figure_runs, table_runs
from simformer.study.plan import make_plan, trainings
from simformer.study.runs import Runs
from simformer.study.sources import scored_folder
from simformer.study.specification import specification
from simformer.study.status import make_status
from simformer.study.status_text import status_text
from tests.unit.conftest import BASIC, STUDY, error_of

THEIRS = {"methods/theirs": {"label": "Theirs", "labels": "none", "predictions": "/p/{dataset}/{split}/{seed}"}}
TABLE = {"experiments/table1": {"title": "T", "methods": ["plain", "theirs"], "compare": [["plain", "theirs"]]}}
CELL = ("toys", "split1", "theirs", 0)


@pytest.fixture
def runs(catalogue):
    return Runs(catalogue(BASIC | THEIRS | TABLE))


def save_counts(path, predictions):
    """Write an evaluation of a folder of predictions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = (np.zeros(shape, int) for shape in ((3, 3), (1, 2), (1, 2), (1, 2)))
    identity = Identity(("x", "y"), None, None)
    Evaluation(*counts, images=("a",), identity=identity, model="m", test="t", predictions=predictions).save(path)


def test_it_is_a_row_of_tables_without_a_training(runs):
    assert CELL in runs.catalogue.cells("table1") and not runs.is_trained(CELL)
    assert {method for _, _, method, _ in trainings(runs.catalogue, ["table1"])} == {"plain"}
    for about in (table_runs.table, table_runs.per_class, table_runs.intervals):
        assert {run.method for run in about(runs, "table1")["runs"]} == {"plain", "theirs"}
    assert runs.evaluated(CELL)["evaluation"] == ("results/toys/split1/theirs/seed0/evaluation/1of1.npz",)


def test_its_predictions_lie_where_the_cell_says(runs):
    assert runs.predictions(CELL) == "/p/toys/split1/0"


@pytest.mark.parametrize(("pattern", "seeds"), [("/p/{split}/{seed}", [0, 1]), ("/p/{split}", [0])])
def test_one_folder_of_predictions_is_one_result_whatever_the_number_of_seeds(catalogue, pattern, seeds):
    theirs = {"methods/theirs": THEIRS["methods/theirs"] | {"predictions": pattern}}
    runs = Runs(catalogue(BASIC | theirs | TABLE, STUDY | {"seeds": [0, 1]}))
    for about in (table_runs.table, table_runs.t_test, table_runs.intervals, table_runs.comparison):
        found = [(run.method, run.seed) for run in about(runs, "table1")["runs"] if run.split == "split1"]
        assert found == [("plain", 0), ("plain", 1), *(("theirs", seed) for seed in seeds)]


@pytest.mark.parametrize("pattern", ["/p/{method}", "/p/{}", "/p/{split", "/p/{split.x}", "/p/{seed[0]}"])
def test_a_wrong_placeholder_is_refused_when_the_file_is_read(catalogue, pattern):
    wrong = THEIRS["methods/theirs"] | {"predictions": pattern}
    text = error_of(catalogue, {"methods/theirs": wrong} | TABLE)
    assert f"theirs.yaml: predictions is '{pattern}', but may hold only {{dataset}}, {{split}} and {{seed}}" in text


def test_predictions_that_are_not_there_are_told_by_the_plan(runs, catalogue, tmp_path):
    (problem,) = make_plan(runs.catalogue).absent
    assert problem.startswith(f"{tmp_path}/methods/theirs.yaml: predictions: not there: /p/toys/split1/0; put it there")
    there = THEIRS["methods/theirs"] | {"predictions": f"{tmp_path}/methods"}
    assert not make_plan(catalogue(BASIC | {"methods/theirs": there} | TABLE)).absent


def test_pictures_and_checks_of_models_leave_it_out(runs):
    cells = [*figure_runs.gallery_cells(runs, "table1", "toys", "split1"), *figure_runs.site_cells(runs)]
    assert {method for _, _, method, _ in cells} == {"plain"}
    for about, place in ((table_runs.diagnostics, ()), (table_runs.curves, ("toys", "split1"))):
        assert {run.method for run in about(runs, "table1", *place)["runs"]} == {"plain"}


def test_whatever_needs_its_model_is_refused(runs):
    for wanted in (lambda: runs.trained("model.safetensors", CELL), lambda: runs.labels(CELL)):
        with pytest.raises(UserError, match="'theirs' has no model, only predictions of another program"):
            wanted()


def test_status_counts_its_scores(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert make_status(runs.catalogue, [], 0, False).tables == {"table1": (0, 4)}
    file = tmp_path / "results/toys/split1/theirs/seed0/metrics.json"
    file.parent.mkdir(parents=True)
    for folder, counted in (("/p/toys/split1/0", 1), ("/other", 0)):
        file.write_text(json.dumps({"predictions": folder}))
        assert make_status(runs.catalogue, [], 0, False).tables == {"table1": (counted, 4)}


def test_status_of_a_study_without_a_training_has_a_page(catalogue, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alone = {"experiments/table1": {"title": "T", "methods": ["theirs"]}}
    status = make_status(catalogue(BASIC | THEIRS | alone), [], 0, False)
    assert "numbers for tables: table1 0/2" in status_text(status, datetime(2026, 1, 1), False)


def test_numbers_of_other_predictions_make_no_table(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "results/toys/split1/theirs/seed0/metrics.json"
    file.parent.mkdir(parents=True)
    for content, told in (({"predictions": "/other"}, "/other"), ({}, "predictions of an older version")):
        file.write_text(json.dumps(content))
        with pytest.raises(OtherRun, match=f"metrics.json: scores {told}.* names /p/toys/split1/0; run snakemake"):
            specification(runs, None, table_runs.table, "table1")
    file.write_text(json.dumps({"predictions": "/p/toys/split1/0"}))
    assert specification(runs, None, table_runs.table, "table1")["runs"]


@pytest.mark.parametrize("about", [table_runs.intervals, table_runs.per_class, table_runs.comparison])
def test_counts_of_other_predictions_make_no_page(runs, tmp_path, monkeypatch, about):
    monkeypatch.chdir(tmp_path)
    save_counts(tmp_path / "results/toys/split1/theirs/seed0/evaluation/1of1.npz", "/other")
    with pytest.raises(OtherRun, match="1of1.npz: scores /other, but .* names /p/toys/split1/0; run snakemake"):
        specification(runs, None, about, "table1")
    save_counts(tmp_path / "results/toys/split1/theirs/seed0/evaluation/1of1.npz", "/p/toys/split1/0")
    assert specification(runs, None, about, "table1")["runs"]


def test_a_missing_folder_is_left_out_only_if_another_was_scored(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named, scores = "/p/toys/split1/0", tmp_path / "results/toys/split1/theirs/seed0/evaluation/1of1.npz"
    assert scored_folder(runs, *CELL, "1of1") == [named]
    scores.parent.mkdir(parents=True)
    scores.write_bytes(b"damaged")
    assert scored_folder(runs, *CELL, "1of1") == []
    for folder, expected in ((named, [named]), ("/other", [])):
        save_counts(scores, folder)
        assert scored_folder(runs, *CELL, "1of1") == expected


def test_what_does_not_go_together_is_refused(catalogue):
    for method in ({"labels": "none"}, {"predictions": "/p"}, {"labels": "full", "predictions": "/p"}):
        assert "`predictions` and `labels: none` need each other" in error_of(
            catalogue, {"methods/plain": {"label": "P"} | method}
        )
    student = {"methods/plain": {"label": "P", "labels": "pseudo", "teacher": "theirs"}}
    assert "teacher 'theirs' is not trained here" in error_of(catalogue, THEIRS | student)
