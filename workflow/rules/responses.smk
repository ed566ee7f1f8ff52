# What the networks behind responses and the checks of their claims are made from; the rules are in seam.smk.


def response_spec(wildcards):
    kind = RESPONSES[wildcards.response].section
    return sorted_json(
        CATALOGUE.network(wildcards.dataset, kind, int(wildcards.seed), wildcards.response).model_dump(mode="json")
    )


def response_start(wildcards):
    start = RESPONSES[wildcards.response].start
    return maps_file("network.safetensors", start).format(**wildcards) if start else []


def response_weights(wildcards):
    return [] if RESPONSES[wildcards.response].start else baseline_weights(wildcards)


def start_option(wildcards, input):
    return f"--start {shlex.quote(str(input.start))}" if input.start else ""


def check_networks(*names):
    """Inputs of a check: the networks that it compares, by name."""
    return {name: maps_file("network.safetensors", name) for name in names}


def network_options(wildcards, input):
    """NAME=FILE of every network among the inputs."""
    networks = {name: file for name, file in input.items() if name not in ("index", "split")}
    return " ".join(shlex.quote(f"{name}={file}") for name, file in networks.items())


def check_maps_settings(wildcards):
    return CATALOGUE.baselines(wildcards.dataset).cam.model_dump_json()
