"""What a study asks of a dataset in which some classes have no masks, told before anything is made."""

import json
from pathlib import Path

import pytest
import yaml

from simformer.commands import data as commands
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.plan import make_plan
from simformer.study.problems import absent_masks, split_problems
from tests.stubs import touch

FILES = {
    "methods/oracle": {"label": "O", "labels": "full"},
    "experiments/bound": {"title": "B", "methods": ["plain", "oracle"]},
    "experiments/f1": {"title": "F", "methods": ["plain"], "measure": "simnet_f1", "metrics": ["novel_sim"]},
}


@pytest.fixture
def study(catalogue, tmp_path):
    """A study on a prepared dataset whose class 'sea' has no masks."""

    def make(novel, experiments=("table1",)):
        folder = tmp_path / "data" / "toys"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "classes.json").write_text(json.dumps({"names": ["sky", "sea", "cow"], "tags_only": ["sea"]}))
        content = {
            "datasets": {"toys": {"splits": {1: {"novel": novel}}}},
            "data": str(tmp_path / "data"),
            "results": str(tmp_path / "results"),
            "experiments": list(experiments),
        }
        return catalogue(FILES, content)

    return make


def test_a_split_with_a_base_class_without_masks_is_a_problem(study):
    (problem,) = split_problems(study(["cow"])).values()
    assert "'sea' would be base, but has no masks (tags_only of classes.json)" in problem
    assert 'write novel: ["sea", "cow"]' in problem
    assert not split_problems(study(["sea"]))
    assert not split_problems(study(["sea", "cow"]))


def test_the_plan_tells_which_rows_need_masks_that_there_are_not(study):
    asked = study(["sea"], ["table1", "bound", "f1"])
    lines = list(absent_masks(asked, asked.study.experiments))
    assert len(lines) == 2
    assert lines[0].startswith(
        "experiment 'bound': rows oracle: every mask of toys is needed, but there are none of 'sea'"
    )
    assert lines[1].startswith("experiment 'f1': measure simnet_f1: every mask of toys is needed")
    assert all("experiments: [tags]" in line for line in lines)
    assert f"problem: {lines[0]}" in make_plan(asked).text(gpu_here=True)
    (Path(asked.study.data) / "toys" / "classes.json").write_text('{"names": ["sky", "sea", "cow"]}')
    assert not list(absent_masks(asked, asked.study.experiments))


def test_the_split_stage_refuses_too(study, tmp_path):
    study(["sea"])

    class Arguments:
        data, output = tmp_path / "data" / "toys", tmp_path / "split.yaml"
        spec = '{"full": true}'

    with pytest.raises(UserError, match="all masks are needed, but there are none of 'sea'"):
        commands.split(Arguments)
    assert not Arguments.output.exists()


@pytest.mark.parametrize(
    ("source", "classes"),
    [
        ({"kind": "scenes"}, "sky, sea, grass"),
        ({"kind": "ade20k", "archive": {"path": "/mine.zip"}}, "wall, building"),
        ({"kind": "coco_stuff_10k", "archive": {"path": "/mine.zip"}}, "person, bicycle"),
        ({"kind": "folder", "path": "mine"}, "wolf, cow"),
    ],
)
def test_an_unknown_class_is_told_before_the_dataset_is_prepared(source, classes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "mine/classes.json", '{"names": ["wolf", "cow"]}')
    touch(tmp_path / "config/datasets/toys.yaml", yaml.safe_dump({"title": "Toys", "source": source}))
    touch(tmp_path / "config/methods/weak.yaml", "label: W")
    touch(tmp_path / "config/experiments/one.yaml", yaml.safe_dump({"title": "1", "methods": ["weak"]}))
    content = {"datasets": {"toys": {"splits": {1: {"novel": ["xyzzy"]}}}}, "experiments": ["one"]}
    (problem,) = split_problems(Catalogue(content, "config/mine.yaml", tmp_path / "config")).values()
    said = "config/mine.yaml: datasets.toys.splits.1: unknown class 'xyzzy' in novel. The dataset has: "
    assert problem.startswith(said + classes) and "data/toys" not in problem
    assert len(problem) < 800, "not all classes of the paper's datasets"
