"""Outside the folder of the workflow, a command says where to go."""

import pytest

from simformer.cli import main
from simformer.errors import OUTSIDE


@pytest.mark.parametrize(
    "given",
    [
        "plan", "status", "keep", "show results/table1.md", "table --experiment table1 --output table1.csv",
        "schema --schema a --page b --methods c", "plan --study config/demo.yaml",
    ],
)  # fmt: skip
def test_a_missing_file_of_the_workflow(given, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(given.split()) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    assert "no such" in told.err and OUTSIDE in told.err
    assert not list(tmp_path.iterdir())


def test_doctor_says_it_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["doctor"])
    assert end.value.code == 1
    assert " ".join(OUTSIDE.split()) in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("given", ["plan", "show results/table1.md"])
def test_it_is_not_said_where_the_workflow_is(given, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").touch()
    assert main(given.split()) == 1
    assert OUTSIDE not in capsys.readouterr().err


def test_it_is_not_said_of_a_file_of_the_users_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--study", "nope.yaml"]) == 1
    told = capsys.readouterr().err
    assert "nope.yaml: no such file" in told and OUTSIDE not in told


def test_it_is_not_said_of_a_whole_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "--study", str(tmp_path / "mine.yaml")]) == 1
    assert OUTSIDE not in capsys.readouterr().err
