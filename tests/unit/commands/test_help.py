"""What `simformer --help` and the help of every command say."""

import argparse
import re
from collections import Counter
from pathlib import Path

import pytest

from simformer.cli import main, parsers
from simformer.commands.groups import GROUPS

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = parsers()
LISTED = 66
"""Characters of the line about a command in the list of all."""
UNITS = (
    "number of", "pixels", "in cells", "0 to 1", "seed of", "score",
)  # fmt: skip
"""One of these is in the help of an option that takes a number."""

PUT_TOGETHER = {
    "classifier", "affinity", "response_network", "segmentation", "conta", "retab_boundary", "retab_affinity",
    "check_seam", "check_cpn", "table", "partial_table", "intervals", "t_test", "per_class", "label_quality",
    "proposals", "similarity", "failures", "curves", "comparison", "sweeps",
}  # fmt: skip
"""Commands whose names no rule has in full: a wildcard or a parameter holds them."""


def options(command: str) -> list[argparse.Action]:
    return [action for action in COMMANDS[command]._actions if action.dest != "help"]


def shown(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main([*words, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out


def test_each_command_is_in_one_group():
    grouped = Counter(name for group in GROUPS for name in group.commands)
    assert grouped == Counter(list(COMMANDS))


def test_a_command_that_a_rule_names_is_in_the_group_of_its_file():
    of_rules = {group.rules: group.commands for group in GROUPS if group.rules}
    files = {file.stem: file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk")}
    assert of_rules.keys() == files.keys()
    called = {name: {file for file, text in files.items() if f"simformer {name} " in text} for name in COMMANDS}
    assert len([name for name in called if called[name]]) > 40, "the search finds what there is"
    for file, names in of_rules.items():
        strange = [name for name in names if file not in called[name] and name not in PUT_TOGETHER]
        assert not strange, f"{file}.smk calls none of {strange}"
    assert not [name for name in PUT_TOGETHER if called[name]]


def test_the_list_of_all_commands(capsys):
    text = shown(capsys)
    assert "Every day:\n" in text and "Tables (called by workflow/rules/tables.smk):\n" in text
    assert re.search(r"^  doctor +Check whether this machine is fit", text, re.M)
    listed = re.findall(r"^  (\w+) {2,}\S", text.partition("Every day:")[2], re.M)
    assert sorted(listed) == sorted(COMMANDS)
    wide = [line for line in text.splitlines() if len(line) > 80]
    assert not wide


@pytest.mark.parametrize("command", COMMANDS)
def test_the_first_line_about_a_command_is_a_short_sentence(command):
    line = COMMANDS[command].description.splitlines()[0]
    assert len(line) <= LISTED
    assert re.fullmatch(r"[A-Z].*[^.]\.", line), line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(command, capsys):
    text = shown(capsys, command)
    for action in options(command):
        assert action.help and len(action.help) > 8, action.dest
        takes_value = action.nargs != 0
        if takes_value and not action.required:
            assert re.search(r"default: \S", action.help), f"{action.dest}: what happens without it?"
        if getattr(action.type, "__qualname__", "").startswith(("count", "score", "_share")):
            assert any(unit in action.help for unit in UNITS), f"{action.dest}: a number of what?"
    assert "%(" not in text and "None" not in text


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_required_stands_apart(command, capsys):
    sections = dict(re.findall(r"^(required|optional):\n((?: .*\n)+)", shown(capsys, command), re.M))
    for action in options(command):
        section = sections["required" if action.required else "optional"]
        name = action.option_strings[0] if action.option_strings else action.metavar or action.dest
        if action.choices and not action.option_strings:
            name = "{" + ",".join(action.choices) + "}"
        assert re.search(rf"^  {re.escape(name)}\b" if name[-1] != "}" else rf"^  {re.escape(name)}", section, re.M)


def test_a_default_is_shown():
    assert "default: 100" in next(a.help for a in options("simnet_f1") if a.dest == "pairs")
    assert "default: config/config.yaml" in next(a.help for a in options("table") if a.dest == "study")
