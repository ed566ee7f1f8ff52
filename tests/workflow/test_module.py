"""Another workflow uses the rules as a module, and another folder uses the workflow, with the studies of either."""

import os
import subprocess
import sys

import pytest
import yaml

from tests.pipeline import ROOT, TINY

SNAKEFILE = """
configfile: "config/mine.yaml"

module simformer:
    snakefile: "{root}/workflow/Snakefile"
    config: config["simformer"]

use rule * from simformer as simformer_*

rule mine:
    default_target: True
    input: "results/tiny/table2.md"
    output: "best.txt"
    shell: "grep SimFormer {{input:q}} > {{output:q}}"
"""


def snakemake(folder, *arguments) -> str:
    """Run snakemake in a folder; it must succeed. Returns what it prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_another_workflow_imports_the_rules_and_uses_their_table(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT))
    study = yaml.safe_dump({"simformer": TINY | {"experiments": ["table2"]}})
    (tmp_path / "config/mine.yaml").write_text(study)
    assert "rule simformer_train:" in snakemake(tmp_path, "--dry-run")
    snakemake(tmp_path, "--cores", "2")
    assert "SimFormer" in (tmp_path / "best.txt").read_text()
    assert "Nothing to be done" in snakemake(tmp_path, "--cores", "2")


@pytest.mark.slow
def test_another_folder_has_the_default_study_its_splits_and_its_profile(tmp_path):
    said = snakemake(tmp_path, "-s", str(ROOT / "workflow/Snakefile"), "--dry-run", "results/table2.csv")
    assert "results/coco_stuff_10k/split4/simformer/seed0/metrics.json" in said
    assert "profiles/default" in said and "coco_stuff_10k" in said.split("GPU-hours")[0]
    run = "results/coco_stuff_10k/split1/simformer/seed0/config.yaml"
    snakemake(tmp_path, "-s", str(ROOT / "workflow/Snakefile"), run)
    assert (tmp_path / run).is_file()
