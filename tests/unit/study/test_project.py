"""`simformer init`: the folder in which studies are run."""

import filecmp

import pytest

from simformer.cli import main
from simformer.config.paths import CHECKOUT
from simformer.study.project import COPIED, LINKS
from tests.faults.harness import refused


def same(mine, theirs) -> bool:
    """Whether two folders hold the same files."""
    found = filecmp.dircmp(mine, theirs, ignore=["__pycache__"])
    equal = not (found.left_only or found.right_only or found.diff_files or found.funny_files)
    return equal and all(same(mine / name, theirs / name) for name in found.common_dirs)


def test_the_folder_is_like_the_checkout(tmp_path, capsys):
    assert main(["init", str(tmp_path / "a" / "study")]) == 0
    folder = tmp_path / "a" / "study"
    assert {path.name for path in folder.iterdir()} == {*COPIED, *LINKS}
    assert same(folder / "workflow", CHECKOUT / "workflow") and same(folder / "config", CHECKOUT / "config")
    assert (folder / "Snakefile").read_bytes() == (CHECKOUT / "Snakefile").read_bytes()
    assert {name: (CHECKOUT / name).readlink() for name in LINKS} == {
        name: (folder / name).readlink() for name in LINKS
    }
    assert capsys.readouterr().out == f"next: cd {folder}; snakemake --configfile config/demo_quick.yaml --cores 2\n"


def test_the_folder_in_which_one_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photographs").mkdir()
    assert main(["init"]) == 0
    assert (tmp_path / "config/demo_quick.yaml").is_file()
    assert capsys.readouterr().out == "next: snakemake --configfile config/demo_quick.yaml --cores 2\n"


@pytest.mark.parametrize("name", [*COPIED, *LINKS])
def test_nothing_is_overwritten(name, tmp_path, capsys):
    (tmp_path / name).write_text("mine")
    refused(["init", str(tmp_path)], tmp_path, capsys, f"{tmp_path / name}: already there", "simformer init ")
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "mine"


def test_a_file_in_the_place_of_the_folder(tmp_path, capsys):
    (tmp_path / "study").write_text("mine")
    refused(["init", str(tmp_path / "study")], tmp_path, capsys, "study: expected a folder", "found a file")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys, monkeypatch):
    def refuse(**options):
        raise PermissionError(13, "Permission denied", str(tmp_path / "tmpx1y2"))

    monkeypatch.setattr("simformer.study.project.tempfile.TemporaryDirectory", refuse)
    assert main(["init", str(tmp_path)]) == 1
    line = capsys.readouterr().err
    assert line == f"error: {tmp_path}: nothing can be written into this folder; name another one\n"
