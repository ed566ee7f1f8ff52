# Figures of the paper: pictures of test images, training curves, methods side by side. Fig. 6 is in paper.smk.


FIGURES = {path.stem: read_yaml(path).get("kind") for path in sorted(Path("config/figures").glob("*.yaml"))}


def figures_of(kind):
    """Names of the figures of a kind, as a wildcard's constraint."""
    return "|".join(name for name, found in FIGURES.items() if found == kind) or "none"


def figure_place(wildcards):
    """Wildcards of the results that a figure of images shows."""
    figure = CATALOGUE.figure(wildcards.figure)
    return {"dataset": figure.dataset, "split": f"split{figure.split}", "seed": figure.seed}


def figure_models(wildcards):
    place = figure_place(wildcards)
    methods = CATALOGUE.figure(wildcards.figure).methods
    return [trained("model.safetensors", place | {"method": method}) for method in methods]


def figure_index(wildcards):
    return data_file("index.json").format(**figure_place(wildcards))


def figure_split(wildcards):
    return split_file("split.yaml").format(**figure_place(wildcards))


def figure_inference(wildcards):
    return inference_settings(SimpleNamespace(**figure_place(wildcards)))


def figure_spec(wildcards):
    figure = CATALOGUE.figure(wildcards.figure)
    labels = [CATALOGUE.method(method).label for method in figure.methods]
    return sorted_json(figure.model_dump(include={"title", "images", "count", "pixel"}) | {"labels": labels})


def figure_files():
    """The study's figures of images."""
    return [table_file(f"figures/{name}.pdf") for name in STUDY.figures]


def curve_spec(wildcards):
    """The runs of an experiment in one split with their training logs."""
    experiment = CATALOGUE.experiment(wildcards.experiment)
    place = (wildcards.dataset, wildcards.split)
    cells = [dict(zip(CELL, cell)) for cell in CATALOGUE.cells(wildcards.experiment) if cell[:2] == place]
    if not cells:
        raise WorkflowError(f"experiment '{wildcards.experiment}' has no {' '.join(place)}")
    runs = [cell | {"path": trained("log.csv", cell)} for cell in cells]
    return {"title": f"{experiment.title}: training", "rows": table_rows(experiment), "runs": runs}


def curve_logs(wildcards):
    return [run["path"] for run in curve_spec(wildcards)["runs"]]


ruleorder: qualitative > sweeps
ruleorder: proposals > sweeps
ruleorder: similarity > sweeps
ruleorder: failures > sweeps


rule qualitative:
    """Fig. 3, 8, 9: test images, truth, base/novel map, and the predictions of some methods."""
    input:
        models=figure_models,
        index=figure_index,
        split=figure_split,
    output:
        pdf=table_file("figures/{figure}.pdf"),
        png=report(
            table_file("figures/{figure}.png"),
            caption="../report/qualitative.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        log_file("qualitative/{figure}"),
    wildcard_constraints:
        figure=figures_of("qualitative"),
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        inference=figure_inference,
        spec=figure_spec,
    shell:
        "simformer qualitative --model {input.models:q} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --inference {params.inference:q} --spec {params.spec:q} --threads {threads}"
        " --output {output.pdf:q} > {log} 2>&1"


rule proposals:
    """Fig. 4: the proposals of the highest novel scores, and whether the image holds their class."""
    input:
        models=figure_models,
        index=figure_index,
        split=figure_split,
    output:
        pdf=table_file("figures/{figure}.pdf"),
        png=report(
            table_file("figures/{figure}.png"),
            caption="../report/proposals.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        log_file("proposals/{figure}"),
    wildcard_constraints:
        figure=figures_of("proposals"),
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        inference=figure_inference,
        spec=figure_spec,
    shell:
        "simformer proposals --model {input.models:q} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --inference {params.inference:q} --spec {params.spec:q} --threads {threads}"
        " --output {output.pdf:q} > {log} 2>&1"


rule similarity:
    """Fig. 5: how similar SimNet finds the pixels of image pairs to a chosen one."""
    input:
        models=figure_models,
        index=figure_index,
        split=figure_split,
    output:
        pdf=table_file("figures/{figure}.pdf"),
        png=report(
            table_file("figures/{figure}.png"),
            caption="../report/similarity.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        log_file("similarity/{figure}"),
    wildcard_constraints:
        figure=figures_of("similarity"),
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        inference=figure_inference,
        spec=figure_spec,
    shell:
        "simformer similarity --model {input.models:q} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --inference {params.inference:q} --spec {params.spec:q} --threads {threads}"
        " --output {output.pdf:q} > {log} 2>&1"


rule failures:
    """Fig. 7: the worst failures of two kinds, found among the test images."""
    input:
        models=figure_models,
        index=figure_index,
        split=figure_split,
    output:
        pdf=table_file("figures/{figure}.pdf"),
        png=report(
            table_file("figures/{figure}.png"),
            caption="../report/failures.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        log_file("failures/{figure}"),
    wildcard_constraints:
        figure=figures_of("failures"),
    conda:
        "../../envs/simformer.yaml"
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        version=RECIPE_VERSION,
        data=subpath(input.index, parent=True),
        inference=figure_inference,
        spec=figure_spec,
    shell:
        "simformer failures --model {input.models:q} --data {params.data:q} --index {input.index:q}"
        " --split {input.split:q} --inference {params.inference:q} --spec {params.spec:q} --threads {threads}"
        " --output {output.pdf:q} > {log} 2>&1"


rule curves:
    """Training curves of the runs of an experiment in one split."""
    input:
        curve_logs,
    output:
        pdf=split_file("curves.{experiment}.pdf"),
        png=report(
            split_file("curves.{experiment}.png"),
            caption="../report/curves.rst",
            category="Training",
            labels={"dataset": "{dataset}", "split": "{split}", "table": "{experiment}"},
        ),
    log:
        log_file("curves/{dataset}.{split}.{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        spec=lambda wildcards: sorted_json(curve_spec(wildcards)),
    shell:
        "simformer curves --spec {params.spec:q} --output {output.pdf:q} > {log} 2>&1"


rule comparison:
    """The methods of a table side by side, with deviations over seeds."""
    input:
        table_file("{experiment}.csv"),
    output:
        pdf=table_file("figures/comparison.{experiment}.pdf"),
        png=table_file("figures/comparison.{experiment}.png"),
    log:
        log_file("comparison/{experiment}"),
    wildcard_constraints:
        experiment="[a-z][a-z0-9_]*",
    localrule: True
    conda:
        "../../envs/simformer.yaml"
    params:
        version=RECIPE_VERSION,
        title=lambda wildcards: CATALOGUE.experiment(wildcards.experiment).title,
    shell:
        "simformer comparison --table {input:q} --title {params.title:q} --output {output.pdf:q} > {log} 2>&1"
