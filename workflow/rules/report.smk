# Pages for `snakemake --report results/<study>/report.zip` (docs/gallery.md); captions are in workflow/report/.
COMPARED = [name for name in STUDY.experiments if CATALOGUE.experiment(name).compare]
CAPTIONS = {
    name: f"../report/{name if Path(workflow.basedir, f'workflow/report/{name}.rst').exists() else 'own_table'}.rst"
    for name in STUDY.experiments
}


rule table_pages:
    """The study's tables as pages."""
    input:
        [table_file(f"{name}.md") for name in STUDY.experiments],
    output:
        [
            report(
                table_file(f"pages/{name}.html"),
                caption=CAPTIONS[name],
                category="Tables",
                labels={"table": name},
            )
            for name in STUDY.experiments
        ],
    log:
        log_file("table_pages"),
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        folder=subpath(output[0], parent=True),
    shell:
        "simformer table_pages --tables {input:q} --output {params.folder:q} > {log:q} 2>&1"


rule interval_pages:
    """The study's comparisons of rows as pages."""
    input:
        [table_file(f"intervals/{name}.md") for name in COMPARED],
    output:
        [
            report(
                table_file(f"pages/intervals_{name}.html"),
                caption="../report/intervals.rst",
                category="Comparisons",
                labels={"table": name},
            )
            for name in COMPARED
        ],
    log:
        log_file("interval_pages"),
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        folder=subpath(output[0], parent=True),
    shell:
        "simformer table_pages --tables {input:q} --prefix intervals_ --output {params.folder:q} > {log:q} 2>&1"


rule report_screenshots:
    """Pictures of the report for pages and talks; the report itself is made by `snakemake --report`."""
    input:
        written_report,
    output:
        collect(table_file("report/{name}.png"), name=["tables", "figures"]),
    log:
        log_file("report_screenshots"),
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        folder=subpath(output[0], parent=True),
    shell:
        "simformer report_screenshots --report {input:q} --output {params.folder:q} > {log:q} 2>&1"
