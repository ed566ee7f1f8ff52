# RIB: maps of each training image summed along a fine-tuning of the classifier on it.


rule rib:
    """RIB's maps of a shard of the training images; files of maps are undeclared, none is made twice."""
    input:
        network=maps_file("network.safetensors", "classifier"),
        labels=image_label_file,
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
    resources:
        **gpu_job(16000, 1440),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("rib"),
        cam=baseline_settings("cam"),
        data=dataset_folder,
    shell:
        "simformer rib --network {input.network:q} --data {params.data:q} --labels {input.labels:q}"
        " --settings {params.settings:q} --cam {params.cam:q} --shard {wildcards.shard} --threads {threads}"
        " --output {output.maps:q} --facts {output.facts:q} > {log:q} 2>&1"
