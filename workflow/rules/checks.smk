# What the baselines' class maps are like: claims with intervals, pictures, costs of stages. `rule all` asks for none.


rule measured_baselines:
    """Claims, pictures and costs of the study's baselines; trains what their controls need."""
    input:
        table_file("baseline_checks.md"),
        table_file("retab_checks.md"),
        table_file("stage_costs.md"),
        table_file(f"label_quality/{STUDY.experiments[0]}.md"),
        map_galleries(),
        retab_galleries(),
    localrule: True


rule check_maps:
    """Claims about all class maps of a dataset: scoring, so it reads the true masks of training images."""
    input:
        maps=map_arm_files,
        labels=split_file("masked/labels.json"),
        fill=split_file("fill/labels.json"),
        truth=full_labels,
    output:
        split_file("checks/maps.seed{seed}.json"),
    log:
        log_file("check_maps/{dataset}.{split}.seed{seed}"),
    conda:
        "../../envs/simformer.yaml"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        version=RECIPE_VERSION,
        arms=map_arms_json,
    shell:
        "simformer check_maps --arms {params.arms:q} --labels {input.labels:q} --truth {input.truth:q}"
        " --fill {input.fill:q} --output {output:q} > {log:q} 2>&1"


rule baseline_checks:
    """All claims of the study, with intervals over images and over seeds."""
    input:
        [run["path"] for run in check_runs()],
    output:
        csv=table_file("baseline_checks.csv"),
        md=table_file("baseline_checks.md"),
    log:
        log_file("baseline_checks"),
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        spec=sorted_json({"files": check_runs()}),
    shell:
        "simformer baseline_checks --spec {params.spec:q} --output {output.csv:q} > {log:q} 2>&1"


rule map_gallery:
    """Six training images: class maps of one novel class from every network, first seed, and their mixed labels."""
    input:
        maps=map_arm_files,
        labels=split_file("masked/labels.json"),
        truth=full_labels,
    output:
        split_file("maps.png"),
    log:
        log_file("map_gallery/{dataset}.{split}"),
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        arms=map_arms_json,
        data=dataset_folder,
    shell:
        "simformer map_gallery --arms {params.arms:q} --data {params.data:q} --labels {input.labels:q}"
        " --truth {input.truth:q} --output {output:q} > {log:q} 2>&1"


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
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        study=STUDY_FILES,
        results=subpath(output.csv, parent=True),
    shell:
        "simformer stage_costs --study {params.study:q} --results {params.results:q} --output {output.csv:q} > {log:q} 2>&1"
