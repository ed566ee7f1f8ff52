"""The subcommand that prints what a shell needs to complete the others: their names, options and choices."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from simformer.commands.options import command

SHELLS = ("bash", "zsh")
FOR_ZSH = """\
(( $+functions[compdef] )) || { autoload -U +X compinit && compinit -i; }
autoload -U +X bashcompinit && bashcompinit
"""
"""Lets zsh read a completion of bash."""
SCRIPT = """\
_simformer() {
    local word="${COMP_WORDS[COMP_CWORD]}" words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="COMMANDS"
    else
        case "${COMP_WORDS[1]} ${COMP_WORDS[COMP_CWORD-1]} $word" in
            CASES
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _simformer simformer
"""
"""For bash. Where there is no word to offer, the shell offers files."""


def script(shell: str, commands: Mapping[str, argparse.ArgumentParser]) -> str:
    """Return the script that completes commands in a shell.

    Args:
        shell: one of SHELLS.
        commands: parser of each command.
    """
    cases = []
    for name, parser in commands.items():
        for action in parser._actions:
            for before in action.option_strings or [name]:
                if action.choices:
                    cases.append(f'"{name} {before} "*) words="{" ".join(action.choices)}" ;;')
        options = [option for action in parser._actions for option in action.option_strings]
        cases.append(f'"{name} "*" -"*) words="{" ".join(options)}" ;;')
    text = SCRIPT.replace("COMMANDS", " ".join(commands)).replace("CASES", f"\n{12 * ' '}".join(cases))
    return FOR_ZSH + text if shell == "zsh" else text


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this subcommand to the parser."""

    def completion(args: argparse.Namespace) -> None:
        """Print the script that completes commands in your shell.

        For bash, add this line to ~/.bashrc: eval "$(simformer completion bash)". For zsh, add the same with zsh to
        ~/.zshrc.
        """
        print(script(args.shell, commands.choices), end="")

    command(commands, completion, ("shell", {"choices": SHELLS, "help": "your shell"}))
