# What the rules of class maps and of the claims about them have in common.
from simformer.baselines.conta.rounds import BLIND, FAMILIES, FIRST, ROUNDS
from simformer.baselines.responses import RESPONSES, responses_of
from simformer.baselines.retab.controls import CONTROLS
from simformer.study import map_arms

MAPS_FIRST, ROUNDS_FIRST = 1, 2
"""Priorities: trainings wait for class maps, and CONTA's rounds are the longest chain to any of them."""
CONTA_ROUNDS = "|".join(ROUNDS)
image_label_file = FILES.full("image_labels/labels.json")
"""The label set that knows nothing but image-level labels."""


def network_params(command, kind, response="classifier"):
    """Parameters of the rules that train a network; kind and response may be wildcards in braces."""

    def spec(wildcards):
        name = kind(wildcards) if callable(kind) else kind.format(**wildcards)
        found = CATALOGUE.network(wildcards.dataset, name, int(wildcards.seed), response.format(**wildcards))
        return sorted_json(found.model_dump(mode="json"))

    return {
        "spec": spec,
        "data": dataset_folder,
        "folder": subpath(output.network, parent=True),
        "command": untracked(command),
        "files": options("split", "weights", "start", "predicted", "confounder"),
    }


def network_files(file, folder="", **wildcards):
    """Outputs of the rules that train a network."""
    names = {"network": "network.safetensors", "log": "log.csv", "facts": "train.json"}
    return {key: file(f"{folder}{name}", **wildcards) for key, name in names.items()}


def baseline_settings(section, response="{response}"):
    """A section of the baselines' settings for the maps of a response; all names may hold a wildcard."""

    def settings(wildcards):
        found = CATALOGUE.baselines(wildcards.dataset, response.format(**wildcards))
        for name in section.format(**wildcards).split("."):
            found = getattr(found, name)
        return found.model_dump_json() if hasattr(found, "model_dump_json") else found

    return settings


def seed_settings(wildcards):
    """Settings of the seeds; a method may choose their cleaning by itself."""
    settings = CATALOGUE.baselines(wildcards.dataset, wildcards.response).seeds
    return settings.model_copy(update={"clean": wildcards.cleaned[1:]} if wildcards.cleaned else {}).model_dump_json()


def response_kind(wildcards):
    """Section of the settings behind a response: ablations are those of their method, with other values."""
    return RESPONSES[wildcards.response].section


def response_start(wildcards):
    start = RESPONSES[wildcards.response].start
    return expand(maps_file("network.safetensors", start), **wildcards) if start else []


def response_weights(wildcards):
    return [] if RESPONSES[wildcards.response].start else baseline_weights(wildcards)


def previous_round(name):
    """A file of CONTA's round before, nothing for a control that reads no mask."""
    found = asked(lambda runs, dataset, response: runs.catalogue.round(dataset, response), "dataset", "response")

    def previous(wildcards):
        mine = found(wildcards)
        return [] if mine.family in BLIND else expand(maps_file(name, mine.previous), **wildcards)

    return previous


def last_round(name, before=False):
    """A file of CONTA's last round, or of the round before it."""

    def file(wildcards):
        found = map_arms.last_round(RUNS, wildcards.dataset)
        return expand(maps_file(name, found.previous if before else found.response), **wildcards)

    return file


def arm_files(*names):
    """The class maps that are compared."""
    found = asked(map_arms.map_arms, *names)
    return lambda wildcards: [arm.maps for arm in found(wildcards)]


def conta_files(wildcards):
    """The class maps of CONTA's rounds and of its controls."""
    found = map_arms.conta_arms(RUNS, wildcards.dataset, int(wildcards.seed))["maps"]
    return [file for files in found.values() for file in files.values()]


COMPARED_NETWORKS = {
    "seam": ["plain", "seam", "seam_no_er", "seam_no_ecr", "warm"],
    "cpn": ["plain", "cpn", "cpn_independent"],
}
"""Networks at stride 8 that a check compares."""


def named_files(names, files):
    """NAME=FILE of every network among the inputs of a check."""
    return " ".join(shlex.quote(f"{name}={file}") for name, file in zip(names, files))


def retab_affinities(wildcards):
    """The affinity networks that RETAB's checks compare: its own, PSA's, and those of its controls."""
    return [
        *expand(retab_file("classifier/affinity/network.safetensors"), **wildcards),
        *expand(maps_file("psa/network.safetensors", "classifier"), **wildcards),
        *expand(control_file("affinity/network.safetensors"), **wildcards, control=CONTROLS),
    ]


CLAIM_TABLES = {"baseline_checks": map_arms.CHECKED, "retab_checks": ("retab",)}
"""Pages of claims, and the checks whose claims they hold."""


def claims(runs, page):
    """The files of claims that a page holds."""
    return map_arms.claim_files(runs, CLAIM_TABLES[page])


def compared_labels():
    """The quality of labels in the first table that compares some."""
    names = [name for name in STUDY.experiments if table_runs.has_label_quality(RUNS, name)]
    return [table_file(f"label_quality/{name}.md") for name in names[:1]]


def measured(pattern):
    """A file of every split whose class maps are measured."""
    places = map_arms.measured_places(RUNS)
    return [pattern.format(dataset=dataset, split=split, seed=STUDY.seeds[0]) for dataset, split in places]
