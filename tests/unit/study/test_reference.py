"""What is generated from the typed configuration."""

import copy
import itertools
import json
import re
import shutil
from pathlib import Path

import jsonschema
import pytest
import yaml

from simformer.analysis.pages.methods_page import methods_page
from simformer.baselines.dataset_settings import BaselineSettings
from simformer.baselines.responses import RESPONSES, sections_behind
from simformer.config.sources import SceneSettings
from simformer.study.files import DatasetFile, ExperimentFile, MethodFile, SplitSpec, Study, StudyDataset
from simformer.study.reference import SECTIONS, settings_page, study_schema

ROOT = Path(__file__).resolve().parents[3]
DEMO = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
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
        meaning = " ".join((field.description or "").split()).replace("|", r"\|")
        assert meaning or name == "kind"
        assert any(row.startswith(f"| `{name}` |") and row.endswith(f"| {meaning} |") for row in rows), name


@pytest.mark.parametrize("page", [settings_page(), methods_page(ROOT / "config")], ids=["configuration", "methods"])
def test_every_row_has_the_cells_of_its_table(page):
    """A bar within a cell would end it."""
    lines = [re.sub(r"\\\|", "", line) for line in page.splitlines()]
    for above, row in itertools.pairwise(lines):
        if above.startswith("|") and row.startswith("|"):
            assert row.count("|") == above.count("|"), row


def test_the_page_shows_defaults_as_they_are_written():
    page = settings_page()
    assert "| `gamma` | `0.1` |" in page
    assert '| `backbone` | `"resnet50"` |' in page
    assert "| `flip` | `true` |" in page
    assert "| `title` | required |" in page
    assert "None |\n" not in page


def test_the_page_of_the_baselines_is_in_sync_and_names_every_choice_behind_table_1():
    page = methods_page(ROOT / "config")
    assert (ROOT / "docs/methods.md").read_text() == page, "run: make reference"
    for name in ("seam_retrained", "cpn_retrained", "rib_retrained", "cam_retrained"):
        assert f"config/methods/{name}.yaml" in page
    for section in set(BaselineSettings.model_fields) - {"responses"}:
        text = page.split(f"## `{section}`:")[1].split("\n## ")[0]
        for key, field in type(BaselineSettings.model_fields[section].default).model_fields.items():
            assert f"| `{key}` |" in text and field.description in text


def test_the_page_of_the_baselines_shows_what_a_dataset_changes(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    path = tmp_path / "config/datasets/ade20k.yaml"
    path.write_text(path.read_text().replace("classifier: {epochs: 15}", "classifier: {epochs: 31}"))
    assert "| `epochs` | `20.0` | `31` |" in methods_page(tmp_path / "config")


def test_every_response_tells_the_sections_behind_it():
    sections = set(BaselineSettings.model_fields) - {"responses"}
    for response in RESPONSES:
        assert set(sections_behind(response, "psa")) <= sections
        assert sections_behind(response, "irn")[-3:] == ("seeds", "irn", "irn_walk")
