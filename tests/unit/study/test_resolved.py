"""The study as a plan has read it: commands derive from it what the workflow derives, or say that it has changed."""

import json
from pathlib import Path

import pytest
import yaml

from simformer.cli import main
from simformer.config.layers import read_study
from simformer.config.paths import CHECKOUT
from simformer.errors import UserError
from simformer.study import figure_runs, map_arms, table_runs
from simformer.study.catalogue import Catalogue
from simformer.study.resolved import ResolvedStudy, digest, read_runs, specification, write_resolved
from simformer.study.runs import Runs, files_of
from tests.faults.harness import refused
from tests.pipeline import TINY

CONFIG = CHECKOUT / "config"
TABLES = [table_runs.table, table_runs.partial_table, table_runs.intervals, table_runs.t_test, table_runs.per_class]
TABLES += [table_runs.label_quality, table_runs.comparison]


def resolved(study: Path, folder: Path) -> Path:
    content = json.dumps(ResolvedStudy.of(read_runs(study)).model_dump(mode="json"))
    write_resolved(content, folder / "study.yaml")
    return folder / "study.yaml"


@pytest.mark.parametrize("name", ["config", "demo"])
def test_jobs_derive_what_the_plan_derives(name, tmp_path):
    mine, theirs = read_runs(CONFIG / f"{name}.yaml"), read_runs(resolved(CONFIG / f"{name}.yaml", tmp_path))
    place = next(iter(mine.catalogue.datasets)), "split1"
    asked = [(describe, "table1") for describe in TABLES] + [(figure_runs.figure, "fig5"), (figure_runs.site,)]
    asked += [(table_runs.curves, "table1", *place), (figure_runs.gallery, "table1", *place)]
    asked += [(map_arms.map_arms, *place, 0), (map_arms.conta_arms, place[0], 0), (map_arms.claim_files,)]
    found = [digest(describe(mine, *names)) for describe, *names in asked]
    assert found == [digest(describe(theirs, *names)) for describe, *names in asked]
    assert len(set(found)) == len(found)


def test_the_hash_of_a_table_follows_its_runs_alone():
    def hashes(**changes):
        runs = Runs(Catalogue(TINY | changes, "study", CONFIG))
        return [digest(describe(runs, "table2")) for describe in (table_runs.table, table_runs.per_class)]

    before = hashes()
    assert hashes(figures=["fig5"], experiments=["table2"]) == before
    assert all(a != b for a, b in zip(hashes(seeds=[0, 1]), before, strict=True))
    shards = {"scenes": TINY["datasets"]["scenes"] | {"shards": {"test": 3}}}
    table, classes = hashes(datasets=shards)
    assert table == before[0] and classes != before[1]


def test_the_order_of_keys_means_nothing_and_that_of_splits_something(tmp_path):
    def content(study):
        return ResolvedStudy.of(Runs(Catalogue(study, "study", CONFIG))).model_dump_json()

    assert content(TINY) == content({key: TINY[key] for key in reversed(TINY)})
    splits = {2: {"seed": 7}, **TINY["datasets"]["scenes"]["splits"]}
    first, second = (
        content(TINY | {"datasets": {"scenes": TINY["datasets"]["scenes"] | {"splits": order}}})
        for order in (splits, dict(reversed(splits.items())))
    )
    assert first != second


def test_a_study_that_has_changed_since_the_plan(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(TINY | {"experiments": ["table2"]}))
    planned = digest(table_runs.table(read_runs(study), "table2"))
    assert specification(study, planned, table_runs.table, "table2")["runs"][0]["dataset"] == "scenes"
    study.write_text(yaml.safe_dump(TINY | {"experiments": ["table2"], "seeds": [5]}))
    with pytest.raises(UserError, match=r"study.yaml: the study, or a file .* run snakemake again$"):
        specification(study, planned, table_runs.table, "table2")
    assert specification(study, None, table_runs.table, "table2")["runs"][0]["seed"] == 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected 'key: value' lines"),
        ("study: {}\n", "keys configuration, files are missing"),
        ("study: 5\nconfiguration: config\nfiles: []\n", "key 'study'"),
        ("configuration: config\nfiles: []\n", "key 'datasets' is missing"),
    ],
)
def test_a_file_that_is_no_study(text, says, tmp_path, capsys):
    (tmp_path / "study.yaml").write_text(text)
    given = ["--study", tmp_path / "study.yaml", "--experiment", "table1", "--output", tmp_path / "t.csv"]
    refused(["table", *given], tmp_path, capsys, says)


def test_names_that_the_study_does_not_have(tmp_path, capsys):
    study = ["--study", CONFIG / "demo.yaml", "--output", tmp_path / "x"]
    for arguments, says in (
        (["table", "--experiment", "tabel1"], "tabel1.yaml: no such file; did you mean"),
        (["curves", "--experiment", "table1", "--on", "scenes/split9"], "'table1' has no scenes split9"),
        (["t_test", "--experiment", "cam"], "cam.yaml: names no pairs to test"),
        (["per_class", "--experiment", "table3"], "measure 'simnet_f1' has no IoU"),
        (["label_quality", "--experiment", "table2"], "fewer than two methods"),
    ):
        refused([*arguments, *study], tmp_path, capsys, says)
    runs = read_runs(CONFIG / "demo.yaml")
    with pytest.raises(UserError, match="no dataset 'toys'; it has scenes"):
        figure_runs.gallery(runs, "table1", "toys", "split1")
    with pytest.raises(UserError, match="has no split9; it has split1"):
        map_arms.map_arms(runs, "scenes", "split9", 0)


def test_a_table_from_nothing_but_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY | {"experiments": ["table2"]}))
    study = resolved(tmp_path / "tiny.yaml", tmp_path)
    runs = read_runs(study)
    wanted = table_runs.table(runs, "table2")
    for number, run in enumerate(wanted["runs"]):
        Path(run.path).parent.mkdir(parents=True)
        novel = sorted(TINY["datasets"]["scenes"]["splits"][1]["novel"])
        owner = {"run": run.hash, "classes": ["sky", *novel], "novel_classes": novel}
        Path(run.path).write_text(json.dumps(owner | {"novel": 10.0 + number, "base": 50.0, "all": 30.0}))
    given = ["--study", str(study), "--experiment", "table2", "--expect", digest(wanted), "--output", "table2.csv"]
    assert main(["table", *given]) == 0
    assert len(files_of(wanted["runs"])) == len(wanted["runs"]) and "10.0" in Path("table2.md").read_text()


def test_command_line_wins_over_the_files(tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    content = read_study([tmp_path / "tiny.yaml"], ["seeds=[7]"])
    assert ResolvedStudy.of(Runs(Catalogue(content, "study", CONFIG))).study["seeds"] == [7]
