"""White space, quotes and letters beyond ASCII in every path: the repository's own, `results`, `data`, a dataset's."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.harness import listing, write_dataset
from tests.pipeline import ROOT, TINY, Pipeline

ODD = 'it\'s a "ü" clone; $HOME & *'
OPTIONS = {
    "affinity",
    "anchored",
    "archives",
    "choice",
    "command",
    "files",
    "more",
    "networks",
    "predicted",
    "study",
    "weights",
}
"""Parameters that hold commands or whole options; their paths are quoted where they are put together."""
RULES = sorted((ROOT / "workflow").glob("[rh]*/*.smk"))


@pytest.mark.parametrize("file", RULES, ids=lambda path: path.stem)
def test_every_placeholder_of_a_shell_command_is_quoted(file):
    numbers = {"threads", "resources.gpu"}
    for block in re.findall(r'(?:shell:| = \()\n((?: +".*\n)+)', file.read_text()):
        bare = {name for name in re.findall(r"\{([^{}]+)\}", block) if not name.endswith(":q")}
        bare -= {f"params.{name}" for name in OPTIONS} | numbers
        assert not {name for name in bare if not name.startswith("wildcards.")}, f"{file.name}: {bare} in {block}"


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A working copy in an oddly named folder, with an oddly named dataset; its results and data lie elsewhere."""
    top = tmp_path_factory.mktemp("odd")
    copy = Pipeline(top / ODD)
    write_dataset(top / "my source, 50% \\ done")
    shutil.move(top / "my source, 50% \\ done", copy.folder / "my source, 50% \\ done")
    settings = TINY["datasets"]["scenes"]["settings"]
    (copy.folder / "config/datasets/mine.yaml").write_text(
        "title: Mine\nsource: {kind: folder, path: 'my source, 50% \\ done'}\n"
        "settings: {model: {backbone: tiny, weights: none}}\n"
    )
    copy.study(
        {
            "results": "$PLACE/notes backup's",
            "data": "~/my data (ü)",
            "experiments": ["spine"],
            "datasets": {"mine": {"splits": {1: {"novel": ["cow"]}}, "settings": settings}},
        }
    )
    (top / "notes").write_text("dear diary")
    return copy


@pytest.mark.slow
def test_a_study_in_odd_folders_runs_and_touches_nothing_else(odd):
    top = odd.folder.parent
    before = listing(top)
    environment = {"HOME": str(top), "PLACE": str(top)}
    targets = [f"{top}/notes backup's/{name}" for name in ("spine.md", "intervals/spine.md", "per_class/spine.md")]
    done = odd.snakemake("--cores", "2", "--show-failed-logs", *targets, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (top / "notes").read_text() == "dear diary"
    made = {Path(name).parts[0] for name in listing(top).keys() - before.keys()} - {ODD}
    assert made <= {"notes backup's", "my data (ü)", ".cache", ".config"}
    assert all(listing(top)[name] == value for name, value in before.items())
    assert (top / "my data (ü)/mine/index.json").is_file()
    assert "SimFormer" in Path(targets[0]).read_text()


def test_started_elsewhere_the_configuration_is_still_found(pipeline, tmp_path):
    for target in ("results/demo/figures/fig3.pdf", "results/demo/table1.md"):
        place = ["-s", str(pipeline.folder / "workflow/Snakefile"), "--directory", str(tmp_path / "else where")]
        study = str(pipeline.folder / "config/demo.yaml")
        done = pipeline.snakemake(*place, "--dry-run", target, study=study)
        assert done.returncode == 0, done.stdout + done.stderr
        outputs = re.findall(r"^    output: (.*)$", done.stdout, re.M)
        assert any(target in line.split(", ") for line in outputs), "a path of the folder, not of the workflow"


def test_make_works_in_an_oddly_named_folder(tmp_path):
    folder = tmp_path / ODD.replace("$", "")
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "envs").mkdir()
    shutil.copy(ROOT / "envs/constraints.txt", folder / "envs")
    done = subprocess.run(["make", "-n", "demo"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "-m venv .venv" in done.stdout
