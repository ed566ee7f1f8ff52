# From a source to an audited dataset in the prepared layout.


rule prepare:
    """Generate or import a dataset: images, label maps, class names, train and test lists."""
    output:
        classes=data_file("classes.json"),
        train=data_file("train.txt"),
        test=data_file("test.txt"),
        images=directory(data_file("images")),
        labels=directory(data_file("labels")),
    log:
        log_file("prepare/{dataset}"),
    conda:
        "../../envs/simformer.yaml"
    threads: 8
    resources:
        mem_mb=8000,
        runtime=60,
    params:
        version=RECIPE_VERSION,
        source=source_settings,
        root=subpath(output[0], parent=True),
    shell:
        "simformer prepare --source {params.source:q} --output {params.root:q} --workers {threads} > {log} 2>&1"


rule audit:
    """Decode and check every image and label before anything is trained; write the index."""
    input:
        classes=data_file("classes.json"),
        train=data_file("train.txt"),
        test=data_file("test.txt"),
        images=data_file("images"),
        labels=data_file("labels"),
    output:
        index=data_file("index.json"),
        report=data_file("audit.json"),
    log:
        log_file("audit/{dataset}"),
    conda:
        "../../envs/simformer.yaml"
    threads: 8
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        version=RECIPE_VERSION,
        root=subpath(output[0], parent=True),
    shell:
        "simformer audit --data {params.root:q} --index {output.index:q} --report {output.report:q}"
        " --workers {threads} > {log} 2>&1"
