"""`kill -9` at random moments of every stage that takes time: the same command finishes, and the bytes are the same.

The commands run in forks of this process, which has imported everything: so many of them would take minutes to start.
"""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from simformer.cli import main
from tests.conftest import SINGLE
from tests.faults.harness import listing
from tests.specifications import study_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("specified")]

STEPS = 30


def run(arguments, seconds=None) -> bool:
    """Run a subcommand in a fork, killed after so many seconds; returns whether it came to its end, well."""
    child = os.fork()
    if not child:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.setpgid(0, 0)
        os._exit(main([str(argument) for argument in arguments]))
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, -signal.SIGKILL)
    return ended == 0


def kept(folder: Path) -> dict[str, str]:
    """Return what a stage has written; what a killed writer of a single file leaves is no result."""
    return {name: content for name, content in listing(folder).items() if not name.endswith((".part", ".lock"))}


@pytest.fixture
def stages(scenes, masked, split, new_config, run_training, tmp_path):
    """Arguments of each stage, by its name; the folder that it writes is `{}`."""
    index, chosen = tmp_path / "index.json", tmp_path / "split.yaml"
    scenes.index.save(index)
    split.save(chosen)
    trained = run_training(new_config(SINGLE, {"optim": {"steps": 1}}), masked, tmp_path / "teacher")
    runs = []
    for seed in range(3):
        metrics = tmp_path / f"metrics{seed}.json"
        metrics.write_text(json.dumps({"novel": 10.0 + seed, "base": 30.0, "all": 20.0}))
        runs.append({"dataset": "scenes", "split": "split1", "method": "m", "seed": seed, "path": str(metrics)})
    table = {
        "title": "T",
        "rows": [{"method": "m", "label": "M", "ranked": True}],
        "metrics": ["novel", "base", "all"],
        "reported": {},
        "runs": runs,
    }
    source = {"kind": "scenes", "size": 64, "train": 30, "test": 6}
    inference = {"short_edge": 48, "pseudo_short_edges": [48]}
    labels = masked.root / "labels.json"
    given = ["--data", scenes.data, "--labels", labels, "--inference", json.dumps(inference)]
    return {
        "prepare": ["prepare", "--source", json.dumps(source), "--output", "{}/scenes"],
        "mask_labels": ["mask_labels", "--data", scenes.data, "--index", index, "--split", chosen, "--output", "{}"],
        "pseudo_labels": ["pseudo_labels", "--model", trained.model, *given, "--device", "cpu", "--output", "{}"],
        "table": ["table", "--study", study_of(table, tmp_path), "--experiment", "x", "--output", "{}/t.csv"],
    }


@pytest.mark.parametrize("stage", ["prepare", "mask_labels", "pseudo_labels", "table"])
def test_a_stage_killed_at_ten_moments(stages, stage, tmp_path):
    def arguments(folder):
        return [*given[:-1], given[-1].format(folder)]

    given, chance = stages[stage], random.Random(stage)
    began = time.monotonic()
    assert run(arguments(tmp_path / "whole"))
    lasted, kills = time.monotonic() - began, 0
    expected = kept(tmp_path / "whole")
    while kills < 10:
        if run(arguments(tmp_path / "killed"), chance.uniform(0, lasted)):
            assert kept(tmp_path / "killed") == expected
            shutil.rmtree(tmp_path / "killed")
        else:
            kills += 1
    assert run(arguments(tmp_path / "killed"))
    assert kept(tmp_path / "killed") == expected
    print(f"{stage}: {kills} kills within {lasted:.1f} s, {len(expected)} files are the same")


@pytest.mark.parametrize(("workers", "kills"), [(0, 20), (1, 4)])
def test_a_training_killed_at_random_steps(scenes, masked, new_config, tmp_path, workers, kills):
    new_config({"optim": {"steps": STEPS}}).save(tmp_path / "config.yaml")

    def arguments(folder):
        files = {"model": "model.safetensors", "log": "log.csv", "facts": "train.json", "state": "state"}
        written = [text for key, name in files.items() for text in (f"--{key}", folder / name)]
        given = ["--config", tmp_path / "config.yaml", "--data", scenes.data, "--labels", masked.root / "labels.json"]
        return ["train", *given, *written, "--device", "cpu", "--checkpoint-every", 1, "--workers", workers]

    began, chance = time.monotonic(), random.Random(workers)
    assert run(arguments(tmp_path / "whole"))
    lasted, steps = time.monotonic() - began, []
    while len(steps) < kills:
        if run(arguments(tmp_path / "killed"), chance.uniform(0, 5 * lasted / kills)):
            same(tmp_path / "killed", tmp_path / "whole")
            shutil.rmtree(tmp_path / "killed")
            continue
        state = tmp_path / "killed/state/state.pt"
        steps.append(torch.load(state, weights_only=True)["step"] if state.exists() else 0)
    assert run(arguments(tmp_path / "killed"))
    same(tmp_path / "killed", tmp_path / "whole")
    print(f"train, {workers} loading processes: {kills} kills after steps {steps} of {STEPS}, the network is the same")


def same(killed, whole) -> None:
    """Networks are equal to the byte, and logs but for the clock."""
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    logs = [(folder / "log.csv").read_text().splitlines() for folder in (killed, whole)]
    assert [line.rpartition(",")[0] for line in logs[0]] == [line.rpartition(",")[0] for line in logs[1]]
    assert not (killed / "state").exists() and not (killed / "state.lock").exists()
