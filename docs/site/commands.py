"""The page of all commands, made from the parsers of the command line."""

from __future__ import annotations

import argparse

from simformer.cli import parsers
from simformer.commands.groups import GROUPS

HEAD = """# Commands

Every stage of the pipeline is a command, and Snakemake calls the same commands. `simformer COMMAND --help` prints what
stands here. [Running studies](running.md) shows the commands of everyday work by purpose.
"""


def commands_page() -> str:
    """Return the page: a part per group, and in it a part per command with its options."""
    found, parts = parsers(), [HEAD]
    for group in GROUPS:
        parts.append(f"## {_plain(group.heading)}\n")
        for name in group.commands:
            parts += [f"### {name}\n", f"{_plain(found[name].description or '')}\n", *_options(found[name]), ""]
    return "\n".join(parts)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    if not actions:
        return ["It has no options."]
    lines = ["| option | meaning |", "|---|---|"]
    formatter = parser._get_formatter()
    for action in actions:
        words = formatter._format_action_invocation(action)
        about = formatter._expand_help(action) if action.help else ""
        needed = " (required)" if action.required and action.option_strings else ""
        lines.append(f"| `{words}`{needed} | {_plain(about)} |")
    return lines


def _plain(text: str) -> str:
    """Escape what Markdown would read as markup."""
    escaped = {sign: f"\\{sign}" for sign in "\\*_{}[]#$|"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
    return " ".join(text.translate(str.maketrans(escaped)).split())
