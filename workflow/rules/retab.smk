# RETAB: its two networks learn from the base masks of a split, so there is one of each per split and seed.


wildcard_constraints:
    control="|".join(CONTROLS),


use rule classifier as retab_boundary with:
    """Boundary network, trained on the edges of base masks; an interrupted training continues."""
    input:
        labels=split_file("masked/labels.json"),
        weights=baseline_weights,
    output:
        **network_files(retab_file, "boundary/"),
    log:
        log_file("retab_boundary/{dataset}.{split}.seed{seed}"),
    benchmark:
        retab_file("boundary/train.benchmark.tsv")
    params:
        **network_params("retab_boundary", "retab_boundary"),


rule retab_boundary_maps:
    """Boundaries of a shard of the training images; files of maps are undeclared, none is made twice."""
    input:
        network=retab_file("boundary/network.safetensors"),
        labels=split_file("masked/labels.json"),
    output:
        retab_file("boundary/{shard}.json"),
    log:
        log_file("retab_boundary_maps/{dataset}.{split}.seed{seed}.{shard}"),
    benchmark:
        retab_file("boundary/{shard}.benchmark.tsv")
    priority: MAPS_FIRST
    resources:
        **gpu_job(8000, 720),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("cam", "classifier"),
        data=dataset_folder,
    shell:
        "simformer retab_boundary_maps --network {input.network:q} --data {params.data:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --shard {wildcards.shard} --threads {threads} --output {output:q} > {log:q} 2>&1"


use rule gather_maps as retab_gather with:
    input:
        shards=train_shards(retab_file("{part}/{shard}.json")),
        labels=split_file("masked/labels.json"),
    output:
        retab_file("{part}/maps.json"),
    log:
        log_file("retab_gather/{dataset}.{split}.{part}.seed{seed}"),
    wildcard_constraints:
        part=r"boundary|[a-z][a-z0-9_.]*/(walked|anchored)",
    localrule: True


rule retab_seeds:
    """Base masks joined with the seeds of novel classes away from boundaries."""
    input:
        seeds=maps_file("seeds{cleaned}/labels.json"),
        boundaries=retab_file("boundary/maps.json"),
        labels=split_file("masked/labels.json"),
    output:
        labels=retab_file("{response}{cleaned}/seeds/labels.json"),
        maps=directory(retab_file("{response}{cleaned}/seeds/labels")),
        facts=retab_file("{response}{cleaned}/seeds/facts.json"),
    log:
        log_file("retab_seeds/{dataset}.{split}.{response}{cleaned}.seed{seed}"),
    benchmark:
        retab_file("{response}{cleaned}/seeds/seeds.benchmark.tsv")
    priority: MAPS_FIRST
    resources:
        **cpu_job(4000, 240),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("retab_walk"),
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer retab_seeds --seeds {input.seeds:q} --boundaries {input.boundaries:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --output {params.folder:q} > {log:q} 2>&1"


use rule classifier as retab_affinity with:
    """Affinity network, trained on base masks and novel seeds; an interrupted training continues."""
    input:
        labels=retab_file("{response}{cleaned}/seeds/labels.json"),
        split=split_file("split.yaml"),
        weights=baseline_weights,
    output:
        **network_files(retab_file, "{response}{cleaned}/affinity/"),
    log:
        log_file("retab_affinity/{dataset}.{split}.{response}{cleaned}.seed{seed}"),
    benchmark:
        retab_file("{response}{cleaned}/affinity/train.benchmark.tsv")
    params:
        **network_params("retab_affinity", "retab_affinity", "{response}"),


rule retab_walk:
    """Walk in two stages over a shard of the maps; files of maps are undeclared, none is made twice."""
    input:
        network=retab_file("{response}{cleaned}/affinity/network.safetensors"),
        maps=maps_file("cam/maps.json"),
        boundaries=retab_file("boundary/maps.json"),
        labels=split_file("masked/labels.json"),
    output:
        retab_file("{response}{cleaned}/{walk}/{shard}.json"),
    log:
        log_file("retab_walk/{dataset}.{split}.{response}{cleaned}.{walk}.seed{seed}.{shard}"),
    benchmark:
        retab_file("{response}{cleaned}/{walk}/{shard}.benchmark.tsv")
    wildcard_constraints:
        walk="walked|anchored",
    priority: MAPS_FIRST
    resources:
        **gpu_job(8000, 720),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("retab_walk"),
        data=dataset_folder,
        anchored=lambda wildcards: "--anchored" if wildcards.walk == "anchored" else "",
    shell:
        "simformer retab_walk --network {input.network:q} --maps {input.maps:q} --boundaries {input.boundaries:q}"
        " --data {params.data:q} --labels {input.labels:q} --settings {params.settings:q} {params.anchored}"
        " --shard {wildcards.shard} --threads {threads} --output {output:q} > {log:q} 2>&1"


rule retab_control:
    """Masked labels of a control: base masks of other images, or fewer base classes."""
    input:
        split_file("masked/labels.json"),
    output:
        labels=control_file("labels.json"),
        maps=directory(control_file("labels")),
    log:
        log_file("retab_control/{dataset}.{split}.{control}.seed{seed}"),
    resources:
        **cpu_job(2000, 60),
    params:
        version=RECIPE_VERSION,
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer retab_control --labels {input:q} --control {wildcards.control} --seed {wildcards.seed}"
        " --output {params.folder:q} > {log:q} 2>&1"


use rule retab_seeds as retab_control_seeds with:
    """Masked labels of a control joined with the seeds of novel classes away from boundaries."""
    input:
        seeds=maps_file("seeds/labels.json", "classifier"),
        boundaries=retab_file("boundary/maps.json"),
        labels=control_file("labels.json"),
    output:
        labels=control_file("seeds/labels.json"),
        maps=directory(control_file("seeds/labels")),
        facts=control_file("seeds/facts.json"),
    log:
        log_file("retab_control_seeds/{dataset}.{split}.{control}.seed{seed}"),
    benchmark:
        control_file("seeds/seeds.benchmark.tsv")
    params:
        settings=baseline_settings("retab_walk", "classifier"),


use rule classifier as retab_control_affinity with:
    """Affinity network of a control; an interrupted training continues."""
    input:
        labels=control_file("seeds/labels.json"),
        split=split_file("split.yaml"),
        weights=baseline_weights,
    output:
        **network_files(control_file, "affinity/"),
    log:
        log_file("retab_control_affinity/{dataset}.{split}.{control}.seed{seed}"),
    benchmark:
        control_file("affinity/train.benchmark.tsv")
    params:
        **network_params("retab_affinity", "retab_affinity"),
