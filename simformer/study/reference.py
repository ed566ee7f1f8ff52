"""What is generated from the typed configuration: the JSON schema of studies and the page of all keys."""

from __future__ import annotations

import json

from pydantic import BaseModel

from simformer.baselines.settings import MapChoice
from simformer.config import settings
from simformer.config.pseudo import PseudoSettings
from simformer.config.sources import SceneSettings
from simformer.study.files import DatasetFile, ExperimentFile, FigureFile, MethodFile, SplitSpec, Study, StudyDataset

SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in settings.TrainSettings.model_fields.items()
    if isinstance(field.annotation, type)
}


def study_schema() -> str:
    """JSON schema of a study file, for `snakemake.utils.validate` and editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Study.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def settings_page() -> str:
    """Markdown page with every key of every file: type, default and meaning."""
    parts = [
        "# Every configuration key",
        "Generated from `simformer/config/settings.py` and `simformer/study/files.py` by `make reference`; "
        "do not edit.",
        "A key can be set in several places. The last of these wins: the default, the dataset file, the study's "
        '`datasets.<name>.settings`, the method file (parents first). "Released" means the code of the '
        "paper's authors.",
        "## Study (`config/config.yaml`, `config/demo.yaml`, ...)",
        _table(Study),
        "### Each entry of `datasets`",
        _table(StudyDataset),
        "### Each entry of `datasets.<name>.splits`",
        _table(SplitSpec),
        "## Dataset (`config/datasets/<name>.yaml`)",
        _table(DatasetFile),
        "### `source` of kind `scenes`",
        _table(SceneSettings),
        "### `inference`",
        _table(settings.InferenceSettings),
        "## Method (`config/methods/<name>.yaml`)",
        _table(MethodFile),
        "### `maps`",
        _table(MapChoice),
        "### `pseudo`",
        _table(PseudoSettings),
        "## Experiment (`config/experiments/<name>.yaml`)",
        _table(ExperimentFile),
        "## Figure (`config/figures/<name>.yaml`)",
        _table(FigureFile),
        "## Training settings (`settings` of a dataset, a method or a study's dataset)",
    ]
    for name, section in SECTIONS.items():
        parts += [f"### `{name}`: {(section.__doc__ or '').splitlines()[0]}", _table(section)]
    parts += [
        "## Weakly supervised baselines (`baselines` of a dataset, or of a study's dataset)",
        "docs/methods.md lists these keys with their values on each dataset.",
    ]
    return "\n\n".join(parts) + "\n"


def _table(model: type[BaseModel]) -> str:
    """Keys of a settings class."""
    properties = model.model_json_schema(by_alias=False)["properties"]
    values = {name: entry.get("default") for name, entry in properties.items()}
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else f"`{json.dumps(values[name])}`"
        meaning = str(field.description).replace("\n", " ").replace("|", r"\|")
        lines.append(f"| `{name}` | {default} | {meaning} |")
    return "\n".join(lines)
