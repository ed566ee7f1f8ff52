# From published archives to local, checked files; the only rule but `backbone_weights` that needs the internet.


rule fetch:
    """Download one archive; a cut download is continued from undeclared files beside it, which Snakemake leaves alone."""
    output:
        update(archive_file()),  # another clone of this repository may be reading it
    log:
        log_file("fetch/{dataset}.{archive}"),
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        archive=archive_settings,
    shell:
        "simformer fetch --archive {params.archive:q} --output {output:q} > {log:q} 2>&1"
