"""The two files with which a user first trains on a dataset that `simformer import` has written (docs/tutorial.md).

The settings are for two CPU cores and a few hundred photographs: small images, a small network that starts from random
weights, so that nothing is downloaded. Whoever leaves `inference` and `settings` out has the paper's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from simformer.atomic import atomic_write_text
from simformer.config.paths import config_folder
from simformer.errors import UserError
from simformer.study.files import TAKEN

STEPS_PER_IMAGE, FEWEST, MOST = 3, 100, 1500
"""Steps of four images: twelve passes over the training images, within bounds."""

DATASET = """\
title: "{name}"
source: {{kind: folder, path: {path}}}
# A first look on two CPU cores: small images, a small network, random weights. Remove the lines below for the paper's
# settings, which need a GPU; docs/tutorial.md has a step between them, pre-trained weights on a CPU.
inference: {{short_edge: 160, max_long_edge: 640}}
settings:
  model: {{backbone: tiny, weights: none, queries: 40, dim: 64, feedforward_dim: 128, decoder_layers: 3, simnet_dim: 32,
          dropout: 0.0}}
  matching: {{cls: 2.0}}
  loss: {{cls: 2.0}}
  similarity: {{points: 50}}
  augment: {{crop: 128, short_edges: [128, 144, 160, 176], max_long_edge: 640}}
  optim: {{steps: {steps}, batch_images: 4, lr: 0.001, backbone_lr_factor: 1.0, clip_norm: 1.0, precision: fp32}}
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


def places(study: Path) -> tuple[Path, Path]:
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
            raise UserError(f"--study {study}: {file} is there already and stays as it is; name another study")
    return study, dataset


def first_look(name: str, data: Path, tags_only: Sequence[str], images: int) -> tuple[str, str]:
    """Return the study, and the file of its dataset, as YAML; text of JSON is YAML, too.

    Args:
        name: of the dataset.
        data: folder of the dataset, in the layout of docs/custom_data.md.
        tags_only: classes without masks, which are the novel ones; if there are none, the split is a random one.
        images: number of training images.
    """
    steps = min(MOST, max(FEWEST, STEPS_PER_IMAGE * images))
    split = f"{{novel: {_json(list(tags_only))}}}" if tags_only else "{seed: 0, ratio: [3, 1]}"
    study = STUDY.format(results=f"results/{name}", all="tags" if tags_only else "table1", name=name, split=split)
    return study, DATASET.format(name=name, path=_json(str(data.resolve())), steps=steps)


def write_first_look(study: Path, data: Path, tags_only: Sequence[str], images: int) -> str:
    """Write both files, and return what to type next; UserError as `places`."""
    study, dataset = places(study)
    name = dataset.stem
    for file, text in zip((dataset, study), reversed(first_look(name, data, tags_only, images)), strict=True):
        atomic_write_text(file, text)
    return (
        f"{dataset} and {study} say how to train on it (docs/tutorial.md). Next:\n\n"
        f"    simformer plan --study {study}\n"
        f"    snakemake --configfile {study} --cores 2\n"
    )


def printed_first_look(data: Path, tags_only: Sequence[str], images: int) -> str:
    """Return both files as text to copy, under names made from that of the data's folder."""
    name = dataset_name(data.resolve().name)
    texts = reversed(first_look(name, data, tags_only, images))
    files = (f"config/datasets/{name}.yaml", f"config/{name}.yaml")
    blocks = (f"{file}:\n\n{_indented(text)}" for file, text in zip(files, texts, strict=True))
    return "\n".join(["A study of it (with --study FILE these files are written):\n", *blocks])


def _indented(text: str) -> str:
    return "".join(f"    {line}" for line in text.splitlines(keepends=True))


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False)
