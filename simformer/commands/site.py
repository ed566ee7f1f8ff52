"""Subcommands of the gallery site: a static page of test images, predictions and similarity maps."""

from __future__ import annotations

import argparse

from simformer.commands.options import DATA, INDEX, OUTPUT, PREDICTING, STUDIED, command, parsed, path, planned

# Heavy imports (torch) stay inside the commands, so that `--help` and data stages start fast.


def site_images(args: argparse.Namespace) -> None:
    """Write the photographs and true label maps of a dataset.

    Small copies of the photographs are written too.
    """
    from simformer.analysis.site.images import write_images

    write_images(args.data, args.index, args.output)


def site_predictions(args: argparse.Namespace) -> None:
    """Write predictions, IoU and similarity maps of one model."""
    from simformer.analysis.site.predictions import write_predictions
    from simformer.build import load_model
    from simformer.config.settings import InferenceSettings

    settings = parsed(InferenceSettings, args.inference, "--inference")
    model = load_model(args.model, args.device, args.run_hash)
    write_predictions(model, args.data, args.index, settings, args.device, args.output)


def site(args: argparse.Namespace) -> None:
    """Write the site's page and its list of contents."""
    from simformer.analysis.site.join import write_site
    from simformer.study import figure_runs

    content = planned(args, figure_runs.site)
    write_site(content["title"], content["views"], args.output)


def site_screenshots(args: argparse.Namespace) -> None:
    """Take pictures of the site with Chromium."""
    from simformer.analysis.site.screenshots import take_screenshots

    take_screenshots(args.page, args.output)


def report_screenshots(args: argparse.Namespace) -> None:
    """Take pictures of Snakemake's report with Chromium."""
    from simformer.analysis.pages.report_pictures import report_screenshots as run

    run(args.report, args.output)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    command(commands, site_images, DATA, INDEX, OUTPUT)
    command(commands, site_predictions, INDEX, *PREDICTING)
    command(commands, site, *STUDIED, OUTPUT)
    command(
        commands,
        report_screenshots,
        path("report", "zip of snakemake --report"),
        path("output", "folder of the pictures"),
    )
    command(
        commands, site_screenshots, path("page", "index.html of the site"), path("output", "folder of the pictures")
    )
