# Which tables, figures and pages a study has, beyond what `simformer.study` says of their runs.
import hashlib

import simformer
from simformer.study import figure_runs, table_runs

KEPT_RESULTS = "docs/results"
"""Tables and pictures that are kept in git, copied there by `simformer keep`; nothing below results/ is."""
FIGURES = {path.stem: read_yaml(path).get("kind") for path in sorted((CONFIG / "figures").glob("*.yaml"))}
"""Kind of every figure of test images."""
COMPARED = [name for name in STUDY.experiments if CATALOGUE.experiment(name).compare]
SWEPT = [name for name in STUDY.experiments if CATALOGUE.experiment(name).sweep]
TESTED = [name for name in COMPARED if len(CATALOGUE.experiment(name).seeds or STUDY.seeds) > 1]
"""Experiments with comparisons, sweeps, and tests over seeds."""
TABLE_OF_SPLIT = {"dataset": "{dataset}", "split": "{split}", "table": "{experiment}"}
"""Labels of a picture in snakemake's report."""


def picture(file, caption, category, **labels):
    """An output that snakemake's report shows, with its caption in workflow/report/."""
    return report(file, caption=f"../report/{caption}.rst", category=category, labels=labels)


def table_caption(name):
    """Caption of a table in snakemake's report; an experiment of the user's own has none of its own."""
    return name if (HOME / f"workflow/report/{name}.rst").exists() else "own_table"


def statistics(runs, about, name):
    """Pages of statistics that belong to a table."""
    return getattr(table_runs, about)(runs, name)


def first_table_pages():
    """More about the study's first table: every class, methods side by side, and of its models what `pages_of_models` has."""
    name = STUDY.experiments[0]
    pages = [table_file(f"figures/comparison.{name}.png")]
    pages += [table_file(f"per_class/{name}.md")] if table_runs.has_iou(RUNS, name) else []
    return pages + pages_of_models(name)


def pages_of_models(name):
    """Of the models of a table, the study's first: pictures and training curves per split, and the gallery site."""
    places = dict.fromkeys((cell[0], cell[1]) for cell in CATALOGUE.cells(name) if RUNS.is_trained(cell))
    files = [split_file(f"{kind}.{name}.png") for kind in ("gallery", "curves")]
    found = [file.format(dataset=dataset, split=split) for dataset, split in places for file in files]
    return [*found, site_file("index.html")] if found else []


def finished(wildcards):
    """Hash of the numbers that are there: with a new or changed one, a partial table is made again."""
    paths = [Path(path) for path in inputs_of(table_runs.table, "experiment")(wildcards)]
    return digest({str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.exists()})


figure_of = asked(lambda runs, name: runs.catalogue.figure(name), "figure")
"""The file of a figure of images, by its wildcards."""


def figure_file(pattern):
    """A file of the dataset or split that a figure shows."""
    return lambda wildcards: pattern.format(
        dataset=figure_of(wildcards).dataset, split=f"split{figure_of(wildcards).split}"
    )


def models_of(cells, *names):
    """The models that a picture shows."""
    found = asked(cells, *names)
    return lambda wildcards: [RUNS.trained("model.safetensors", shown) for shown in found(wildcards)]


def page_hash():
    """Checksum of the site's own scripts and style, so that an edit of one makes the page again."""
    static = Path(simformer.__file__).parent / "analysis/site/static"
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(static.iterdir()))).hexdigest()


def pinned_class_counts(wildcards):
    """Number of classes of every dataset with pinned splits."""
    names = {Path(file).parent.name for file in PINNED_SPLITS}
    return sorted_json({name: read_yaml(CONFIG / f"datasets/{name}.yaml")["expect"]["classes"] for name in names})


def kept_studies():
    """The studies, some of whose tables are kept in git."""
    return [str(path) for path in sorted(CONFIG.glob("*.yaml"))]


def kept_results():
    return [str(path) for path in sorted(Path(KEPT_RESULTS).rglob("*.*"))]


def written_report(wildcards):
    """The report of the study, which no rule can make."""
    file = table_file("report.zip")
    if not Path(file).exists():
        raise WorkflowError(f"{file} is not there; first type: {RUNS.to_type('--report', file)}")
    return file
