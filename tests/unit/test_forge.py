"""The files of a public forge: of the right form, and calling the targets of the Makefile that .ci/run calls."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
STEPS = [
    (f"{path.stem}/{name}", step)
    for path in WORKFLOWS
    for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    for step in job["steps"]
]
RUN = [(where, step["run"]) for where, step in STEPS if "run" in step]
FORMS = {
    "vendor.github-workflows": WORKFLOWS,
    "custom.github-workflows-require-timeout": WORKFLOWS,
    "vendor.github-actions": [ROOT / ".github/actions/python/action.yml"],
    "vendor.github-issue-forms": [ROOT / ".github/ISSUE_TEMPLATE/bug.yml"],
    "vendor.github-issue-config": [ROOT / ".github/ISSUE_TEMPLATE/config.yml"],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}


def targets(text: str) -> set[str]:
    """The targets that lines of a shell ask `make` for."""
    calls = re.findall(r"^(?:time )?make (.*)$", text, re.M)
    return {word for call in calls for word in call.split() if "=" not in word}


@pytest.mark.parametrize(("schema", "files"), FORMS.items())
def test_the_form(schema, files):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert files and done.returncode == 0, done.stdout + done.stderr


def test_jobs_call_targets_that_there_are_and_ci_run():
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    called = targets("\n".join(text for _, text in RUN))
    assert called <= there
    for workflow in ("nightly", "release"):
        assert any(where.startswith(workflow) and ".ci/run" in text for where, text in RUN), workflow
    assert {"lint", "test", "docs", "coverage", "test-minimal", "audit", "dist"} <= called, (
        "what .ci/run has no time or no network for"
    )


@pytest.mark.parametrize(("where", "text"), RUN)
def test_what_a_job_types_is_bash_without_expressions(where, text):
    """An expression of the forge within a script would put a stranger's words into the shell."""
    assert "${{" not in text
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_python_that_the_project_promises_is_tested():
    classifiers = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    jobs = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text())["jobs"]
    matrix = jobs["test"]["strategy"]["matrix"]["include"]
    default = yaml.safe_load((ROOT / ".github/actions/python/action.yml").read_text())["inputs"]["version"]["default"]
    assert {row["python"] for row in matrix} | {default} == set(classifiers)
    assert {row["system"].partition("-")[0] for row in matrix} == {"ubuntu", "macos"}


def test_the_issue_form_asks_for_what_the_doctor_says():
    fields = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text())["body"]
    (doctor,) = [field for field in fields if "simformer doctor" in field["attributes"]["label"]]
    assert doctor["validations"]["required"]
