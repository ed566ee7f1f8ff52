"""Of which study a file is: for targets that a user names, for what to type, and for the folder to work in."""

import json
from pathlib import Path

import pytest
import yaml

from simformer.cli import main
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.targets import targeted
from simformer.text.to_make import made_by, to_make
from tests.stubs import touch
from tests.unit.study.test_plan import FILES

STUDIES = {
    "config": {},
    "mine": {"results": "results/mine", "data": "data/own"},
    "mine_more": {"results": "results/mine", "experiments": ["two"]},
    "$broken": None,
}
SPLITS = {1: {"novel": ["sea"]}}


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """A folder of a workflow with three studies, two of which share their results; the working directory."""
    folder = tmp_path / "workflow"
    for name, content in FILES.items():
        touch(folder / "config" / f"{name}.yaml", yaml.safe_dump(content))
    for name, content in STUDIES.items():
        study = {"datasets": {"toys": {"splits": SPLITS}}, "experiments": ["one"], **(content or {})}
        touch(folder / "config" / f"{name}.yaml", yaml.safe_dump(study) if content is not None else "a: [")
    touch(folder / "Snakefile", "")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("results/mine/one.md", "`snakemake --configfile config/mine.yaml --cores 1 results/mine/one.md` makes it"),
        ("results/farm/nope.md", "check the path; no study in config/ makes it"),
        ("photos/index.json", "config/ makes it; expected a prepared dataset, e.g. data/msrc21"),
    ],
)
def test_a_hint_is_given_only_for_what_a_study_makes(workflow, path, told):
    assert made_by(path).endswith(told)


def test_a_study_outside_any_workflow_says_where_its_results_are_looked_for(workflow, tmp_path, monkeypatch, capsys):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (workflow / "Snakefile").unlink()
    monkeypatch.chdir(elsewhere)
    assert main(["status", "--study", "../workflow/config/mine.yaml"]) == 0
    assert capsys.readouterr().err == (
        "../workflow/config/mine.yaml: neither this folder nor one above the study has a Snakefile; `results` "
        f"and `data` were taken below {elsewhere}\n"
    )


def test_show_takes_the_name_of_a_table_of_the_default_study(workflow, capsys):
    assert main(["show", "one"]) == 1
    assert "results/one.md: no such table; `snakemake --cores 1 results/one.md` makes it" in capsys.readouterr().err
    touch(workflow / "results/one.md", "a table")
    touch(workflow / "results/README.md", "no table")
    assert main(["show", "one"]) == 0 and "a table" in capsys.readouterr().out
    assert main(["show", "results"]) == 1 and "e.g. results/one.md" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "study"),
    [
        ("results/one.csv", ""),
        ("results/toys/split1/weak/seed0/model.safetensors", ""),
        ("results/mine/one.md", "config/mine.yaml"),
        ("results/mine/partial/two.csv", "config/mine_more.yaml"),
        ("results/mine/toys/split1/weak/seed0/config.yaml", "config/mine.yaml"),
        ("data/toys/index.json", ""),
        ("data/own/toys/index.json", "config/mine.yaml"),
        ("/elsewhere/one.md", ""),
    ],
)
def test_what_to_type_names_the_study_that_makes_a_file(workflow, path, study):
    words = ["--configfile", study] if study else []
    assert to_make(path).split() == ["snakemake", *words, "--cores", "1", path]
    assert to_make(workflow / path).split()[1:-1] == [*words, "--cores", "1"]


def test_a_study_that_is_known_is_named(workflow):
    assert to_make("out/one.md", ["a.yaml", "b c.yaml"]) == (
        "snakemake --configfile a.yaml 'b c.yaml' --cores 1 out/one.md"
    )
    assert to_make("out/one.md", [Path("config/config.yaml")]) == "snakemake --cores 1 out/one.md"


@pytest.mark.parametrize(
    "target",
    [
        "one", "results/one.md", "results/partial/one.csv", "results/figures/one.pdf",
        "results/figures/comparison.one.pdf", "results/toys/split1/curves.one.pdf",
        "results/toys/split1/gallery.one.png",
    ],
)  # fmt: skip
def test_a_target_is_a_table_of_the_study(workflow, target):
    assert targeted(Catalogue.read(Path("config/config.yaml")), [target]) == ["one"]


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("results/mine/one.md", "name its study: --study config/mine.yaml"),
        ("results/mine/two.csv", "name its study: --study config/mine_more.yaml"),
        ("whatever/one.csv", "name a table of this one, e.g. results/one.csv"),
        ("results/gone/one.csv", "name a table of this one, e.g. results/one.csv"),
    ],
)
def test_a_target_of_another_study_is_refused(workflow, target, hint):
    with pytest.raises(UserError) as error:
        targeted(Catalogue.read(Path("config/config.yaml")), [target])
    assert str(error.value) == f"{target}: not of config/config.yaml (its results folder is results); {hint}"


@pytest.mark.parametrize(
    ("target", "name", "near"),
    [
        ("results/figures/fig3.pdf", "fig3", "."),
        ("results/baseline_checks.md", "baseline_checks", "."),
        ("results/toys/split1/maps.png", "maps", "."),
        ("onne", "onne", "; did you mean 'one'?"),
    ],
)
def test_a_target_that_is_no_table_is_told_from_a_table(workflow, target, name, near):
    with pytest.raises(UserError) as error:
        targeted(Catalogue.read(Path("config/config.yaml")), [target])
    assert str(error.value) == (
        f"{target}: '{name}' is not a table, and only tables have a plan and a status{near} "
        "Name a table; config/config.yaml has one"
    )


@pytest.mark.parametrize("command", ["plan", "status"])
def test_the_commands_refuse_it(workflow, capsys, command):
    assert main([command, "--study", "config/mine.yaml", "whatever/one.csv"]) == 1
    assert "error: whatever/one.csv: not of config/mine.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["results/mine/one.csv", "../results/mine/one.csv"])
def test_a_study_is_looked_at_from_any_folder(workflow, monkeypatch, capsys, target):
    """`results` and `data` of a study are relative to the folder of its workflow, wherever a command is typed."""
    touch(workflow / "results/mine/toys/split1/weak/seed0/state/state.pt", "")
    (workflow / "docs").mkdir()
    monkeypatch.chdir(workflow / "docs")
    assert main(["status", "--study", "../config/mine.yaml", "--json", target]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["counts"]["interrupted"] == 1
    assert told.err == (
        f"working in {workflow}, the folder of this study's workflow; the paths and commands below start there\n"
    )
    assert main(["plan", "--study", "../config/mine.yaml"]) == 0
    assert "interrupted " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["doctor", "--study", "../config/mine.yaml", "--json"])
    found = {check["name"]: check["found"] for check in json.loads(capsys.readouterr().out)}
    assert found["study"].startswith("config/mine.yaml: 3 trainings")
    assert Path.cwd() == workflow / "docs"


def test_a_folder_in_which_snakemake_has_run_is_used_itself(workflow, tmp_path, monkeypatch, capsys):
    touch(tmp_path / "own/results/mine/toys/split1/weak/seed0/state/state.pt", "")
    (tmp_path / "own/.snakemake").mkdir()
    monkeypatch.chdir(tmp_path / "own")
    assert main(["status", "--study", str(workflow / "config/mine.yaml"), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["counts"]["interrupted"] == 1 and not told.err


def test_results_are_kept_where_a_user_says(workflow, monkeypatch, capsys):
    assert main(["keep", "--study", "config/mine_more.yaml"]) == 1
    hint = "`snakemake --configfile config/mine_more.yaml --cores 1 results/mine/two.csv`"
    assert f"no tables to keep; make some first, e.g. {hint}" in capsys.readouterr().err
    touch(workflow / "results/mine/one.csv", "a")
    (workflow / "docs").mkdir()
    monkeypatch.chdir(workflow / "docs")
    assert main(["keep", "--study", "../config/mine.yaml", "--output", "mine"]) == 0
    assert (workflow / "docs/mine/mine/one.csv").exists()
    assert capsys.readouterr().out.endswith("1 file kept; docs/results.md shows those in docs/results alone\n")
    monkeypatch.chdir(workflow)
    assert main(["keep", "--study", "config/mine.yaml"]) == 0
    assert capsys.readouterr().out.endswith("1 file kept; now: snakemake --cores 1 docs/results.md\n")


def test_the_results_folder_itself_is_no_table(workflow, capsys):
    assert main(["plan", "--study", "config/mine.yaml", "results/mine/"]) == 1
    error = capsys.readouterr().err
    assert "results/mine: the results folder of config/mine.yaml; name a table in it, e.g. results/mine/" in error
