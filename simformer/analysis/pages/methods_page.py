"""docs/methods.md: every key of the baselines, choices that the paper leaves open, with its value on each dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simformer.analysis import markup
from simformer.baselines.dataset_settings import BaselineSettings
from simformer.baselines.responses import sections_behind
from simformer.config.layers import merge, parse, read_yaml
from simformer.study.files import ExperimentFile, MethodFile

HEAD = """# What the baselines do where the paper says nothing

Made by `make reference` from `simformer/baselines/`, `config/datasets/` and `config/methods/`; do not edit.

The paper (Sec. 4.2) names the weakly supervised methods of Table 1 and re-trains MaskFormer with mixed labels. It
gives no backbone, schedule or threshold of theirs. Each choice below is a key under `baselines` of a dataset's file;
what a method does with it is in docs/baselines.md, where it departs from the method's own paper or code in
docs/discrepancies.md. The backbone is the dataset's (`model.backbone`), the re-training that of `SimFormer*`."""


def methods_page(config: Path) -> str:
    """Return the page: the class-map rows of Table 1 with their stages, then the keys of these and of all other stages.

    Args:
        config: folder with `datasets/`, `methods/`, `experiments/`.
    """
    rows = _rows(config)
    files = sorted((config / "datasets").glob("*.yaml"))
    datasets = {path.stem: read_yaml(path).get("baselines", {}) for path in files}
    parts = [HEAD, "## Methods", _methods(rows)]
    defaults = BaselineSettings().model_dump(mode="json")
    sections = [*(name for _, method in rows for name in _stages(method)), *defaults]
    for name in [name for name in dict.fromkeys(sections) if name != "responses"]:
        description = BaselineSettings.model_fields[name].description
        own = {dataset: merge(defaults, content)[name] for dataset, content in datasets.items()}
        parts += [f"## `{name}`: {description}", _keys(name, own)]
    parts += [f"## `responses`: {BaselineSettings.model_fields['responses'].description}", _responses(datasets)]
    return "\n\n".join(parts) + "\n"


def _rows(config: Path) -> list[tuple[str, MethodFile]]:
    """Methods of Table 1 that are labelled by class maps, in its order."""
    path = config / "experiments" / "table1.yaml"
    names = parse(ExperimentFile, read_yaml(path), str(path)).methods
    files = {name: config / "methods" / f"{name}.yaml" for name in names}
    methods = {name: parse(MethodFile, read_yaml(file), str(file)) for name, file in files.items()}
    return [(name, method) for name, method in methods.items() if method.maps]


def _stages(method: MethodFile) -> tuple[str, ...]:
    return sections_behind(method.mixed_maps.response, method.mixed_maps.expansion)


def _methods(rows: Sequence[tuple[str, MethodFile]]) -> str:
    lines = ["| row | file | response | expansion | gamma | stages, in order |", "|---|---|---|---|---|---|"]
    for name, method in rows:
        maps = method.mixed_maps
        stages = ", ".join(f"`{stage}`" for stage in _stages(method))
        file = f"`config/methods/{name}.yaml`"
        lines.append(
            f"| {markup.name(method.label)} | {file} | {maps.response} | {maps.expansion} | {maps.gamma} | {stages} |"
        )
    return "\n".join(lines)


def _keys(section: str, datasets: dict[str, dict[str, Any]]) -> str:
    """One line per key: its default, what it is where that differs, and its meaning."""
    settings = BaselineSettings.model_fields[section].default
    lines = [f"| key | default | {' | '.join(datasets)} | meaning |", "|---" * (3 + len(datasets)) + "|"]
    for key, field in type(settings).model_fields.items():
        default = settings.model_dump(mode="json")[key]
        values = [_code(mine[key]) if mine[key] != default else "" for mine in datasets.values()]
        lines.append(f"| `{key}` | {_code(default)} | {' | '.join(values)} | {field.description} |")
    return "\n".join(lines)


def _responses(datasets: dict[str, dict[str, Any]]) -> str:
    places = {"default": BaselineSettings.model_fields["responses"].default}
    places |= {name: content.get("responses", {}) for name, content in datasets.items()}
    lines = ["| where | response | differs in |", "|---|---|---|"]
    for place, responses in places.items():
        lines += [f"| {place} | {response} | {_code(differing)} |" for response, differing in responses.items()]
    return "\n".join(lines)


def _code(value: Any) -> str:
    return markup.code(json.dumps(value)).replace("|", r"\|")
