"""The page of diagnostics: a trained network on scenes, warnings, and files of another split."""

import shutil
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch

from simformer.claims import diagnostics
from simformer.config.settings import InferenceSettings
from simformer.errors import UserError
from simformer.study.runs import DiagnosedRun

CPU = torch.device("cpu")
VALUES = {
    "images": 7, "own": 0.5, "others": 0.48, "covered": 56.0, "right_among_own": 60.0, "right": 40.0, "taker": "sky",
    "taken": 70.0, "loser": "sea", "one_query": 100.0, "lost": 10.5, "lost_empty": 3.0, "clutter": 29.0,
}  # fmt: skip
HEALTHY = VALUES | {"own": 0.8, "others": np.nan, "covered": np.nan, "lost": 9.0, "taker": "", "taken": np.nan}


@pytest.fixture(scope="module")
def spec(scenes, masked, new_config, run_training, tmp_path_factory):
    config = new_config({"optim": {"steps": 1}})
    folder = tmp_path_factory.mktemp("run")
    model = str(run_training(config, masked, folder).model)
    index = shutil.copytree(scenes.data, folder / "data") / "index.json"
    scenes.index.save(index)
    files = str(masked.root / "labels.json"), str(index)
    run = asdict(DiagnosedRun("scenes", "split1", "tiny", 0, config.hash, None, model, *files))
    inference = InferenceSettings(short_edge=48).model_dump(mode="json")
    rows = [{"method": "tiny", "label": "Tiny"}]
    return {"title": "Table 9", "rows": rows, "runs": [run], "inference": {"scenes": inference}}


def test_a_network_on_its_training_images(spec, masked, tmp_path):
    diagnostics.write_diagnostics(spec, CPU, tmp_path / "out.csv")
    (found,) = pd.read_csv(tmp_path / "out.csv").to_dict("records")
    assert found["images"] == sum(bool(masked.novel_labels(image)) for image in masked.images)
    assert all(0 <= found[name] <= 1 for name in ("own", "others"))
    percent = ("covered", "right_among_own", "right", "taken", "one_query", "lost", "lost_empty", "clutter")
    assert all(0 <= found[name] <= 100 for name in percent) and found["right"] <= found["right_among_own"]
    assert "| Tiny " in (tmp_path / "out.md").read_text() and (tmp_path / "out.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("values", "warnings", "cells"),
    [
        (VALUES, 4, ["Tiny", "3", "0.50 (!)", "0.48 (!)", "56.0 (!)", "60.0", "40.0", "sky 70 %, from sea", "100.0"]),
        (HEALTHY, 0, ["Tiny", "3", "0.80", "-", "-", "60.0", "40.0", "-", "100.0"]),
    ],
)
def test_warnings_and_numbers_that_are_not_there(values, warnings, cells, spec, tmp_path, monkeypatch):
    table = pd.DataFrame([{"dataset": "toys", "split": "split1", "method": "tiny", "seed": 3} | values])
    monkeypatch.setattr(diagnostics, "diagnostics", lambda spec, device: table)
    diagnostics.write_diagnostics(spec, CPU, tmp_path / "out.csv")
    text = (tmp_path / "out.md").read_text().partition("toys split1")[2]
    assert text.count("(!)") == warnings
    assert [cell.strip() for cell in text.splitlines()[-1].split("|")[1:-1]] == cells


def test_methods_that_crop_differently_show_the_lowest_and_the_highest_loss(spec, tmp_path, monkeypatch):
    place = {"dataset": "toys", "split": "split1", "method": "tiny", "seed": 3}
    table = pd.DataFrame([place | VALUES, place | VALUES | {"lost": 4.0}])
    monkeypatch.setattr(diagnostics, "diagnostics", lambda spec, device: table)
    diagnostics.write_diagnostics(spec, CPU, tmp_path / "out.csv")
    text = (tmp_path / "out.md").read_text()
    assert "Crops lose 4.0 to 10.5 (!) % of the novel labels; 3.0 % are lost in crops that hold only base" in text


def test_lost_labels_are_counted_in_the_crops_of_each_method(spec, masked, new_config, run_training, tmp_path):
    config = new_config({"optim": {"steps": 1}, "augment": {"crop": 32, "short_edges": [96]}})
    run = spec["runs"][0] | {"model": str(run_training(config, masked, tmp_path).model), "hash": config.hash}
    found = diagnostics.diagnostics(spec | {"runs": [spec["runs"][0], run]}, CPU)
    alone = diagnostics.diagnostics(spec | {"runs": [run]}, CPU)
    assert found["lost"][1] == alone["lost"][0] > found["lost"][0]


def test_a_split_that_the_study_draws_otherwise(spec):
    drawn = spec["runs"][0] | {"novel": {"seed": 0, "ratio": [1, 1]}}
    with pytest.raises(UserError, match="of another split than split1 of this study"):
        diagnostics.diagnostics(spec | {"runs": [drawn]}, CPU)


def test_a_model_of_another_run(spec):
    with pytest.raises(UserError, match="of another run than this study's"):
        diagnostics.diagnostics(spec | {"runs": [spec["runs"][0] | {"hash": "0" * 16}]}, CPU)
