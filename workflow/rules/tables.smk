# Tables of the paper, made from the numbers of their runs, and statistics of the same runs.


rule table:
    """One table: mean and deviation over seeds, with the paper's numbers where it has them."""
    input:
        runs=inputs_of(table_runs.table, "experiment"),
    output:
        csv=table_file("{experiment}.csv"),
        md=table_file("{experiment}.md"),
        tex=table_file("{experiment}.tex"),
    log:
        log_file("table/{experiment}"),
    localrule: True
    params:
        study=study_options,
        expect=hash_of(table_runs.table, "experiment"),
        command=untracked("table"),
        more=options("table"),
        first=lambda wildcards, output: output[0],
    shell:
        "simformer {params.command} {params.study} --experiment {wildcards.experiment} --expect {params.expect:q} {params.more}"
        " --output {params.first:q} > {log:q} 2>&1"


use rule table as statistics with:
    """More about a table: its comparisons with intervals; every class; the labels behind re-trained methods."""
    input:
        runs=inputs_of(statistics, "about", "experiment"),
    output:
        csv=table_file("{about}/{experiment}.csv"),
        md=table_file("{about}/{experiment}.md"),
    log:
        log_file("{about}/{experiment}"),
    wildcard_constraints:
        about="intervals|per_class|label_quality",
    localrule: True
    params:
        expect=hash_of(statistics, "about", "experiment"),
        command=untracked("{about}"),


rule diagnostics:
    """Why trainings fail on novel classes: overlapping masks, pixels taken, labels lost by crops; only on request."""
    input:
        runs=inputs_of(table_runs.diagnostics, "experiment"),
    output:
        csv=table_file("diagnostics/{experiment}.csv"),
        md=table_file("diagnostics/{experiment}.md"),
        png=table_file("diagnostics/{experiment}.png"),
    log:
        log_file("diagnostics/{experiment}"),
    resources:
        **gpu_job(8000, growing(240)),
    params:
        study=study_options,
        expect=hash_of(table_runs.diagnostics, "experiment"),
    shell:
        "simformer diagnostics {params.study} --experiment {wildcards.experiment} --expect {params.expect:q}"
        " --threads {threads} --output {output.csv:q} > {log:q} 2>&1"


rule results_page:
    """A page with the tables that git keeps; a test compares the page with them."""
    input:
        studies=kept_studies(),
        files=kept_results(),
    output:
        "docs/results.md",
    log:
        log_file("results_page"),
    localrule: True
    params:
        kept=lambda wildcards: KEPT_RESULTS,
    shell:
        "simformer results_page --studies {input.studies:q} --results {params.kept:q} --output {output:q} > {log:q} 2>&1"


use rule table as partial_table with:
    """A table from the runs that exist; the others are shown as missing. It asks for no run, so nothing is trained."""
    input:
        [],
    output:
        csv=table_file("partial/{experiment}.csv"),
        md=table_file("partial/{experiment}.md"),
        tex=table_file("partial/{experiment}.tex"),
    log:
        log_file("partial_table/{experiment}"),
    localrule: True
    params:
        expect=hash_of(table_runs.partial_table, "experiment"),
        finished=finished,
        command=untracked("partial_table"),


use rule table as t_test with:
    """Table 7: Welch's test over the seeds of two methods, split by split, with Holm's correction."""
    input:
        runs=inputs_of(table_runs.t_test, "experiment"),
    output:
        csv=table_file("t_test/{experiment}.csv"),
        md=table_file("t_test/{experiment}.md"),
        tex=table_file("t_test/{experiment}.tex"),
    log:
        log_file("t_test/{experiment}"),
    localrule: True
    params:
        expect=hash_of(table_runs.t_test, "experiment"),
        command=untracked("t_test"),
