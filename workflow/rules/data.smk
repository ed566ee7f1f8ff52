# From a source to an audited dataset in the prepared layout; `fetch` needs the internet.


rule fetch:
    """Download one archive. A cut download continues from undeclared files, which Snakemake does not touch."""
    output:
        update(FILES.archive()),  # another clone of this repository may be reading it
    log:
        log_file("fetch/{dataset}.{archive}"),
    localrule: True
    params:
        archive=archive_settings,
    shell:
        "simformer fetch --archive {params.archive:q} --output {output:q} > {log:q} 2>&1"


rule prepare:
    """Generate or import a dataset: images, label maps, class names, train and test lists."""
    input:
        # A touched archive is no new one: what it must be like is in the parameter `content`, and checked.
        ancient(lambda wildcards: archives_of(wildcards.dataset)),
    output:
        # Snakemake deletes declared files before a job; another clone of this repository may be reading them. It leaves
        # alone those marked `update`, and `images/` and `labels/`, which are not declared: `prepare` replaces them.
        classes=update(data_file("classes.json")),
        train=update(data_file("train.txt")),
        test=update(data_file("test.txt")),
    log:
        log_file("prepare/{dataset}"),
    threads: 8
    resources:
        **cpu_job(8000, 60),
    params:
        version=RECIPE_VERSION,
        content=lambda wildcards: content_json(CATALOGUE.datasets[wildcards.dataset].source),
        source=source_settings,
        archives=archive_options,
        root=subpath(output[0], parent=True),
    shell:
        "simformer prepare --source {params.source:q} {params.archives} --output {params.root:q} --workers {threads}"
        " > {log:q} 2>&1"


rule audit:
    """Decode and check every image and label before anything is trained; write the index."""
    input:
        classes=data_file("classes.json"),
        train=data_file("train.txt"),
        test=data_file("test.txt"),
    output:
        index=update(data_file("index.json")),
        report=update(data_file("audit.json")),
    log:
        log_file("audit/{dataset}"),
    threads: 8
    resources:
        **cpu_job(4000, 60),
    params:
        version=RECIPE_VERSION,
        root=subpath(output[0], parent=True),
        expect=lambda wildcards: CATALOGUE.datasets[wildcards.dataset].expect.model_dump_json(exclude_none=True),
    shell:
        "simformer audit --data {params.root:q} --index {output.index:q} --report {output.report:q}"
        " --expect {params.expect:q} --workers {threads} > {log:q} 2>&1"


rule audit_page:
    """A page about a dataset: counts, class frequencies, base and novel shares of every split, five images."""
    input:
        index=data_file("index.json"),
        report=data_file("audit.json"),
        splits=dataset_splits,
    output:
        json=dataset_file("audit.json"),
        md=dataset_file("audit.md"),
        png=dataset_file("audit.png"),
    log:
        log_file("audit_page/{dataset}"),
    resources:
        **cpu_job(2000, 20),
    params:
        data=subpath(input.index, parent=True),
    shell:
        "simformer audit_page --data {params.data:q} --index {input.index:q} --report {input.report:q}"
        " --splits {input.splits:q} --output {output.json:q} > {log:q} 2>&1"


rule splits_page:
    """A page with the pinned splits. Git keeps it, and a test compares it with the files."""
    input:
        PINNED_SPLITS,
    output:
        "docs/splits.md",
    log:
        log_file("splits_page"),
    localrule: True
    params:
        classes=pinned_class_counts,
    shell:
        "simformer splits_page --splits {input:q} --classes {params.classes:q} --output {output:q} > {log:q} 2>&1"
