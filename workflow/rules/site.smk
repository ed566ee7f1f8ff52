# The gallery site: one part per dataset, one per model, and the page that joins them (docs/gallery.md).


rule site_images:
    """Photographs, thumbnails and true label maps of a dataset's test images."""
    input:
        index=data_file("index.json"),
    output:
        images=site_file("{dataset}/images.js"),
        folders=directory(collect(site_file("{{dataset}}/{name}"), name=["photographs", "thumbnails", "truth"])),
    log:
        log_file("site_images/{dataset}"),
    resources:
        **cpu_job(2000, 60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
    shell:
        "simformer site_images --data {params.data:q} --index {input.index:q} --output {output.images:q} > {log:q} 2>&1"


rule site_predictions:
    """Predictions of one model, their IoU per image and, if it has one, what its SimNet says; serves every split."""
    input:
        model=run_file("model.safetensors"),
        index=data_file("index.json"),
    output:
        predictions=site_file("{dataset}/{split}/{method}/seed{seed}/predictions.js"),
        maps=directory(site_file("{dataset}/{split}/{method}/seed{seed}/maps")),
        similarity=directory(site_file("{dataset}/{split}/{method}/seed{seed}/similarity")),
    log:
        log_file("site_predictions/{dataset}.{split}.{method}.seed{seed}"),
    resources:
        **gpu_job(8000, growing(120)),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        inference=inference_settings,
        run=run_hash,
    shell:
        "simformer site_predictions --model {input.model:q} --run-hash {params.run:q} --data {params.data:q} --index {input.index:q}"
        " --inference {params.inference:q} --threads {threads} --output {output.predictions:q} > {log:q} 2>&1"


rule site:
    """The page; open it in a browser, no server is needed."""
    input:
        parts=figure_runs.site_files(RUNS),
    output:
        page=site_file("index.html"),
        contents=site_file("contents.js"),
    log:
        log_file("site"),
    localrule: True
    params:
        page=page_hash(),
        study=study_options,
        expect=digest(figure_runs.site(RUNS)),
    shell:
        "simformer site {params.study} --expect {params.expect:q} --output {output.page:q} > {log:q} 2>&1"


rule site_screenshots:
    """Pictures of the site for pages and talks; needs Chromium and Playwright."""
    input:
        site_file("index.html"),
    output:
        collect(site_file("screenshots/{name}.png"), name=["compare", "similarity", "worst", "dark", "narrow"]),
    log:
        log_file("site_screenshots"),
    localrule: True
    params:
        version=RECIPE_VERSION,
        folder=subpath(output[0], parent=True),
    shell:
        "simformer site_screenshots --page {input:q} --output {params.folder:q} > {log:q} 2>&1"
