# Which files and settings a round of CONTA has, and its controls; the rules are in conta.smk.
from simformer.baselines.conta.rounds import BLIND, FAMILIES, FIRST, ROUNDS, Round

CONTA_ROUNDS = "|".join(ROUNDS)


def conta_round(wildcards):
    try:
        return CATALOGUE.round(wildcards.dataset, wildcards.response)
    except UserError as error:
        raise WorkflowError(str(error)) from None


def previous_round(name):
    """A file of the round before, nothing for a control that reads no mask."""

    def previous(wildcards):
        found = conta_round(wildcards)
        return [] if found.family in BLIND else maps_file(name, found.previous).format(**wildcards)

    return previous


def conta_settings(wildcards):
    return CATALOGUE.baselines(wildcards.dataset, wildcards.response).conta


def optional_file(option, name):
    """An option with a file of a rule's input, nothing where there is none."""
    return lambda wildcards, input: f"--{option} {shlex.quote(str(input[name]))}" if input[name] else ""


def conta_arms(wildcards):
    """Rounds 0 to T, the last round of each control, and the maps of all of them."""
    last = CATALOGUE.round(wildcards.dataset, CATALOGUE.response(wildcards.dataset, FAMILIES[0]))
    rounds = [FIRST, *(Round(last.family, number).response for number in range(1, last.number + 1))]
    controls = {
        CATALOGUE.baselines(wildcards.dataset, name).conta.context: CATALOGUE.response(wildcards.dataset, name)
        for name in FAMILIES[1:]
    }
    maps = {
        name: {stage: maps_file(f"{stage}/maps.json", name).format(**wildcards) for stage in ("cam", "irn")}
        for name in [*rounds, *controls.values()]
    }
    return {"rounds": rounds, "controls": controls, "maps": maps}


def last_round(name, before=False):
    """A file of CONTA's last round, or of the round before it."""

    def file(wildcards):
        found = CATALOGUE.round(wildcards.dataset, CATALOGUE.response(wildcards.dataset, FAMILIES[0]))
        return maps_file(name, found.previous if before else found.response).format(**wildcards)

    return file
