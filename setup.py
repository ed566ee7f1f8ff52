"""Copies the workflow and its configuration into the wheel, from where `simformer init` takes them."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("Snakefile", "workflow", "config", "pyproject.toml", "envs/constraints.txt")


class BuildWithWorkflow(build_py):
    """Builds the modules and copies the rest of the pipeline; an editable installation uses the checkout itself."""

    def run(self) -> None:
        """Build."""
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, "simformer", "checkout")
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier build
        for name in SHIPPED:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if Path(name).is_dir():
                shutil.copytree(name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(name, folder / name)


setup(cmdclass={"build_py": BuildWithWorkflow})
