# CONTA: rounds of classifier, IRN, masks and a segmentation network, whose predictions are the next round's context.


rule round_masks:
    """Masks of a round's walked maps: the best present class of each pixel, 255 where none is sure."""
    input:
        maps=maps_file("irn/maps.json"),
        labels=image_label_file,
    output:
        labels=maps_file("masks/labels.json"),
        maps=directory(maps_file("masks/labels")),
    log:
        log_file("round_masks/{dataset}.{response}.seed{seed}"),
    benchmark:
        maps_file("masks/masks.benchmark.tsv")
    priority: ROUNDS_FIRST
    resources:
        **cpu_job(4000, 1440),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("conta.masks"),
        data=dataset_folder,
        folder=subpath(output.labels, parent=True),
    shell:
        "simformer seeds --maps {input.maps:q} --data {params.data:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --output {params.folder:q} > {log:q} 2>&1"


use rule classifier as segmentation with:
    """Segmentation network on a round's masks; an interrupted training continues."""
    input:
        labels=maps_file("masks/labels.json"),
        weights=baseline_weights,
    output:
        **network_files(maps_file, "segmentation/"),
    log:
        log_file("segmentation/{dataset}.{response}.seed{seed}"),
    benchmark:
        maps_file("segmentation/train.benchmark.tsv")
    priority: ROUNDS_FIRST
    params:
        **network_params("segmentation", "segmentation", "{response}"),


rule predictions:
    """Masks that the segmentation network predicts on a shard of the training images; none is made twice."""
    input:
        network=maps_file("segmentation/network.safetensors"),
        labels=image_label_file,
    output:
        maps_file("predictions/{shard}.json"),
    log:
        log_file("predictions/{dataset}.{response}.seed{seed}.{shard}"),
    benchmark:
        maps_file("predictions/{shard}.benchmark.tsv")
    priority: ROUNDS_FIRST
    resources:
        **gpu_job(16000, 720),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("cam"),
        grid=baseline_settings("conta.grid"),
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
        labels=image_label_file,
    output:
        maps_file("confounder.safetensors"),
    log:
        log_file("confounder/{dataset}.{response}.seed{seed}"),
    benchmark:
        maps_file("confounder.benchmark.tsv")
    priority: ROUNDS_FIRST
    resources:
        **cpu_job(4000, 240),
    params:
        version=RECIPE_VERSION,
        threshold=baseline_settings("seeds.threshold"),
    shell:
        "simformer confounder --predicted {input.predicted:q} --maps {input.maps:q} --labels {input.labels:q}"
        " --threshold {params.threshold:q} --output {output:q} > {log:q} 2>&1"


use rule classifier as conta with:
    """Classifier of a round, which sees the context of each image; an interrupted training continues."""
    input:
        labels=image_label_file,
        weights=baseline_weights,
        predicted=previous_round("predictions/maps.json"),
        confounder=previous_round("confounder.safetensors"),
    output:
        **network_files(maps_file),
    log:
        log_file("conta/{dataset}.{response}.seed{seed}"),
    benchmark:
        maps_file("train.benchmark.tsv")
    wildcard_constraints:
        response=CONTA_ROUNDS,
    priority: ROUNDS_FIRST
    params:
        **network_params("conta", "conta", "{response}"),


rule conta_cam:
    """Class activation maps of a round, of a shard of the training images; none is made twice."""
    input:
        network=maps_file("network.safetensors"),
        predicted=previous_round("predictions/maps.json"),
        labels=image_label_file,
    output:
        maps_file("cam/{shard}.json"),
    log:
        log_file("conta_cam/{dataset}.{response}.seed{seed}.{shard}"),
    benchmark:
        maps_file("cam/{shard}.benchmark.tsv")
    wildcard_constraints:
        response=CONTA_ROUNDS,
    priority: ROUNDS_FIRST
    resources:
        **gpu_job(16000, 720),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("cam"),
        data=dataset_folder,
        predicted=options("predicted"),
    shell:
        "simformer conta_cam --network {input.network:q} {params.predicted} --data {params.data:q}"
        " --labels {input.labels:q} --settings {params.settings:q} --shard {wildcards.shard} --threads {threads}"
        " --output {output:q} > {log:q} 2>&1"
