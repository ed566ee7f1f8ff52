"""Numbers of another study, outputs that are inputs, and a user's own files where a dataset is to be put."""

import json
import re
import tarfile

import pytest

from simformer.cli import main
from simformer.data.splits import names_hash
from tests.faults.harness import CLASSES, prepare_arguments, refused
from tests.specifications import study_of

pytestmark = pytest.mark.usefixtures("specified")

RUN = {"dataset": "mydata", "split": "split1", "method": "simformer", "seed": 0}
METRICS = {"run": "aaaa", "classes": list(CLASSES), "novel_classes": ["cow", "sheep"], "novel": 50.0, "iou": {}}
DRAWN = {"seed": 0, "ratio": [3, 2]}
"""Another pair of classes than METRICS has."""


def made(command, spec, folder):
    study = str(study_of(spec, folder))
    return [command, "--study", study, "--experiment", "x", "--output", str(folder / "t.csv")]


def without(name):
    return {key: value for key, value in METRICS.items() if key != name}


@pytest.mark.parametrize(
    ("content", "expected", "says"),
    [
        (METRICS, {"hash": "bbbb"}, "of another run than this study's (settings aaaa, here bbbb)"),
        (
            METRICS,
            {"hash": "aaaa", "novel": names_hash(["grass"])},
            "another split than split1 of this study, with the novel",
        ),
        (METRICS, {"hash": "aaaa", "novel": DRAWN}, "of another split than split1 of this study"),
        (METRICS | {"novel_classes": ["bull"]}, {"hash": "aaaa", "novel": DRAWN}, "its novel classes are not among"),
        (without("run"), {"hash": "aaaa"}, "metrics of an older version"),
        (without("novel_classes"), {"hash": "aaaa"}, "metrics of an older version"),
        (without("novel"), {"hash": "aaaa"}, "without 'novel'"),
    ],
)
@pytest.mark.parametrize("command", ["table", "t_test"])
def test_numbers_of_another_study(tmp_path, capsys, content, expected, says, command):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(content))
    rows = [{"method": "simformer", "label": "SimFormer", "ranked": True}]
    spec = {"title": "T", "rows": rows, "metrics": ["novel"], "reported": {}, "compare": [["simformer"] * 2]}
    spec |= {"published_std": {}, "published_p": {}, "runs": [RUN | {"path": str(path)} | expected]}
    refused(made(command, spec, tmp_path), tmp_path, capsys, str(path), says)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (METRICS, {"hash": "bbbb"}),
        (METRICS, {"hash": "aaaa", "novel": DRAWN}),
        (without("run"), {"hash": "aaaa"}),
    ],
)
def test_a_partial_table_shows_runs_of_other_settings_as_missing(tmp_path, content, expected):
    (tmp_path / "0.json").write_text(json.dumps(METRICS))
    (tmp_path / "1.json").write_text(json.dumps(content))
    rows = [{"method": "simformer", "label": "SimFormer", "ranked": True}]
    runs = [
        RUN | {"seed": seed, "path": str(tmp_path / f"{seed}.json")} | whose
        for seed, whose in enumerate([{"hash": "aaaa"}, expected])
    ]
    spec = {"title": "T", "rows": rows, "metrics": ["novel"], "reported": {}, "runs": runs, "command": "snakemake"}
    assert main(made("partial_table", spec, tmp_path)) == 0
    page = (tmp_path / "t.md").read_text()
    assert "50.0 (n=1)" in page and f"Missing: 1 run, made by\n\n    snakemake {tmp_path}/1.json" in page
    assert "1 of them are there with other settings or another split" in page and "0.json" not in page
    assert page.rstrip().endswith(f"    {tmp_path}/1.json")


def test_numbers_of_this_study(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    rows = [{"method": "simformer", "label": "SimFormer", "ranked": True}]
    run = RUN | {"path": str(tmp_path / "metrics.json"), "hash": "aaaa", "novel": names_hash(["sheep", "cow"])}
    spec = {"title": "T", "rows": rows, "metrics": ["novel"], "reported": {}, "runs": [run]}
    assert main(made("table", spec, tmp_path)) == 0
    assert f"| {METRICS['novel']:.1f} |" in re.sub(" +", " ", (tmp_path / "t.md").read_text())


def test_what_is_read_is_not_overwritten(data, tmp_path, capsys):
    index = data / "index.json"
    command = ["image_labels", "--index", index, "--output", index]
    refused(command, tmp_path, capsys, "both --output and --index", "name another --output")


@pytest.mark.parametrize(
    ("place", "made_from", "says"),
    [
        ("source/images", "source", "overlap"),
        ("source/new/deep", "source", "overlap"),
        ("link/new", "source", "overlap"),
        (".", "source", "overlap"),
        ("source", "source", "overlap"),
        ("new", "new/images/packed.tar", "source lies in a folder that would be replaced"),
    ],
)
def test_a_dataset_and_its_source_do_not_lie_in_each_other(source, tmp_path, capsys, place, made_from, says):
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "new/images").mkdir(parents=True)
    with tarfile.open(tmp_path / "new/images/packed.tar", "w") as file:
        file.add(source, ".")
    option = json.dumps({"kind": "folder", "path": str(tmp_path / made_from)})
    refused(["prepare", "--source", option, "--output", tmp_path / place], tmp_path, capsys, says)


@pytest.mark.parametrize("folder", ["images", "labels"])
def test_files_of_the_users_own_are_not_replaced(source, tmp_path, capsys, folder):
    (tmp_path / f"mine/{folder}").mkdir(parents=True)
    (tmp_path / f"mine/{folder}/thesis.png").write_text("x")
    says = f"mine/{folder}: holds 1 files", "thesis.png", "move them away"
    refused(prepare_arguments(source, tmp_path / "mine"), tmp_path, capsys, *says)
