# Paths, wildcards and the runs that the study asks for. No science here.
import hashlib
import json
import os
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

from snakemake.exceptions import WorkflowError

from simformer.analysis.pages.kept import ABOUT_TABLES, PAGES
from simformer.baselines.responses import COMPARED, RESPONSES, WALKS, responses_of
from simformer.baselines.settings import Cleaning
from simformer.config.layers import RECIPE_VERSION, read_study, read_yaml
from simformer.errors import UserError
from simformer.config.paths import config_folder
from simformer.study.last_words import was_interrupted
from simformer.study.plan import make_plan, trainings
from simformer.study.catalogue import FULL_SPLIT, Catalogue
from simformer.config.sources import archives, content_json
from simformer.study.files import MEASURE_FILES

try:
    # What Snakemake has read of the same files and of --config gives way: it takes `010` for 8 and drops doubled keys.
    content = read_study(list(map(Path, workflow.configfiles)), workflow.config_settings.config_args or ())
    config.clear()
    config.update(content)
    CONFIG = config_folder([Path(path) for path in workflow.configfiles])
    STUDY_FILES = [os.path.relpath(path) for path in workflow.configfiles]
    CATALOGUE = Catalogue(content, ", ".join(STUDY_FILES) or "--config", CONFIG)
except UserError as error:
    raise WorkflowError(str(error)) from None
STUDY = CATALOGUE.study
CELL = ("dataset", "split", "method", "seed")
EXPERIMENT = rf"(?!(?:{'|'.join(PAGES)})\b)[a-z][a-z0-9_]*"
"""Names of experiments, as the pattern of a wildcard: the others would be looked for among the experiment files."""
PINNED_SPLITS = sorted(str(path) for path in (CONFIG / "splits").glob("*/split*.yaml"))


wildcard_constraints:
    dataset="[a-z][a-z0-9_]*",
    archive="[a-z][a-z0-9_]*",
    split=rf"split\d+|{FULL_SPLIT}",
    method="[a-z][a-z0-9_]*",
    seed=r"\d+",
    response="[a-z][a-z0-9_]*",
    expansion="|".join(WALKS),
    cleaned=rf"(\.({'|'.join(get_args(Cleaning))}))?",
    shard=r"\d+of\d+",


def to_type(*words):
    """What a user types to run snakemake on this study, as a shell reads it."""
    study = ["--configfile", *STUDY_FILES] if STUDY_FILES else []
    return shlex.join(["snakemake", *study, *map(str, words)])


def growing(amount):
    """A resource that grows with every attempt, for profiles that retry failed jobs."""
    return lambda wildcards, attempt: amount * attempt


def data_file(name):
    """Path of a file of a prepared dataset."""
    return f"{STUDY.data}/{{dataset}}/{name}"


def dataset_file(name):
    """Path of a result that belongs to a dataset."""
    return f"{STUDY.results}/{{dataset}}/{name}"


def split_file(name):
    """Path of a file that belongs to a split."""
    return f"{STUDY.results}/{{dataset}}/{{split}}/{name}"


def run_file(name):
    """Path of a file that belongs to one training."""
    return f"{STUDY.results}/{{dataset}}/{{split}}/{{method}}/seed{{seed}}/{name}"


def maps_file(name, response="{response}"):
    """Path of a file on the way to class maps: made from image-level labels alone, so it serves every split."""
    return f"{STUDY.results}/{{dataset}}/{FULL_SPLIT}/maps/{response}/seed{{seed}}/{name}"


def retab_file(name):
    """Path of a file of RETAB, whose networks learn from the base masks of a split."""
    return split_file(f"retab/seed{{seed}}/{name}")


def table_file(name):
    """Path of a table."""
    return f"{STUDY.results}/{name}"


def log_file(name):
    """Path of a log."""
    return f"{STUDY.results}/logs/{name}.log"


def trained(name, cell):
    """Path of a file of the training whose model a (dataset, split, method, seed) uses."""
    return run_file(name).format(**cell | {"split": CATALOGUE.trained_split(cell["split"], cell["method"])})


def sorted_json(content):
    """Canonical JSON, so that the order of keys in a YAML file never triggers a job."""
    return json.dumps(content, sort_keys=True)


def inference_settings(wildcards):
    return sorted_json(CATALOGUE.datasets[wildcards.dataset].inference.model_dump(mode="json"))


def dataset_source(wildcards):
    return CATALOGUE.datasets[wildcards.dataset].source


def source_content(wildcards):
    return content_json(dataset_source(wildcards))


def source_settings(wildcards, output):
    """With addresses; taking `output` makes a parameter untracked, so that a new mirror triggers nothing."""
    return dataset_source(wildcards).model_dump_json()


def archive_file():
    """Path of a downloaded archive; its content tells the format."""
    return f"{STUDY.data}/downloads/{{dataset}}/{{archive}}"


def fetched(source):
    """The archives of a source that are downloaded, by name; those with a `path` are read where they are."""
    return {name: archive for name, archive in archives(source).items() if archive.path is None}


def fetched_archives(wildcards):
    names = fetched(dataset_source(wildcards))
    return [archive_file().format(dataset=wildcards.dataset, archive=name) for name in names]


def archive_options(wildcards, input):
    names = fetched(dataset_source(wildcards))
    return " ".join(f"--archive {shlex.quote(f'{name}={path}')}" for name, path in zip(names, input))


def archive_settings(wildcards, output):
    """Untracked, as in `source_settings`: no edit deletes a large file, which `prepare` checks."""
    found = fetched(dataset_source(wildcards))
    if wildcards.archive not in found:
        known = ", ".join(found) or "none"
        raise WorkflowError(f"{wildcards.dataset} has no archive '{wildcards.archive}' to fetch; it has: {known}")
    return found[wildcards.archive].model_dump_json()


def expected_counts(wildcards):
    return CATALOGUE.datasets[wildcards.dataset].expect.model_dump_json(exclude_none=True)


def dataset_splits(wildcards):
    """The split files of all splits of a dataset."""
    numbers = STUDY.datasets[wildcards.dataset].splits
    return [split_file("split.yaml").format(dataset=wildcards.dataset, split=f"split{k}") for k in numbers]


def split_spec(wildcards):
    return CATALOGUE.split_json(wildcards.dataset, wildcards.split)


def run_settings(wildcards):
    run = CATALOGUE.run(wildcards.dataset, wildcards.split, wildcards.method, int(wildcards.seed))
    return sorted_json(run.flat() | {"novel": novel_classes(wildcards.dataset, wildcards.split)})


@cache
def novel_classes(dataset, split):
    """What the study says of the novel classes of a split, with which label sets and numbers are compared."""
    return CATALOGUE.novel(dataset, split)


@cache
def model_hash(dataset, split, method, seed):
    """Hash of the training whose model a (dataset, split, method, seed) uses."""
    return CATALOGUE.run(dataset, CATALOGUE.trained_split(split, method), method, int(seed)).hash


def run_hash(wildcards):
    return model_hash(**{name: wildcards[name] for name in CELL})


def training_labels(wildcards):
    method = CATALOGUE.method(wildcards.method)
    if method.labels == "pseudo":
        return run_file("pseudo/labels.json").format(**dict(wildcards.items()) | {"method": method.teacher})
    if method.labels == "maps":
        return run_file("mixed/labels.json").format(**wildcards)
    folder = {"fill": "fill", "crop": "crop"}.get(method.labels, "masked")
    return split_file(f"{folder}/labels.json").format(**wildcards)


def full_labels(wildcards):
    """Label set with all masks; only evaluation reads it beside a weak training."""
    return split_file("masked/labels.json").format(dataset=wildcards.dataset, split=FULL_SPLIT)


def model_settings(wildcards):
    return CATALOGUE.run(wildcards.dataset, wildcards.split, wildcards.method, 0).settings.model


def weights_file():
    """Path of initial backbone weights, outside the dataset's folder, which a user may delete."""
    return f"{STUDY.data}/weights/{{dataset}}.{{backbone}}.safetensors"


def initial_weights(wildcards):
    model = model_settings(wildcards)
    wanted = {"dataset": wildcards.dataset, "backbone": model.backbone}
    return [] if model.weights == "none" else weights_file().format(**wanted)


def outside_files(wildcards):
    """Everything that the study needs from outside: archives and initial backbone weights."""
    places = [SimpleNamespace(dataset=d, split=s, method=m) for d, s, m, _ in trainings(CATALOGUE, STUDY.experiments)]
    files = [file for place in places for file in [*fetched_archives(place), initial_weights(place)] if file]
    return list(dict.fromkeys(files))


def baseline_weights(wildcards):
    """Initial backbone weights of a baseline's network: those of every method of the dataset."""
    model = CATALOGUE.model(wildcards.dataset)
    wanted = {"dataset": wildcards.dataset, "backbone": model.backbone}
    return [] if model.weights == "none" else weights_file().format(**wanted)


def weights_source(wildcards):
    """Source as written: environment variables are expanded by the job, so that plans do not depend on them."""
    settings = CATALOGUE.datasets[wildcards.dataset].settings.get("model", {})
    override = STUDY.datasets[wildcards.dataset].settings.get("model", {})
    return (settings | override).get("weights", "imagenet")


def dataset_folder(wildcards):
    """Folder of a prepared dataset; what is read from it is checked through the index and label checksums."""
    return str(Path(data_file("x").format(**wildcards)).parent)


def pinned_split(wildcards):
    """The pinned file behind a split, if it has one."""
    file = json.loads(CATALOGUE.split_json(wildcards.dataset, wildcards.split)).get("file")
    return [file] if file else []


def pinned_class_counts(wildcards):
    """Number of classes of every dataset with pinned splits."""
    files = {name: CONFIG / f"datasets/{name}.yaml" for name in (Path(file).parent.name for file in PINNED_SPLITS)}
    return sorted_json({name: read_yaml(path)["expect"]["classes"] for name, path in files.items()})


def shards(subset, dataset):
    """Names of the jobs that a pass over the images of a subset is split into, e.g. 2of4."""
    count = getattr(CATALOGUE.datasets[dataset].shards, subset)
    return [f"{number}of{count}" for number in range(1, count + 1)]


def evaluation_shards(cell):
    """Files of the evaluation of a (dataset, split, method, seed)."""
    return [trained(f"evaluation/{shard}.npz", cell) for shard in shards("test", cell["dataset"])]


def evaluation(wildcards):
    return evaluation_shards(dict(wildcards.items()))


def pseudo_shards(wildcards):
    return [run_file(f"pseudo/{shard}").format(**wildcards) for shard in shards("train", wildcards.dataset)]


def gallery_cells(wildcards):
    """The (dataset, split, method, seed) of an experiment's methods, first seed of the study."""
    experiment = CATALOGUE.experiment(wildcards.experiment)
    seed = (experiment.seeds or STUDY.seeds)[0]
    place = {"dataset": wildcards.dataset, "split": wildcards.split, "seed": seed}
    return [place | {"method": method} for method in experiment.methods]


def gallery_models(wildcards):
    return [trained("model.safetensors", cell) for cell in gallery_cells(wildcards)]


def gallery_spec(wildcards):
    experiment = CATALOGUE.experiment(wildcards.experiment)
    labels = [CATALOGUE.method(method).label for method in experiment.methods]
    hashes = [model_hash(**cell) for cell in gallery_cells(wildcards)]
    return sorted_json({"title": experiment.title, "labels": labels, "images": [], "count": 6, "hashes": hashes})


def first_table_pages():
    """More about the study's first table: every class, methods side by side; per split pictures and training curves."""
    name = STUDY.experiments[0]
    places = dict.fromkeys((dataset, split) for dataset, split, _, _ in CATALOGUE.cells(name))
    pages = [table_file(f"figures/comparison.{name}.png")]
    pages += [table_file(f"per_class/{name}.md")] if has_iou(name) else []
    for dataset, split in places:
        pages += [
            split_file(f"{kind}.{name}.png").format(dataset=dataset, split=split) for kind in ("gallery", "curves")
        ]
    return pages


def weights_option(wildcards, input):
    return f"--weights {shlex.quote(str(input.weights))}" if input.weights else ""


def requested_experiments():
    """Experiments whose tables the command line names; None (all of the study) if it names none."""
    folders = [Path(STUDY.results, name) for name in ("", *ABOUT_TABLES)]
    tables = [Path(argument) for argument in sys.argv[1:] if Path(argument).parent in folders]
    return [p.stem for p in tables if p.suffix in (".csv", ".md", ".tex") and p.stem not in PAGES] or None


if workflow.is_main_process:
    try:
        plan = make_plan(CATALOGUE, requested_experiments())
    except UserError as error:
        raise WorkflowError(str(error)) from None
    print(plan.text(gpu_here=shutil.which("nvidia-smi") is not None), file=sys.stderr)
