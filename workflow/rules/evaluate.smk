# Predictions of the test images against their true labels.


ruleorder: score > evaluate


rule evaluate:
    """Pixel counts of one trained model on a shard of the test images; every split uses them."""
    input:
        model=run_file("model.safetensors"),
        index=data_file("index.json"),
    output:
        run_file("evaluation/{shard}.npz"),
    log:
        log_file("evaluate/{dataset}.{split}.{method}.seed{seed}.{shard}"),
    benchmark:
        run_file("evaluation/{shard}.benchmark.tsv")
    resources:
        **gpu_job(8000, growing(120)),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        inference=inference_settings,
        run=run_hash,
    shell:
        "simformer evaluate --model {input.model:q} --run-hash {params.run:q} --data {params.data:q} --index {input.index:q}"
        " --inference {params.inference:q} --threads {threads} --shard {wildcards.shard} --output {output:q} > {log:q} 2>&1"


rule score:
    """The same counts from another program's predictions, of methods with `labels: none`."""
    input:
        predictions=asked(scored_folder, *CELL, "shard"),
        index=data_file("index.json"),
    output:
        run_file("evaluation/{shard}.npz"),
    log:
        log_file("score/{dataset}.{split}.{method}.seed{seed}.{shard}"),
    benchmark:
        run_file("evaluation/{shard}.benchmark.tsv")
    wildcard_constraints:
        method="|".join(SCORED) or "none/",
    resources:
        **cpu_job(2000, 60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        run=run_hash,
        predictions=asked(lambda runs, *found: runs.predictions(found), *CELL),
    shell:
        "simformer score --predictions {params.predictions:q} --data {params.data:q} --index {input.index:q}"
        " --run-hash {params.run:q} --shard {wildcards.shard} --evaluation {output:q} > {log:q} 2>&1"


rule metrics:
    """Novel, base and all mean IoU of one model in one split."""
    input:
        evaluation=asked(lambda runs, *found: runs.evaluated(found)["evaluation"], *CELL),
        split=split_file("split.yaml"),
    output:
        run_file("metrics.json"),
    log:
        log_file("metrics/{dataset}.{split}.{method}.seed{seed}"),
    localrule: True
    params:
        version=RECIPE_VERSION,
        run=run_hash,
    shell:
        "simformer metrics --evaluation {input.evaluation:q} --run-hash {params.run:q} --split {input.split:q}"
        " --output {output:q} > {log:q} 2>&1"


rule simnet_f1:
    """F1 of SimNet on base and novel pixel pairs of training images; reads their true labels (Table 3)."""
    input:
        model=run_file("model.safetensors"),
        weak=split_file("masked/labels.json"),
        true=full_labels,
    output:
        run_file("simnet_f1.json"),
    log:
        log_file("simnet_f1/{dataset}.{split}.{method}.seed{seed}"),
    benchmark:
        run_file("simnet_f1.benchmark.tsv")
    resources:
        **gpu_job(8000, growing(30)),
    params:
        version=RECIPE_VERSION,
        data=dataset_folder,
        run=run_hash,
    shell:
        "simformer simnet_f1 --model {input.model:q} --run-hash {params.run:q} --data {params.data:q}"
        " --weak {input.weak:q} --true {input.true:q} --threads {threads} --output {output:q} > {log:q} 2>&1"
