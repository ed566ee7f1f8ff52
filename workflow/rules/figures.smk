# Figures of the paper: pictures of test images, training curves, methods side by side. Fig. 6 is in paper.smk.


rule qualitative:
    """Fig. 3, 8, 9: test images, truth, base/novel map, and the predictions of some methods."""
    input:
        models=figure_models,
        index=figure_index,
        split=figure_split,
    output:
        pdf=table_file("figures/{figure}.pdf"),
        png=report(
            table_file("figures/{figure}.png"),
            caption="../report/qualitative.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        log_file("qualitative/{figure}"),
    wildcard_constraints:
        figure=figures_of("qualitative"),
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        inference=figure_inference,
        spec=figure_spec,
    shell:
        "simformer qualitative --model {input.models:q} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --inference {params.inference:q} --spec {params.spec:q} --threads {threads}"
        " --output {output.pdf:q} > {log:q} 2>&1"


rule proposals:
    """Fig. 4: the proposals of the highest novel scores, and whether the image holds their class."""
    input:
        models=figure_models,
        index=figure_index,
        split=figure_split,
    output:
        pdf=table_file("figures/{figure}.pdf"),
        png=report(
            table_file("figures/{figure}.png"),
            caption="../report/proposals.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        log_file("proposals/{figure}"),
    wildcard_constraints:
        figure=figures_of("proposals"),
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        inference=figure_inference,
        spec=figure_spec,
    shell:
        "simformer proposals --model {input.models:q} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --inference {params.inference:q} --spec {params.spec:q} --threads {threads}"
        " --output {output.pdf:q} > {log:q} 2>&1"


rule similarity:
    """Fig. 5: how similar SimNet finds the pixels of image pairs to a chosen one."""
    input:
        models=figure_models,
        index=figure_index,
        split=figure_split,
    output:
        pdf=table_file("figures/{figure}.pdf"),
        png=report(
            table_file("figures/{figure}.png"),
            caption="../report/similarity.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        log_file("similarity/{figure}"),
    wildcard_constraints:
        figure=figures_of("similarity"),
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        inference=figure_inference,
        spec=figure_spec,
    shell:
        "simformer similarity --model {input.models:q} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --inference {params.inference:q} --spec {params.spec:q} --threads {threads}"
        " --output {output.pdf:q} > {log:q} 2>&1"


rule failures:
    """Fig. 7: the worst failures of two kinds, found among the test images."""
    input:
        models=figure_models,
        index=figure_index,
        split=figure_split,
    output:
        pdf=table_file("figures/{figure}.pdf"),
        png=report(
            table_file("figures/{figure}.png"),
            caption="../report/failures.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        log_file("failures/{figure}"),
    wildcard_constraints:
        figure=figures_of("failures"),
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        inference=figure_inference,
        spec=figure_spec,
    shell:
        "simformer failures --model {input.models:q} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --inference {params.inference:q} --spec {params.spec:q} --threads {threads}"
        " --output {output.pdf:q} > {log:q} 2>&1"


rule curves:
    """Training curves of the runs of an experiment in one split."""
    input:
        curve_logs,
    output:
        pdf=split_file("curves.{experiment}.pdf"),
        png=report(
            split_file("curves.{experiment}.png"),
            caption="../report/curves.rst",
            category="Training",
            labels={"dataset": "{dataset}", "split": "{split}", "table": "{experiment}"},
        ),
    log:
        log_file("curves/{dataset}.{split}.{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        spec=lambda wildcards: sorted_json(curve_spec(wildcards)),
    shell:
        "simformer curves --spec {params.spec:q} --output {output.pdf:q} > {log:q} 2>&1"


rule comparison:
    """The methods of a table side by side, with deviations over seeds, or intervals over images for one seed."""
    input:
        table=table_file("{experiment}.csv"),
        files=lambda wildcards: class_files(wildcards) if has_iou(wildcards.experiment) else [],
    output:
        pdf=table_file("figures/comparison.{experiment}.pdf"),
        png=report(
            table_file("figures/comparison.{experiment}.png"),
            caption="../report/comparison.rst",
            category="Figures",
            labels={"figure": "comparison of {experiment}"},
        ),
    log:
        log_file("comparison/{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        spec=comparison_spec,
    shell:
        "simformer comparison --table {input.table:q} --spec {params.spec:q} --output {output.pdf:q} > {log:q} 2>&1"
