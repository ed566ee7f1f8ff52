# SEAM, CPN and their controls: networks at stride 8, all of which start from one warm classifier.


def response_kind(wildcards):
    """Section of the settings behind a response: ablations are those of their method, with other values."""
    return wildcards.response.split("_")[0]


def response_spec(wildcards):
    kind = response_kind(wildcards)
    return sorted_json(
        CATALOGUE.network(wildcards.dataset, kind, int(wildcards.seed), wildcards.response).model_dump(mode="json")
    )


def response_start(wildcards):
    return [] if wildcards.response == "warm" else maps_file("network.safetensors", "warm").format(**wildcards)


def response_weights(wildcards):
    return baseline_weights(wildcards) if wildcards.response == "warm" else []


def start_option(wildcards, input):
    return f"--start {shlex.quote(str(input.start))}" if input.start else ""


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
        response="warm|plain|seam|seam_no_er|seam_no_ecr|cpn|cpn_independent",
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
        " --threads {threads} --workers $(({threads} > 2 ? {threads} - 1 : 0)) > {log} 2>&1"
