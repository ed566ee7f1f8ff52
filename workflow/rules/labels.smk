# Splits, and every label set that a training may read.


rule split:
    """Resolve base and novel classes."""
    input:
        classes=data_file("classes.json"),
        pinned=pinned_split,
    output:
        split_file("split.yaml"),
    log:
        log_file("split/{dataset}.{split}"),
    localrule: True
    params:
        version=RECIPE_VERSION,
        spec=split_spec,
        root=subpath(input.classes, parent=True),
    shell:
        "simformer split --data {params.root:q} --spec {params.spec:q} --output {output:q} > {log:q} 2>&1"


rule mask_labels:
    """The weak-shot wall: hide novel pixels; in the 'full' split nothing is novel."""
    input:
        index=data_file("index.json"),
        split=split_file("split.yaml"),
    output:
        labels=split_file("masked/labels.json"),
        maps=directory(split_file("masked/labels")),
    log:
        log_file("mask_labels/{dataset}.{split}"),
    resources:
        **cpu_job(2000, 60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer mask_labels --data {params.data:q} --index {input.index:q} --split {input.split:q}"
        " --output {params.folder:q} > {log:q} 2>&1"


rule crop_labels:
    """Novel labels of each training crop, as in the released code. They refer to the label maps with all masks."""
    input:
        labels=full_labels,
        split=split_file("split.yaml"),
    output:
        split_file("crop/labels.json"),
    log:
        log_file("crop_labels/{dataset}.{split}"),
    localrule: True
    params:
        version=RECIPE_VERSION,
        folder=subpath(output[0], parent=True),
    shell:
        "simformer crop_labels --labels {input.labels:q} --split {input.split:q} --output {params.folder:q} > {log:q} 2>&1"


rule fill_labels:
    """Control: the not-base region of an image goes to one of its novel classes."""
    input:
        split_file("masked/labels.json"),
    output:
        labels=split_file("fill/labels.json"),
        maps=directory(split_file("fill/labels")),
    log:
        log_file("fill_labels/{dataset}.{split}"),
    resources:
        **cpu_job(2000, 60),
    params:
        version=RECIPE_VERSION,
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer fill_labels --labels {input:q} --output {params.folder:q} > {log:q} 2>&1"


rule pseudo_shard:
    """Mixed labels of a shard of the training images: base masks as given, novel pixels as a trained model predicts."""
    input:
        model=run_file("model.safetensors"),
        labels=split_file("masked/labels.json"),
    output:
        temp(directory(run_file("pseudo{mixing}/{shard}"))),
    log:
        log_file("pseudo_shard/{dataset}.{split}.{method}.seed{seed}.{shard}{mixing}"),
    benchmark:
        run_file("pseudo{mixing}/{shard}.benchmark.tsv")
    resources:
        **gpu_job(8000, growing(240)),
    params:
        version=RECIPE_VERSION,
        data=dataset_folder,
        inference=inference_settings,
        run=run_hash,
        choice=pseudo_rule,
    shell:
        "simformer pseudo_labels --model {input.model:q} --run-hash {params.run:q} --data {params.data:q} --labels {input.labels:q}"
        " --inference {params.inference:q} --threads {threads} --shard {wildcards.shard} {params.choice} --output {output:q} > {log:q} 2>&1"


rule pseudo_labels:
    """Mixed labels of all training images."""
    input:
        labels=split_file("masked/labels.json"),
        shards=train_shards(run_file("pseudo{mixing}/{shard}")),
    output:
        labels=run_file("pseudo{mixing}/labels.json"),
        maps=directory(run_file("pseudo{mixing}/labels")),
    log:
        log_file("pseudo_labels/{dataset}.{split}.{method}.seed{seed}{mixing}"),
    localrule: True
    params:
        version=RECIPE_VERSION,
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer join_labels --labels {input.labels:q} --shards {input.shards:q} --output {params.folder:q} > {log:q} 2>&1"
