"""Files that are damaged, edited or of an older version: one line that names the file, whoever reads it."""

import json
import re

import numpy as np
import pytest

from simformer.data.sealed import write_sealed
from tests.faults.harness import refused
from tests.faults.test_identity import AGAIN, arrays_of, changed_arrays, mask, metrics, on_labels, on_maps
from tests.faults.world import command
from tests.specifications import study_of

pytestmark = pytest.mark.usefixtures("specified")

READERS = {
    "data/index.json": lambda r: mask(r),
    "masked1/labels.json": lambda r: on_labels(r, "fill_labels", "masked1"),
    "cam/maps.json": lambda r: on_maps(r, "mix", "masked1", gamma=0.1),
    "split1.yaml": lambda r: mask(r),
    "model1/1of2.npz": lambda r: metrics(r, ["model1/1of2", "model1/2of2"]),
}
"""Files, and a command that reads each."""


def damaged(path, how):
    """Damage a file."""
    data = path.read_bytes()
    middle = len(data) // 2
    contents = {
        "empty": b"", "cut off": data[: len(data) * 2 // 3], "zeros": bytes(len(data)), "not UTF-8": b"\xff\xfe" + data,
        "a list": b"[1]",
        "nested too deep": b"[" * 100_000, "one bit": data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :],
    }  # fmt: skip
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how != "missing":
        path.write_bytes(contents[how])


HOWS = ("missing", "a folder", "empty", "cut off", "zeros", "not UTF-8", "a list", "nested too deep", "one bit")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("file", READERS)
def test_damaged_files(world, capsys, file, how):
    if file == "split1.yaml" and how in ("cut off", "a list"):
        (world / file).write_text({"cut off": "novel:\n  2: cow\n", "a list": "- 1\n"}[how])
    else:
        damaged(world / file, how)
    refused(READERS[file](world), world, capsys, file)


FIELDS = {
    "index: a class": ("data/index.json", '"barn"', '"byre"'),
    "index: a height": ("data/index.json", '"height": 64', '"height": 65'),
    "index: image-level labels": ("data/index.json", '"labels": [0, 1, ', '"labels": [1, '),
    "index: a checksum": ("data/index.json", '"image_sha256": "', '"image_sha256": "0'),
    "index: an unknown field": ("data/index.json", '"name": "train0"', '"nick": "t", "name": "train0"'),
    "labels: kind": ("masked1/labels.json", '"kind": "weak"', '"kind": "full"'),
    "labels: dataset": ("masked1/labels.json", '"dataset": "', '"dataset": "0'),
    "labels: hidden": ("masked1/labels.json", '"hidden": [2, 3]', '"hidden": [2]'),
    "labels: novel": ("masked1/labels.json", '"novel": [2, 3]', '"novel": [2]'),
    "labels: shard": ("masked1/labels.json", '"shard": "1of1"', '"shard": "1of2"'),
    "labels: an image": ("masked1/labels.json", '"image": "images/train0', '"image": "images/train1'),
    "labels: a checksum": ("masked1/labels.json", '"label_sha256": "', '"label_sha256": "0'),
    "labels: the seal": ("masked1/labels.json", '{"seal": "', '{"seal": "0'),
    "maps: dataset": ("cam/maps.json", '"dataset": "', '"dataset": "0'),
    "maps: hidden": ("cam/maps.json", '"hidden": [0, 1', '"hidden": [1'),
    "maps: identity": ("cam/maps.json", '"identity": "', '"identity": "0'),
    "maps: an image": ("cam/maps.json", '"train0": ', '"train00": '),
    "split: a novel class": ("split1.yaml", "  2: cow\n", ""),
    "split: an id": ("split1.yaml", "  2: cow\n", "  1: cow\n"),
    "split: a name": ("split1.yaml", "  2: cow\n", "  2: bull\n"),
    "split: an id that is none": ("split1.yaml", "  2: cow\n", "  two: cow\n"),
    "split: no classes": ("split1.yaml", "classes:", "names:"),
    "split: no base classes": ("split1.yaml", "base:", "basis:"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_edited_fields(world, capsys, name):
    file, old, new = FIELDS[name]
    text = (world / file).read_text()
    assert old in text
    (world / file).write_text(text.replace(old, new, 1))
    refused(READERS[file](world), world, capsys, file, "again")


@pytest.mark.parametrize("file", ["data/index.json", "masked1/labels.json", "cam/maps.json"])
@pytest.mark.parametrize("sealed", [False, True])
def test_files_of_an_older_version(world, capsys, file, sealed):
    """Without a seal, as before; and with one, but without the new fields."""
    content = json.loads((world / file).read_text())
    for name in ("seal", "kind", "dataset", "hidden", "shard", *(["train"] if sealed and "index" in file else [])):
        content.pop(name, None)
    if sealed:
        write_sealed(world / file, json.dumps(content))
    else:
        (world / file).write_text(json.dumps(content))
    refused(READERS[file](world), world, capsys, file, "version", "again")


OWN = {
    "labels": lambda r, own: command("fill_labels", labels=own, output=r / "new"),
    "maps": lambda r, own: command("mix", labels=r / "masked1/labels.json", maps=own, gamma=0.1, output=r / "new"),
    "index": lambda r, own: command("image_labels", index=own, output=r / "new"),
    "split": lambda r, own: command("metrics", evaluation=r / "model1/1of2.npz", split=own, output=r / "new"),
    "evaluation": lambda r, own: command("metrics", evaluation=own, split=r / "split1.yaml", output=r / "new"),
    "table": lambda r, own: command(
        "sweeps", study=study_of(SWEEP, r), experiment="x", table=own, output=r / "new",
    ),
    "report": lambda r, own: command(
        "audit_page", data=r / "data", index=r / "data/index.json", report=own, splits=r / "split1.yaml", output="new",
    ),
    "network": lambda r, own: command(
        "cam", network=own, data=r / "data", labels=r / "image/labels.json", settings="{}", output=r / "new",
    ),
    "config": lambda r, own: command("import_weights", source=own, config=own, data=r / "data", output=r / "new"),
}  # fmt: skip
"""Commands that are given a user's own file, or a folder, where they expect one that was made."""
SWEEP = {"title": "t", "reference": "m", "panels": {"d": {"s": {"k": {"m": 1}}}}}


@pytest.mark.parametrize("own", ["folder", "notes.json", "notes.yaml", "photo.png"])
@pytest.mark.parametrize("name", OWN)
def test_files_of_the_users_own_are_to_stay(world, capsys, name, own):
    path = world / own
    if own == "folder":
        path.mkdir()
        (path / "thesis").touch()
    else:
        path.write_bytes({"notes.json": b'{"a": 1}', "notes.yaml": b"a: 1\n", "photo.png": b"\x89PNG\r\n"}[own])
    line = refused(OWN[name](world, path), world, capsys, str(path))
    assert "delete" not in line or "if snakemake made this one, delete it" in line


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_configuration_of_a_run_that_is_cut_off(world, capsys, share):
    path = world / "model1.yaml"
    path.write_text(path.read_text()[: int(share * path.stat().st_size)])
    options = command("import_weights", source="x", config=path, data=world / "data", output=world / "new")
    line = refused(options, world, capsys, str(path), "generated", "delete it, and `snakemake --cores 1 ")
    assert line.endswith("model1.yaml` makes it again")


EVALUATIONS = {
    "confusion": lambda a: {"confusion": a["confusion"] + 1},
    "confusion of another size": lambda a: {"confusion": a["confusion"][1:, 1:]},
    "fractions": lambda a: {"confusion": a["confusion"] / 2},
    "negative counts": lambda a: {"confusion": a["confusion"] - 10_000},
    "hits": lambda a: {"hits": a["hits"][::-1] + 1},
    "truth": lambda a: {"truth": 2 * a["truth"]},
    "predicted": lambda a: {"predicted": a["predicted"][:1]},
    "an image too many": lambda a: {"images": np.append(a["images"], "x")},
    "images of another type": lambda a: {"images": np.array(3)},
    "no facts": lambda a: {"facts": None},
    "no hits": lambda a: {"hits": None},
    "facts that are no JSON": lambda a: {"facts": np.array("{")},
    "facts nested too deep": lambda a: {"facts": np.array("[" * 100_000)},
    "facts that are a number": lambda a: {"facts": np.array("3")},
    "no classes": lambda a: {"facts": np.array(re.sub('"classes"', '"names"', str(a["facts"])))},
    "no model": lambda a: {"facts": np.array(re.sub('"model"', '"who"', str(a["facts"])))},
    "no shard": lambda a: {"facts": np.array(re.sub('"shard"', '"part"', str(a["facts"])))},
    "another test set": lambda a: {"facts": np.array(re.sub('"test": "', '"test": "0', str(a["facts"])))},
    "another dataset": lambda a: {"facts": np.array(re.sub('"dataset": "', '"dataset": "0', str(a["facts"])))},
    "a class that is none": lambda a: {"facts": np.array(re.sub(r'"hidden": \[2', '"hidden": [77', str(a["facts"])))},
    "a pickle": lambda a: {"hits": np.array([object()], dtype=object)},
}


@pytest.mark.parametrize("name", EVALUATIONS)
def test_edited_evaluations(world, capsys, name):
    path = world / "model1/1of2.npz"
    changed_arrays(path, **EVALUATIONS[name](arrays_of(path)))
    line = refused(READERS["model1/1of2.npz"](world), world, capsys, "model1/")
    assert "again" in line


def test_an_image_in_two_shards(world, capsys):
    second = world / "model1/2of2.npz"
    changed_arrays(second, images=arrays_of(world / "model1/1of2.npz")["images"])
    refused(metrics(world, ["model1/1of2", "model1/2of2"]), world, capsys, "'test0' is in several shards")


TABLES = {
    "missing": (None, "no such table"),
    "empty": ("", "not a table"),
    "cut off in a text": ('a,b\n1,"2', "not a table"),
    "other columns": ("a,b\n1,2\n", "no column 'dataset'"),
    "no text": ("\ud800", "not a table"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_figures_read(tmp_path, capsys, name):
    text, says = TABLES[name]
    if text is not None:
        (tmp_path / "t.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    study = study_of({"title": "t", "runs": []}, tmp_path)
    arguments = command("comparison", study=study, experiment="x", table=tmp_path / "t.csv")
    refused([*arguments, "--output", tmp_path / "f.pdf"], tmp_path, capsys, "t.csv", says)


METRICS = {"cut off": '{"novel": 3', "a list": "[1]", "another file": '{"all": 1.0}', "empty": ""}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_that_tables_read(tmp_path, capsys, name):
    (tmp_path / "metrics.json").write_text(METRICS[name])
    run = {"dataset": "d", "split": "s", "method": "m", "seed": 0, "path": str(tmp_path / "metrics.json")}
    spec = {
        "rows": [{"method": "m", "label": "M", "ranked": True}],
        "metrics": ["novel"],
        "runs": [run],
        "reported": {},
        "title": "t",
    }
    arguments = command("table", study=study_of(spec, tmp_path), experiment="x", output=tmp_path / "t.csv")
    refused(arguments, tmp_path, capsys, "metrics.json", AGAIN)
