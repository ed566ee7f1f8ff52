"""Every command that README and docs/ print runs as printed: with `-n` for snakemake, up to the parser for ours."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from simformer.cli import _parser, main
from simformer.study.first_look import write_first_look
from tests.docs.markdown import PAGES, blocks
from tests.pipeline import ROOT, Pipeline

SHELLS = ("bash", "console", "sh")
PROGRAMS = ("make", "simformer", "snakemake")
WRITTEN = re.compile("my|farm|theirs")
"""Names of files that the pages tell the user to write."""
COMMAND = re.compile(rf"(?:^ {{4,}}|`)((?:[A-Z]\w*=\S+ )*(?:{'|'.join(PROGRAMS)}) (?:[^`\\\n]|\\\n|\\.)*)", re.M)


def commands() -> list[str]:
    """Every command that is printed, without comments behind it, and without the output of a program."""
    found = {}
    for page in PAGES:
        fenced = "".join(re.sub("^", "    ", block.text, flags=re.M) for block in blocks(page) if block.kind in SHELLS)
        for text in COMMAND.findall(page.read_text() + fenced):
            text = re.split(r"\s{2,}(?=#|\w)| +##>", text.replace("\\\n", " "))[0].strip().removesuffix(":")
            found.setdefault(re.sub(r"\s+", " ", text), page.name)
    return list(found)


def of(program: str) -> list[str]:
    return [text for text in commands() if program in text.split()[:2]]


def test_the_commands_are_found():
    assert len(of("snakemake")) > 25 and len(of("simformer")) > 15 and len(of("make")) > 4
    assert "make demo" in commands() and "simformer plan results/table1.csv" in commands()


@pytest.mark.parametrize("text", of("simformer"))
def test_a_command_of_ours_has_these_options(text, capsys):
    words = shlex.split(re.sub(r" \.\.\.", "", text))[1:]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    usage = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(word.split("=")[0] in usage for word in words if word.startswith("--")), usage


@pytest.mark.parametrize("text", [text for text in of("simformer") if " --" in text and "..." not in text])
def test_a_command_of_ours_can_be_parsed(text, capsys):
    """All of it: no option that is needed is missing, and every value is one that its option takes."""
    words = shlex.split(text)[1:]
    if "--help" not in words:
        assert _parser().parse_args(words).run


@pytest.mark.parametrize("text", of("make"))
def test_a_target_of_make_is_there(text):
    done = subprocess.run(["make", "-n", *text.split()[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", of("snakemake"))
def test_a_target_is_not_taken_for_a_study(text):
    words = shlex.split(text)
    if "--configfile" in words:
        last = words[words.index("--configfile") + 1 :]
        assert not [word for word in last[1:2] if not word.startswith("-")], f"'{text}': the target counts as a study"


@pytest.fixture(scope="module")
def documented(tmp_path_factory) -> Pipeline:
    """A working copy with what the pages tell the user to write, and the report that one of them is about."""
    copy = Pipeline(tmp_path_factory.mktemp("documented"))
    shutil.copytree(ROOT / "docs", copy.folder / "docs")
    page = (ROOT / "docs/custom_data.md").read_text()
    for file in ("config/datasets/mydata.yaml", "config/mystudy.yaml"):
        block = re.search(rf"`{re.escape(file)}`.*?\n\n((?:       .*\n)+)", page)
        content = "\n".join(line[7:] for line in block[1].splitlines())
        assert isinstance(yaml.safe_load(content), dict)
        (copy.folder / file).write_text(content)
    for block in blocks(ROOT / "docs/new_method.md")[:3]:  # a method, a table and a study
        (copy.folder / block.file).write_text(block.text)
    write_first_look(copy.folder / "config/farm.yaml", copy.folder / "farm", {"novel": ["cow", "sheep"]}, True)
    report = copy.folder / "results/demo/report.zip"
    report.parent.mkdir(parents=True)
    report.touch()
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("text", of("snakemake"))
def test_a_call_of_snakemake_plans_what_it_says(documented, text):
    study = re.search(r"--report", text)
    if study:
        pytest.skip("a report needs finished results; tests/site makes one")
    if "<" in text:
        pytest.skip("a pattern, not a command")
    *variables, _ = re.match(r"((?:\w+=\S+ )*)snakemake", text)[1].split(" ")
    environment = dict(variable.split("=", 1) for variable in variables if variable)
    words = shlex.split(text.split("snakemake ", 1)[1])
    done = documented.typed(*words, *([] if "--unlock" in words else ["--dry-run"]), **environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pages_name_files_that_exist():
    names = {
        name
        for page in PAGES
        for name in re.findall(r"`((?:config|docs|workflow|simformer|tests)/[\w./-]+\.\w+)`", page.read_text())
    } - {block.file for page in PAGES for block in blocks(page)}
    absent = sorted(name for name in names if not (ROOT / name).exists() and not WRITTEN.search(Path(name).stem))
    assert not absent


def test_a_module_that_the_pages_name_without_its_folder_exists():
    """A bare name, or the end of a path: `tuning.py`, `cpn/losses.py`."""
    rooms = [ROOT / room for room in ("simformer", "tests", "docs")]
    modules = [f"/{path.relative_to(ROOT)}" for room in rooms for path in room.rglob("*.py")]
    absent = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"`([\w./-]+\.py)`", page.read_text())
        if not any(module.endswith(f"/{name}") for module in modules) and name not in {b.file for b in blocks(page)}
    }
    assert not absent
