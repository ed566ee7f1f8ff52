"""The two files with which a user first trains on a dataset that `simformer import` has written (docs/tutorial.md).

The settings are for two CPU cores and a few hundred photographs: small crops, a small network that starts from ImageNet
weights, few steps. A dataset file without `inference` and `settings` has the paper's.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from simformer.atomic import atomic_write_text
from simformer.config.paths import config_folder
from simformer.errors import UserError
from simformer.study.files import TAKEN, Study

DATASET = """\
title: "{name}"
source: {{kind: folder, path: {path}}}
# A first look on two CPU cores: small crops, a small pre-trained network (its weights, 14 MB, are downloaded once), few
# steps. Remove the lines below for the paper's settings, which need a GPU (docs/tutorial.md).
inference: {{short_edge: 224, max_long_edge: 672}}
settings:
  model: {{backbone: mobilenet_v2, weights: imagenet, queries: 40, dim: 128, feedforward_dim: 512, decoder_layers: 3,
          simnet_dim: 64, dropout: 0.0}}
  matching: {{cls: 2.0}}
  loss: {{cls: 2.0}}
  similarity: {{points: 50}}
  augment: {{crop: 192, short_edges: [192, 208, 224, 240, 256, 288], max_long_edge: 672}}
  optim: {{steps: 300, lr: 0.0005, clip_norm: 0.1, precision: fp32}}
"""
STUDY = """\
results: {results}
experiments: [first_look]  # SimFormer and its control; all that these masks allow: [{all}]
datasets:
  {name}:
    splits:
      1: {split}
"""


def dataset_name(text: str) -> str:
    """Return what a dataset may be called in a configuration, as near to a text as possible."""
    name = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_")[:40] or "mydata"
    return name if name[0].isalpha() and name not in TAKEN["dataset"] else f"data_{name}"


def places(study: Path, data: Path) -> tuple[Path, Path]:
    """Return where a new study and the file of its dataset, which bears the study's name, are to lie.

    Raises:
        UserError: one of them is there already, or there is no configuration to put them into.
    """
    folder = config_folder([study]) / "datasets"
    if study.suffix != ".yaml" or not folder.is_dir():
        why = f"there is no folder {folder}" if study.suffix == ".yaml" else "it does not end with .yaml"
        raise UserError(
            f"--study {study}: {why}; start in the folder of this repository and name a new file, e.g. config/mine.yaml"
        )
    dataset = folder / f"{dataset_name(study.stem)}.yaml"
    for file in (study, dataset):
        if file.exists() or file.is_symlink():
            raise UserError(f"--study {study}: {file} exists already and was not changed; name another study")
    refuse_prepared(data, dataset.stem)
    return study, dataset


def refuse_prepared(data: Path, name: str) -> None:
    """Raise UserError if a study of a dataset would prepare it in the folder in which its source is to lie.

    Args:
        data: folder of the source.
        name: of the dataset in the study.
    """
    prepared, source = (Path(os.path.realpath(p)) for p in (Path(Study.model_fields["data"].default) / name, data))
    if source.is_relative_to(prepared) or prepared.is_relative_to(source):
        raise UserError(
            f"--output {data}: a study prepares its dataset '{name}' in {prepared}, from what is imported; name a "
            f"folder that is neither in it nor above it, e.g. --output {shlex.quote(f'../{name}_dataset')}"
        )


def first_look(name: str, data: Path, tags_only: Sequence[str]) -> tuple[str, str]:
    """Return the file of the dataset, and the study, as YAML; text of JSON is YAML, too.

    Args:
        name: of the dataset.
        data: folder of the dataset, in the layout of docs/custom_data.md.
        tags_only: classes without masks, which are the novel ones; if there are none, the split is a random one.
    """
    split = f"{{novel: {_json(list(tags_only))}}}" if tags_only else "{seed: 0, ratio: [3, 1]}"
    study = STUDY.format(results=f"results/{name}", all="tags" if tags_only else "table1", name=name, split=split)
    return DATASET.format(name=name, path=_json(str(data.resolve()))), study


def write_first_look(study: Path, data: Path, tags_only: Sequence[str]) -> str:
    """Write both files, and return what to type next; UserError as `places`."""
    study, dataset = places(study, data)
    name = dataset.stem
    texts = first_look(name, data, tags_only)
    for file, text in zip((dataset, study), texts, strict=True):
        atomic_write_text(file, text)
    quoted = shlex.quote(str(study))
    return (
        f"{dataset} and {study} say how to train on it (docs/tutorial.md). Next:\n\n"
        f"    simformer plan --study {quoted}\n"
        f"    snakemake --configfile {quoted} --cores 2\n"
    )


def printed_first_look(data: Path, tags_only: Sequence[str]) -> str:
    """Return both files as text to copy, under names made from that of the data's folder."""
    name = dataset_name(data.resolve().name)
    files, texts = (f"config/datasets/{name}.yaml", f"config/{name}.yaml"), first_look(name, data, tags_only)
    blocks = (f"{file}:\n\n{_indented(text)}" for file, text in zip(files, texts, strict=True))
    return "\n".join(["A study of it (with --study FILE these files are written):\n", *blocks])


def _indented(text: str) -> str:
    return "".join(f"    {line}" for line in text.splitlines(keepends=True))


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False)
