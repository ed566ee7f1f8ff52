# SEAM, CPN and their controls: networks at stride 8, all of which start from one warm classifier.


use rule classifier as response_network with:
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
    params:
        **network_params("response_network", response_kind, "{response}"),
