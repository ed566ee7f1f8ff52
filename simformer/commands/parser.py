"""The parser of the command line: it tells a mistake in one line, with what to type, and exits with status 2."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NoReturn

from simformer.errors import did_you_mean

OPTION = re.compile(r"--?[A-Za-z][\w-]*")
"""What looks like the name of an option; a negative number and a text with blanks do not."""


class Parser(argparse.ArgumentParser):
    """A parser of a command, or of the whole command line; options are never shortened."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Print one line about a mistake, and exit."""
        from simformer.text.visible import visible  # here: a command line without a mistake starts without it

        told = visible(message.removeprefix("argument "), longest=None)
        told = told.replace("the following arguments are required:", "missing:")
        self.exit(2, f"error: {self.prog}: {told}{' Type' if told.endswith('?') else '; type'} `{self.prog} --help`\n")

    def parse_known_args(  # type: ignore[override]  # argparse's overloads for other namespaces, which we do not use
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse; a name that no option has is told before anything that is missing because of it."""
        self._refuse_unknown_options(args or ())
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            study = rest[0].endswith((".yaml", ".yml")) and "--study" in self._option_string_actions
            self.error(f"there is no place for '{rest[0]}'" + (f"; is it meant as --study {rest[0]}?" if study else ""))
        return found, rest

    def _refuse_unknown_options(self, args: Sequence[str]) -> None:
        known = [name for action in self._actions for name in action.option_strings]
        before_command = self._subparsers is not None
        for word in takewhile(lambda word: word != "--", args):
            if before_command and not word.startswith("-"):
                return  # what follows belongs to the command
            name = word.partition("=")[0]
            if OPTION.fullmatch(name) and name not in known:
                self.error(f"no such option '{name}'{did_you_mean(name, known)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        if isinstance(action, argparse._SubParsersAction):
            self.error(f"no such command '{value}'{did_you_mean(value, action.choices)}")
        near = did_you_mean(value, action.choices)
        raise argparse.ArgumentError(action, f"expected one of {', '.join(action.choices)}, found '{value}'{near}")
