"""Subcommands of a study: its plan, its tables and their page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from simformer.commands.options import (
    EXPERIMENT,
    OUTPUT,
    RUNNING,
    STUDIED,
    STUDY,
    TARGETS,
    command,
    in_workflow,
    path,
    planned,
    some_path,
)
from simformer.errors import UserError, from_here
from simformer.text.to_make import DEFAULT, made_by, results_of, to_make

KEPT = Path("docs/results")
"""Folder of the results that git keeps, from which a page is made."""

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def plan(args: argparse.Namespace) -> None:
    """Show what a study trains, what is done, and what the rest costs.

    The exit status is 1 if there is a problem.
    """
    import shutil
    import sys

    from simformer.study.catalogue import Catalogue
    from simformer.study.plan import make_plan
    from simformer.study.targets import targeted

    with in_workflow(args):
        catalogue = Catalogue.read(args.study)
        names = targeted(catalogue, args.targets)
        found = make_plan(catalogue, names)
    print(found.text(gpu_here=shutil.which("nvidia-smi") is not None))
    if found.problems:
        sys.exit(1)


def table(args: argparse.Namespace) -> None:
    """Write a table as csv, Markdown and LaTeX."""
    from simformer.analysis.tables.tables import write_table

    write_table(_of_table(args), args.output, study=args.study)


def intervals(args: argparse.Namespace) -> None:
    """Compare rows of a table, with confidence intervals.

    There is one interval over images and one over seeds.
    """
    from simformer.analysis.tables.intervals import write_intervals

    write_intervals(_of_table(args), args.output)


def partial_table(args: argparse.Namespace) -> None:
    """Write a table from the runs that are there so far.

    The other runs are shown as missing.
    """
    from simformer.analysis.tables.tables import write_table

    write_table(_of_table(args), args.output, partial=True)


def t_test(args: argparse.Namespace) -> None:
    """Compare rows of a table over seeds, by Welch's test (Table 7)."""
    from simformer.analysis.tables.t_test import write_t_tests

    write_t_tests(_of_table(args), args.output)


def per_class(args: argparse.Namespace) -> None:
    """Write the IoU of every class for every method of a table."""
    from simformer.analysis.tables.per_class import write_per_class

    write_per_class(_of_table(args), args.output)


def label_quality(args: argparse.Namespace) -> None:
    """Score the labels that the re-trained methods of a table use.

    Beside each score is what the re-training made of the labels.
    """
    from simformer.claims.label_quality import write_label_quality

    write_label_quality(_of_table(args), args.output)


def diagnostics(args: argparse.Namespace) -> None:
    """Explain why the trainings of a table fail on novel classes.

    Three causes are measured: masks that overlap, pixels that another class takes, labels that crops lose.
    """
    from simformer.claims.diagnostics import write_diagnostics

    write_diagnostics(_of_table(args), args.device, args.output)


def _of_table(args: argparse.Namespace) -> dict[str, Any]:
    """Return what a command of a table works on: `simformer.study.table_runs` has a function of the same name."""
    from simformer.study import table_runs

    found: dict[str, Any] = planned(args, getattr(table_runs, args.run.__name__), args.experiment)
    return found


def keep(args: argparse.Namespace) -> None:
    """Copy a study's tables and pictures to the folder that git keeps.

    docs/results.md is made from that folder.
    """
    from simformer.analysis.pages.kept import keep_results
    from simformer.machine.terminal import counted
    from simformer.study.catalogue import Catalogue

    with in_workflow(args):
        study = Catalogue.read(args.study).study
        changed = keep_results(args.study, Path(study.results), args.output, study.experiments[0])
        shown = args.output.resolve() == KEPT.resolve()
    page = f"; now: {to_make(KEPT.with_suffix('.md'))}" if shown else f"; {KEPT}.md shows those in {KEPT} alone"
    print("\n".join([*map(str, changed), f"{counted(len(changed), 'file')} kept{page}"]))


def results_page(args: argparse.Namespace) -> None:
    """Write the page of the tables that the repository keeps."""
    from simformer.analysis.pages.results_page import write_results_page

    write_results_page(args.studies, args.results, args.output)


def table_pages(args: argparse.Namespace) -> None:
    """Turn Markdown tables into pages of Snakemake's report."""
    from simformer.analysis.pages.kept import ABOUT_TABLES
    from simformer.analysis.pages.table_page import write_table_page

    for table in args.tables:
        folder = f"{table.parent.name}_" if table.parent.name in ABOUT_TABLES else ""
        write_table_page(table, args.output / f"{folder}{table.stem}.html")


def show(args: argparse.Namespace) -> None:
    """Print finished tables."""
    for file in args.tables:
        try:
            print(_table_file(file).read_text(encoding="utf-8"))
        except FileNotFoundError:
            wanted = _table_file(file)
            raise UserError(f"{wanted}: no such table; {made_by(wanted)}{from_here(wanted)}") from None
        except IsADirectoryError:
            tables = [path for path in sorted(file.glob("*.md")) if path.name != "README.md"]
            hint = f"name a table in it, e.g. {tables[0]}" if tables else "name a table; there is none in this folder"
            raise UserError(f"{file}: a folder; {hint}") from None


def _table_file(named: Path) -> Path:
    """Return the file of a table; a bare name, such as table1, is a table of the default study."""
    if named.name != str(named) or named.suffix or named.exists():
        return named
    return Path(results_of(DEFAULT) or "results", f"{named}.md")


def sweeps(args: argparse.Namespace) -> None:
    """Draw the figure of an experiment that sweeps settings."""
    from simformer.analysis.figures.sweeps import draw_sweeps
    from simformer.study import table_runs

    draw_sweeps(args.table, planned(args, table_runs.sweep, args.experiment), args.output)


def schema(args: argparse.Namespace) -> None:
    """Write the schema of study files and two pages of reference.

    The pages are that of all keys and that of the baselines.
    """
    from simformer.analysis.pages.methods_page import methods_page
    from simformer.study.reference import settings_page, study_schema

    texts = {args.schema: study_schema(), args.page: settings_page(), args.methods: methods_page(args.config)}
    for file, text in texts.items():  # none is written if one cannot be made
        file.write_text(text, encoding="utf-8")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    command(commands, plan, TARGETS, STUDY)
    for run in (table, partial_table, intervals, t_test, per_class, label_quality):
        command(commands, run, *STUDIED, EXPERIMENT, OUTPUT)
    command(commands, diagnostics, *STUDIED, EXPERIMENT, *RUNNING)
    kept = path("output", "folder of all results that git keeps", required=False, default=KEPT)
    command(commands, keep, STUDY, kept)
    command(
        commands,
        results_page,
        path("studies", "study files whose tables are shown", nargs="+"),
        path("results", "folder of all results that git keeps"),
        OUTPUT,
    )
    command(
        commands,
        table_pages,
        path("tables", "Markdown tables to turn into pages", nargs="+"),
        path("output", "folder of the pages"),
    )
    command(
        commands, show, ("tables", {"type": some_path, "nargs": "+", "help": "Markdown tables, e.g. results/table1.md"})
    )
    command(commands, sweeps, *STUDIED, EXPERIMENT, path("table", "csv of the experiment"), OUTPUT)
    command(
        commands,
        schema,
        path("schema", "JSON schema of study files to write"),
        path("page", "Markdown page of all keys to write"),
        path("methods", "Markdown page of the baselines to write"),
        path("config", "folder of the configuration", required=False, default=Path("config")),
    )
