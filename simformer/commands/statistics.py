"""Subcommands of the statistics: tables from part of the runs, tests over seeds, every class by itself."""

from __future__ import annotations

import argparse

from simformer.commands.options import EXPERIMENT, OUTPUT, STUDIED, command, planned


def partial_table(args: argparse.Namespace) -> None:
    """Write one table from the runs that are there, the others shown as missing."""
    from simformer.analysis.tables.tables import write_table
    from simformer.study import table_runs

    write_table(planned(args, table_runs.partial_table, args.experiment), args.output, partial=True)


def t_test(args: argparse.Namespace) -> None:
    """Compare rows of a table over seeds with Welch's test (Table 7)."""
    from simformer.analysis.tables.t_test import write_t_tests
    from simformer.study import table_runs

    write_t_tests(planned(args, table_runs.t_test, args.experiment), args.output)


def per_class(args: argparse.Namespace) -> None:
    """Write the IoU of every class for every method of a table."""
    from simformer.analysis.tables.per_class import write_per_class
    from simformer.study import table_runs

    write_per_class(planned(args, table_runs.per_class, args.experiment), args.output)


def label_quality(args: argparse.Namespace) -> None:
    """Score the labels behind the re-trained methods of a table, beside what the re-training made of them."""
    from simformer.claims.label_quality import write_label_quality
    from simformer.study import table_runs

    write_label_quality(planned(args, table_runs.label_quality, args.experiment), args.output)


def add(commands: argparse._SubParsersAction) -> None:
    """Add these subcommands to the parser."""
    for run in (partial_table, t_test, per_class, label_quality):
        command(commands, run, *STUDIED, EXPERIMENT, OUTPUT)
