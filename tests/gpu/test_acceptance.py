"""The acceptance of a GPU, on a machine without one: its program at tiny size, and what it does when parts break."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from tests.gpu import acceptance, needs, report
from tests.gpu.acceptance import Part, main
from tests.gpu.page import write_page
from tests.pipeline import ROOT

NEEDED = (
    "torch", "torchvision", "numpy", "scipy", "cv2", "PIL", "yaml", "safetensors", "tqdm", "pydantic",
    # and what these need
    "pydantic_core", "annotated_types", "typing_inspection", "typing_extensions", "sympy", "mpmath", "networkx",
    "jinja2", "markupsafe", "filelock", "fsspec", "packaging", "setuptools", "_distutils_hack", "pkg_resources",
    "functorch", "torchgen",
)  # fmt: skip
HERE = "tests.gpu.test_acceptance"
JSON, PAGE = "cpu.json", "cpu.md"


def good(context, report):
    report.number("a number", 2.0, "ms")
    report.check("a check", 1.0, "", at_most=2.0)
    report.missing("a measure", "there is no card")
    report.target("a wish", 1.0, "of 1", at_most=0.05)


def broken(context, report):
    report.number("a number before it breaks", 3.0, "ms")
    report.attempt("a measurement that breaks", lambda: 1 / 0)
    report.number("a number after it", 4.0, "ms")
    raise RuntimeError("the part breaks")


def failing(context, report):
    report.check("a bound", 3.0, "relative", at_most=1.0)
    report.check("not a number", float("nan"), "relative", at_most=1.0)
    report.holds("a fact", False, "as a note says")


def hanging(context, report):
    report.number("a number before it hangs", 5.0, "ms")
    subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LEFT_BEHIND})"])
    time.sleep(60)


def dying(context, report):
    report.number("a number before it dies", 6.0, "ms")
    os._exit(3)


LEFT_BEHIND = 4321.5
PARTS = tuple(Part(run.__name__[0], f"The {run.__name__} part", f"{HERE}:{run.__name__}", 1) for run in (
    broken, failing, hanging, dying, good
))  # fmt: skip


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """What a run with all those parts has left: exit status, JSON, and page."""
    folder = tmp_path_factory.mktemp("acceptance")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acceptance, "PARTS", PARTS)
        patch.setattr(acceptance, "GRACE", 0.3)
        status = main(["--output", str(folder), "--size", "tiny", "--device", "cpu", "--minutes", "0.05"])
    return status, json.loads((folder / JSON).read_text()), (folder / PAGE).read_text()


def test_a_part_that_breaks_is_named_and_stops_no_other(ended):
    status, result, page = ended
    assert status == 1 and result["passed"] is False
    found = {part["title"]: part["status"] for part in result["parts"].values()}
    assert found == {
        "The broken part": "failed",
        "The failing part": "finished",
        "The hanging part": "out of time",
        "The dying part": "failed",
        "The good part": "finished",
    }
    told = "\n".join(acceptance.failures(result))
    for text in (
        "The broken part: failed: RuntimeError: the part breaks",
        "a measurement that breaks: ZeroDivisionError",
        "a bound: 3 relative, at most 1",
        "not a number",
        "a fact: as a note says",
        "The hanging part: out of time",
        "The dying part: failed: its process ended with status 3",
    ):
        assert text in told
    assert "good" not in told and "a wish" not in told
    assert "**some checks failed**" in page and "1 / 0" in page and "not reached" in page
    assert "time.sleep(60)" in page or "in hanging" in page, "where it hung"
    assert str(ROOT) not in json.dumps(result) + page, "no path of this machine"


def test_parts_that_end_early_leave_what_they_had(ended):
    _, result, page = ended
    names = [row["name"] for part in result["parts"].values() for row in part["rows"]]
    for name in ("before it breaks", "after it", "before it hangs", "before it dies"):
        assert f"a number {name}" in names and f"a number {name}" in page


def test_nothing_that_a_part_started_is_left(ended):
    deadline = time.monotonic() + 10  # another worker of this test run may be in the middle of the same part
    while time.monotonic() < deadline and _left_behind():
        time.sleep(0.1)
    assert not _left_behind()


def _left_behind():
    """Commands of the process that the hanging part starts."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes())
    return [command for command in found if str(LEFT_BEHIND).encode() in command]


def test_the_page_can_be_made_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(acceptance, "PARTS", PARTS[-1:])
    call = ["--output", str(tmp_path)]
    assert main([*call, "--size", "tiny", "--device", "cpu"]) == 0
    page = (tmp_path / PAGE).read_text()
    assert "all checks passed" in page
    (tmp_path / PAGE).unlink()
    assert main([*call, "--page-only"]) == 0 and (tmp_path / PAGE).read_text() == page
    (tmp_path / JSON).unlink()
    capsys.readouterr()
    assert main([*call, "--page-only"]) == 1
    assert "error: " in (told := capsys.readouterr().err) and "without --page-only" in told and told.count("\n") == 1
    (tmp_path / JSON).write_text("{}")
    assert main([*call, "--page-only"]) == 1 and f"error: {tmp_path / JSON}: not what" in capsys.readouterr().err


def test_a_device_that_is_not_there_and_wrong_options(tmp_path, capsys):
    assert main(["--output", str(tmp_path), "--device", "cuda:7"]) == 1
    assert "error: --device cuda:7" in (told := capsys.readouterr().err) and "Traceback" not in told
    if not torch.cuda.is_available():
        assert main(["--output", str(tmp_path)]) == 1
        assert "error: no GPU is visible to PyTorch here; type --size tiny" in capsys.readouterr().err
    for wrong in (["--only", "a,x"], ["--size", "huge"], ["--minutes", "many"]):
        with pytest.raises(SystemExit) as ended:
            main(["--output", str(tmp_path), *wrong])
        assert ended.value.code == 2


def test_a_missing_package_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(needs.NEEDS, "no_such_module", "no-such-package")
    with pytest.raises(SystemExit, match=r"error: this Python \(.*\) lacks no-such-package; type `.* -m pip install"):
        needs.require()


def test_paths_of_the_machine_are_taken_out():
    text = f'File "{ROOT}/tests/gpu/speed.py" and "{sys.prefix}/lib/x.py"'
    assert report.tidy(text) == 'File "tests/gpu/speed.py" and "<python>/lib/x.py"'


def test_every_part_is_there():
    assert [part.letter for part in acceptance.PARTS] == list("abcdef")
    for part in acceptance.PARTS:
        module, _, function = part.run.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.slow
def test_the_whole_program_with_nothing_but_what_it_needs(tmp_path):
    """In an environment without Snakemake, pandas, matplotlib, transformers ..., as on a machine without internet."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    (site,) = (tmp_path / "env/lib").glob("python*/site-packages")
    for folder in (Path(entry) for entry in sys.path if entry.endswith("site-packages")):
        found = [folder / name for package in NEEDED for name in (package, f"{package}.py")]
        for path in [path for path in found if path.exists()] + list(folder.glob("*.libs")):
            (site / path.name).symlink_to(path)
    call = ["-m", "tests.gpu.acceptance", "--output", tmp_path / "out", "--size", "tiny", "--device", "cpu"]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [tmp_path / "env/bin/python", *call], cwd=ROOT, env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    result = json.loads((tmp_path / "out" / JSON).read_text())
    assert done.returncode == 0, acceptance.failures(result) or done.stderr[-2000:]
    assert result["passed"] is True and result["gpu"] is None
    assert result["machine"]["libraries"]["pandas"] is None, "the environment holds more than is needed"
    rows = {row["name"]: row for part in result["parts"].values() for row in part["rows"]}
    assert rows["a killed training gives the same network, bit for bit (fp32)"]["passed"]
    assert rows["Hugging Face's MaskFormer"]["note"] == "the package transformers is not installed here"
    steps = result["parts"]["c"]["steps"]
    assert {"simformer", "maskformer", "evaluation", "pseudo-labels", "SEAM", "RIB tuning"} <= {
        s["work"] for s in steps
    }
    assert all(step["seconds"] > 0 and step["kernels"] is None and step["why"] for step in steps)
    assert set(result["speed"]["tiny"]["simformer"]) == {"seconds", "images", "mode"}
    assert (tmp_path / "out" / PAGE).read_text() == write_page(result)


@pytest.mark.slow
def test_a_part_is_stopped_with_the_program(tmp_path):
    """Ctrl-C of the program leaves no part behind, though parts do not belong to its terminal."""
    code = f"""
from tests.gpu import acceptance
acceptance.PARTS = (acceptance.Part("h", "It hangs", "{HERE}:hanging", 1),)
acceptance.main(["--output", {str(tmp_path)!r}, "--size", "tiny", "--device", "cpu"])
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "before it hangs" in line:
            break
    process.send_signal(signal.SIGINT)
    process.wait(30)
    process.stderr.close()
    test_nothing_that_a_part_started_is_left(None)
