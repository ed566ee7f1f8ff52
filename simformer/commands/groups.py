"""All commands by purpose, as `simformer --help` lists them; a new command gets its name in one of these groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Group(NamedTuple):
    """Commands that serve one purpose, in the order in which they are used.

    Args:
        title: the heading above them.
        commands: their names.
        rules: file of workflow/rules/ whose rules call them; "" if a person does.
    """

    title: str
    commands: tuple[str, ...]
    rules: str = ""

    @property
    def heading(self) -> str:
        """The title, and who calls these commands if no person does."""
        return f"{self.title} (called by workflow/rules/{self.rules}.smk)" if self.rules else self.title


GROUPS = (
    Group(
        "Every day",
        ("init", "import", "doctor", "plan", "status", "show", "keep", "predict", "score", "export", "completion"),
    ),
    Group("Checkpoints of the official code, and pages of reference", ("import_weights", "export_weights", "schema")),
    Group("From a source to an audited dataset", ("fetch", "prepare", "audit", "audit_page", "splits_page"), "data"),
    Group(
        "Splits and label sets",
        ("split", "mask_labels", "crop_labels", "fill_labels", "pseudo_labels", "join_labels"),
        "labels",
    ),
    Group("Training", ("weights", "resolve", "train"), "train"),
    Group("Evaluation", ("evaluate", "metrics", "simnet_f1"), "evaluate"),
    Group(
        "Class maps from image-level labels",
        ("image_labels", "classifier", "cam", "gather_maps", "seeds", "affinity", "refine", "mix"),
        "class_maps",
    ),
    Group("SEAM and CPN", ("response_network",), "seam_cpn"),
    Group("CONTA", ("segmentation", "predictions", "confounder", "conta", "conta_cam"), "conta"),
    Group("RIB", ("rib",), "rib"),
    Group(
        "RETAB",
        ("retab_boundary", "retab_boundary_maps", "retab_seeds", "retab_affinity", "retab_walk", "retab_control"),
        "retab",
    ),
    Group(
        "Claims about the baselines' class maps",
        ("check_maps", "check_seam", "check_cpn", "check_conta", "check_rib", "check_retab", "baseline_checks",
         "map_gallery", "retab_pictures", "stage_costs"),
        "claims",
    ),
    Group(
        "Tables",
        ("table", "partial_table", "intervals", "t_test", "per_class", "label_quality", "diagnostics", "results_page"),
        "tables",
    ),
    Group(
        "Figures",
        ("qualitative", "proposals", "similarity", "failures", "curves", "comparison", "sweeps"),
        "figures",
    ),
    Group("The gallery site", ("site_images", "site_predictions", "site", "site_screenshots"), "site"),
    Group("Snakemake's report", ("table_pages", "report_screenshots"), "report"),
)  # fmt: skip


def listing(about: Mapping[str, str]) -> str:
    """Return the list of all groups for `simformer --help`.

    Args:
        about: what each command does, by its name; the first line is shown.
    """
    lines = []
    for group in GROUPS:
        width = max(map(len, group.commands))
        shown = [f"  {name:{width}}  {about[name].splitlines()[0]}" for name in group.commands]
        lines += [f"{group.heading}:", *shown, ""]
    return "\n".join(lines).rstrip()
