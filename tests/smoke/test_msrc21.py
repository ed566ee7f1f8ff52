"""Real photographs through import, audit, masking and two training steps with ImageNet weights."""

import json
import os
from pathlib import Path

import pytest

from tests.pipeline import Pipeline

SHARED = Path(__file__).resolve().parents[3] / "shared/realdata"
PACK, WEIGHTS = SHARED / "msrc21.tar", SHARED / "mobilenet_v2_imagenet.pth"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PACK.exists(), reason=f"the MSRC-21 pack is not at {os.path.relpath(PACK)}"),
    pytest.mark.skipif(not WEIGHTS.exists(), reason=f"no MobileNetV2 weights at {os.path.relpath(WEIGHTS)}"),
]

STUDY = {
    "results": "results/msrc21",
    "experiments": ["spine"],
    "datasets": {
        "msrc21": {
            "splits": {1: {"novel": ["cow", "aeroplane", "bicycle", "sign", "cat"]}},
            "inference": {"short_edge": 64},
            "settings": {"augment": {"crop": 64, "short_edges": [64]}, "optim": {"steps": 2}},
        }
    },
}


def test_msrc21_trains_and_evaluates(tmp_path):
    pipeline = Pipeline(tmp_path)
    pipeline.study(STUDY)
    run = "results/msrc21/msrc21/split1/simformer/seed0"
    done = pipeline.snakemake(
        "--cores", "2", "--show-failed-logs", f"{run}/metrics.json", MSRC21=str(PACK), MOBILENET_V2=str(WEIGHTS)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    index = (tmp_path / "data/msrc21/index.json").read_text()
    assert index.count('"label_sha256"') == 591
    measured = json.loads((tmp_path / run / "metrics.json").read_text())
    assert 0 <= measured["novel"] <= 100 and set(measured["iou"]) >= {"cow", "grass"}
    assert json.loads((tmp_path / run / "train.json").read_text())["steps"] == 2
