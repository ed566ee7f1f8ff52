"""Command line: one subcommand per pipeline stage (simformer/commands/). Parse, call, exit code; no logic."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Sequence
from functools import cache

from simformer import __version__
from simformer.errors import AlreadyTold, Interrupted, UserError, first_line
from simformer.machine.stop_signal import Stop, Stops, ignore_stops, stops_raise

# Everything else is imported where it is used: a signal that comes earlier than `main` finds nobody who tells of it.


@cache
def _parser() -> argparse.ArgumentParser:
    from simformer.commands import (
        baselines,
        checks,
        completion,
        conta,
        data,
        figures,
        formats,
        init,
        predict,
        results,
        retab,
        rib,
        runs,
        seam,
        site,
        watch,
    )
    from simformer.commands.groups import listing
    from simformer.commands.parser import Parser

    parser = Parser(
        prog="simformer",
        usage="simformer COMMAND [options]",
        description="Weak-shot semantic segmentation.\n`simformer COMMAND --help` explains a command and its options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", prog="simformer", help=argparse.SUPPRESS)
    modules = (
        init, data, formats, runs, baselines, seam, conta, rib, retab, checks, figures, results, site, watch, predict,
        completion,
    )  # fmt: skip
    for module in modules:
        module.add(commands)
    parser.epilog = listing({name: str(one.description) for name, one in commands.choices.items()})
    return parser


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of every command by its name, for pages of documentation and tests."""
    (commands,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(commands.choices)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status: 0 done, 1 user error, 130 ended by Ctrl-C, 143 by SIGTERM."""
    with stops_raise(until_exit=arguments is None) as stops:
        try:
            return stops.call(lambda: _run(list(sys.argv[1:] if arguments is None else arguments), stops))
        except KeyboardInterrupt:
            ignore_stops()
            print(stops.text, file=sys.stderr)
            return 128 + (stops.number or signal.SIGINT)


def _run(given: list[str], stops: Stops) -> int:
    try:
        _call(given, stops)
    except BrokenPipeError:  # the reader has seen enough, as in `simformer plan | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes when it ends
    except UserError as error:
        from simformer.text.visible import visible_lines

        print(f"error: {visible_lines(str(error))}", file=sys.stderr)
        return 1
    except Interrupted as error:
        ignore_stops()
        print(f"interrupted: {error}", file=sys.stderr)
        return error.status
    except AlreadyTold as error:
        return error.status
    except Exception as error:
        return _known_failure(error)
    return 0


def _call(given: list[str], stops: Stops) -> None:
    """Parse and call; what fails because a signal came amid it (the import of a library) is the signal's end."""
    try:
        from simformer.commands.options import read_inputs, refuse_overwriting
        from simformer.machine.memory import keep_freed_memory

        args = _parser().parse_args(given, argparse.Namespace(arguments=given))
        keep_freed_memory()
        refuse_overwriting(args)
        read_inputs(args)
        args.run(args)
        sys.stdout.flush()
    except Exception:
        if stops.number:
            raise Stop(stops.number) from None
        raise


def _known_failure(error: Exception) -> int:
    """Explain failures that a user can act on; anything else is a bug and keeps its traceback."""
    from pydantic import ValidationError

    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError) or "allocate memory" in str(error):
        told = (
            f"out of memory ({first_line(error)}). Set optim.groups_per_forward: 1 (training), lower "
            "inference.batch_images (evaluation) in the dataset's file, or type --batch 1 (predict); the results stay "
            "comparable"
        )
    elif isinstance(error, (ValidationError, UnicodeDecodeError)):
        told = f"a file that was read is damaged, or of another kind: {' '.join(str(error).split())}"
    elif isinstance(error, RecursionError):
        told = "a file that was read has too many brackets within brackets"
    elif isinstance(error, OSError):
        full = "; free some disk space and run the same command again, what was saved before is intact"
        where, hint = f"{error.filename}: " if error.filename else "", full if error.errno == errno.ENOSPC else ""
        told = f"{where}{error.strerror or error}{hint}"
    else:
        raise error
    print(f"error: {told}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
