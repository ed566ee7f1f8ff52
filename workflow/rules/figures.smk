# Figures: pictures of test images, training curves, methods side by side, and sweeps of settings.


ruleorder: figure > sweeps


rule figure:
    """Fig. 3, 4, 5, 7, 8, 9: test images and what models predict for them; the figure's kind says what is drawn."""
    input:
        models=models_of(figure_runs.figure_cells, "figure"),
        index=figure_file(data_file("index.json")),
        split=figure_file(split_file("split.yaml")),
    output:
        pdf=table_file("figures/{figure}.pdf"),
        png=picture(table_file("figures/{figure}.png"), "figure", "Figures", figure="{figure}"),
    log:
        log_file("figure/{figure}"),
    wildcard_constraints:
        figure="|".join(FIGURES) or "none",
    resources:
        **gpu_job(8000, growing(60)),
    params:
        kind=lookup("{figure}", within=FIGURES),
        data=subpath(input.index, parent=True),
        inference=lambda wildcards: inference_of(figure_of(wildcards).dataset),
        study=study_options,
        expect=hash_of(figure_runs.figure, "figure"),
    shell:
        "simformer {params.kind:q} {params.study} --figure {wildcards.figure} --expect {params.expect:q}"
        " --model {input.models:q} --data {params.data:q} --index {input.index:q} --split {input.split:q}"
        " --inference {params.inference:q} --threads {threads} --output {output.pdf:q} > {log:q} 2>&1"


rule gallery:
    """Six test images: image, truth, base/novel map, and the prediction of every method of an experiment."""
    input:
        models=models_of(figure_runs.gallery_cells, "experiment", "dataset", "split"),
        index=data_file("index.json"),
        split=split_file("split.yaml"),
    output:
        png=picture(split_file("gallery.{experiment}.png"), "gallery", "Pictures", **TABLE_OF_SPLIT),
        pdf=split_file("gallery.{experiment}.pdf"),
    log:
        log_file("gallery/{dataset}.{split}.{experiment}"),
    resources:
        **gpu_job(8000, growing(60)),
    params:
        data=subpath(input.index, parent=True),
        inference=inference_settings,
        study=study_options,
        expect=hash_of(figure_runs.gallery, "experiment", "dataset", "split"),
    shell:
        "simformer qualitative {params.study} --experiment {wildcards.experiment}"
        " --on {wildcards.dataset}/{wildcards.split} --expect {params.expect:q} --model {input.models:q}"
        " --data {params.data:q} --index {input.index:q} --split {input.split:q} --inference {params.inference:q}"
        " --threads {threads} --output {output.pdf:q} > {log:q} 2>&1"


use rule table as sweeps with:
    """Fig. 6: mean IoU over the value of every swept setting."""
    input:
        table=table_file("{experiment}.csv"),
    output:
        pdf=table_file("figures/{experiment}.pdf"),
        png=picture(table_file("figures/{experiment}.png"), "sweeps", "Figures", figure="{experiment}"),
    log:
        log_file("sweeps/{experiment}"),
    localrule: True
    params:
        expect=hash_of(table_runs.sweep, "experiment"),
        command=untracked("sweeps"),


use rule table as comparison with:
    """The methods of a table side by side, with deviations over seeds, or intervals over images for one seed."""
    input:
        table=table_file("{experiment}.csv"),
        runs=inputs_of(table_runs.comparison, "experiment"),
    output:
        pdf=table_file("figures/comparison.{experiment}.pdf"),
        png=picture(
            table_file("figures/comparison.{experiment}.png"),
            "comparison",
            "Figures",
            figure="comparison of {experiment}",
        ),
    log:
        log_file("comparison/{experiment}"),
    localrule: True
    params:
        expect=hash_of(table_runs.comparison, "experiment"),
        command=untracked("comparison"),


use rule table as curves with:
    """Training curves of the runs of an experiment in one split."""
    input:
        runs=inputs_of(table_runs.curves, "experiment", "dataset", "split"),
    output:
        pdf=split_file("curves.{experiment}.pdf"),
        png=picture(split_file("curves.{experiment}.png"), "curves", "Training", **TABLE_OF_SPLIT),
    log:
        log_file("curves/{dataset}.{split}.{experiment}"),
    localrule: True
    params:
        expect=hash_of(table_runs.curves, "experiment", "dataset", "split"),
        command=untracked("curves"),
        more=untracked("--on {dataset}/{split}"),
