"""The tiny study through `--profile slurm` on a real Slurm, undisturbed and under every fault that can be staged.

After each fault the same command finishes, the weights are those of an undisturbed run, and nothing finished ran twice.
"""

import json
import os
import re
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.pipeline import TINY, Pipeline
from tests.slurm.cluster import kill, processes, wait_for

pytestmark = pytest.mark.slow

RUN = "results/tiny/scenes/full/oracle/seed0"
MODEL = f"{RUN}/model.safetensors"
TRAINING = TINY["datasets"]["scenes"] | {"settings": TINY["datasets"]["scenes"]["settings"] | {"optim": {"steps": 400}}}
LONG = TINY | {"datasets": {"scenes": TRAINING}, "experiments": ["spine"]}
ONE_THREAD = ("--set-threads", "train=1", "pseudo_shard=1")
"""As the local runs have it: sums in another order differ in their last bits."""
POLL = ("--slurm-init-seconds-before-status-checks", "2", "--max-status-checks-per-second", "1")


class Grid:
    """A copy of the pipeline whose jobs go to the cluster."""

    def __init__(self, pipeline, cluster, log) -> None:
        self.pipeline, self.cluster, self.log = pipeline, cluster, log
        self.earlier = self.logs()
        self.environment = {name: cluster.environment[name] for name in ("SLURM_CONF", "PATH")}

    def start(self, *arguments: str):
        """Start the command of the README."""
        options = ("--profile", "slurm", *POLL, *ONE_THREAD)
        return self.pipeline.start(*options, *arguments, log=self.log, **self.environment)

    def run(self, *arguments: str) -> None:
        """Run it to its end; it must succeed."""
        assert self.start(*arguments).wait(1200) == 0, self.log.read_text()

    def logs(self) -> set[Path]:
        """Snakemake's own logs, which tell more than the terminal."""
        return set(self.pipeline.folder.glob(".snakemake/log/*.log"))

    def told(self) -> str:
        """All that the runs of this grid have logged."""
        return "".join(path.read_text() for path in sorted(self.logs() - self.earlier))

    def submitted(self) -> Counter:
        """How often each rule was submitted or run here."""
        return Counter(re.findall(r"^(?:local)?rule (\w+):", self.told(), flags=re.M))

    def training_job(self) -> str:
        """Wait until a training has made its first steps; returns its Slurm job."""
        log = self.pipeline.folder / RUN / "state/log.csv"
        wait_for(180, "a training under way", lambda: len(log.read_text().splitlines()) >= 3)
        (job,) = (job for job, comment in self.cluster.jobs().items() if "rule_train" in comment)
        return job

    def training_processes(self) -> list[int]:
        """Processes of the training itself, not of the Snakemake around it."""
        return processes(self.pipeline.folder, "simformer", " train ", "--model", MODEL, "/bin/simformer")


@pytest.fixture(scope="module")
def tiny_grid(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return Grid(Pipeline(folder / "grid"), cluster, folder / "snakemake.log")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The long study with its data prepared and labels masked, and the weights of its undisturbed training."""
    pipeline = Pipeline(tmp_path_factory.mktemp("prepared"))
    pipeline.study(LONG)
    done = pipeline.snakemake("--cores", "2", "--show-failed-logs", MODEL)
    assert done.returncode == 0, done.stdout + done.stderr
    return pipeline, pipeline.weights()


@pytest.fixture
def grid(prepared, cluster, tmp_path):
    """The long study, of which nothing is left to do but its training."""
    pipeline, _ = prepared
    for path in (pipeline.folder / RUN).glob("*"):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "config.yaml":
            path.unlink()
    yield Grid(pipeline, cluster, tmp_path / "snakemake.log")
    cluster.repair()


def assert_as_undisturbed(grid, prepared):
    """The result is bit for bit that of the undisturbed training, continued and not begun anew."""
    assert grid.pipeline.weights() == prepared[1], grid.log.read_text()
    assert sorted(path.name for path in (grid.pipeline.folder / RUN).iterdir()) == [
        "config.yaml", "log.csv", "model.safetensors", "train.benchmark.tsv", "train.json",
    ]  # fmt: skip
    assert "prepare" not in grid.submitted() and "mask_labels" not in grid.submitted()


def resumed_at(grid) -> int:
    return json.loads((grid.pipeline.folder / RUN / "train.json").read_text())["resumed_at"]


def test_the_command_of_the_readme_gives_the_local_tables(tiny_grid, tmp_path):
    tiny_grid.run("--", "results/tiny/spine.csv")
    local = Pipeline(tmp_path / "local")
    done = local.snakemake("--cores", "2", "results/tiny/spine.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    table = "results/tiny/spine.csv"
    assert (tiny_grid.pipeline.folder / table).read_bytes() == (local.folder / table).read_bytes()
    assert tiny_grid.pipeline.weights() == local.weights()
    assert len(local.weights()) == 4
    assert tiny_grid.submitted()["train"] == 4
    tiny_grid.run("--", "results/tiny/spine.csv")
    assert "Nothing to be done" in tiny_grid.log.read_text()


def test_gpu_stages_alone_ask_for_gpus(tiny_grid):
    tiny_grid.run("--", "results/tiny/spine.csv")
    submitted = re.findall(r"^ *rule (\w+):\n(?: +.*\n)*? +resources: (.*)", tiny_grid.told(), flags=re.M)
    assert {rule for rule, resources in submitted if "gpu=1" in resources} == {"train", "evaluate", "pseudo_shard"}
    assert {rule for rule, resources in submitted if "gpu=" not in resources} >= {"prepare", "audit", "mask_labels"}


def test_a_cancelled_training_goes_on(grid, prepared):
    process = grid.start("--", MODEL)
    grid.cluster.run("scancel", grid.training_job())
    assert process.wait(300) == 0, grid.log.read_text()
    assert_as_undisturbed(grid, prepared)
    assert resumed_at(grid) > 0


def test_a_killed_training_is_made_again(grid, prepared):
    process = grid.start("--", MODEL)
    grid.training_job()
    pids = grid.training_processes()
    assert pids
    kill(*pids)
    assert process.wait(300) == 0, grid.log.read_text()
    assert_as_undisturbed(grid, prepared)


def test_a_node_that_dies_gives_its_job_to_another(grid, prepared):
    process = grid.start("--", MODEL)
    job = grid.training_job()
    node = grid.cluster.run("squeue", "-h", "-j", job, "-o", "%N").strip()
    steps = grid.cluster.steps(job)
    assert steps
    grid.cluster.stop(node)
    of_job = processes(grid.pipeline.folder, MODEL)
    kill(*steps, *(pid for pid in of_job if pid != process.pid))  # all that ran there
    assert process.poll() is None
    grid.cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    wait_for(
        60, "the job to be queued again", lambda: "PENDING" in grid.cluster.run("squeue", "-h", "-j", job, "-o", "%T")
    )
    grid.cluster.run("scontrol", "update", f"jobid={job}", "starttime=now")  # Slurm would wait two minutes
    assert process.wait(400) == 0, grid.log.read_text()
    assert_as_undisturbed(grid, prepared)


def test_a_controller_that_is_away_is_waited_for(grid, prepared):
    process = grid.start("--", MODEL)
    grid.training_job()
    grid.cluster.stop("slurmctld")
    time.sleep(60)
    assert process.poll() is None
    grid.cluster.start("slurmctld")
    assert process.wait(300) == 0, grid.log.read_text()
    assert_as_undisturbed(grid, prepared)
    assert grid.submitted()["train"] == 1


def test_ctrl_c_and_the_same_command(grid, prepared):
    process = grid.start("--", MODEL)
    grid.training_job()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(120) != 0
    wait_for(60, "the job to end", lambda: not grid.cluster.run("squeue", "-h"))
    grid.run("--", MODEL)
    assert_as_undisturbed(grid, prepared)
    assert resumed_at(grid) > 0


def test_a_killed_snakemake_leaves_a_job_that_is_not_run_twice(grid, prepared):
    process = grid.start("--", MODEL)
    first = grid.training_job()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pid in grid.training_processes():
        os.kill(pid, signal.SIGSTOP)
    assert grid.pipeline.snakemake("--unlock").returncode == 0
    second = grid.start("--", MODEL)
    log = grid.pipeline.folder / "results/tiny/logs/train/scenes.full.oracle.seed0.log"
    wait_for(180, "the second job to wait", lambda: "waiting: this run is being trained by process" in log.read_text())
    for pid in grid.training_processes():
        os.kill(pid, signal.SIGCONT)
    assert second.wait(600) == 0, grid.log.read_text()
    assert_as_undisturbed(grid, prepared)
    assert resumed_at(grid) == 0, "the first job has trained it from beginning to end"
    assert "the other process has finished this run" in log.read_text()
    assert first not in grid.cluster.jobs()


def test_a_job_over_its_memory_is_retried_with_more(grid, prepared):
    grid.run("--set-resources", "train:mem_mb=300*attempt*attempt", "--", MODEL)
    assert_as_undisturbed(grid, prepared)
    assert {"300", "1200"} <= set(re.findall(r"mem_mb=(\d+)", grid.told()))


def test_a_job_near_its_time_limit_saves_its_state(grid, prepared):
    settings = ["train:runtime=attempt", "train:slurm_extra='--signal=TERM@30'"]
    process = grid.start("--set-resources", *settings, "--", MODEL)
    grid.training_job()
    (training,) = grid.training_processes()
    os.kill(training, signal.SIGSTOP)  # a slow training, which is far from its end when the time is nearly up
    wait_for(90, "Slurm's warning", lambda: is_warned(training))
    with suppress(ProcessLookupError):  # Slurm may have continued it itself
        os.kill(training, signal.SIGCONT)
    assert process.wait(300) == 0, grid.log.read_text()
    assert_as_undisturbed(grid, prepared)
    assert resumed_at(grid) > 0


def is_warned(pid: int) -> bool:
    """Tell whether SIGTERM waits for a process, or has ended it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True
    return bool(int(re.search(r"^ShdPnd:\s*(\w+)", status, flags=re.M)[1], 16) & 1 << (signal.SIGTERM - 1))
