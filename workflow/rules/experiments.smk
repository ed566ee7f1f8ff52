# What the tables, figures and pages of a study are made from; the rules are in paper.smk.
MADE_LABELS = ("fill", "maps", "pseudo")
"""Labels of methods whose novel pixels are labelled before the training."""
KEPT_RESULTS = "docs/results"
"""Tables and pictures that are kept in git, copied there by `simformer keep`; nothing below results/ is."""


def experiment_runs(wildcards):
    """The (dataset, split, method, seed) of every cell of a table, the file of its numbers, and whose these must be."""
    name = MEASURE_FILES[CATALOGUE.experiment(wildcards.experiment).measure]
    runs = [dict(zip(CELL, cell)) for cell in CATALOGUE.cells(wildcards.experiment)]
    return [run | {"path": run_file(name).format(**run)} | whose(**run) for run in runs]


@cache
def whose(dataset, split, method, seed):
    """What the numbers of a cell must be of: the hash of its training's settings, and the novel classes."""
    return {"hash": model_hash(dataset, split, method, seed), "novel": novel_classes(dataset, split)}


def experiment_metrics(wildcards):
    return [run["path"] for run in experiment_runs(wildcards)]


def table_rows(experiment):
    """The methods of a table; one that sees every mask is not ranked among the others."""
    methods = {name: CATALOGUE.method(name) for name in experiment.methods}
    return [{"method": name, "label": m.label, "ranked": m.labels != "full"} for name, m in methods.items()]


def table_spec(wildcards):
    experiment = CATALOGUE.experiment(wildcards.experiment)
    content = experiment.model_dump(include={"title", "metrics", "reported"}) | {"rows": table_rows(experiment)}
    return sorted_json(content | {"runs": experiment_runs(wildcards)})


def partial_spec(wildcards):
    """A table's specification and the runs that are there: with a new or changed one, the table is made again."""
    paths = [Path(run["path"]) for run in experiment_runs(wildcards)]
    finished = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.exists()}
    command = to_type("--cores", 1)
    return sorted_json(json.loads(table_spec(wildcards)) | {"finished": finished, "command": command})


def compared_runs(wildcards):
    """The cells of the rows that a table compares, with the files of their evaluation and of their split."""
    experiment = CATALOGUE.experiment(wildcards.experiment)
    compared = {method for pair in experiment.compare for method in pair}
    cells = [dict(zip(CELL, cell)) for cell in CATALOGUE.cells(wildcards.experiment)]
    return [
        cell
        | {"evaluation": evaluation_shards(cell), "groups": split_file("split.yaml").format(**cell)}
        | {"hash": model_hash(**cell)}
        for cell in cells
        if cell["method"] in compared
    ]


def compared_evaluations(wildcards):
    return [shard for run in compared_runs(wildcards) for shard in run["evaluation"]]


def compared_splits(wildcards):
    return list(dict.fromkeys(run["groups"] for run in compared_runs(wildcards)))


def t_test_runs(wildcards):
    """The runs of the rows that a table compares."""
    compared = {method for pair in CATALOGUE.experiment(wildcards.experiment).compare for method in pair}
    return [run for run in experiment_runs(wildcards) if run["method"] in compared]


def t_test_metrics(wildcards):
    if not (runs := t_test_runs(wildcards)):
        place = CONFIG / f"experiments/{wildcards.experiment}.yaml"
        raise WorkflowError(
            f"{place}: names no pairs to test; add e.g. compare: [[simformer_retrained, psa_retrained]]"
        )
    return [run["path"] for run in runs]


def t_test_spec(wildcards):
    experiment = CATALOGUE.experiment(wildcards.experiment)
    content = experiment.model_dump(include={"title", "metrics", "compare", "reported", "published_std", "published_p"})
    return sorted_json(content | {"rows": table_rows(experiment), "runs": t_test_runs(wildcards)})


def t_test_files():
    """Tests over seeds of the study's experiments, where there are seeds enough."""
    names = [name for name in STUDY.experiments if CATALOGUE.experiment(name).compare]
    return [table_file(f"t_test/{n}.md") for n in names if len(CATALOGUE.experiment(n).seeds or STUDY.seeds) > 1]


def class_runs(wildcards):
    """The runs of a table with the files of their evaluation and of their split."""
    return [
        run | {"evaluation": evaluation_shards(run), "groups": split_file("split.yaml").format(**run)}
        for run in experiment_runs(wildcards)
    ]


def class_files(wildcards):
    return list(dict.fromkeys(file for run in class_runs(wildcards) for file in [*run["evaluation"], run["groups"]]))


def has_iou(name):
    """Whether an experiment's runs are scored on test images."""
    return CATALOGUE.experiment(name).measure == "iou"


def comparison_spec(wildcards):
    """The runs give error bars to a figure of one seed."""
    name = wildcards.experiment
    runs = class_runs(wildcards) if has_iou(name) else []
    return sorted_json({"title": CATALOGUE.experiment(name).title, "runs": runs})


def class_spec(wildcards):
    experiment = CATALOGUE.experiment(wildcards.experiment)
    if not has_iou(wildcards.experiment):
        raise WorkflowError(
            f"{CONFIG}/experiments/{wildcards.experiment}.yaml: measure '{experiment.measure}' has no IoU"
        )
    return sorted_json({"title": experiment.title, "rows": table_rows(experiment), "runs": class_runs(wildcards)})


def retrained_runs(wildcards):
    """The runs of a table whose novel pixels have made labels, with the label sets that tell how good these are."""
    made = [run for run in experiment_runs(wildcards) if CATALOGUE.method(run["method"]).labels in MADE_LABELS]
    if len({run["method"] for run in made}) < 2:
        raise WorkflowError(
            f"{CONFIG}/experiments/{wildcards.experiment}.yaml: fewer than two methods that are re-trained on made labels"
        )
    return [
        run
        | {"labels": training_labels(Place(run)), "truth": full_labels(Place(run))}
        | {"masked": split_file("masked/labels.json").format(**run)}
        for run in made
    ]


def retrained_files(wildcards):
    runs = retrained_runs(wildcards)
    return list(dict.fromkeys(run[name] for run in runs for name in ("path", "labels", "masked", "truth")))


def retrained_spec(wildcards):
    experiment = CATALOGUE.experiment(wildcards.experiment)
    rows = table_rows(experiment)
    return sorted_json({"title": experiment.title, "rows": rows, "runs": retrained_runs(wildcards)})


def interval_spec(wildcards):
    experiment = CATALOGUE.experiment(wildcards.experiment)
    content = experiment.model_dump(include={"title", "metrics", "compare"}) | {"rows": table_rows(experiment)}
    return sorted_json(content | {"runs": compared_runs(wildcards)})


def interval_files():
    """Comparisons of the study's experiments."""
    return [table_file(f"intervals/{name}.md") for name in STUDY.experiments if CATALOGUE.experiment(name).compare]


def sweep_spec(wildcards):
    """Panels of a sweep figure: dataset -> split -> setting -> method -> value."""
    name, panels = wildcards.experiment, {}
    for dataset, split in dict.fromkeys(cell[:2] for cell in CATALOGUE.cells(name)):
        panels.setdefault(dataset, {})[split] = CATALOGUE.sweep(name, dataset, split)
    experiment = CATALOGUE.experiment(name)
    return sorted_json({"title": experiment.title, "reference": experiment.methods[0], "panels": panels})


def sweep_figures():
    """Figures of the study's experiments that sweep settings."""
    return [table_file(f"figures/{name}.pdf") for name in STUDY.experiments if CATALOGUE.experiment(name).sweep]


def kept_studies():
    """Studies whose tables are kept in git."""
    return [str(path) for path in sorted(CONFIG.glob("*.yaml")) if list(Path(KEPT_RESULTS, path.stem).glob("*.md"))]


def kept_results():
    folders = [Path(KEPT_RESULTS, Path(study).stem) for study in kept_studies()]
    return [str(path) for folder in folders for path in sorted(folder.rglob("*.*"))]


def written_report(wildcards):
    """The report of the study, which no rule can make."""
    file = table_file("report.zip")
    if not Path(file).exists():
        raise WorkflowError(f"{file} is not there; first type: {to_type('--report', file)}")
    return file
