# CONTA: rounds of classifier, IRN, masks and a segmentation network, whose predictions are the next round's context.


rule round_masks:
    """Masks of a round's walked maps: the best present class of each pixel, 255 where none is sure."""
    input:
        maps=maps_file("irn/maps.json"),
        labels=image_label_file(),
    output:
        labels=maps_file("masks/labels.json"),
        maps=directory(maps_file("masks/labels")),
    log:
        log_file("round_masks/{dataset}.{response}.seed{seed}"),
    priority: ROUNDS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(1440),
    params:
        version=RECIPE_VERSION,
        settings=lambda wildcards: conta_settings(wildcards).masks.model_dump_json(),
        data=dataset_folder,
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer seeds --maps {input.maps:q} --data {params.data:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --output {params.folder:q} > {log:q} 2>&1"


rule segmentation:
    """Segmentation network on a round's masks; an interrupted training continues."""
    input:
        labels=maps_file("masks/labels.json"),
        weights=baseline_weights,
    output:
        network=maps_file("segmentation/network.safetensors"),
        log=maps_file("segmentation/log.csv"),
        facts=maps_file("segmentation/train.json"),
    log:
        log_file("segmentation/{dataset}.{response}.seed{seed}"),
    benchmark:
        maps_file("segmentation/train.benchmark.tsv")
    priority: ROUNDS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=720,
        gpu=1,
    params:
        spec=network_spec("segmentation", "{response}"),
        data=dataset_folder,
        folder=subpath(output.network, parent=True),
        weights=weights_option,
    shell:
        "simformer segmentation --spec {params.spec:q} --data {params.data:q} --labels {input.labels:q} {params.weights}"
        " --state {params.folder:q}/state --network {output.network:q} --log {output.log:q} --facts {output.facts:q}"
        " --threads {threads} --workers $(({threads} > 2 ? {threads} - 1 : 0)) > {log:q} 2>&1"


rule predictions:
    """Masks that the segmentation network predicts on a shard of the training images; none is made twice."""
    input:
        network=maps_file("segmentation/network.safetensors"),
        labels=image_label_file(),
    output:
        maps_file("predictions/{shard}.json"),
    log:
        log_file("predictions/{dataset}.{response}.seed{seed}.{shard}"),
    priority: ROUNDS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=720,
        gpu=1,
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("cam"),
        grid=lambda wildcards: conta_settings(wildcards).grid,
        data=dataset_folder,
    shell:
        "simformer predictions --network {input.network:q} --data {params.data:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --grid {params.grid:q} --shard {wildcards.shard} --threads {threads}"
        " --output {output:q} > {log:q} 2>&1"


rule confounder:
    """Average predicted mask of each class over the training images."""
    input:
        predicted=maps_file("predictions/maps.json"),
        maps=maps_file("cam/maps.json"),
        labels=image_label_file(),
    output:
        maps_file("confounder.safetensors"),
    log:
        log_file("confounder/{dataset}.{response}.seed{seed}"),
    priority: ROUNDS_FIRST
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        version=RECIPE_VERSION,
        threshold=lambda wildcards: CATALOGUE.baselines(wildcards.dataset, wildcards.response).seeds.threshold,
    shell:
        "simformer confounder --predicted {input.predicted:q} --maps {input.maps:q} --labels {input.labels:q}"
        " --threshold {params.threshold:q} --output {output:q} > {log:q} 2>&1"


rule conta:
    """Classifier of a round, which sees the context of each image; an interrupted training continues."""
    input:
        labels=image_label_file(),
        weights=baseline_weights,
        predicted=previous_round("predictions/maps.json"),
        confounder=previous_round("confounder.safetensors"),
    output:
        network=maps_file("network.safetensors"),
        log=maps_file("log.csv"),
        facts=maps_file("train.json"),
    log:
        log_file("conta/{dataset}.{response}.seed{seed}"),
    benchmark:
        maps_file("train.benchmark.tsv")
    wildcard_constraints:
        response=CONTA_ROUNDS,
    priority: ROUNDS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=720,
        gpu=1,
    params:
        spec=network_spec("conta", "{response}"),
        data=dataset_folder,
        folder=subpath(output.network, parent=True),
        weights=weights_option,
        predicted=optional_file("predicted", "predicted"),
        confounder=optional_file("confounder", "confounder"),
    shell:
        "simformer conta --spec {params.spec:q} --data {params.data:q} --labels {input.labels:q} {params.weights}"
        " {params.predicted} {params.confounder}"
        " --state {params.folder:q}/state --network {output.network:q} --log {output.log:q} --facts {output.facts:q}"
        " --threads {threads} --workers $(({threads} > 2 ? {threads} - 1 : 0)) > {log:q} 2>&1"


rule conta_cam:
    """Class activation maps of a round, of a shard of the training images; none is made twice."""
    input:
        network=maps_file("network.safetensors"),
        predicted=previous_round("predictions/maps.json"),
        labels=image_label_file(),
    output:
        maps_file("cam/{shard}.json"),
    log:
        log_file("conta_cam/{dataset}.{response}.seed{seed}.{shard}"),
    wildcard_constraints:
        response=CONTA_ROUNDS,
    priority: ROUNDS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=720,
        gpu=1,
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("cam"),
        data=dataset_folder,
        predicted=optional_file("predicted", "predicted"),
    shell:
        "simformer conta_cam --network {input.network:q} {params.predicted} --data {params.data:q}"
        " --labels {input.labels:q} --settings {params.settings:q} --shard {wildcards.shard} --threads {threads}"
        " --output {output:q} > {log:q} 2>&1"


rule check_conta:
    """CONTA's properties, measured on training images with their true masks; only on request."""
    input:
        maps=lambda wildcards: [file for files in conta_arms(wildcards)["maps"].values() for file in files.values()],
        plain=maps_file("network.safetensors", FIRST),
        network=last_round("network.safetensors"),
        predicted=last_round("predictions/maps.json", before=True),
        labels=image_label_file(),
        masked=split_file("masked/labels.json"),
        truth=full_labels,
    output:
        split_file("checks/conta.seed{seed}.json"),
    log:
        log_file("check_conta/{dataset}.{split}.seed{seed}"),
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=720,
        gpu=1,
    params:
        version=RECIPE_VERSION,
        arms=lambda wildcards: sorted_json(conta_arms(wildcards)),
        settings=lambda wildcards: CATALOGUE.baselines(wildcards.dataset, FAMILIES[0]).cam.model_dump_json(),
        background=lambda wildcards: CATALOGUE.baselines(wildcards.dataset, FAMILIES[0]).conta.masks.threshold,
        data=dataset_folder,
    shell:
        "simformer check_conta --arms {params.arms:q} --network {input.network:q} --plain {input.plain:q}"
        " --predicted {input.predicted:q} --data {params.data:q} --labels {input.labels:q} --masked {input.masked:q}"
        " --truth {input.truth:q} --settings {params.settings:q} --background {params.background:q}"
        " --threads {threads} --output {output:q} > {log:q} 2>&1"
