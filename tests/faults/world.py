"""Everything that a study makes of the tiny dataset, in one folder, and the commands that use two files or more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simformer.baselines.settings import ClassifierSettings, NetworkSpec
from simformer.cli import main
from simformer.config.settings import Draw
from simformer.data.images import encode_label, read_label
from simformer.data.splits import names_hash
from tests.faults.harness import CLASSES

SIZES = '{"short_edge": 48, "max_long_edge": 96}'
CAM = '{"scales": [1.0], "batch_images": 4}'
CLASSIFIER = {
    "frozen_stages": 0, "epochs": 1, "batch_images": 4, "lr": 0.02, "crop": 48, "long_edges": None, "scales": (1, 1),
}  # fmt: skip
SPLITS = {"split1": {"novel": ["cow", "sheep"]}, "split2": {"novel": ["sky"]}, "full": {"full": True}}


def command(name: str, *flags: str, **options: object) -> list[str]:
    """Return the arguments of a subcommand; a list gives an option several values."""
    given = [str(part) for key, value in options.items() for part in (f"--{key}", *_several(value))]
    return [name, *flags, *given]


def make(name: str, **options: object) -> None:
    """Run a subcommand that must succeed."""
    assert main(command(name, **options)) == 0


def make_world(root: Path, prepared: Path, new_config: Callable) -> None:
    """Write label sets of two splits and two datasets, models, evaluations, a classifier and its class maps."""
    shutil.copytree(prepared, root / "data")
    shutil.copytree(prepared, root / "other")
    shutil.copyfile(root / "other/images/train0.png", root / "other/images/train1.png")
    make("audit", data=root / "other", index=root / "other/index.json", report=root / "other/audit.json")
    shutil.copytree(prepared, root / "renamed")
    (root / "renamed/classes.json").write_text(json.dumps({"names": [*CLASSES[:-1], "house"]}))
    make("audit", data=root / "renamed", index=root / "renamed/index.json", report=root / "renamed/audit.json")
    for name, spec in SPLITS.items():
        make("split", data=root / "data", spec=json.dumps(spec), output=root / f"{name}.yaml")
    make("split", data=root / "renamed", spec=json.dumps(SPLITS["split1"]), output=root / "renamed.yaml")
    for place, data, split in (
        ("masked1", "data", "split1"), ("masked2", "data", "split2"), ("true", "data", "full"),
        ("other1", "other", "split1"), ("other_true", "other", "full"), ("renamed1", "renamed", "renamed"),
    ):  # fmt: skip
        options = {"data": root / data, "index": root / data / "index.json", "split": root / f"{split}.yaml"}
        make("mask_labels", **options, output=root / place)
    make("crop_labels", labels=root / "true/labels.json", split=root / "split1.yaml", output=root / "crop1")
    make("fill_labels", labels=root / "masked1/labels.json", output=root / "fill1")
    make("image_labels", index=root / "data/index.json", output=root / "image")
    drawn = Draw(seed=0, ratio=(3, 2))
    new_config({"optim": {"steps": 1}}).model_copy(update={"novel": drawn}).save(root / "drawn.yaml")
    for name, labels, kind, novel in (
        ("model1", "masked1", "weak", names_hash(["cow", "sheep"])),
        ("model2", "masked2", "weak", names_hash(["sky"])),
        ("oracle", "true", "full", None),
    ):
        config = new_config({"optim": {"steps": 1}}, labels=kind)
        config.model_copy(update={"novel": novel}).save(root / f"{name}.yaml")
        make("train", **train_options(root, f"{name}.yaml", labels, root / name))
    inference = {"inference": SIZES, "device": "cpu", "data": root / "data"}
    for name in ("model1", "model2", "oracle"):
        for shard in ("1of2", "2of2"):
            files = {"model": root / name / "model.safetensors", "index": root / "data/index.json", "shard": shard}
            make("evaluate", **files, **inference, output=root / f"{name}/{shard}.npz")
    files = {"model": root / "model1/model.safetensors", "labels": root / "masked1/labels.json"}
    for shard in ("1of2", "2of2"):
        make("pseudo_labels", **files, **inference, shard=shard, output=root / f"pseudo1/{shard}")
    spec = NetworkSpec[ClassifierSettings](
        kind="classifier", backbone="tiny", seed=0, settings=ClassifierSettings(**CLASSIFIER)
    )
    network = {"state": root / "state", "network": root / "classifier.safetensors", "log": root / "log.csv"}
    labels = {"data": root / "data", "labels": root / "image/labels.json"}
    make("classifier", spec=spec.model_dump_json(), **labels, **network, facts=root / "facts.json", device="cpu")
    for shard in ("1of2", "2of2"):
        options = {"network": network["network"], "settings": CAM, "device": "cpu", "shard": shard}
        make("cam", **labels, **options, output=root / f"cam/{shard}.json")
    shards = [root / "cam/1of2.json", root / "cam/2of2.json"]
    make("gather_maps", shards=shards, labels=labels["labels"], output=root / "cam/maps.json")
    make("seeds", maps=root / "cam/maps.json", **labels, settings="{}", output=root / "seeds")


def train_options(root: Path, config: str, labels: str, folder: Path, data: str = "data") -> dict[str, object]:
    """Options of `simformer train`."""
    return {
        "config": root / config, "data": root / data, "labels": root / labels / "labels.json", "device": "cpu",
        "state": folder / "state", "model": folder / "model.safetensors", "log": folder / "log.csv",
        "facts": folder / "train.json",
    }  # fmt: skip


def edit_label(path: Path) -> None:
    """Write another label map of the same size into the same file, as an editor does that works in place."""
    path.write_bytes(encode_label(np.roll(read_label(path), 7, axis=1)))


def _several(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
