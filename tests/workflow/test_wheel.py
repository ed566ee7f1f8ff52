"""The wheel, installed outside the repository, is the whole pipeline: `simformer init` and a plan of the demo."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import yaml

from simformer import __version__
from tests.pipeline import NOVEL_NAMES

ROOT = Path(__file__).resolve().parents[2]
BUILT_FROM = ("Snakefile", "workflow", "config", "simformer", "envs", "pyproject.toml", "setup.py", "MANIFEST.in")
PAPERS = ("README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A folder outside the repository, in an environment whose `simformer` is the one of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    source, environment, study = folder / "source", folder / "environment", folder / "study"
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SNAKEMAKE_PROFILE")}
    variables = kept | {"PATH": os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])}

    def run(*words: str) -> str:
        call = subprocess.run(words, cwd=study, env=variables, capture_output=True, text=True)
        assert call.returncode == 0, call.stdout + call.stderr
        return call.stdout + call.stderr

    source.mkdir()
    study.mkdir()
    for name in (*BUILT_FROM, *PAPERS):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--no-isolation", str(source))  # the wheel from the source distribution
    (wheel,) = (source / "dist").glob("*.whl")
    shutil.copy(wheel, folder)
    shutil.rmtree(source)
    venv.create(environment, with_pip=False)
    python = str(environment / "bin/python")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", str(folder / wheel.name))
    (packages,) = environment.glob("lib/python3*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))  # torch and the others are not copied
    run("simformer", "init")
    run.python, run.folder, run.packages = python, study, packages
    return run


def test_the_package_is_the_one_of_the_wheel(elsewhere):
    found = elsewhere(elsewhere.python, "-c", "import simformer; print(simformer.__file__)")
    assert Path(found.strip()) == elsewhere.packages / "simformer/__init__.py"
    assert elsewhere("simformer", "--version").strip() == __version__


def test_the_demo_is_planned_with_the_wheel_alone(elsewhere):
    plan = elsewhere(elsewhere.python, "-m", "snakemake", "--dry-run", "--configfile", "config/demo_quick.yaml")
    for rule in ("prepare", "mask_labels", "train", "pseudo_shard", "evaluate", "table"):
        assert f"rule {rule}:" in plan, plan
    for name in BUILT_FROM:  # not the folder itself: the environment of the tests may lie in it
        assert str(ROOT / name) not in plan


def test_a_stage_runs_with_the_wheel_alone(elsewhere):
    words = ("--configfile", "config/demo_quick.yaml", "--cores", "1", "results/demo/scenes/split1/split.yaml")
    elsewhere(elsewhere.python, "-m", "snakemake", *words)
    split = yaml.safe_load((elsewhere.folder / "results/demo/scenes/split1/split.yaml").read_text())
    assert set(split["novel"].values()) == set(NOVEL_NAMES)


def test_the_profiles_are_there(elsewhere):
    words = (
        "--dry-run",
        "--profile",
        "workflow/profiles/demo",
        "--configfile",
        "config/demo_quick.yaml",
        "--cores",
        "2",
    )
    assert "rule table:" in elsewhere(elsewhere.python, "-m", "snakemake", *words)


def test_what_the_doctor_says_of_packages_can_be_typed(elsewhere):
    """Its pins are those of the wheel, since there is no checkout whose `envs` it could name."""
    code = "from simformer.config.paths import pip_install; print(pip_install('onnx'))"
    command = elsewhere(elsewhere.python, "-c", code).strip()
    pins = elsewhere.packages / "simformer/checkout/envs/constraints.txt"
    assert command == f"pip install -c {pins} 'simformer[onnx]'" and pins.is_file()
