# SEAM, CPN and their controls: networks at stride 8, all of which start from one warm classifier.


rule response_network:
    """Network of SEAM, CPN or a control, from the warm one; an interrupted training continues."""
    input:
        labels=image_label_file(),
        weights=response_weights,
        start=response_start,
    output:
        network=maps_file("network.safetensors"),
        log=maps_file("log.csv"),
        facts=maps_file("train.json"),
    log:
        log_file("response_network/{dataset}.{response}.seed{seed}"),
    benchmark:
        maps_file("train.benchmark.tsv")
    wildcard_constraints:
        response="|".join(responses_of("stride8")),
    priority: MAPS_FIRST
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=720,
        gpu=1,
    params:
        spec=response_spec,
        data=dataset_folder,
        folder=subpath(output.network, parent=True),
        weights=weights_option,
        start=start_option,
    shell:
        "simformer response_network --spec {params.spec:q} --data {params.data:q} --labels {input.labels:q}"
        " {params.weights} {params.start} --state {params.folder:q}/state --network {output.network:q}"
        " --log {output.log:q} --facts {output.facts:q}"
        " --threads {threads} --workers $(({threads} > 2 ? {threads} - 1 : 0)) > {log:q} 2>&1"


rule check_seam:
    """Claims about SEAM, measured on test images with their true masks; trains the ablations that it compares."""
    input:
        **check_networks("plain", "seam", "seam_no_er", "seam_no_ecr", "warm"),
        index=data_file("index.json"),
        split=split_file("split.yaml"),
    output:
        split_file("checks/seam.seed{seed}.json"),
    log:
        log_file("check_seam/{dataset}.{split}.seed{seed}"),
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=growing(240),
        gpu=1,
    params:
        version=RECIPE_VERSION,
        networks=network_options,
        settings=check_maps_settings,
        data=dataset_folder,
    shell:
        "simformer check_seam --network {params.networks} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --settings {params.settings:q} --threads {threads} --output {output:q} > {log:q} 2>&1"


rule check_cpn:
    """Claims about CPN, measured on test images with their true masks; trains the ablation that it compares."""
    input:
        **check_networks("plain", "cpn", "cpn_independent"),
        index=data_file("index.json"),
        split=split_file("split.yaml"),
    output:
        split_file("checks/cpn.seed{seed}.json"),
    log:
        log_file("check_cpn/{dataset}.{split}.seed{seed}"),
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=growing(240),
        gpu=1,
    params:
        version=RECIPE_VERSION,
        networks=network_options,
        settings=check_maps_settings,
        data=dataset_folder,
    shell:
        "simformer check_cpn --network {params.networks} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --settings {params.settings:q} --threads {threads} --output {output:q} > {log:q} 2>&1"
