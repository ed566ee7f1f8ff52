# Weakly supervised baselines: class maps from image-level labels, once per dataset and seed, and mixed labels per split.


rule image_labels:
    """A label set with only image-level labels; every network of a baseline is trained from it."""
    input:
        data_file("index.json"),
    output:
        image_label_file,
    log:
        log_file("image_labels/{dataset}"),
    localrule: True
    params:
        version=RECIPE_VERSION,
        folder=subpath(output[0], parent=True),
    shell:
        "simformer image_labels --index {input:q} --output {params.folder:q} > {log:q} 2>&1"


rule classifier:
    """Multi-label classifier, the source of plain class activation maps; an interrupted training continues."""
    input:
        labels=image_label_file,
        weights=baseline_weights,
    output:
        **network_files(maps_file, response="classifier"),
    log:
        log_file("classifier/{dataset}.seed{seed}"),
    benchmark:
        maps_file("train.benchmark.tsv", "classifier")
    priority: MAPS_FIRST
    resources:
        **gpu_job(16000, 720),
    params:
        **network_params("classifier", "classifier"),
    shell:
        "simformer {params.command} --spec {params.spec:q} --data {params.data:q} --labels {input.labels:q}"
        " {params.files} --state {params.folder:q}/state --network {output.network:q} --log {output.log:q}"
        " --facts {output.facts:q} --threads {threads} --workers $(({threads} > 2 ? {threads} - 1 : 0)) > {log:q} 2>&1"


rule cam:
    """Class activation maps of a shard of the training images. Their files are undeclared, and none is made twice."""
    input:
        network=maps_file("network.safetensors"),
        labels=image_label_file,
    output:
        maps_file("cam/{shard}.json"),
    log:
        log_file("cam/{dataset}.{response}.seed{seed}.{shard}"),
    benchmark:
        maps_file("cam/{shard}.benchmark.tsv")
    wildcard_constraints:
        response="|".join(responses_of("classifier", "stride8")),
    priority: MAPS_FIRST
    resources:
        **gpu_job(16000, 720),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("cam"),
        data=dataset_folder,
    shell:
        "simformer cam --network {input.network:q} --data {params.data:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --shard {wildcards.shard} --threads {threads}"
        " --output {output:q} > {log:q} 2>&1"


rule gather_maps:
    """Joins all shards of some maps, which must be complete and made with equal settings."""
    input:
        shards=train_shards(maps_file("{stage}/{shard}.json")),
        labels=image_label_file,
    output:
        maps_file("{stage}/maps.json"),
    log:
        log_file("gather_maps/{dataset}.{response}.{stage}.seed{seed}"),
    wildcard_constraints:
        stage="|".join(("cam", *WALKS, "predictions")),
    priority: MAPS_FIRST
    localrule: True
    params:
        version=RECIPE_VERSION,
    shell:
        "simformer gather_maps --shards {input.shards:q} --labels {input.labels:q} --output {output:q} > {log:q} 2>&1"


rule seeds:
    """Confident pixels of the maps; the dataset's settings, or a method's, say whether they are cleaned along edges."""
    input:
        maps=maps_file("cam/maps.json"),
        labels=image_label_file,
    output:
        labels=maps_file("seeds{cleaned}/labels.json"),
        maps=directory(maps_file("seeds{cleaned}/labels")),
    log:
        log_file("seeds/{dataset}.{response}{cleaned}.seed{seed}"),
    benchmark:
        maps_file("seeds{cleaned}/seeds.benchmark.tsv")
    priority: MAPS_FIRST
    resources:
        **cpu_job(4000, 1440),
    params:
        version=RECIPE_VERSION,
        settings=seed_settings,
        data=dataset_folder,
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer seeds --maps {input.maps:q} --data {params.data:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --output {params.folder:q} > {log:q} 2>&1"


use rule classifier as affinity with:
    """Affinity network (PSA) or boundary network (IRN), trained on seeds; an interrupted training continues."""
    input:
        labels=maps_file("seeds/labels.json"),
        weights=baseline_weights,
    output:
        **network_files(maps_file, "{expansion}/"),
    log:
        log_file("affinity/{dataset}.{response}.{expansion}.seed{seed}"),
    benchmark:
        maps_file("{expansion}/train.benchmark.tsv")
    params:
        **network_params("affinity", "{expansion}", "{response}"),


rule refine:
    """Random walk over a shard of the maps; files of maps are undeclared, none is made twice."""
    input:
        network=maps_file("{expansion}/network.safetensors"),
        maps=maps_file("cam/maps.json"),
        labels=image_label_file,
    output:
        maps_file("{expansion}/{shard}.json"),
    log:
        log_file("refine/{dataset}.{response}.{expansion}.seed{seed}.{shard}"),
    benchmark:
        maps_file("{expansion}/{shard}.benchmark.tsv")
    priority: MAPS_FIRST
    resources:
        **gpu_job(8000, 720),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("{expansion}_walk"),
        data=dataset_folder,
    shell:
        "simformer refine --network {input.network:q} --kind {wildcards.expansion} --maps {input.maps:q}"
        " --data {params.data:q} --labels {input.labels:q} --settings {params.settings:q}"
        " --shard {wildcards.shard} --threads {threads} --output {output:q} > {log:q} 2>&1"


rule mix:
    """Mixed labels: base masks as given, elsewhere the best present novel class of the maps."""
    input:
        maps=lambda wildcards: map_arms.mixed_maps(RUNS, cell(wildcards)),
        labels=split_file("masked/labels.json"),
    output:
        labels=run_file("mixed/labels.json"),
        maps=directory(run_file("mixed/labels")),
        facts=run_file("mixed/facts.json"),
    log:
        log_file("mix/{dataset}.{split}.{method}.seed{seed}"),
    benchmark:
        run_file("mixed/mixed.benchmark.tsv")
    priority: MAPS_FIRST
    resources:
        **cpu_job(4000, 240),
    params:
        version=RECIPE_VERSION,
        gamma=lambda wildcards: CATALOGUE.method(wildcards.method).maps.gamma,
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer mix --maps {input.maps:q} --labels {input.labels:q} --gamma {params.gamma:q}"
        " --output {params.folder:q} > {log:q} 2>&1"
