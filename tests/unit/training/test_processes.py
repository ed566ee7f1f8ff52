"""Several processes train the same network as one: gradients, statistics, states, stops and errors."""

import csv
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from simformer.build import build_training
from simformer.config.settings import OptimSettings
from simformer.errors import AlreadyTold, UserError
from simformer.training.processes import ALONE, Processes
from tests.conftest import SINGLE
from tests.pipeline import ROOT
from tests.several import CPU, Case, compute

BATCH = {"optim": {"batch_images": 8, "steps": 5}, "model": {"dropout": 0.0}}
ONE_BY_ONE = {"optim": {"groups_per_forward": 1}}
NO_CLASS_LOSS = {"loss": {"cls": 0, "alpha": 0, "beta": 0, "sim": 0}}
KINDS = {"pairs": [], "single images": [SINGLE], "an unused head": [SINGLE, NO_CLASS_LOSS]}
COMMAND = """
import sys
from unittest.mock import patch
from simformer.cli import main
with patch("torch.cuda.device_count", lambda: 2):
    sys.exit(main(sys.argv[1:] + ["--gpus", "2"]))
"""
"""Training on two GPUs that are not there: each process then finds none, and takes the CPU."""


def environment(folder):
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}


@pytest.fixture(scope="module")
def config_of(new_config):
    """Factory of runs of four groups per step, without dropout (which differs between processes) unless asked for."""

    def make(*changes):
        merged = {}
        for name, section in ((n, s) for change in (BATCH, *changes) for n, s in change.items()):
            merged[name] = merged.get(name, {}) | section
        return new_config(merged)

    return make


@pytest.fixture(scope="module")
def computed(config_of, scenes, masked, tmp_path_factory):
    """What one process and two have computed: `one` and `two` by name, trainings in `<root>/<one or two>/<name>`."""
    root = tmp_path_factory.mktemp("several")
    pairs, single, dropout = config_of(), config_of(SINGLE), config_of({"model": {"dropout": 0.1}})
    steps = {kind: Case(config_of(*changes)) for kind, changes in KINDS.items()}
    steps |= {f"{kind}, one by one": Case(config_of(*changes, ONE_BY_ONE)) for kind, changes in KINDS.items()}
    # A training begun by one process and ended by two, and the other way round.
    compute([Case(pairs, root / "begun by one", (2,))], scenes.data, masked)
    trainings = [
        Case(pairs, root / "two" / "pairs"),
        Case(single, root / "two" / "single images"),
        Case(dropout, root / "two" / "dropout"),
        Case(dropout, root / "two" / "dropout, stopped", (2, None)),
        Case(pairs, root / "begun by one"),
        Case(pairs, root / "begun by two", (2,)),
    ]
    (root / "cases.pickle").write_bytes(
        pickle.dumps(([*steps.values(), *trainings], scenes.data, masked.root / "labels.json"))
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "tests.several", str(root)]
    done = subprocess.run(command, cwd=ROOT, env=environment(root), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = torch.load(root / "results.pt")
    two = dict(zip(steps, found["results"], strict=False))
    trainings = [
        Case(pairs, root / "begun by two"),
        Case(pairs, root / "one" / "pairs"),
        Case(single, root / "one" / "single images"),
    ]
    one = dict(zip(steps, compute([*steps.values(), *trainings], scenes.data, masked), strict=False))
    return SimpleNamespace(root=root, one=one, two=two, written=found["written"], errors=done.stderr)


def difference(a, b) -> float:
    """Largest difference of two dicts of tensors, each relative to the largest value of its tensor."""
    assert a.keys() == b.keys()
    assert {name for name in a if a[name] is None} == {name for name in b if b[name] is None}
    pairs = [(a[name], b[name]) for name in a if a[name] is not None]
    return max([float((x - y).abs().max() / x.abs().max().clamp(min=1e-300)) for x, y in pairs if x.any()], default=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, *(f"{kind}, one by one" for kind in KINDS)])
def test_two_processes_find_the_gradients_of_one(computed, kind):
    one, two = computed.one[kind], computed.two[kind]
    whole = computed.one[kind.removesuffix(", one by one")]
    for step in range(2):
        assert len(one["gradients"][step]) > 50
        assert difference(one["gradients"][step], two["gradients"][step]) < 1e-12
        assert difference(whole["gradients"][step], two["gradients"][step]) < 1e-12
        assert two["terms"][step] == pytest.approx(one["terms"][step], rel=1e-12)
    # Statistics of batch norm, their number of updates, and the balance of pairs: the state of what is not trained.
    assert difference(one["buffers"], two["buffers"]) < 1e-12
    assert one["balances"] == two["balances"]
    if kind.startswith("pairs"):
        assert len(one["balances"]) == 4
        assert all(two["terms"][step]["dist"] > 0 for step in range(2))
        tracked = [int(b) for name, b in two["buffers"].items() if name.endswith("num_batches_tracked")]
        assert len(tracked) == 6 and 8 < tracked[0] <= 16  # L_sim of each pair, and most often L_dist
    unused = {name for name, gradient in two["gradients"][1].items() if gradient is None}
    assert unused == ({"0.class_head.weight", "0.class_head.bias"} if "unused" in kind else set())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trained", "reference"),
    [
        ("two/pairs", "one/pairs"),
        ("two/single images", "one/single images"),
        ("begun by one", "one/pairs"),
        ("begun by two", "one/pairs"),
    ],
)
def test_trainings_do_not_depend_on_the_number_of_processes(computed, trained, reference):
    folders = [computed.root / name for name in (reference, trained)]
    weights = [load_file(folder / "model.safetensors") for folder in folders]
    assert difference(*weights) < 1e-9
    rows = [list(csv.DictReader((folder / "log.csv").read_text().splitlines())) for folder in folders]
    assert [row["step"] for row in rows[0]] == [row["step"] for row in rows[1]] == ["2", "4", "5"]
    for one, two in zip(*rows, strict=True):
        for name in one.keys() - {"seconds"}:
            assert float(two[name]) == pytest.approx(float(one[name]), rel=1e-5), name
    facts = [json.loads((folder / "train.json").read_text()) for folder in folders]
    assert facts[0]["processes"] == 1
    assert facts[1]["processes"] == (1 if trained == "begun by two" else 2)
    assert facts[1]["resumed_at"] == (2 if "begun" in trained else 0)


@pytest.mark.slow
def test_dropout_of_a_resumed_training_is_that_of_an_undisturbed_one(computed):
    weights = [
        load_file(computed.root / "two" / name / "model.safetensors") for name in ("dropout", "dropout, stopped")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any(
        not torch.equal(w, weights[0][n]) for n, w in load_file(computed.root / "two/pairs/model.safetensors").items()
    )


@pytest.mark.slow
def test_only_the_first_process_writes(computed):
    first, second = computed.written
    assert any("model.safetensors" in name for name in first) and any("state.pt" in name for name in first)
    assert second == []
    assert computed.errors.count("100%") == 5  # one bar for each training that came to its end


def test_groups_are_shared_out_whole():
    optim = OptimSettings(batch_images=12, group_images=2)
    assert ALONE.share(optim) == range(6)
    assert [Processes(rank, 3).share(optim) for rank in range(3)] == [range(2), range(2, 4), range(4, 6)]
    with pytest.raises(UserError) as error:
        Processes(1, 4).share(optim)
    assert "optim.batch_images: 12 images are 6 groups" in str(error.value)
    assert "type --gpus 1 or 2 or 3 or 6" in str(error.value)
    assert "a multiple of 8" in str(error.value)


class Pair(Processes):
    """The first of two processes; the other one's failure is given."""

    def __init__(self, other_fails: bool) -> None:
        super().__init__(0, 2)
        self.other_fails = other_fails

    def any(self, flag):
        return flag or self.other_fails


def test_a_failure_ends_all_processes_and_is_told_where_it_happened():
    with Pair(other_fails=False).together():
        pass
    with pytest.raises(AlreadyTold), Pair(other_fails=True).together():
        pass
    for other in (False, True):
        with pytest.raises(UserError, match="mine"), Pair(other).together():
            raise UserError("mine")


@pytest.fixture
def start(train_arguments, config_of, tmp_path):
    """Start a training on two processes with the command line, in a process group of its own."""
    processes = []

    def run(steps=400, **options) -> subprocess.Popen:
        options = {"checkpoint_every": 2, "workers": 2} | options
        arguments = train_arguments(config_of({"optim": {"steps": steps}}), tmp_path, **options)
        command = [sys.executable, "-c", COMMAND, *arguments]
        process = subprocess.Popen(
            command, start_new_session=True, stderr=subprocess.PIPE, text=True, env=environment(tmp_path), cwd=tmp_path
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        for pid in (*ranks(process), process.pid):
            if process.poll() is None:
                os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def ranks(process) -> list[int]:
    """Return the processes that a training's command has started, by rank."""
    found = {}
    for children in Path(f"/proc/{process.pid}/task").glob("*/children"):
        for pid in map(int, children.read_text().split()):
            if rank := re.search(rb"\0RANK=(\d+)\0", Path(f"/proc/{pid}/environ").read_bytes()):
                found[int(rank[1])] = pid
    return [found[rank] for rank in sorted(found)]


def stop(process, chosen, number, state) -> str:
    """Send a signal to a process of a training that has saved its state; returns what it says, without its bar."""
    deadline = time.monotonic() + 120
    while not (state / "state.pt").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(ranks(process)) == 2
    os.kill((*ranks(process), process.pid)[chosen], number)
    _, errors = process.communicate(timeout=300)
    return re.sub(r".*(?:it/s|s/it)[^]]*]", "", errors)


def assert_stopped(process, errors, state, number) -> None:
    assert process.returncode == 128 + number, errors
    (step,) = re.findall(r"interrupted: stopped on a signal after step (\d+); run the same command", errors)
    assert torch.load(state / "state.pt", weights_only=True)["step"] == int(step)
    assert "Traceback" not in errors and "error" not in errors.lower()


@pytest.mark.slow
def test_a_stop_signal_to_one_process_stops_both_after_the_same_step(start, masked, run_training, config_of, tmp_path):
    process = start()
    errors = stop(process, 1, signal.SIGTERM, tmp_path / "state")
    assert_stopped(process, errors, tmp_path / "state", signal.SIGTERM)
    state = torch.load(tmp_path / "state" / "state.pt", weights_only=True)
    assert state["step"] == state["parts"]["usage"]["steps"] < 400
    assert list(state["parts"]["loss"]) == ["0", "1", "2", "3"]
    run_training(config_of({"optim": {"steps": 400}}), masked, tmp_path, stop_after=state["step"] + 1)
    assert torch.load(tmp_path / "state" / "state.pt", weights_only=True)["step"] == state["step"] + 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_to_the_command_stops_all(start, tmp_path, number):
    process = start()
    errors = stop(process, 2, number, tmp_path / "state")
    assert_stopped(process, errors, tmp_path / "state", number)


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_is_named(start, tmp_path):
    process = start()
    errors = stop(process, 1, signal.SIGKILL, tmp_path / "state")
    assert process.returncode == 1
    assert "error: killed: process 1 (signal 9) of 2; signal 9 often means out of memory" in errors
    assert "\nerror: process 0 has lost the connection to another process of this training" in errors
    assert "simformer/train.py" not in errors, "no traceback; loaders of the killed process may show their own"


@pytest.mark.slow
def test_a_killed_loader_of_one_process_ends_both_with_their_state(start, tmp_path):
    process = start()
    deadline = time.monotonic() + 120
    while not (tmp_path / "state/state.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    second = ranks(process)[1]
    children = Path(f"/proc/{second}/task/{second}/children").read_text().split()
    (loader,) = [int(pid) for pid in children if "pt_data" in Path(f"/proc/{pid}/comm").read_text()]
    os.kill(loader, signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1 and "Traceback" not in errors
    assert errors.count("error: ") == 1 and "a loading process was killed (signal 9)" in errors


@pytest.mark.slow
def test_processes_without_the_command_that_started_them_stop_with_their_state(start, tmp_path):
    process = start()
    orphans = []
    while len(orphans) < 2:
        assert process.poll() is None
        orphans = ranks(process)
    stop(process, 2, signal.SIGKILL, tmp_path / "state")
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in orphans):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.slow
def test_an_error_of_one_process_is_told_once_and_ends_both(start, scenes, masked, config_of, tmp_path):
    data = shutil.copytree(scenes.data, tmp_path / "data")
    groups = build_training(config_of(), data, masked, None, CPU).groups
    mine, others = ({image for group in numbers for image in groups.image_ids(group)} for numbers in ((2, 3), (0, 1)))
    missing = [masked.images[image] for image in mine - others]
    for image in missing:
        (data / image.image).unlink()
    process = start(data=data)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert len(re.findall(r"error: .*not there any more", errors)) == errors.count("error:") == 1, errors
    assert "Traceback" not in errors
    assert not (tmp_path / "state" / "state.pt").exists()
