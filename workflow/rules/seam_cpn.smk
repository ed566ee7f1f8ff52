# SEAM, CPN and their controls: networks at stride 8, all of which start from one warm classifier.


rule response_network:
    """Network of SEAM, CPN or a control, from the warm one; an interrupted training continues."""
    input:
        labels=image_label_file,
        weights=response_weights,
        start=response_start,
    output:
        **network_files(maps_file),
    log:
        log_file("response_network/{dataset}.{response}.seed{seed}"),
    benchmark:
        maps_file("train.benchmark.tsv")
    wildcard_constraints:
        response="|".join(responses_of("stride8")),
    priority: MAPS_FIRST
    resources:
        **gpu_job(16000, 720),
    params:
        **network_params(response_kind, "{response}"),
        start=option("start"),
    shell:
        train_network("response_network", more=" {params.start}")
