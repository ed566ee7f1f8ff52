"""JSON that says nothing, two things or something else: one line that names the file, whoever reads it."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from simformer.analysis.tables.stage_costs import stage_costs
from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.rib.tuned_maps import read_tuning
from simformer.claims.claim import load_claims
from simformer.data.audit_report import AuditReport
from simformer.data.index import DatasetIndex
from simformer.data.labels import LabelSet
from simformer.data.layout import read_classes
from simformer.data.part import Part
from simformer.errors import UserError
from simformer.metrics import run_metrics
from simformer.study.catalogue import Catalogue
from simformer.training.job import TrainOutputs

IMAGE = SimpleNamespace(name="a")
TRAINING = "scenes/split1/simformer/seed0"


def outputs_are_of(path: Path) -> bool:
    return TrainOutputs(path, path, path).are_of("0")


def costs(path: Path):
    path.with_name("train.benchmark.tsv").write_text("s\tmax_rss\n1\t1\n")
    return stage_costs(Catalogue.read(Path("config/demo.yaml")), path.parents[4])


READERS = {
    "classes.json": lambda path: read_classes(path.parent),
    "index.json": DatasetIndex.load,
    "audit.json": AuditReport.load,
    "labels.json": LabelSet.load,
    "maps.json": MapSet.load,
    "metrics.json": lambda path: run_metrics({"path": path}, "novel"),
    "checks.json": load_claims,
    "tuning/a.json": lambda path: read_tuning(path.parents[1], IMAGE),
    "train.json": outputs_are_of,
    f"{TRAINING}/train.json": costs,
}
BAD = {
    "empty": "",
    "cut off": '{"names": ["a',
    "a key twice": '{"a": 1, "a": 2}',
    "NaN": '{"a": NaN}',
    "nested too deep": "[" * 100_000,
    "a number without end": "1" * 5000,
    "not UTF-8": b'{"a": "\xfc"}',
    "a number": "1",
    "a list": "[1]",
    "null": "null",
    "another object": "{}",
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("bad", BAD)
def test_every_reader_names_the_file(tmp_path, name, bad):
    path, content = tmp_path / name, BAD[bad]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        READERS[name](path)
    line = str(error.value)
    assert line.startswith(f"{path}: ") and "\n" not in line and len(line) < len(str(path)) + 300
    assert "snakemake" in line or "; expected {" in line


EDITED = {
    "audit.json": [{"classes": "a", "train": {}, "test": {}}, {"classes": ["a"], "train": [], "test": {}}],
    "metrics.json": [
        {"novel": {}},
        {"novel": True},
        {"novel": 400},
        {"novel": -1},
        {"novel": "12"},
        {"novel": 1, "run": 5},
        {"novel": 1, "run": "0", "novel_classes": "cow"},
    ],
    "tuning/a.json": [{"logits": 1, "stopped": None, "exploded": {}}, {"logits": [1], "stopped": "no", "exploded": {}}],
    f"{TRAINING}/train.json": [
        {"hash": 1, "device": "cpu"},
        {"hash": "0", "device": None},
        {"hash": "0", "device": "cpu", "steps_per_second": "fast"},
        {"hash": "0", "device": "cpu", "seconds": [1]},
    ],
}
"""What somebody may have written into a generated file."""


@pytest.mark.parametrize(("name", "content"), [(name, content) for name, each in EDITED.items() for content in each])
def test_a_value_of_another_type_is_named(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    with pytest.raises(
        UserError, match=rf"^{path}: '\w+' (of this .* )?was edited, or damaged; found .*; if snakemake made this"
    ):
        READERS[name](path)


def test_an_iou_that_is_none_is_named(tmp_path):
    (tmp_path / "metrics.json").write_text('{"iou": {"cow": "x"}}')
    with pytest.raises(UserError, match="metrics.json: 'iou' was edited, or damaged; found 'x'"):
        run_metrics({"path": tmp_path / "metrics.json"}, "iou")


def test_a_benchmark_that_holds_text_is_named(tmp_path):
    path = tmp_path / TRAINING / "train.benchmark.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("s\tmax_rss\nabc\t1\n")
    with pytest.raises(UserError, match="train.benchmark.tsv: not a table, or one that is cut off"):
        stage_costs(Catalogue.read(Path("config/demo.yaml")), tmp_path)


GENERATED = sorted(READERS.keys() - {"classes.json", "train.json", f"{TRAINING}/train.json", "tuning/a.json"})


@pytest.mark.parametrize("name", GENERATED)
def test_a_missing_file_is_told_with_what_makes_it(tmp_path, name):
    with pytest.raises(UserError, match=rf"^{tmp_path}/{name}: no such .*; check the path; no study in config/"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("bad", sorted(BAD))
def test_a_note_that_says_nothing_lets_a_download_begin_anew(tmp_path, bad):
    part, content = Part(tmp_path / "a.zip"), BAD[bad]
    part.note.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert part.origin is None
    part.note.write_text(json.dumps({"url": "u", "size": 1, "etag": None, "modified": None}))
    assert part.origin.url == "u"
