"""What is generated from the typed configuration."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from simformer.reference import SECTIONS, settings_page, study_schema
from simformer.settings import SceneSettings
from simformer.study import DatasetFile, ExperimentFile, MethodFile, SplitSpec, Study, StudyDataset

DEMO = yaml.safe_load((Path(__file__).parents[2] / "config/demo.yaml").read_text())
FILES = (Study, StudyDataset, SplitSpec, DatasetFile, SceneSettings, MethodFile, ExperimentFile)


def as_json(content):
    return json.loads(json.dumps(content))


def test_the_schema_accepts_the_demo():
    schema = json.loads(study_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(as_json(DEMO), schema)


@pytest.mark.parametrize(
    ("path", "value"),
    [(("seds",), [1]), (("datasets", "scenes", "splts"), {}), (("seeds",), ["a"]), (("experiments",), [])],
)
def test_the_schema_refuses_what_the_study_refuses(path, value):
    content = copy.deepcopy(DEMO)
    node = content
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(as_json(content), json.loads(study_schema()))


@pytest.mark.parametrize("model", [*FILES, *SECTIONS.values()], ids=lambda model: model.__name__)
def test_the_page_explains_every_key(model):
    rows = settings_page().splitlines()
    for name, field in model.model_fields.items():
        meaning = " ".join((field.description or "").split())
        assert meaning or name == "kind"
        assert any(row.startswith(f"| `{name}` |") and row.endswith(f"| {meaning} |") for row in rows), name


def test_the_page_shows_defaults_as_they_are_written():
    page = settings_page()
    assert "| `gamma` | `0.1` |" in page
    assert '| `backbone` | `"resnet50"` |' in page
    assert "| `flip` | `true` |" in page
    assert "| `title` | required |" in page
    assert "None |\n" not in page
