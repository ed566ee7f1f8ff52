"""`simformer doctor`: Slurm, healthy and broken, and what to type."""

import pytest

from simformer.doctor.cluster import PLUGIN, check_cluster
from tests.stubs import by_name, touch


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
    assert by_name(check_cluster())["accounting"].level == "warning"
    touch(here / "slurm/config.yaml", "executor: slurm\n")
    (slurm.folder / "sacct").unlink()
    assert by_name(check_cluster())["accounting"].level == "ok"
