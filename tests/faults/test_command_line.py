"""Every option of every subcommand: what is no count, no JSON or no file is told in one line, and nothing is done."""

import argparse
import json
import os

import pytest

from simformer.cli import main, parsers
from simformer.commands.options import count, named_path, score
from tests.faults.harness import complaint, refused

COMMANDS = parsers()


def options_of(kind) -> list[tuple[str, str]]:
    """Return (subcommand, option) of all options whose reader has the same name."""
    found = [(name, a) for name, parser in COMMANDS.items() for a in parser._actions]
    return [(name, a.option_strings[0]) for name, a in found if a.type and a.type.__qualname__ == kind.__qualname__]


COUNTS = [option for option in options_of(count(1)) if option != ("export", "--image-size")]
JSON_OPTIONS = [
    (name, a.option_strings[0])
    for name, parser in COMMANDS.items()
    for a in parser._actions
    if "JSON" in (a.help or "") and a.nargs != 0 and a.type is None
]


def test_the_walk_finds_the_options():
    assert {"--threads", "--workers", "--gpus", "--jobs", "--pairs", "--images"} <= {option for _, option in COUNTS}
    assert len(COUNTS) > 60 and len(JSON_OPTIONS) > 30
    assert not [a for p in COMMANDS.values() for a in p._actions if a.type in (int, float)], "use count or score"


@pytest.mark.parametrize(("command", "option"), COUNTS)
def test_a_count_that_is_none(command, option, tmp_path, capsys):
    for bad in ("-1", "1.0", "1e3", "nan", "", "x", "0x8", "010", "1_0", " 1", "9" * 25, "9" * 5000, "True", "[1]"):
        refused([command, f"{option}={bad}"], tmp_path, capsys, option, "expected a whole number from", status=2)


@pytest.mark.parametrize(
    ("command", "option"), [(c, o) for c, o in COUNTS if o not in ("--workers", "--seed") or c in ("prepare", "audit")]
)
def test_a_count_of_nothing(command, option, tmp_path, capsys):
    refused([command, option, "0"], tmp_path, capsys, option, "expected a whole number from 1", status=2)


@pytest.mark.parametrize("size", [("0", "512"), ("512", "0"), ("512", "x"), ("16", "64"), ("9000", "64"), ("512",)])
def test_an_image_size_that_is_none(size, tmp_path, capsys):
    expected = "expected a whole number from 32 to 8192" if len(size) == 2 else "expected 2 arguments"
    refused(["export", "--image-size", *size], tmp_path, capsys, "--image-size", expected, status=2)


@pytest.mark.parametrize(("command", "option"), options_of(score))
@pytest.mark.parametrize("bad", ["-1", "nan", "inf", "x", "", "0,1"])
def test_a_score_that_is_none(command, option, bad, tmp_path, capsys):
    refused([command, f"{option}={bad}"], tmp_path, capsys, option, "expected a number from 0 up", status=2)


@pytest.mark.parametrize("bad", ["3of2", "0of2", "2", "1of0", "-1of2", "1 of 2", "", "aofb", "1of" + "9" * 5000])
def test_a_shard_that_is_none(bad, tmp_path, capsys):
    refused(["evaluate", f"--shard={bad}"], tmp_path, capsys, "--shard", "e.g. 2of4", status=2)


@pytest.mark.parametrize("command", ["train", "evaluate", "cam", "qualitative"])
@pytest.mark.parametrize("bad", ["nonsense", "cuda:-1", "cuda:x", "gpu", "", "CPU", "cpu:0", "cuda:99999"])
def test_a_device_that_is_none(command, bad, tmp_path, capsys):
    refused([command, f"--device={bad}"], tmp_path, capsys, "expected auto, cpu, mps, cuda or cuda:N", status=2)


@pytest.mark.parametrize("bad", ["plain", "plain=", "=x", ""])
def test_a_named_file_that_is_none(bad, tmp_path, capsys):
    for command, option in options_of(named_path):
        refused([command, option, bad], tmp_path, capsys, "expected NAME=FILE", status=2)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_path(command, tmp_path, capsys):
    for action in COMMANDS[command]._actions:
        if getattr(action.type, "__name__", "") == "some_path":
            refused([command, *action.option_strings[:1], ""], tmp_path, capsys, "expected a path, found ''", status=2)


def arguments(command: str, **given: str) -> list[str]:
    """Return a subcommand with all options that it needs: some file for a path, 1 for a count, {} for JSON."""
    values = [command]
    for action in COMMANDS[command]._actions:
        if action.dest in given or (action.required and action.option_strings):
            value = given.get(action.dest) or (action.choices[0] if action.choices else _value(action))
            values.append(f"{action.option_strings[0]}={value}")
    return values


def _value(action: argparse.Action) -> str:
    kind = getattr(action.type, "__name__", "")
    return {"some_path": "there", "read": "1", "score": "0.5", "named_path": "a=there", "_place": "a/split1"}.get(
        kind, "{}"
    )


NO_JSON = (
    "", " ", "{", "{}}", "{'a': 1}", '{"a": 1, "a": 2}', "[" * 100_000, "1" * 5000, '{"a": [{"b": 1, "b": 1}]}', "\0",
)  # fmt: skip
OTHER_JSON = (
    "[]", "null", "true", "1", "NaN", '"x"', "[1]", '{"no_key": 1}', '"\\ud800"', '{"kind": {"a": 1}, "rounds": {}}',
    '{"settings": null, "source": null, "files": [null], "runs": [{}], "novel": [null], "rows": 5, "labels": NaN}',
)  # fmt: skip


@pytest.mark.parametrize("bad", NO_JSON)
def test_text_that_is_no_json(bad, tmp_path, capsys):
    given = ["--data", tmp_path, "--output", tmp_path / "out"]
    (tmp_path / "classes.json").write_text('{"names": ["a"]}')
    line = refused(["split", "--spec", bad or " ", *given], tmp_path, capsys, "--spec: ")
    assert "cannot be read as JSON" in line
    assert len(line) < 300


@pytest.mark.parametrize(("command", "option"), JSON_OPTIONS)
def test_json_of_another_kind(command, option, tmp_path, monkeypatch, capsys):
    """The folder has no file at all, so that the option or a missing file is told, whichever is read first."""
    monkeypatch.chdir(tmp_path)
    for bad in OTHER_JSON:
        given = arguments(command, **{option.lstrip("-"): bad})
        lines = _lines(given, capsys)
        assert all(line.startswith("error: ") or line.startswith("--") for line in lines[:1]), lines
        assert not any(word in line for line in lines for word in ("pydantic", "input_type", "Traceback")), lines
    assert not list(tmp_path.iterdir())


def _lines(given: list[str], capsys) -> list[str]:
    capsys.readouterr()
    assert main(given) == 1, given
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["resolve", "--settings", "[]"], ["--settings: expected flat settings with dotted keys"]),
        (["resolve", "--settings", "{}"], ["keys dataset, split, method, seed, labels are missing"]),
        (["resolve", "--settings", '{"settings": 5, "a.b": 1}'], ["--settings: expected flat settings"]),
        (["split", "--spec", "{}"], ["give exactly one of novel, file, seed (found none)"]),
        (["split", "--spec", '{"novel": "cow"}'], ["key 'novel': should be a list"]),
        (["split", "--spec", '{"novel": ["cow", "cow"]}'], ["novel has duplicates: cow, cow"]),
        (["split", "--spec", '{"novel": ["cwo"]}'], ["did you mean 'cow'?"]),
        (["split", "--spec", '{"seed": true}'], ["key 'seed': should be a whole number, found True"]),
        (["split", "--spec", '{"seed": 1, "ratio": [0, 1]}'], ["key 'ratio.0'"]),
        (["split", "--spec", '{"seed": 1e999}'], ["key 'seed'"]),
        (["split", "--spec", '{"seed": 99999999999999999999}'], ["key 'seed'", "less than 2147483648"]),
        (["split", "--spec", '{"full": 1}'], ["unknown key 'full'"]),
        (["fetch", "--archive", "{}"], ["neither `urls` nor `path`"]),
        (["fetch", "--archive", '{"urls": ["x"], "bytes": "12"}'], ["key 'bytes': should be a whole number"]),
        (["prepare", "--source", '{"kind": "folder"}'], ["key 'source.path' is missing"]),
        (["prepare", "--source", "{}"], ["key 'source.kind' is missing"]),
        (["prepare", "--source", '{"kind": "scenes", "size": 1e3}'], ["key 'source.size': should be a whole number"]),
        (["splits_page", "--splits", "x", "--classes", '{"a": 0}'], ["key 'a'"]),
        (["splits_page", "--splits", "x", "--classes", '{"a": 5}'], ["x: expected <dataset>/split<k>.yaml"]),
    ],
)  # fmt: skip
def test_the_line_names_the_key(source, tmp_path, monkeypatch, capsys, given, says):
    monkeypatch.chdir(tmp_path)
    data = ["--data", "source"] if given[0] == "split" else []
    refused([*given, *data, "--output", "out"], tmp_path, capsys, *says)


@pytest.mark.parametrize(
    "bad", ["scenes", "scenes/", "/split1", "scenes/full", "scenes/split", "scenes/split1/x", "", "../split1"]
)
def test_a_place_that_is_none(bad, tmp_path, capsys):
    for command in ("curves", "check_maps", "map_gallery", "check_conta", "qualitative"):
        refused([command, f"--on={bad}"], tmp_path, capsys, "expected DATASET/SPLIT, e.g. scenes/split1", status=2)


BAD_FILES = {
    "empty": b"",
    "garbage": bytes(range(256)),
    "object": b"{}",
    "list": b"[]",
    "null": b"null",
    "number": b"1",
    "words": b"a: [\n",
    "deep": b"[" * 100_000,
}
WRITES_ONLY = ("init", "completion", "fetch", "schema", "doctor", "site_screenshots", "results_page", "table_pages",
    "report_screenshots")  # fmt: skip
"""Subcommands that read no file that could be of another kind, or take any text."""


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in WRITES_ONLY])
def test_files_of_another_kind(command, tmp_path, monkeypatch, capsys):
    """Each file that a subcommand reads is missing, a folder, empty, or something else: one line, no traceback."""
    monkeypatch.chdir(tmp_path)
    source = json.dumps({"kind": "folder", "path": "there"})
    given = arguments(command, **({"source": source} if command == "prepare" else {}))
    given = [value.replace("output=there", "output=out") for value in given]
    given += {"show": ["there"], "predict": ["there"], "plan": ["--study=there"], "status": ["--study=there"]}.get(
        command, []
    )
    there = tmp_path / "there"
    for content in (None, "folder", *BAD_FILES.values()):
        if there.is_dir():
            _remove(there)
        there.unlink(missing_ok=True)
        if content == "folder":
            there.mkdir()
        elif content is not None:
            there.write_bytes(content)
        if command == "show" and content not in (None, "folder", BAD_FILES["garbage"]):
            continue
        line = complaint(given, capsys)
        assert len(line) < 600, line
        assert not (tmp_path / "out").exists()


def _remove(folder) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


@pytest.mark.parametrize("output", ["source/images", "source/classes.json/below", "/proc/none/below", "x" * 300])
def test_an_output_that_cannot_be_written(source, tmp_path, monkeypatch, capsys, output):
    monkeypatch.chdir(tmp_path)
    given = ["split", "--data", "source", "--spec", '{"novel": ["cow"]}', "--output", output]
    refused(given, tmp_path, capsys, os.path.basename(output) if output.startswith("source/im") else "error: ")


def test_a_target_that_is_no_table_names_the_nearest(tmp_path, capsys):
    for command in ("plan", "status"):
        refused([command, "results/tabel1.csv"], tmp_path, capsys, "is not a table", "did you mean 'table1'?")
