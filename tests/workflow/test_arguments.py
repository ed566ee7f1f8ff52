"""No argument grows with the grid: the paper's study with ten seeds and sixteen shards, planned once."""

from collections import defaultdict

import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings

from tests.pipeline import ROOT

MOST = 32 * 1024
"""Bytes of a command line; Linux takes 128 KiB in one argument."""
BY_NAME = ("table", "t_test", "statistics", "diagnostics", "comparison", "curves", "site", "claims_table", "check_maps")
"""Rules that work on many runs, and name them by what they belong to."""


def longest_commands(study, *targets) -> dict[str, int]:
    """Plan a study through Snakemake's own interface; returns the longest command line of each rule, in bytes."""
    found: dict[str, int] = defaultdict(int)
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        loaded = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[study]),
            snakefile=ROOT / "workflow/Snakefile",
            workdir=study.parent,
        )
        loaded.dag(DAGSettings(targets=set(targets)))
        workflow = loaded._workflow
        workflow._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
        workflow._build_dag()
        for job in workflow.dag.jobs:
            found[job.rule.name] = max(found[job.rule.name], len((job.shellcmd or "").encode()))
    return found


@pytest.mark.slow
def test_every_command_line_of_the_paper_with_ten_seeds_and_sixteen_shards(tmp_path):
    study = yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"seeds": list(range(10))}
    for dataset in study["datasets"].values():
        dataset["shards"] = {"train": 16, "test": 16}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    targets = ["results/partial/table1.md", "results/label_quality/table1.md", "results/diagnostics/table1.md"]
    found = longest_commands(tmp_path / "study.yaml", "all", "measured_baselines", *targets)
    print(sorted(((length, rule) for rule, length in found.items()), reverse=True)[:8])
    assert max(found.values()) < MOST
    assert max(found[rule] for rule in BY_NAME) < 1000 and all(found[rule] for rule in BY_NAME)
