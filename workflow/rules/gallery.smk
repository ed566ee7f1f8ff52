# Pictures of predictions.


rule gallery:
    """Six test images: image, truth, base/novel map, and the prediction of every method of an experiment."""
    input:
        models=gallery_models,
        index=data_file("index.json"),
        split=split_file("split.yaml"),
    output:
        png=report(
            split_file("gallery.{experiment}.png"),
            caption="../report/gallery.rst",
            category="Pictures",
            labels={"dataset": "{dataset}", "split": "{split}", "table": "{experiment}"},
        ),
        pdf=split_file("gallery.{experiment}.pdf"),
    log:
        log_file("gallery/{dataset}.{split}.{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        data=subpath(input.index, parent=True),
        inference=inference_settings,
        spec=gallery_spec,
    shell:
        "simformer qualitative --model {input.models:q} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --inference {params.inference:q} --spec {params.spec:q} --threads {threads}"
        " --output {output.pdf:q} > {log:q} 2>&1"
