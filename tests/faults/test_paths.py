"""What a path in the configuration means: the same for plan, doctor and jobs, for every key that is a path."""

import getpass
import json
import re
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from simformer.cli import main
from simformer.config.paths import CHECKOUT, config_folder, expand_folder, expand_path
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.text.to_make import to_make
from tests.faults.harness import refused

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder of the test's own, with a variable that leads into it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PLACE", str(folder / "my data"))
    monkeypatch.setenv("MONEY", "cheap $tuff")
    monkeypatch.delenv("NOWHERE", raising=False)
    monkeypatch.setenv("EMPTY", "")
    return folder


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("results", "results"),
        ("./results/", "results"),
        ("../shared results", "../shared results"),
        ("~/a", "{home}/a"),
        ("~", "{home}"),
        ("a~b", "a~b"),
        ("$PLACE/x", "{home}/my data/x"),
        ("${PLACE}/x", "{home}/my data/x"),
        ("/data/$MONEY", "/data/cheap $tuff"),
        ('it\'s "here"; rm -rf *', 'it\'s "here"; rm -rf *'),
        ("prix en $", "prix en $"),
        ("üñí/日本", "üñí/日本"),
        (r"back\slash", r"back\slash"),
    ],
)
def test_a_path_means_one_thing(home, text, means):
    assert str(expand_path(text, "key")) == means.format(home=home)
    if "{" not in text:
        assert expand_folder(text, "key") == means.format(home=home)


FAULTY = [
    ("", "is empty; "),
    ("  ", "is empty; "),
    ("$NOWHERE/x", "needs environment variable NOWHERE, which is not set; type NOWHERE=/path/to/it before the command"),
    ("${NOWHERE}/x", "needs environment variable NOWHERE"),
    ("${EMPTY}", "needs environment variable EMPTY"),
    (
        "~nobody_of_that_name/x",
        "names no home folder of this machine, '~nobody_of_that_name/x'; for a file of that name write ./~nobody",
    ),
    ("a\nb", "holds the control character"),
    ("a\tb", "control character"),
    ("a\x1b[31m", "control character"),
]
NO_FOLDER = [
    ("a{b}", "holds '{', which Snakemake takes for a wildcard"),
    ("<x>", "holds '<', which Snakemake takes for a wildcard"),
    ("-rf", "begins with a hyphen"),
    (".", "is the working directory itself"),
]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Write a study beside nothing else; returns its path."""
    monkeypatch.chdir(tmp_path)

    def write(content: dict) -> Path:
        path = tmp_path / "mine.yaml"
        scenes = {"datasets": {"scenes": {"splits": {1: {"seed": 1}}}}}
        path.write_text(yaml.safe_dump(scenes | content, allow_unicode=True))
        return path

    return write


@pytest.mark.parametrize("key", ["results", "data"])
@pytest.mark.parametrize(("text", "says"), FAULTY + NO_FOLDER)
def test_a_folder_that_cannot_be_one(study, home, tmp_path, capsys, key, text, says):
    refused(["plan", "--study", study({key: text})], tmp_path, capsys, "mine.yaml", f"{key} ", says)


def test_results_and_data_are_two_folders(study, tmp_path, capsys):
    refused(["plan", "--study", study({"results": "x", "data": "./x"})], tmp_path, capsys, "are one folder, 'x'")


@pytest.mark.parametrize(("text", "says"), FAULTY)
def test_a_source_that_cannot_be_a_path(home, tmp_path, capsys, text, says):
    source = json.dumps({"kind": "folder", "path": text})
    refused(["prepare", "--source", source, "--output", tmp_path / "out"], tmp_path, capsys, "source.path ", says)


@pytest.mark.parametrize(("text", "says"), FAULTY)
def test_an_archive_that_cannot_be_a_path(home, tmp_path, capsys, text, says):
    source = json.dumps({"kind": "ade20k", "archive": {"path": text}})
    command = ["prepare", "--source", source, "--output", tmp_path / "out"]
    refused(command, tmp_path, capsys, "source.archive.path ", says)


@pytest.mark.parametrize(("text", "says"), FAULTY)
def test_weights_that_cannot_be_a_path(home, tmp_path, capsys, text, says):
    command = ["weights", "--backbone", "resnet18", "--source", text, "--output", tmp_path / "w.safetensors"]
    refused(command, tmp_path, capsys, "model.weights ", says)


@pytest.mark.parametrize(("text", "says"), FAULTY)
def test_a_pinned_split_that_cannot_be_a_path(study, home, tmp_path, capsys, monkeypatch, text, says):
    path = study({"datasets": {"scenes": {"splits": {1: {"file": text}}}}})
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        Catalogue.read(path).split_json("scenes", "split1")
    assert "mine.yaml: datasets.scenes.splits.1.file " in str(caught.value)


def test_doctor_plan_and_status_look_in_the_expanded_folders(study, home, tmp_path, capsys):
    path = study({"results": "$PLACE/r", "data": "~/d d", "experiments": ["table2"]})
    assert main(["plan", "--study", str(path)]) == 0
    assert f"{home}/my data/r/scenes/split1/" in capsys.readouterr().out
    with suppress(SystemExit):
        main(["doctor", "--study", str(path), "--json"])
    found = {check["name"]: check["found"] for check in json.loads(capsys.readouterr().out)}
    assert found["results disk"].startswith(f"{home}/my data/r:") and found["data disk"].startswith(f"{home}/d d:")
    assert main(["status", "--study", str(path), "--json"]) == 0
    assert not list(home.iterdir())


def test_a_study_elsewhere_uses_the_configuration_of_the_checkout(study):
    assert config_folder([study({})]) == CHECKOUT / "config"


def test_a_study_beside_a_whole_configuration_uses_that(study, tmp_path):
    for name in ("datasets", "methods", "experiments"):
        (tmp_path / name).mkdir()
    assert config_folder([ROOT / "config/demo.yaml", study({})]) == tmp_path


def test_the_configuration_of_the_working_directory_is_named_relative_to_it(monkeypatch):
    monkeypatch.chdir(CHECKOUT)
    assert config_folder([]) == Path("config")


def test_what_to_type_is_quoted():
    assert to_make("results/it's mine/t.md") == "snakemake --cores 1 'results/it'\"'\"'s mine/t.md'"


def test_a_known_users_home_is_found():
    assert expand_path(f"~{getpass.getuser()}/x", "key").is_absolute()
