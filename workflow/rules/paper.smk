# Tables of the paper, from the metrics of every run that they need.


rule table:
    """One table: mean and deviation over seeds, measured beside reported."""
    input:
        experiment_metrics,
    output:
        csv=table_file("{experiment}.csv"),
        md=table_file("{experiment}.md"),
        tex=table_file("{experiment}.tex"),
    log:
        log_file("table/{experiment}"),
    wildcard_constraints:
        experiment=EXPERIMENT,
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        spec=table_spec,
    shell:
        "simformer table --spec {params.spec:q} --output {output.csv:q} > {log:q} 2>&1"


rule intervals:
    """Differences between rows of a table, with confidence intervals over images and over seeds."""
    input:
        evaluations=compared_evaluations,
        splits=compared_splits,
    output:
        csv=table_file("intervals/{experiment}.csv"),
        md=table_file("intervals/{experiment}.md"),
    log:
        log_file("intervals/{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        spec=interval_spec,
    shell:
        "simformer intervals --spec {params.spec:q} --output {output.csv:q} > {log:q} 2>&1"


rule results_page:
    """The tables that are kept in git as a page; a test compares it with them."""
    input:
        studies=kept_studies(),
        files=kept_results(),
    output:
        "docs/results.md",
    log:
        log_file("results_page"),
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        kept=lambda wildcards: KEPT_RESULTS,
    shell:
        "simformer results_page --studies {input.studies:q} --results {params.kept:q} --output {output:q} > {log:q} 2>&1"


rule sweeps:
    """Fig. 6: mean IoU over the value of every swept setting."""
    input:
        table_file("{experiment}.csv"),
    output:
        pdf=table_file("figures/{experiment}.pdf"),
        png=report(
            table_file("figures/{experiment}.png"),
            caption="../report/sweeps.rst",
            category="Figures",
            labels={"figure": "{experiment}"},
        ),
    log:
        log_file("sweeps/{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        spec=sweep_spec,
    shell:
        "simformer sweeps --table {input:q} --spec {params.spec:q} --output {output.pdf:q} > {log:q} 2>&1"
