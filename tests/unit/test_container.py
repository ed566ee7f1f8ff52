"""The container recipe, where no builder is at hand: its form, and that what it copies is enough to install from."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "envs/Containerfile"
LINES = re.sub(r"^#.*\n", "", PATH.read_text(), flags=re.M).replace("\\\n", " ").splitlines()
STEPS = [(word, rest) for word, _, rest in (line.partition(" ") for line in LINES)]
HADOLINT = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
COPIES = [rest.split() for word, rest in STEPS if word == "COPY"]


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_the_recipe_is_well_formed():
    done = subprocess.run([HADOLINT, PATH], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_begins_with_a_tested_python():
    (image,) = [rest for word, rest in STEPS if word == "FROM"]
    tested = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert image in [f"python:{version}-slim" for version in tested]


def test_it_installs_with_the_lock_that_it_has_copied():
    (install,) = [rest for word, rest in STEPS if word == "RUN" and rest.startswith("pip install")]
    (lock,) = re.findall(r"-c (\S+)", install)
    assert lock in [name for names in COPIES for name in names] and (ROOT / lock).is_file()


@pytest.mark.slow
def test_what_it_copies_is_enough_to_install_from(tmp_path):
    context, installed = tmp_path / "context", tmp_path / "installed"
    for *sources, target in COPIES:
        for source in map(Path, sources):
            place = context / target / (source.name if target.endswith("/") else "")
            place.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, place)
    words = ["install", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(installed), str(context)]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("Snakefile", "workflow/Snakefile", "config/demo_quick.yaml", "envs/constraints.txt"):
        assert (installed / "simformer/checkout" / name).read_bytes() == (ROOT / name).read_bytes()
