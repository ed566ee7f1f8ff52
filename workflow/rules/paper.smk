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
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        spec=table_spec,
    shell:
        "simformer table --spec {params.spec:q} --output {output.csv:q} > {log} 2>&1"
