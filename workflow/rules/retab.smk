# RETAB: its two networks learn from the base masks of a split, so there is one of each per split and seed.


wildcard_constraints:
    control="|".join(CONTROLS),


rule retab_boundary:
    """Boundary network, trained on the edges of base masks; an interrupted training continues."""
    input:
        labels=split_file("masked/labels.json"),
        weights=baseline_weights,
    output:
        network=retab_file("boundary/network.safetensors"),
        log=retab_file("boundary/log.csv"),
        facts=retab_file("boundary/train.json"),
    log:
        log_file("retab_boundary/{dataset}.{split}.seed{seed}"),
    benchmark:
        retab_file("boundary/train.benchmark.tsv")
    priority: MAPS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=720,
        gpu=1,
    params:
        spec=network_spec("retab_boundary"),
        data=dataset_folder,
        folder=subpath(output.network, parent=True),
        weights=weights_option,
    shell:
        "simformer retab_boundary --spec {params.spec:q} --data {params.data:q} --labels {input.labels:q} {params.weights}"
        " --state {params.folder:q}/state --network {output.network:q} --log {output.log:q} --facts {output.facts:q}"
        " --threads {threads} --workers $(({threads} > 2 ? {threads} - 1 : 0)) > {log:q} 2>&1"


rule retab_boundary_maps:
    """Boundaries of a shard of the training images; files of maps are undeclared, none is made twice."""
    input:
        network=retab_file("boundary/network.safetensors"),
        labels=split_file("masked/labels.json"),
    output:
        retab_file("boundary/{shard}.json"),
    log:
        log_file("retab_boundary_maps/{dataset}.{split}.seed{seed}.{shard}"),
    priority: MAPS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=720,
        gpu=1,
    params:
        version=RECIPE_VERSION,
        settings=retab_settings("cam"),
        data=dataset_folder,
    shell:
        "simformer retab_boundary_maps --network {input.network:q} --data {params.data:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --shard {wildcards.shard} --threads {threads} --output {output:q} > {log:q} 2>&1"


rule retab_gather:
    """All shards of boundary maps or walked maps, which must be complete and made alike."""
    input:
        shards=retab_shards,
        labels=split_file("masked/labels.json"),
    output:
        retab_file("{part}/maps.json"),
    log:
        log_file("retab_gather/{dataset}.{split}.{part}.seed{seed}"),
    wildcard_constraints:
        part=r"boundary|[a-z][a-z0-9_.]*/(walked|anchored)",
    priority: MAPS_FIRST
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
    shell:
        "simformer gather_maps --shards {input.shards:q} --labels {input.labels:q} --output {output:q} > {log:q} 2>&1"


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
    priority: MAPS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("retab_walk"),
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer retab_seeds --seeds {input.seeds:q} --boundaries {input.boundaries:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --output {params.folder:q} > {log:q} 2>&1"


rule retab_affinity:
    """Affinity network, trained on base masks and novel seeds; an interrupted training continues."""
    input:
        labels=retab_file("{response}{cleaned}/seeds/labels.json"),
        split=split_file("split.yaml"),
        weights=baseline_weights,
    output:
        network=retab_file("{response}{cleaned}/affinity/network.safetensors"),
        log=retab_file("{response}{cleaned}/affinity/log.csv"),
        facts=retab_file("{response}{cleaned}/affinity/train.json"),
    log:
        log_file("retab_affinity/{dataset}.{split}.{response}{cleaned}.seed{seed}"),
    benchmark:
        retab_file("{response}{cleaned}/affinity/train.benchmark.tsv")
    priority: MAPS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=720,
        gpu=1,
    params:
        spec=network_spec("retab_affinity", "{response}"),
        data=dataset_folder,
        folder=subpath(output.network, parent=True),
        weights=weights_option,
    shell:
        "simformer retab_affinity --spec {params.spec:q} --data {params.data:q} --labels {input.labels:q}"
        " --split {input.split:q} {params.weights} --state {params.folder:q}/state"
        " --network {output.network:q} --log {output.log:q} --facts {output.facts:q}"
        " --threads {threads} --workers $(({threads} > 2 ? {threads} - 1 : 0)) > {log:q} 2>&1"


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
    wildcard_constraints:
        walk="walked|anchored",
    priority: MAPS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=720,
        gpu=1,
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
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        version=RECIPE_VERSION,
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer retab_control --labels {input:q} --control {wildcards.control} --seed {wildcards.seed}"
        " --output {params.folder:q} > {log:q} 2>&1"


use rule retab_seeds as retab_control_seeds with:
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
    params:
        version=RECIPE_VERSION,
        settings=retab_settings("retab_walk"),
        folder=subpath(output.labels, parent=True),


use rule retab_affinity as retab_control_affinity with:
    input:
        labels=control_file("seeds/labels.json"),
        split=split_file("split.yaml"),
        weights=baseline_weights,
    output:
        network=control_file("affinity/network.safetensors"),
        log=control_file("affinity/log.csv"),
        facts=control_file("affinity/train.json"),
    log:
        log_file("retab_control_affinity/{dataset}.{split}.{control}.seed{seed}"),
    benchmark:
        control_file("affinity/train.benchmark.tsv")
    params:
        spec=network_spec("retab_affinity"),
        data=dataset_folder,
        folder=subpath(output.network, parent=True),
        weights=weights_option,


rule check_retab:
    """RETAB's properties, measured on training images with their true masks; trains its controls, only on request."""
    input:
        maps=maps_file("cam/maps.json", "classifier"),
        boundaries=retab_file("boundary/maps.json"),
        walked=retab_file("classifier/walked/maps.json"),
        seeds=maps_file("seeds/labels.json", "classifier"),
        labels=split_file("masked/labels.json"),
        truth=full_labels,
        affinity=retab_affinities,
        weights=baseline_weights,
    output:
        split_file("checks/retab.seed{seed}.json"),
    log:
        log_file("check_retab/{dataset}.{split}.seed{seed}"),
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=720,
    params:
        version=RECIPE_VERSION,
        settings=retab_settings("retab_walk"),
        gamma=CATALOGUE.method("retab_retrained").maps.gamma,
        data=dataset_folder,
        affinity=retab_affinity_options,
        weights=weights_option,
    shell:
        "simformer check_retab --affinity {params.affinity} --maps {input.maps:q} --boundaries {input.boundaries:q}"
        " --walked {input.walked:q} --seeds {input.seeds:q} --data {params.data:q} --labels {input.labels:q}"
        " --truth {input.truth:q} --settings {params.settings:q} --gamma {params.gamma:q} {params.weights}"
        " --threads {threads} --output {output:q} > {log:q} 2>&1"


rule retab_checks:
    """RETAB's claims alone, with intervals over images and over seeds."""
    input:
        [run["path"] for run in check_runs(["retab"])],
    output:
        csv=table_file("retab_checks.csv"),
        md=table_file("retab_checks.md"),
    log:
        log_file("retab_checks"),
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        spec=sorted_json({"files": check_runs(["retab"])}),
    shell:
        "simformer baseline_checks --spec {params.spec:q} --output {output.csv:q} > {log:q} 2>&1"


rule retab_pictures:
    """Six training images: boundaries, affinities, walked maps of a novel class, and mixed labels."""
    input:
        network=retab_file("classifier/affinity/network.safetensors"),
        maps=maps_file("cam/maps.json", "classifier"),
        boundaries=retab_file("boundary/maps.json"),
        walked=retab_file("classifier/walked/maps.json"),
        labels=split_file("masked/labels.json"),
        truth=full_labels,
    output:
        split_file("retab.seed{seed}.png"),
    log:
        log_file("retab_pictures/{dataset}.{split}.seed{seed}"),
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        settings=retab_settings("retab_walk"),
        gamma=CATALOGUE.method("retab_retrained").maps.gamma,
        data=dataset_folder,
    shell:
        "simformer retab_pictures --network {input.network:q} --maps {input.maps:q} --boundaries {input.boundaries:q}"
        " --walked {input.walked:q} --data {params.data:q} --labels {input.labels:q} --truth {input.truth:q}"
        " --settings {params.settings:q} --gamma {params.gamma:q} --output {output:q} > {log:q} 2>&1"
