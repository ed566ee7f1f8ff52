"""Every study plans; configuration mistakes are one line; generated files are in sync; the house rules hold."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.profiles import ProfileConfigFileParser

from simformer.analysis.pages.splits_page import write_splits_page
from simformer.cli import parsers
from simformer.study.reference import settings_page, study_schema

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [*ROOT.glob("simformer/**/*.py"), *ROOT.glob("workflow/**/*.smk"), *ROOT.glob("tests/**/*.py")]


def studies():
    """Return the file names of the studies; the demo and the paper's belong to the default tests."""
    names = sorted(path.name for path in (ROOT / "config").glob("*.yaml"))
    slow = set(names) - {"config.yaml", "demo.yaml"}
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in names]


@pytest.mark.parametrize("study", studies())
def test_every_study_plans_its_tables(pipeline, study):
    done = pipeline.snakemake("--dry-run", "--quiet", "rules", study=f"config/{study}")
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.M))
    experiments = yaml.safe_load((ROOT / "config" / study).read_text())["experiments"]
    assert int(jobs["table"]) == len(experiments) and int(jobs["train"]) > 0 and "to do" in done.stderr


def test_lint(pipeline):
    """All rules share one environment, which no rule names; of anything else snakemake must not complain."""
    said = pipeline.snakemake("--lint").stderr
    complaints = re.findall(r"^    \* (.*)", said, flags=re.M)
    assert {line for line in complaints if not line.startswith("Specify a conda environment")} == set(), said
    assert complaints or "Congratulations" in said, said


def test_schema_and_reference_are_in_sync():
    assert (ROOT / "workflow/schemas/study.schema.json").read_text() == study_schema(), "run: make reference"
    assert (ROOT / "docs/configuration.md").read_text() == settings_page(), "run: make reference"


def test_the_page_of_pinned_splits_is_in_sync(tmp_path):
    files = sorted((ROOT / "config/splits").glob("*/split*.yaml"))
    counts = {
        folder: yaml.safe_load((ROOT / f"config/datasets/{folder}.yaml").read_text())["expect"]["classes"]
        for folder in {file.parent.name for file in files}
    }
    write_splits_page(files, counts, tmp_path / "splits.md")
    assert len(files) == 13
    assert (ROOT / "docs/splits.md").read_text() == (tmp_path / "splits.md").read_text(), (
        "run: snakemake --cores 1 --force docs/splits.md"
    )


MISTAKES = [
    ("seeds: [0]\nsedes: [1]\n", "config/bad.yaml: unknown key 'sedes'; did you mean 'seeds'?"),
    ("seeds: [zero]\n", "config/bad.yaml: key 'seeds.0': "),
    (
        "experiments: [tabel1]\n",
        "config/bad.yaml: experiments: no experiment 'tabel1' (there is no config/exp",
    ),
    (
        "datasets: {scenes: {splits: {1: {novel: [sea], base: [sea, sky]}}}}\n",
        "config/bad.yaml: datasets.scenes.splits.1: classes both base and novel: sea",
    ),
    (
        "datasets: {scenes: {splits: {1: {seed: 1}}, settings: {loss: {alfa: 1}}}}\n",
        "config/bad.yaml: datasets.scenes: unknown key 'settings.loss.alfa'; did you mean 'settings.loss.alpha'?",
    ),
    (
        "datasets: {scens: {splits: {1: {seed: 1}}}}\n",
        "config/bad.yaml: datasets: no dataset 'scens' (there is no config/datasets/scens.yaml); did you mean",
    ),
]
"""Lines of a study, and what is said of them."""


@pytest.mark.parametrize(
    ("edit", "message"), [*MISTAKES[:2], *(pytest.param(*mistake, marks=pytest.mark.slow) for mistake in MISTAKES[2:])]
)
def test_configuration_mistakes_are_named(pipeline, edit, message):
    study = "" if edit.startswith("datasets") else "datasets: {scenes: {splits: {1: {seed: 1}}}}\n"
    (pipeline.folder / "config/bad.yaml").write_text(edit + study)
    done = pipeline.snakemake("--dry-run", study="config/bad.yaml")
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (pipeline.folder / "config/bad.yaml").unlink()


def test_no_source_file_is_longer_than_400_lines():
    long = {str(p): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_library_does_not_import_snakemake():
    statement = re.compile(r"^\s*(import|from) snakemake", re.M)
    users = [str(path) for path in ROOT.glob("simformer/**/*.py") if statement.search(path.read_text())]
    assert not users


def test_command_line_starts_without_torch():
    code = "import sys, simformer.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_copy_of_a_local_rule_is_local_too():
    """Snakemake's `use rule ... with` takes everything over but this: the copy would go to the cluster."""
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    blocks = re.findall(r"^(?:rule|use rule (\w+) as) (\w+)(?: with)?:\n((?:(?:    .*)?\n)*)", rules, flags=re.M)
    local = {name for _, name, block in blocks if "\n    localrule: True\n" in block}
    copies = {name: original for original, name, _ in blocks if original}
    assert len(local) > 10 and len(copies) > 10
    assert not {name for name, original in copies.items() if original in local} - local


def test_every_pass_over_images_is_measured():
    """The page of costs lists what its benchmark files say."""
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    blocks = re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)*)", rules, flags=re.M)
    passes = {name: block for name, block in blocks if "--shard {" in block}
    assert len(passes) > 5
    assert [name for name, block in passes.items() if "    benchmark:\n" not in block] == []


def test_every_rule_that_runs_a_network_asks_for_a_gpu():
    """A job that takes a GPU without asking would wait for the one of another job, and run without one on Slurm."""
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    blocks = re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)*)", rules, flags=re.M)
    takers = {name for name, parser in parsers().items() if "--device" in parser.format_help()}
    users = {
        name
        for name, block in blocks
        if takers & set(re.findall(r'"simformer (\w+) ', block)) or "simformer {params.kind:q}" in block
    }
    assert {"train", "figure", "gallery", "retab_pictures"} <= users
    assert not users - {name for name, block in blocks if "gpu_job(" in block}


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_the_profiles_know_every_rule_that_uses_a_gpu(name):
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    blocks = re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)*)", rules, flags=re.M)
    with_gpu = {name for name, block in blocks if "gpu_job(" in block}
    copies = re.findall(r"^use rule (\w+) as (\w+) with:", rules, flags=re.M)
    with_gpu |= {copy for original, copy in copies if original in with_gpu}
    assert len(with_gpu) > 3
    text = (ROOT / f"workflow/profiles/{name}/config.yaml").read_text()
    with (ROOT / f"workflow/profiles/{name}/config.yaml").open() as stream:
        profile = ProfileConfigFileParser().parse(stream)
    assert sorted(entry.split("=")[0] for entry in profile["set-threads"]) == sorted(with_gpu)
    if name == "slurm":
        assert {entry.split(":")[0] for entry in profile["set-resources"]} == with_gpu
    keys = re.findall(r"^  (\w+): \d+$", text, flags=re.M)
    assert len(keys) == len(set(keys)), "a rule is named twice"


@pytest.mark.parametrize(("words", "cores"), [([], "all"), (["--profile", "slurm"], None), (["--profile=x"], None)])
def test_the_default_profile_leaves_the_cores_to_another_one(words, cores, monkeypatch):
    monkeypatch.setattr("sys.argv", ["snakemake", *words, "results/table1.csv"])
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    with (ROOT / "workflow/profiles/default/config.yaml").open() as stream:
        assert ProfileConfigFileParser().parse(stream).get("cores") == cores
