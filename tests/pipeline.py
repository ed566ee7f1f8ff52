"""A copy of the pipeline in which a test may edit configuration, and a tiny study to run in it."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]

DEMO = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
NOVEL_NAMES = tuple(DEMO["datasets"]["scenes"]["splits"][1]["novel"])
"""The demo's novel classes."""

TINY = {
    "results": "results/tiny",
    "seeds": [0],
    "experiments": ["spine", "modules"],
    "datasets": {
        "scenes": {
            "splits": {1: {"novel": list(NOVEL_NAMES)}},
            "source": {"size": 48, "train": 24, "test": 8},
            "inference": {"short_edge": 48},
            "settings": {
                "model": {"queries": 8, "dim": 32, "feedforward_dim": 32, "decoder_layers": 1, "simnet_dim": 16},
                "similarity": {"points": 8},
                "augment": {"crop": 48, "short_edges": [48]},
                "optim": {"steps": 3},
            },
        }
    },
}

PAIR = ["simformer_pr_pi", "simformer"]
MODULES = {"title": "What the complementary loss brings", "methods": PAIR, "compare": [PAIR[::-1]]}
"""A second table, which shares a method with the first."""


class Pipeline:
    """A working copy of the repository with `config/tiny.yaml`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("Snakefile", "workflow", "config", "simformer"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        for name in ("slurm", "profiles"):
            (folder / name).symlink_to((ROOT / name).readlink())
        (folder / "config/experiments/modules.yaml").write_text(yaml.safe_dump(MODULES))
        self.study(TINY)
        self._files = {path: path.read_text() for path in self._editable()}

    def restore(self) -> None:
        """Undo every edit of configuration and library."""
        for path in self._editable():
            if path not in self._files:
                path.unlink()
        for path, text in self._files.items():
            if path.read_text() != text:
                path.write_text(text)

    def study(self, content: dict) -> None:
        """Write the study."""
        (self.folder / "config/tiny.yaml").write_text(yaml.safe_dump(content))

    def _editable(self) -> list[Path]:
        folders = (self.folder / "config", self.folder / "simformer")
        return [path for folder in folders for path in folder.rglob("*") if path.suffix in (".yaml", ".py")]

    def snakemake(
        self, *arguments: str, study: str = "config/tiny.yaml", **environment: str
    ) -> subprocess.CompletedProcess:
        """Run snakemake in the copy; the library of the copy is the one in use."""
        return self.typed("--configfile", study, *arguments, **environment)

    def typed(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Run snakemake in the copy with these words alone."""
        return subprocess.run(**self._call(arguments, environment), capture_output=True, text=True)

    def start(
        self, *arguments: str, log: Path, study: str = "config/tiny.yaml", **environment: str
    ) -> subprocess.Popen:
        """Start snakemake as a process group of its own, as a terminal does; what it prints goes to `log`."""
        with log.open("a") as stream:
            call = self._call(["--configfile", study, *arguments], environment)
            return subprocess.Popen(**call, stdout=stream, stderr=stream, start_new_session=True)

    def shell(self, line: str) -> subprocess.CompletedProcess:
        """Run a line of a shell in the copy."""
        return subprocess.run(**self._call([], {}) | {"args": line}, shell=True, capture_output=True, text=True)

    def _call(self, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        env = os.environ | {"PATH": path, "PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1"} | environment
        return {"args": [sys.executable, "-m", "snakemake", *arguments], "cwd": self.folder, "env": env}

    def weights(self) -> dict[str, str]:
        """Hash of every trained network, by run."""
        files = sorted((self.folder / "results").rglob("model.safetensors"))
        return {str(f.relative_to(self.folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    def planned(self, *targets: str) -> set[tuple[str, str]]:
        """Return (rule, wildcards) of every job that a dry-run plans; fails if it does not succeed."""
        done = self.snakemake("--dry-run", *targets)
        assert done.returncode == 0, done.stdout + done.stderr
        blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", done.stdout + done.stderr, flags=re.M)
        jobs = {(rule, (re.findall(r"wildcards: (.*)", block) or [""])[0]) for rule, block in blocks}
        return jobs - {("all", "")}
