"""The checks of `simformer doctor`: healthy machines, broken ones, and what to type."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from simformer.catalogue import Catalogue
from simformer.cli import main
from simformer.doctor import hardware, packages, storage
from simformer.doctor.check import Check, checks_text
from simformer.doctor.cluster import PLUGIN, check_cluster
from simformer.doctor.hardware import check_hardware, usable_cores
from simformer.doctor.inputs import check_inputs
from simformer.doctor.packages import check_packages
from simformer.doctor.storage import check_storage
from simformer.plan import make_plan
from tests.stubs import Programs, touch

ROOT = Path(__file__).resolve().parents[2]
SCENES = {"title": "Toys", "source": {"kind": "scenes"}, "settings": {"model": {"weights": "none"}}}
PINS = packages._pins(ROOT / "envs/constraints.txt")


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A PATH on which nothing is but what a test adds."""
    return Programs(tmp_path / "bin", monkeypatch)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory and no Snakemake configuration elsewhere."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path))
    return folder


@pytest.fixture
def study(here):
    """Factory: a catalogue of one dataset in the working directory, and its plan."""

    def make(dataset: dict = SCENES, **keys):
        touch(here / "config/datasets/toys.yaml", yaml.safe_dump(dataset))
        touch(here / "config/methods/weak.yaml", yaml.safe_dump({"label": "W"}))
        touch(here / "config/experiments/one.yaml", yaml.safe_dump({"title": "1", "methods": ["weak"]}))
        content = {"datasets": {"toys": {"splits": {1: {"novel": ["sea"]}}}}, "experiments": ["one"]} | keys
        touch(here / "config/config.yaml", yaml.safe_dump(content))
        catalogue = Catalogue(content, "config/config.yaml", Path("config"))
        return catalogue, make_plan(catalogue)

    return make


def by_name(checks) -> dict[str, Check]:
    """Checks by name, which must differ; whoever finds fault must say what to do."""
    found = list(checks)
    assert len({check.name for check in found}) == len(found)
    assert all(check.fix for check in found if check.level == "problem")
    assert not any(check.fix for check in found if check.level == "ok")
    return {check.name: check for check in found}


# Packages


@pytest.fixture
def as_pinned(monkeypatch):
    """Packages and torch have the versions of the constraints file."""
    versions = dict(PINS)
    monkeypatch.setattr(packages, "installed", versions.get)
    monkeypatch.setattr(torch, "__version__", f"{PINS['torch']}+cu999")
    monkeypatch.setattr("torchvision.__version__", PINS["torchvision"])
    return versions


def test_the_versions_of_the_tests_are_fine(as_pinned):
    checks = by_name(check_packages())
    assert {checks[name].level for name in ("python", "torch", "torchvision", "packages")} == {"ok"}


def test_other_versions_are_a_warning_and_old_ones_a_problem(as_pinned, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    as_pinned["pandas"] = "2.9.0"
    checks = by_name(check_packages())
    assert checks["torch"].level == "warning" and PINS["torch"] in checks["torch"].found
    assert checks["packages"].level == "warning" and "pandas 2.9.0" in checks["packages"].found
    monkeypatch.setattr(torch, "__version__", "2.5.1")
    as_pinned["pandas"] = "2.1.0"
    checks = by_name(check_packages())
    assert checks["torch"].level == "problem" and "2.6" in checks["torch"].found
    assert checks["packages"].level == "problem" and "pandas 2.1.0 (needs 2.2)" in checks["packages"].found


def test_a_missing_package_is_named(as_pinned):
    del as_pinned["h5py"]
    check = by_name(check_packages())["packages"]
    assert check.level == "problem" and "h5py" in check.found and "pip install" in check.fix


def test_an_old_python_is_a_problem(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    check = by_name(check_packages())["python"]
    assert (check.level, check.found) == ("problem", "3.10.4; at least 3.11 is needed")


def test_the_commands_that_rules_call_must_be_on_the_path_and_of_this_python(programs, monkeypatch, tmp_path):
    check = by_name(check_packages())["commands"]
    assert check.level == "problem" and "simformer, snakemake" in check.found
    for name in ("simformer", "snakemake"):
        programs.add(name)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "elsewhere/python"))
    check = by_name(check_packages())["commands"]
    assert check.level == "warning" and f"export PATH={tmp_path / 'elsewhere'}:$PATH" in check.fix
    monkeypatch.setattr(sys, "executable", str(programs.folder / "python"))
    assert by_name(check_packages())["commands"].level == "ok"


def test_without_a_working_torch_all_other_checks_are_made(tmp_path):
    broken = touch(tmp_path / "torch/__init__.py", "raise OSError('libcudart.so.13: cannot open shared object file')")
    path = os.pathsep.join([str(broken.parents[1]), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "simformer.cli", "doctor", "--json", "--study", "config/demo.yaml"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["torch"]["level"] == checks["torchvision"]["level"] == "problem"
    assert "libcudart.so.13" in checks["torch"]["found"]
    assert {"study", "gpu", "cores", "results disk", "data scenes", "slurm"} <= set(checks)


# Hardware


def gpus(monkeypatch, *devices, build="13.0"):
    """Make torch see these (name, compute capability)."""
    found = [SimpleNamespace(name=name, total_memory=80 * 2**30, major=major) for name, major in devices]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(found))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(found))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: found[i])
    monkeypatch.setattr(torch.version, "cuda", build)


def test_no_gpu_is_no_problem(programs, monkeypatch):
    gpus(monkeypatch)
    check = by_name(check_hardware({"fp32"}))["gpu"]
    assert check.level == "ok" and "CPU only" in check.found
    programs.add("sbatch")
    assert "Slurm" in by_name(check_hardware({"fp32"}))["gpu"].found


def test_gpus_are_told_with_memory_and_driver(programs, monkeypatch):
    gpus(monkeypatch, ("A100", 8), ("A100", 8))
    programs.add("nvidia-smi", "580.65\n580.65")
    checks = by_name(check_hardware({"fp32"}))
    assert checks["gpu"].found == "A100 (80 GiB), A100 (80 GiB); driver 580.65, CUDA 13.0"
    assert checks["bf16"].level == "ok"


def test_a_gpu_that_torch_cannot_use_is_a_problem(programs, monkeypatch):
    programs.add("nvidia-smi", "470.1")
    gpus(monkeypatch, build=None)
    check = by_name(check_hardware({"fp32"}))["gpu"]
    assert check.level == "problem" and "built for the CPU alone" in check.found
    gpus(monkeypatch, build="13.0")
    check = by_name(check_hardware({"fp32"}))["gpu"]
    assert check.level == "problem" and "470.1" in check.found and "CUDA 13.0" in check.found


def test_bf16_on_an_old_gpu_is_a_problem_only_if_the_study_uses_it(programs, monkeypatch):
    gpus(monkeypatch, ("V100", 7))
    assert by_name(check_hardware({"fp32"}))["bf16"].level == "ok"
    assert by_name(check_hardware({"fp32", "bf16"}))["bf16"].level == "problem"


def test_more_threads_than_cores_are_a_warning(programs, monkeypatch):
    monkeypatch.setattr(hardware, "usable_cores", lambda: 4)
    for wanted, level in (("4", "ok"), ("5", "warning"), ("", "ok")):
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
        assert by_name(check_hardware({"fp32"}))["cores"].level == level


def test_a_containers_quota_limits_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    for text, cores in (("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8)):
        assert usable_cores(touch(tmp_path / "cpu.max", text)) == cores
    assert usable_cores(tmp_path / "none") == 8


@pytest.mark.parametrize(("size", "level"), [(64 * 2**20, "warning"), (8 * 2**30, "ok")])
def test_a_containers_small_shared_memory_is_a_warning(programs, monkeypatch, size, level):
    monkeypatch.setattr(hardware.shutil, "disk_usage", lambda path: SimpleNamespace(total=size))
    assert by_name(check_hardware({"fp32"}))["/dev/shm"].level == level


# Disks

LARGE = SCENES | {"source": {"kind": "ade20k", "archive": {"urls": ["http://localhost/a.zip"], "bytes": 10**10}}}


@pytest.mark.parametrize(("free", "level"), [(9e9, "problem"), (10.5e9, "warning"), (20e9, "ok")])
def test_free_space_is_compared_with_what_is_needed(study, monkeypatch, free, level):
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    checks = by_name(check_storage(*study(LARGE)))
    assert checks["data disk"].level == checks["results disk"].level == level
    assert "about 10.2 GB needed" in checks["data disk"].found  # 10 GB of archive, 166 MB of one model


def test_on_two_disks_each_is_compared_with_its_own_need(study, monkeypatch):
    monkeypatch.setattr(storage, "_device", lambda folder: str(folder))
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    checks = by_name(check_storage(*study(LARGE)))
    assert (checks["data disk"].level, checks["results disk"].level) == ("problem", "ok")


def test_prepared_data_need_no_more_space(study, here, monkeypatch):
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    touch(here / "data/toys/index.json")
    assert by_name(check_storage(*study(LARGE)))["data disk"].level == "ok"


def test_files_are_tried_out_and_nothing_is_left_behind(study, here):
    arguments = study(results="not/yet/there")
    before = sorted(here.rglob("*"))
    checks = by_name(check_storage(*arguments))
    assert checks["results files"].level == checks["data files"].level == "ok"
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize(
    ("module", "function", "words"),
    [(os, "replace", "rename onto another file"), (fcntl, "flock", "lock a file"), (Path, "write_text", "write")],
)
def test_a_file_system_that_cannot_is_a_problem(study, monkeypatch, module, function, words):
    def refuse(*arguments, **keywords):
        raise OSError(95, "Operation not supported")

    arguments = study()
    monkeypatch.setattr(module, function, refuse)
    check = by_name(check_storage(*arguments))["results files"]
    assert check.level == "problem" and f"cannot {words} (Operation not supported)" in check.found


# Datasets and weights


def test_generated_data_need_nothing(study):
    assert by_name(check_inputs(*study()))["data toys"].level == "ok"


def test_prepared_data_need_no_archive(study, here):
    touch(here / "data/toys/index.json")
    assert by_name(check_inputs(*study(LARGE)))["data toys"].level == "ok"


def test_archives_that_are_not_there_are_to_be_downloaded(study, here):
    check = by_name(check_inputs(*study(LARGE)))["data toys"]
    assert check.level == "warning" and "fetch_all" in check.fix
    touch(here / "data/downloads/toys/archive")
    assert by_name(check_inputs(*study(LARGE)))["data toys"].level == "ok"


@pytest.mark.parametrize(
    "source",
    [{"kind": "folder", "path": "$TOYS/toys.tar"}, {"kind": "ade20k", "archive": {"path": "$TOYS/toys.tar"}}],
    ids=["folder", "archive"],
)
def test_own_copies_must_be_where_the_study_says(study, tmp_path, monkeypatch, source):
    def check():
        return by_name(check_inputs(*study(SCENES | {"source": source})))["data toys"]

    monkeypatch.delenv("TOYS", raising=False)
    assert check().level == "problem" and "TOYS is not set" in check().found and "TOYS=" in check().fix
    monkeypatch.setenv("TOYS", str(tmp_path))
    assert check().level == "problem" and "toys.tar" in check().found and "$TOYS" in check().fix
    touch(tmp_path / "toys.tar")
    assert check().level == "ok"


def test_weights_are_looked_for_where_the_rules_put_them(study, here, tmp_path, monkeypatch):
    def check(weights):
        dataset = SCENES | {"settings": {"model": {"weights": weights}}}
        return by_name(check_inputs(*study(dataset))).get("weights toys")

    assert check("none") is None
    assert check("imagenet").level == "warning"
    monkeypatch.delenv("WEIGHTS", raising=False)
    assert check("$WEIGHTS").level == "problem" and "WEIGHTS is not set" in check("$WEIGHTS").found
    assert check(str(tmp_path / "w.pth")).level == "problem"
    touch(tmp_path / "w.pth")
    assert check(str(tmp_path / "w.pth")).level == "ok"
    touch(here / "data/weights/toys.resnet50.safetensors")
    assert check("imagenet").level == "ok" and check("$WEIGHTS").level == "ok"


# Slurm


@pytest.fixture
def slurm(programs, here, monkeypatch):
    """A healthy cluster, its plugin and a profile."""
    for name in ("sbatch", "squeue", "scancel", "sacct"):
        programs.add(name)
    programs.add("sinfo", "cpu|(null)\ngpu|gpu:a100:4(S:0-1)\ngpu|gpu:h200:2,lustre:1")
    monkeypatch.setattr("simformer.doctor.cluster.installed", {PLUGIN: "2.8.0"}.get)
    touch(here / "slurm/config.yaml", "executor: slurm\nset-resources: {train: {slurm_partition: gpu}}\n")
    return programs


def test_a_machine_without_slurm_needs_nothing_of_it(programs, here):
    assert [check.level for check in check_cluster()] == ["ok"]


def test_a_healthy_cluster(slurm):
    checks = by_name(check_cluster())
    assert {check.level for check in checks.values()} == {"ok"}
    assert checks["partitions"].found == "cpu, gpu (gpu:a100:4, gpu:h200:2)"
    assert "slurm/config.yaml" in checks["slurm profile"].found


def test_missing_commands_are_named(slurm):
    (slurm.folder / "sbatch").unlink()
    check = by_name(check_cluster())["slurm"]
    assert check.level == "problem" and "sbatch" in check.found and "squeue" not in check.found


def test_the_plugin_must_be_installed(slurm, monkeypatch):
    monkeypatch.setattr("simformer.doctor.cluster.installed", lambda name: None)
    check = by_name(check_cluster())["slurm plugin"]
    assert (check.level, check.fix) == ("problem", f"pip install {PLUGIN}")


def test_the_profile_must_be_found_and_submit(slurm, here):
    touch(here / "slurm/config.yaml", "jobs: 5")
    assert by_name(check_cluster())["slurm profile"].level == "problem"
    (here / "slurm/config.yaml").unlink()
    assert "finds none" in by_name(check_cluster())["slurm profile"].found


@pytest.mark.parametrize(
    "profile",
    [
        "default-resources: {slurm_partition: long}",
        "default-resources: [mem_mb=1, slurm_partition=long]",
        "set-resources: {train: {slurm_partition: $PART}}",
        "set-resources: ['train:slurm_partition=long']",
    ],
)
def test_partitions_of_the_profile_must_exist(slurm, here, monkeypatch, profile):
    monkeypatch.setenv("PART", "long")
    touch(here / "slurm/config.yaml", f"executor: slurm\n{profile}\n")
    check = by_name(check_cluster())["partitions"]
    assert check.level == "problem" and "asks for long" in check.found


def test_partitions_that_are_computed_are_not_judged(slurm, here):
    touch(here / "slurm/config.yaml", "executor: slurm\ndefault-resources: {slurm_partition: '?os.environ[\"P\"]'}\n")
    assert by_name(check_cluster())["partitions"].level == "ok"


def test_a_cluster_without_gpus_is_a_warning(slurm):
    slurm.add("sinfo", "cpu|(null)\ngpu|(null)")
    check = by_name(check_cluster())["partitions"]
    assert check.level == "warning" and "gpu=1" in check.fix


def test_a_slurm_that_does_not_answer_is_a_problem(slurm):
    slurm.add("sinfo", error="slurm_load_partitions: Unable to contact slurm controller", status=1)
    assert "Unable to contact" in by_name(check_cluster())["partitions"].found


def test_without_accounting_squeue_is_advised_unless_the_profile_has_it(slurm, here):
    slurm.add("sacct", error="Slurm accounting storage is disabled", status=1)
    check = by_name(check_cluster())["accounting"]
    assert check.level == "problem" and "--slurm-status-command squeue" in check.fix
    touch(here / "slurm/config.yaml", "executor: slurm\nslurm-status-command: squeue\n")
    assert by_name(check_cluster())["accounting"].level == "ok"
    touch(here / "slurm/config.yaml", "executor: slurm\n")
    (slurm.folder / "sacct").unlink()
    assert by_name(check_cluster())["accounting"].level == "ok"


# The command


def test_exit_status_and_page(study, programs, as_pinned, monkeypatch, capsys):
    gpus(monkeypatch)
    for name in ("simformer", "snakemake"):
        programs.add(name)
    monkeypatch.setattr(sys, "executable", str(programs.folder / "python"))
    study(LARGE)
    assert main(["doctor"]) == 0  # a warning: the archive is to be downloaded
    page = capsys.readouterr().out
    assert "0 problem(s), 1 warning(s)" in page and "-> snakemake fetch_all" in page
    assert max(map(len, page.splitlines())) <= 100
    study(SCENES | {"source": {"kind": "folder", "path": "/not/there"}})
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--json"])
    assert end.value.code == 1
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert found["data toys"]["level"] == "problem" and "/not/there" in found["data toys"]["found"]


def test_a_study_with_mistakes_is_one_problem_and_the_rest_is_checked(study, programs, capsys):
    study()
    touch(Path("config/config.yaml"), "dataset: {}\n")
    with pytest.raises(SystemExit):
        main(["doctor", "--json"])
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert found["study"]["level"] == "problem" and "unknown key 'dataset'" in found["study"]["found"]
    assert "cores" in found and "slurm" in found and "results disk" not in found


def test_colour_is_only_added_when_asked_for():
    checks = [Check("a", "problem", "found", "fix")]
    assert "\033" not in checks_text(checks, colour=False)
    assert "\033[31mproblem\033[0m" in checks_text(checks, colour=True)
