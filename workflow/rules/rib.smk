# RIB: maps of each training image summed along a fine-tuning of the classifier on it.


rule rib:
    """RIB's maps of a shard of the training images; files of maps are undeclared, none is made twice."""
    input:
        network=maps_file("network.safetensors", "classifier"),
        labels=image_label_file(),
    output:
        maps=maps_file("cam/{shard}.json"),
        facts=maps_file("cam/{shard}.facts.json"),
    log:
        log_file("rib/{dataset}.{response}.seed{seed}.{shard}"),
    benchmark:
        maps_file("cam/{shard}.benchmark.tsv")
    wildcard_constraints:
        response="|".join(responses_of("rib")),
    priority: MAPS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=1440,
        gpu=1,
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("rib"),
        cam=baseline_settings("cam"),
        data=dataset_folder,
    shell:
        "simformer rib --network {input.network:q} --data {params.data:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --cam {params.cam:q} --shard {wildcards.shard} --threads {threads}"
        " --output {output.maps:q} --facts {output.facts:q} > {log:q} 2>&1"


rule check_rib:
    """RIB's properties, measured on training images with their true masks; only on request."""
    input:
        network=maps_file("network.safetensors", "classifier"),
        maps=maps_file("cam/maps.json", "rib"),
        plain=maps_file("cam/maps.json", "classifier"),
        labels=image_label_file(),
        truth=full_labels,
        masked=split_file("masked/labels.json"),
    output:
        split_file("checks/rib.seed{seed}.json"),
    log:
        log_file("check_rib/{dataset}.{split}.seed{seed}"),
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=720,
        gpu=1,
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("rib", "rib"),
        cam=baseline_settings("cam", "rib"),
        amount=baseline_settings("rib_checks", "rib"),
        data=dataset_folder,
    shell:
        "simformer check_rib --network {input.network:q} --maps {input.maps:q} --plain {input.plain:q}"
        " --data {params.data:q} --labels {input.labels:q} --truth {input.truth:q} --masked {input.masked:q}"
        " --settings {params.settings:q} --cam {params.cam:q} --amount {params.amount:q} --threads {threads}"
        " --output {output:q} > {log:q} 2>&1"
