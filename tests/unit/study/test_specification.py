"""What jobs work on: they derive from the study what the workflow derives, or say that it has changed."""

import json
from pathlib import Path

import pytest
import yaml

from simformer.cli import main
from simformer.config.paths import CHECKOUT
from simformer.errors import UserError
from simformer.study import figure_runs, map_arms, table_runs
from simformer.study.catalogue import Catalogue
from simformer.study.runs import Runs, files_of
from simformer.study.specification import digest, read_runs, specification
from tests.faults.harness import refused
from tests.pipeline import TINY as STUDY

CONFIG = CHECKOUT / "config"
TINY = STUDY | {"experiments": ["table2"]}
TABLES = [table_runs.table, table_runs.partial_table, table_runs.intervals, table_runs.t_test, table_runs.per_class]
TABLES += [table_runs.label_quality, table_runs.diagnostics, table_runs.comparison]


def runs_of(study) -> Runs:
    return Runs(Catalogue(study, "study", CONFIG))


@pytest.mark.parametrize("name", ["config", "demo"])
def test_a_study_means_the_same_from_its_file_and_from_its_keys(name):
    file = CONFIG / f"{name}.yaml"
    keys = [f"{key}={json.dumps(value)}" for key, value in yaml.safe_load(file.read_text()).items()]
    mine, theirs = read_runs([file]), read_runs([], CONFIG, keys)
    place = next(iter(mine.catalogue.datasets)), "split1"
    asked = [(describe, "table1") for describe in TABLES if describe is not table_runs.partial_table]
    asked += [(figure_runs.figure, "fig5"), (figure_runs.site,), (table_runs.curves, "table1", *place)]
    asked += [(figure_runs.gallery, "table1", *place), (map_arms.map_arms, *place, 0)]
    asked += [(map_arms.conta_arms, place[0], 0), (map_arms.claim_files,)]
    found = [digest(describe(mine, *names)) for describe, *names in asked]
    assert found == [digest(describe(theirs, *names)) for describe, *names in asked]
    assert len(set(found)) == len(found)


def test_the_hash_of_a_table_follows_its_runs_alone():
    def hashes(**changes):
        runs = runs_of(TINY | changes)
        return [digest(describe(runs, "table2")) for describe in (table_runs.table, table_runs.per_class)]

    before = hashes()
    assert hashes(figures=["fig5"]) == before
    assert all(a != b for a, b in zip(hashes(seeds=[0, 1]), before, strict=True))
    shards = {"scenes": TINY["datasets"]["scenes"] | {"shards": {"test": 3}}}
    table, classes = hashes(datasets=shards)
    assert table == before[0] and classes != before[1]


def test_a_study_that_has_changed_since_the_plan():
    planned = digest(table_runs.table(runs_of(TINY), "table2"))
    assert specification(runs_of(TINY), planned, table_runs.table, "table2")["runs"][0]["dataset"] == "scenes"
    changed = runs_of(TINY | {"seeds": [5]})
    with pytest.raises(UserError, match=r"^study: the study, or a file .* run snakemake again$"):
        specification(changed, planned, table_runs.table, "table2")
    assert specification(changed, None, table_runs.table, "table2")["runs"][0]["seed"] == 5


def test_names_that_the_study_does_not_have(tmp_path, capsys):
    study = ["--study", CONFIG / "demo.yaml", "--output", tmp_path / "x"]
    for arguments, says in (
        (["table", "--experiment", "tabel1"], "tabel1.yaml: no such file; did you mean"),
        (["curves", "--experiment", "table1", "--on", "scenes/split9"], "'table1' has no scenes split9"),
        (["t_test", "--experiment", "cam"], "cam.yaml: names no pairs to test"),
        (["per_class", "--experiment", "table3"], "measure 'simnet_f1' has no IoU"),
        (["label_quality", "--experiment", "table2"], "fewer than two methods"),
        (["table", "--experiment", "table1", "--config", "seeds=[x"], "--config seeds=[x: the value is not valid YAML"),
        (["table", "--experiment", "table1", "--config", "sedes=[1]"], "unknown key 'sedes'; did you mean 'seeds'?"),
    ):
        refused([*arguments, *study], tmp_path, capsys, says)
    runs = read_runs([CONFIG / "demo.yaml"])
    with pytest.raises(UserError, match="no dataset 'toys'; it has scenes"):
        figure_runs.gallery(runs, "table1", "toys", "split1")
    with pytest.raises(UserError, match="has no split9; it has split1"):
        map_arms.map_arms(runs, "scenes", "split9", 0)


def test_a_table_from_nothing_but_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    wanted = table_runs.table(read_runs([Path("tiny.yaml")], None, ["seeds=[7]"]), "table2")
    for number, run in enumerate(wanted["runs"]):
        Path(run.path).parent.mkdir(parents=True)
        novel = sorted(TINY["datasets"]["scenes"]["splits"][1]["novel"])
        owner = {"run": run.hash, "classes": ["sky", *novel], "novel_classes": novel}
        Path(run.path).write_text(json.dumps(owner | {"novel": 10.0 + number, "base": 50.0, "all": 30.0}))
    study = ["--study", "tiny.yaml", "--config", "seeds=[7]", "--expect", digest(wanted)]
    assert main(["table", *study, "--experiment", "table2", "--output", "table2.csv"]) == 0
    assert len(files_of(wanted["runs"])) == len(wanted["runs"]) and "10.0" in Path("table2.md").read_text()
