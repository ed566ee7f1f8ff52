# What the baselines' class maps are like: claims with intervals, pictures, costs of stages. `rule all` asks for none.


rule measured_baselines:
    """Claims, pictures and costs of the study's baselines; trains what their controls need."""
    input:
        table_file("baseline_checks.md"),
        table_file("retab_checks.md"),
        table_file("stage_costs.md"),
        compared_labels(),
        measured(split_file("maps.png")),
        measured(split_file("retab.seed{seed}.png")),
    localrule: True


rule check_maps:
    """Claims about all class maps of a dataset. This is scoring, so it reads the true masks of training images."""
    input:
        maps=arm_files("dataset", "split", "seed"),
        labels=split_file("masked/labels.json"),
        fill=split_file("fill/labels.json"),
        truth=full_labels,
    output:
        split_file("checks/maps.seed{seed}.json"),
    log:
        log_file("check_maps/{dataset}.{split}.seed{seed}"),
    resources:
        **cpu_job(8000, 240),
    params:
        study=study_options,
        expect=hash_of(map_arms.map_arms, "dataset", "split", "seed"),
    shell:
        "simformer check_maps {params.study} --on {wildcards.dataset}/{wildcards.split} --seed {wildcards.seed}"
        " --expect {params.expect:q} --labels {input.labels:q} --truth {input.truth:q} --fill {input.fill:q}"
        " --output {output:q} > {log:q} 2>&1"


rule claims_table:
    """All claims of the study, or RETAB's alone, with intervals over images and over seeds."""
    input:
        claims=lambda wildcards: [claim.path for claim in claims(RUNS, wildcards.page)],
    output:
        csv=table_file("{page}.csv"),
        md=table_file("{page}.md"),
    log:
        log_file("{page}"),
    wildcard_constraints:
        page="|".join(CLAIM_TABLES),
    localrule: True
    params:
        checks=lookup("{page}", within=CLAIM_TABLES),
        study=study_options,
        expect=hash_of(claims, "page"),
    shell:
        "simformer baseline_checks {params.study} --expect {params.expect:q} --checks {params.checks:q}"
        " --output {output.csv:q} > {log:q} 2>&1"


rule map_gallery:
    """Six training images: class maps of one novel class from every network, first seed, and their mixed labels."""
    input:
        maps=arm_files("dataset", "split"),
        labels=split_file("masked/labels.json"),
        truth=full_labels,
    output:
        split_file("maps.png"),
    log:
        log_file("map_gallery/{dataset}.{split}"),
    localrule: True
    params:
        study=study_options,
        expect=hash_of(map_arms.map_arms, "dataset", "split"),
        data=dataset_folder,
    shell:
        "simformer map_gallery {params.study} --on {wildcards.dataset}/{wildcards.split}"
        " --expect {params.expect:q} --data {params.data:q} --labels {input.labels:q} --truth {input.truth:q}"
        " --output {output:q} > {log:q} 2>&1"


rule stage_costs:
    """Time and memory of every stage behind the study's tables."""
    input:
        collect(table_file("{name}.csv"), name=STUDY.experiments),
    output:
        csv=table_file("stage_costs.csv"),
        md=table_file("stage_costs.md"),
    log:
        log_file("stage_costs"),
    localrule: True
    params:
        version=RECIPE_VERSION,
        study=study_options,
        results=subpath(output.csv, parent=True),
    shell:
        "simformer stage_costs {params.study} --results {params.results:q} --output {output.csv:q} > {log:q} 2>&1"


rule check_network:
    """Claims about SEAM or CPN, measured on test images with their true masks; trains the ablations that it compares."""
    input:
        networks=lambda wildcards: expand(
            maps_file("network.safetensors"), **wildcards, response=COMPARED_NETWORKS[wildcards.check]
        ),
        index=data_file("index.json"),
        split=split_file("split.yaml"),
    output:
        split_file("checks/{check}.seed{seed}.json"),
    log:
        log_file("check_{check}/{dataset}.{split}.seed{seed}"),
    wildcard_constraints:
        check="|".join(COMPARED_NETWORKS),
    resources:
        **gpu_job(16000, growing(240)),
    params:
        version=RECIPE_VERSION,
        networks=lambda wildcards, input: named_files(COMPARED_NETWORKS[wildcards.check], input.networks),
        settings=baseline_settings("cam", "classifier"),
        data=dataset_folder,
    shell:
        "simformer check_{wildcards.check} --network {params.networks} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --settings {params.settings:q} --threads {threads} --output {output:q} > {log:q} 2>&1"


rule check_conta:
    """CONTA's properties, measured on training images with their true masks; only on request."""
    input:
        maps=conta_files,
        plain=maps_file("network.safetensors", FIRST),
        network=last_round("network.safetensors"),
        predicted=last_round("predictions/maps.json", before=True),
        labels=image_label_file,
        masked=split_file("masked/labels.json"),
        truth=full_labels,
    output:
        split_file("checks/conta.seed{seed}.json"),
    log:
        log_file("check_conta/{dataset}.{split}.seed{seed}"),
    resources:
        **gpu_job(16000, 720),
    params:
        study=study_options,
        expect=hash_of(map_arms.conta_arms, "dataset", "seed"),
        settings=baseline_settings("cam", FAMILIES[0]),
        background=baseline_settings("conta.masks.threshold", FAMILIES[0]),
        data=dataset_folder,
    shell:
        "simformer check_conta {params.study} --on {wildcards.dataset}/{wildcards.split} --seed {wildcards.seed}"
        " --expect {params.expect:q} --network {input.network:q} --plain {input.plain:q}"
        " --predicted {input.predicted:q} --data {params.data:q} --labels {input.labels:q} --masked {input.masked:q}"
        " --truth {input.truth:q} --settings {params.settings:q} --background {params.background:q}"
        " --threads {threads} --output {output:q} > {log:q} 2>&1"


rule check_rib:
    """RIB's properties, measured on training images with their true masks; only on request."""
    input:
        network=maps_file("network.safetensors", "classifier"),
        maps=maps_file("cam/maps.json", "rib"),
        labels=image_label_file,
        truth=full_labels,
        masked=split_file("masked/labels.json"),
    output:
        split_file("checks/rib.seed{seed}.json"),
    log:
        log_file("check_rib/{dataset}.{split}.seed{seed}"),
    resources:
        **gpu_job(16000, 720),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("rib", "rib"),
        cam=baseline_settings("cam", "rib"),
        amount=baseline_settings("rib_checks", "rib"),
        data=dataset_folder,
    shell:
        "simformer check_rib --network {input.network:q} --maps {input.maps:q} --data {params.data:q}"
        " --labels {input.labels:q} --truth {input.truth:q} --masked {input.masked:q} --settings {params.settings:q}"
        " --cam {params.cam:q} --amount {params.amount:q} --threads {threads} --output {output:q} > {log:q} 2>&1"


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
    resources:
        mem_mb=growing(8000),
        runtime=720,
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("retab_walk", "classifier"),
        gamma=CATALOGUE.method("retab_retrained").maps.gamma,
        data=dataset_folder,
        affinity=lambda wildcards, input: named_files(("retab", "psa", *CONTROLS), input.affinity),
        weights=options("weights"),
    shell:
        "simformer check_retab --affinity {params.affinity} --maps {input.maps:q} --boundaries {input.boundaries:q}"
        " --walked {input.walked:q} --seeds {input.seeds:q} --data {params.data:q} --labels {input.labels:q}"
        " --truth {input.truth:q} --settings {params.settings:q} --gamma {params.gamma:q} {params.weights}"
        " --threads {threads} --output {output:q} > {log:q} 2>&1"


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
    resources:
        **gpu_job(8000, growing(60)),
    params:
        version=RECIPE_VERSION,
        settings=baseline_settings("retab_walk", "classifier"),
        gamma=CATALOGUE.method("retab_retrained").maps.gamma,
        data=dataset_folder,
    shell:
        "simformer retab_pictures --network {input.network:q} --maps {input.maps:q} --boundaries {input.boundaries:q}"
        " --walked {input.walked:q} --data {params.data:q} --labels {input.labels:q} --truth {input.truth:q}"
        " --settings {params.settings:q} --gamma {params.gamma:q} --threads {threads} --output {output:q}"
        " > {log:q} 2>&1"
