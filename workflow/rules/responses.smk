# What the networks behind responses and the checks of their claims are made from; the rules are in seam.smk.


def response_kind(wildcards):
    """Section of the settings behind a response: ablations are those of their method, with other values."""
    return wildcards.response.split("_")[0]


def response_spec(wildcards):
    kind = response_kind(wildcards)
    return sorted_json(
        CATALOGUE.network(wildcards.dataset, kind, int(wildcards.seed), wildcards.response).model_dump(mode="json")
    )


def response_start(wildcards):
    return [] if wildcards.response == "warm" else maps_file("network.safetensors", "warm").format(**wildcards)


def response_weights(wildcards):
    return baseline_weights(wildcards) if wildcards.response == "warm" else []


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
