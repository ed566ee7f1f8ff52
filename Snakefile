# The paper as a table of contents: `snakemake -n` shows what a target needs, README.md how to start.
from snakemake.utils import min_version, validate

min_version("9.0")


include: "workflow/rules/default_study.smk"


if USES_DEFAULT:

    configfile: DEFAULT_STUDY


include: "workflow/rules/common.smk"
include: "workflow/rules/class_maps.smk"


report: "workflow/report/study.rst"


validate(config, "workflow/schemas/study.schema.json")


onerror:
    if was_interrupted(log):
        print("interrupted; the same command goes on", file=sys.stderr)


include: "workflow/rules/fetch.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/labels.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/responses.smk"
include: "workflow/rules/seam.smk"
include: "workflow/rules/rib.smk"
include: "workflow/rules/conta_rounds.smk"
include: "workflow/rules/conta.smk"
include: "workflow/rules/retab_controls.smk"
include: "workflow/rules/retab.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/experiments.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/gallery.smk"
include: "workflow/rules/checks.smk"
include: "workflow/rules/figure_choice.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/site_parts.smk"
include: "workflow/rules/site.smk"
include: "workflow/rules/report.smk"


rule all:
    """Every table and figure of the study, the audit page of its datasets, more about its first table, the site."""
    default_target: True
    input:
        collect(table_file("{name}.md"), name=STUDY.experiments),
        collect(dataset_file("audit.md"), dataset=STUDY.datasets),
        first_table_pages(),
        site_file("index.html"),
        rules.table_pages.output,
        rules.interval_pages.output if COMPARED else [],
        sweep_figures(),
        interval_files(),
        t_test_files(),
        figure_files(),
    localrule: True


rule fetch_all:
    """All that the study needs from outside, for machines without internet: run this first where there is some."""
    input:
        outside_files,
    localrule: True
