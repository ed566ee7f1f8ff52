# What the rules of class maps have in common: their files, settings, and what is measured of them.
MAPS_FIRST, ROUNDS_FIRST = 1, 2
"""Priorities: trainings wait for class maps, and CONTA's rounds are the longest chain to any of them."""
CHECKED = [
    "maps",
    "seam",
    "conta",
    "cpn",
    "rib",
    "retab",
]
"""What has claims: a rule check_<name> writes checks/<name>.seed<s>.json for every split."""


def image_label_file():
    """Path of the label set that knows nothing but image-level labels."""
    return f"{STUDY.results}/{{dataset}}/{FULL_SPLIT}/image_labels/labels.json"


def network_spec(kind, response="classifier"):
    """The training of a baseline's network; both names may be wildcards in braces."""

    def spec(wildcards):
        names = kind.format(**wildcards), int(wildcards.seed), response.format(**wildcards)
        return sorted_json(CATALOGUE.network(wildcards.dataset, *names).model_dump(mode="json"))

    return spec


def baseline_settings(section, response="{response}"):
    """A section of the baselines' settings for the maps of a response; both names may hold a wildcard."""

    def settings(wildcards):
        found = CATALOGUE.baselines(wildcards.dataset, response.format(**wildcards))
        return getattr(found, section.format(**wildcards)).model_dump_json()

    return settings


def seed_settings(wildcards):
    """Settings of the seeds; a method may choose their cleaning by itself."""
    settings = CATALOGUE.baselines(wildcards.dataset, wildcards.response).seeds
    return settings.model_copy(update={"clean": wildcards.cleaned[1:]} if wildcards.cleaned else {}).model_dump_json()


def map_shards(wildcards):
    """Manifests of all shards of some maps."""
    return [maps_file(f"{{stage}}/{shard}.json").format(**wildcards) for shard in shards("train", wildcards.dataset)]


def retab_settings(section):
    """A section of the baselines' settings that concerns the split alone, not the maps of one response."""
    return lambda wildcards: getattr(CATALOGUE.baselines(wildcards.dataset), section).model_dump_json()


def retab_shards(wildcards):
    """Manifests of all shards of RETAB's boundary maps or walked maps."""
    return [retab_file(f"{{part}}/{shard}.json").format(**wildcards) for shard in shards("train", wildcards.dataset)]


def mixed_maps(wildcards):
    """The maps that label the novel pixels of a method."""
    maps = CATALOGUE.method(wildcards.method).maps
    names = dict(wildcards.items()) | ({} if maps.seed is None else {"seed": maps.seed})
    response = CATALOGUE.response(wildcards.dataset, maps.response)
    if maps.expansion == "retab":
        walk = "anchored" if maps.anchored else "walked"
        return retab_file(f"{response}{maps.cleaned}/{walk}/maps.json").format(**names)
    stage = "cam" if maps.expansion == "none" else maps.expansion
    return maps_file(f"{stage}/maps.json", response).format(**names)


class Place(dict):
    """Wildcards of another rule: what it has as a key is an attribute as well."""

    __getattr__ = dict.__getitem__


def map_arms(wildcards):
    """The maps that are compared, as `simformer check_maps` takes them: of every response, then as it is expanded."""
    arms = {}
    for method in COMPARED:
        maps = CATALOGUE.method(method).maps
        place = Place({"seed": STUDY.seeds[0]} | dict(wildcards.items()) | {"method": method})
        common = {"start": maps.response, "gamma": maps.gamma, "kind": None, "walk": None}
        start = maps_file("cam/maps.json", CATALOGUE.response(wildcards.dataset, maps.response)).format(**place)
        arms.setdefault(maps.response, common | {"name": maps.response, "maps": start})
        if maps.expansion != "none":
            name = f"{maps.response}+{maps.expansion}"
            arms[name] = common | {"name": name, "maps": mixed_maps(place)}
        if maps.expansion in WALKS:
            walk = getattr(CATALOGUE.baselines(wildcards.dataset, maps.response), f"{maps.expansion}_walk")
            arms[name] |= {"kind": maps.expansion, "walk": walk.model_dump(mode="json")}
    return list(arms.values())


def map_arm_files(wildcards):
    return [arm["maps"] for arm in map_arms(wildcards)]


def map_arms_json(wildcards):
    return sorted_json(map_arms(wildcards))


def checked_places():
    """The splits whose class maps are measured: of every dataset the first, or all."""
    last = {"first": 1, "all": None}[STUDY.check_splits]
    return [(name, f"split{number}") for name, mine in STUDY.datasets.items() for number in list(mine.splits)[:last]]


def check_runs(names=tuple(CHECKED)):
    """The files of claims of the study, with the place and seed of each."""
    return [
        place | {"path": split_file(f"checks/{name}.seed{{seed}}.json").format(**place)}
        for dataset, split in checked_places()
        for name in names
        for place in ({"dataset": dataset, "split": split, "seed": seed} for seed in STUDY.seeds)
    ]


def map_galleries():
    return [split_file("maps.png").format(dataset=dataset, split=split) for dataset, split in checked_places()]


def retab_galleries():
    picture = split_file("retab.seed{seed}.png")
    return [picture.format(dataset=d, split=s, seed=STUDY.seeds[0]) for d, s in checked_places()]


def map_gamma(wildcards):
    return CATALOGUE.method(wildcards.method).maps.gamma
