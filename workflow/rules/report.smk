# Pages for `snakemake --report results/<study>/report.zip` (docs/gallery.md); captions are in workflow/report/.


rule table_pages:
    """The study's tables as pages, and its comparisons of rows."""
    input:
        collect(table_file("{name}.md"), name=STUDY.experiments),
        collect(table_file("intervals/{name}.md"), name=COMPARED),
    output:
        [
            picture(table_file(f"pages/{name}.html"), table_caption(name), "Tables", table=name)
            for name in STUDY.experiments
        ],
        [
            picture(table_file(f"pages/intervals_{name}.html"), "intervals", "Comparisons", table=name)
            for name in COMPARED
        ],
    log:
        log_file("table_pages"),
    localrule: True
    params:
        version=RECIPE_VERSION,
        folder=subpath(output[0], parent=True),
    shell:
        "simformer table_pages --tables {input:q} --output {params.folder:q} > {log:q} 2>&1"


rule report_screenshots:
    """Pictures of the report for pages and talks; the report itself is made by `snakemake --report`."""
    input:
        written_report,
    output:
        collect(table_file("report/{name}.png"), name=["tables", "figures"]),
    log:
        log_file("report_screenshots"),
    localrule: True
    params:
        version=RECIPE_VERSION,
        folder=subpath(output[0], parent=True),
    shell:
        "simformer report_screenshots --report {input:q} --output {params.folder:q} > {log:q} 2>&1"
