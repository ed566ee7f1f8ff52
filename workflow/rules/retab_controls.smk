# Networks that RETAB's checks compare: its own, PSA's, and those of controls; the rules are in retab.smk.
CONTROLS = ("shuffled", "base50", "base25")
"""Base masks of other images; so many percent of the base classes (simformer/baselines/retab/controls.py)."""


def control_file(name):
    """Path of a file of a control of RETAB; networks are trained for the checks alone."""
    return split_file(f"retab_controls/seed{{seed}}/{{control}}/{name}")


def retab_affinities(wildcards):
    """The affinity networks that the checks compare: RETAB's, PSA's, and those of the controls."""
    place = dict(wildcards.items())
    return [
        retab_file("classifier/affinity/network.safetensors").format(**place),
        maps_file("psa/network.safetensors", "classifier").format(**place),
        *(control_file("affinity/network.safetensors").format(**place, control=control) for control in CONTROLS),
    ]


def retab_affinity_options(wildcards, input):
    names = ("retab", "psa", *CONTROLS)
    return " ".join(shlex.quote(f"{name}={path}") for name, path in zip(names, input.affinity))
