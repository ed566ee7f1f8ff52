# One rule trains everything; methods differ in their resolved settings and in the label set they read.


rule backbone_weights:
    """Initial backbone weights: downloaded once on the machine with internet, or from a given file."""
    output:
        update(FILES.weights()),  # another clone of this repository may be reading it
    log:
        log_file("backbone_weights/{dataset}.{backbone}"),
    localrule: True
    params:
        source=weights_source,
    shell:
        "simformer weights --backbone {wildcards.backbone} --source {params.source:q} --output {output:q} > {log:q} 2>&1"


rule resolve_config:
    """The flat, complete, hashed settings of one training. Edits that do not concern it do not change this file."""
    output:
        run_file("config.yaml"),
    log:
        log_file("resolve_config/{dataset}.{split}.{method}.seed{seed}"),
    localrule: True
    params:
        settings=run_settings,
    shell:
        "simformer resolve --settings {params.settings:q} --output {output:q} > {log:q} 2>&1"


rule train:
    """Train one (dataset, split, method, seed); interrupted trainings continue from their state directory."""
    input:
        config=run_file("config.yaml"),
        labels=asked(lambda runs, *found: runs.labels(found), *CELL),
        weights=initial_weights,
    output:
        model=run_file("model.safetensors"),
        log=run_file("log.csv"),
        facts=run_file("train.json"),
    log:
        log_file("train/{dataset}.{split}.{method}.seed{seed}"),
    benchmark:
        run_file("train.benchmark.tsv")
    resources:
        **gpu_job(16000, 2880),
    params:
        data=dataset_folder,
        run=subpath(output.model, parent=True),
        weights=training_options,
    shell:
        "simformer train --config {input.config:q} --data {params.data:q} --labels {input.labels:q} {params.weights}"
        " --state {params.run:q}/state --model {output.model:q} --log {output.log:q} --facts {output.facts:q}"
        " --gpus {resources.gpu} --threads {threads} --workers $(({threads} > 2 ? {threads} - 1 : 0)) > {log:q} 2>&1"
