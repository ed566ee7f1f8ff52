# Which figures there are, and of which runs, images and logs each is drawn; the rules are in figures.smk.
FIGURES = {path.stem: read_yaml(path).get("kind") for path in sorted((CONFIG / "figures").glob("*.yaml"))}


def figures_of(kind):
    """Names of the figures of a kind, as a wildcard's constraint."""
    return "|".join(name for name, found in FIGURES.items() if found == kind) or "none"


def figure_place(wildcards):
    """Wildcards of the results that a figure of images shows."""
    figure = CATALOGUE.figure(wildcards.figure)
    return {"dataset": figure.dataset, "split": f"split{figure.split}", "seed": figure.seed}


def figure_cells(wildcards):
    place = figure_place(wildcards)
    return [place | {"method": method} for method in CATALOGUE.figure(wildcards.figure).methods]


def figure_models(wildcards):
    return [trained("model.safetensors", cell) for cell in figure_cells(wildcards)]


def figure_index(wildcards):
    return data_file("index.json").format(**figure_place(wildcards))


def figure_split(wildcards):
    return split_file("split.yaml").format(**figure_place(wildcards))


def figure_inference(wildcards):
    return inference_settings(SimpleNamespace(**figure_place(wildcards)))


def figure_spec(wildcards):
    figure = CATALOGUE.figure(wildcards.figure)
    labels = [CATALOGUE.method(method).label for method in figure.methods]
    hashes = [model_hash(**cell) for cell in figure_cells(wildcards)]
    content = figure.model_dump(include={"title", "images", "count", "pixel"})
    return sorted_json(content | {"labels": labels, "hashes": hashes})


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
