# Tables from part of the runs, tests over seeds, every class by itself, and the labels behind re-trained methods.


rule partial_table:
    """A table from the runs that are there, the others shown as missing; asks for no run, so nothing is trained."""
    output:
        csv=table_file("partial/{experiment}.csv"),
        md=table_file("partial/{experiment}.md"),
        tex=table_file("partial/{experiment}.tex"),
    log:
        log_file("partial_table/{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        spec=partial_spec,
    shell:
        "simformer partial_table --spec {params.spec:q} --output {output.csv:q} > {log:q} 2>&1"


rule t_test:
    """Table 7: Welch's test over the seeds of two methods, split by split, with Holm's correction."""
    input:
        t_test_metrics,
    output:
        csv=table_file("t_test/{experiment}.csv"),
        md=table_file("t_test/{experiment}.md"),
        tex=table_file("t_test/{experiment}.tex"),
    log:
        log_file("t_test/{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        spec=t_test_spec,
    shell:
        "simformer t_test --spec {params.spec:q} --output {output.csv:q} > {log:q} 2>&1"


rule per_class:
    """IoU of every class for every method of a table, beside the class's share of the test pixels."""
    input:
        metrics=experiment_metrics,
        files=class_files,
    output:
        csv=table_file("per_class/{experiment}.csv"),
        md=table_file("per_class/{experiment}.md"),
    log:
        log_file("per_class/{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        spec=class_spec,
    shell:
        "simformer per_class --spec {params.spec:q} --output {output.csv:q} > {log:q} 2>&1"


rule label_quality:
    """How good the labels of re-trained methods are, beside what the re-training makes of them; scoring."""
    input:
        retrained_files,
    output:
        csv=table_file("label_quality/{experiment}.csv"),
        md=table_file("label_quality/{experiment}.md"),
    log:
        log_file("label_quality/{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        spec=retrained_spec,
    shell:
        "simformer label_quality --spec {params.spec:q} --output {output.csv:q} > {log:q} 2>&1"
