"""The page of all commands, made from the parsers of the command line."""

from __future__ import annotations

import argparse

from simformer.cli import _parser

HEAD = """# Commands

Every stage of the pipeline is a command, and Snakemake calls the same commands. `simformer COMMAND --help` prints what
stands here. [Running studies](running.md) shows the commands of everyday work by purpose.
"""


def commands_page() -> str:
    """Return the page: a part per command, with its options."""
    parts = [HEAD]
    for name, (about, parser) in _commands(_parser()).items():
        parts += [f"## {name}\n", f"{_plain(about)}\n", *_options(parser), ""]
    return "\n".join(parts)


def _commands(parser: argparse.ArgumentParser) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    (group,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    about = {choice.dest: choice.help or "" for choice in group._choices_actions}
    return {name: (about.get(name, ""), found) for name, found in group.choices.items()}


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
    for sign in "\\`*_{}[]<>#|$":
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return " ".join(text.split())
