# Paths, wildcards, and what jobs are told of the runs that the study asks for.
import json
import shlex
from typing import get_args

from simformer.analysis.pages.kept import PAGES
from simformer.baselines.responses import WALKS
from simformer.baselines.settings import Cleaning
from simformer.config.pseudo import PseudoSettings
from simformer.config.sources import archives, content_json
from simformer.study.initial_weights import weights_of_backbone
from simformer.study.plan import trainings
from simformer.study.runs import CELL
from simformer.study.sources import scored_folder

FILES = RUNS.files
data_file, dataset_file, split_file, run_file = FILES.data, FILES.dataset, FILES.split, FILES.run
maps_file, retab_file, control_file = FILES.maps, FILES.retab, FILES.retab_control
table_file, site_file, log_file = FILES.table, FILES.site, FILES.log
full_labels = FILES.full("masked/labels.json")
"""Label set with all masks; only evaluation and claims read it beside a weak training."""
PINNED_SPLITS = sorted(str(path) for path in (CONFIG / "splits").glob("*/split*.yaml"))

SCORED = sorted(
    {
        method
        for name in STUDY.experiments
        for method in CATALOGUE.experiment(name).methods
        if CATALOGUE.method(method).predictions
    }
)
"""Methods of the study that are another program's predictions."""


wildcard_constraints:
    dataset="[a-z][a-z0-9_]*",
    archive="[a-z][a-z0-9_]*",
    split=rf"split\d+|{FULL_SPLIT}",
    method="[a-z][a-z0-9_]*",
    seed=r"\d+",
    experiment="|".join(sorted({path.stem for path in (CONFIG / "experiments").glob("*.yaml")} - {*PAGES})) or "none/",
    response="[a-z][a-z0-9_]*",
    expansion="|".join(WALKS),
    cleaned=rf"(\.({'|'.join(get_args(Cleaning))}))?",
    shard=r"\d+of\d+",
    mixing=r"(_common[0-9.e+-]+)?",


def growing(amount):
    """A resource that grows with every attempt, for profiles that retry failed jobs."""
    return lambda wildcards, attempt: amount * attempt


def cpu_job(mem_mb, minutes):
    """Resources of a job without a network."""
    return {"mem_mb": growing(mem_mb), "runtime": growing(minutes)}


def gpu_job(mem_mb, runtime):
    """Resources of a job that runs a network, on a GPU where there is one."""
    return {"mem_mb": growing(mem_mb), "runtime": runtime, "gpu": 1}


def asked(describe, *names):
    """What a function of the study's runs says of some wildcards; a mistake of the user's is one line."""

    def found(wildcards):
        try:
            return describe(RUNS, *(int(wildcards[name]) if name == "seed" else wildcards[name] for name in names))
        except UserError as error:
            raise WorkflowError(str(error)) from None

    return found


def inputs_of(describe, *names):
    """The files of the runs that a job works on; it derives the same list from the study."""
    found = asked(describe, *names)
    return lambda wildcards: files_of(found(wildcards)["runs"])


def hash_of(describe, *names):
    """Hash of what a job works on: a parameter, so that the job runs again if it changes, and at no other time."""
    found = asked(describe, *names)
    return lambda wildcards: digest(found(wildcards))


def study_options(wildcards, output):
    """The study, for jobs that derive from it what they work on; untracked, since `hash_of` says when that changes."""
    return shlex.join(STUDY_OPTIONS)


def cell(wildcards):
    """The (dataset, split, method, seed) of some wildcards."""
    return wildcards.dataset, wildcards.split, wildcards.method, int(wildcards.seed)


def sorted_json(content):
    """Canonical JSON, so that the order of keys in a YAML file never triggers a job."""
    return json.dumps(content, sort_keys=True)


def untracked(words):
    """Words for a shell line that several rules share, wildcards in braces; `output` makes the parameter untracked."""
    return lambda wildcards, output: words.format(**wildcards)


def options(*names):
    """Options for those of these inputs that a rule has; Snakemake tracks the inputs, so it need not track this."""
    return lambda wildcards, input: " ".join(
        f"--{name} {shlex.quote(str(input[name]))}" for name in names if input.get(name)
    )


def training_options(wildcards, input):
    """Further options of a training. They share the parameter of the rule's shell line, since Snakemake would train
    every finished run again if that line changed. Taking `input` makes it untracked: weights are tracked as an input,
    and a model keeps the test-time sizes that the dataset had when it was trained.
    """
    return f"{options('weights')(wildcards, input)} --inference {shlex.quote(inference_of(wildcards.dataset))}"


def inference_of(dataset):
    """Settings of the predictions on a dataset."""
    return sorted_json(CATALOGUE.datasets[dataset].inference.model_dump(mode="json"))


def inference_settings(wildcards):
    return inference_of(wildcards.dataset)


def source_settings(wildcards, output):
    """With addresses; taking `output` makes a parameter untracked, so that a new mirror triggers nothing."""
    return CATALOGUE.datasets[wildcards.dataset].source.model_dump_json()


def fetched(dataset):
    """The archives of a dataset that are downloaded, by name; those with a `path` are read where they are."""
    found = archives(CATALOGUE.datasets[dataset].source)
    return {name: archive for name, archive in found.items() if archive.path is None}


def archives_of(dataset):
    """The files of a dataset's archives that are downloaded."""
    return expand(FILES.archive(), dataset=dataset, archive=fetched(dataset))


def archive_options(wildcards, input):
    found = zip(fetched(wildcards.dataset), input)
    return " ".join(f"--archive {shlex.quote(f'{name}={path}')}" for name, path in found)


def archive_settings(wildcards, output):
    """Untracked, as in `source_settings`: no edit deletes a large file, which `prepare` checks."""
    found = fetched(wildcards.dataset)
    if wildcards.archive not in found:
        known = ", ".join(found) or "none"
        raise WorkflowError(f"{wildcards.dataset} has no archive '{wildcards.archive}' to fetch; it has: {known}")
    return found[wildcards.archive].model_dump_json()


def dataset_splits(wildcards):
    """The split files of all splits of a dataset."""
    numbers = STUDY.datasets[wildcards.dataset].splits
    return expand(split_file("split.yaml"), dataset=wildcards.dataset, split=[f"split{k}" for k in numbers])


def split_spec(wildcards):
    return CATALOGUE.split_json(wildcards.dataset, wildcards.split)


def pinned_split(wildcards):
    """The pinned file behind a split, if it has one."""
    file = json.loads(split_spec(wildcards)).get("file")
    return [file] if file else []


def run_settings(wildcards):
    run = CATALOGUE.run(*cell(wildcards))
    return sorted_json(run.flat() | {"novel": RUNS.novel(wildcards.dataset, wildcards.split)})


def run_hash(wildcards):
    return RUNS.run(cell(wildcards)).hash


def pseudo_rule(wildcards, output):
    """The rule of mixed labels other than the released one; untracked, since the folder's name says it."""
    choice = PseudoSettings.of_suffix(wildcards.mixing)
    return f"--rule {shlex.quote(choice.model_dump_json())}" if wildcards.mixing else ""


def train_shards(pattern):
    """The files of all shards of a pass over the training images."""
    return lambda wildcards: expand(pattern, **wildcards, shard=RUNS.shards("train", wildcards.dataset))


def weights_of(dataset, model):
    """The file of a network's initial backbone weights, if it has any."""
    return [] if model.weights == "none" else expand(FILES.weights(), dataset=dataset, backbone=model.backbone)


def initial_weights(wildcards):
    """Initial backbone weights of a training."""
    return weights_of(wildcards.dataset, CATALOGUE.run(*cell(wildcards)).settings.model)


def baseline_weights(wildcards):
    """Initial backbone weights of a baseline's network: those of every method of the dataset."""
    return weights_of(wildcards.dataset, CATALOGUE.model(wildcards.dataset))


def outside_files(wildcards):
    """Everything that the study needs from outside: archives and initial backbone weights."""
    cells = trainings(CATALOGUE, STUDY.experiments)
    weights = [file for found in cells for file in weights_of(found[0], CATALOGUE.run(*found).settings.model)]
    return [file for name in dict.fromkeys(found[0] for found in cells) for file in archives_of(name)] + sorted(
        {*weights}
    )


def weights_source(wildcards):
    """Source as written: environment variables are expanded by the job, so that plans do not depend on them."""
    try:
        model = weights_of_backbone(CATALOGUE, wildcards.dataset, wildcards.backbone)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    return [model.weights, "--sha256", model.weights_sha256] if model.weights_sha256 else model.weights


def dataset_folder(wildcards):
    """Folder of a prepared dataset; what is read from it is checked through the index and label checksums."""
    return f"{STUDY.data}/{wildcards.dataset}"
