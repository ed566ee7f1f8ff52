"""The responses: networks and procedures that make class maps from image-level labels, each described once.

Settings, rules, plan and costs derive from this table what they need. A new response is one entry here; one that
learns something new also has a folder, its section in `dataset_settings.py` and its loss in `response_networks.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Response:
    """One source of class maps.

    Attributes:
        name: also of the folder of its maps.
        family: the rules that make it: 'classifier', 'stride8', 'conta' (in rounds, see `conta/rounds.py`) or 'rib'.
        section: of the settings that decides it; also the kind of its network.
        start: response whose network it starts from; None: it starts from the initial weights.
        overrides: where its settings differ from those of the dataset, section by section.
        between: sections of what is made after `start` and before it.
        trained: whether it has a network of its own; else it works with that of `start`.
        spread: whether its maps are those that the pixel correlation spreads, instead of the raw ones.
        compared: methods that show its maps where class maps are compared.
    """

    name: str
    family: str
    section: str
    start: str | None = None
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)
    between: tuple[str, ...] = ()
    trained: bool = True
    spread: bool = False
    compared: tuple[str, ...] = ()

    @property
    def sections(self) -> tuple[str, ...]:
        """Sections of the settings that decide what it makes, in the order of their stages."""
        return (*(RESPONSES[self.start].sections if self.start else ()), *self.between, self.section)


@dataclass(frozen=True)
class Expansion:
    """One way to expand the maps of a response by a random walk.

    Attributes:
        name: also of the folder of its maps.
        sections: of the settings that decide it, in the order of its stages.
        base_masks: whether it learns from base masks: its networks and maps then belong to a split.
    """

    name: str
    sections: tuple[str, ...] = ()
    base_masks: bool = False


ROUNDS = ("irn", "irn_walk", "segmentation")
RESPONSES = {
    response.name: response
    for response in (
        Response(
            "classifier", "classifier", "classifier", compared=("cam_retrained", "psa_retrained", "irn_retrained")
        ),
        Response("warm", "stride8", "warm"),
        Response("plain", "stride8", "plain", "warm"),
        Response("seam", "stride8", "seam", "warm", spread=True, compared=("seam_retrained",)),
        Response("seam_no_er", "stride8", "seam", "warm", {"seam": {"er": 0.0}}, spread=True),
        Response("seam_no_ecr", "stride8", "seam", "warm", {"seam": {"ecr": 0.0}}, spread=True),
        Response("conta", "conta", "conta", "classifier", between=ROUNDS, compared=("conta_retrained",)),
        Response("conta_zero", "conta", "conta", "classifier", {"conta": {"context": "zero"}}, ROUNDS),
        Response("conta_shuffled", "conta", "conta", "classifier", {"conta": {"context": "shuffled"}}, ROUNDS),
        Response("conta_constant", "conta", "conta", "classifier", {"conta": {"context": "constant"}}, ROUNDS),
        Response("cpn", "stride8", "cpn", "warm", spread=True, compared=("cpn_retrained",)),
        Response("cpn_independent", "stride8", "cpn", "warm", {"cpn": {"masks": "independent"}}, spread=True),
        Response(
            "rib", "rib", "rib", "classifier", {"seeds": {"threshold": 0.35}, "irn_walk": {"power": 1.3}},
            trained=False, compared=("rib_retrained",),
        ),
    )
}  # fmt: skip
"""Name -> response: those of Table 1 in its order, each followed by its ablations and controls."""
EXPANSIONS = {
    expansion.name: expansion
    for expansion in (
        Expansion("none"),
        Expansion("psa", ("seeds", "psa", "psa_walk")),
        Expansion("irn", ("seeds", "irn", "irn_walk")),
        Expansion("retab", ("seeds", "retab_boundary", "retab_affinity", "retab_walk"), base_masks=True),
    )
}
"""Name -> expansion."""
WALKS = tuple(name for name, found in EXPANSIONS.items() if found.sections and not found.base_masks)
"""Expansions that see no mask, so that their networks and maps serve every split."""
COMPARED = (*(method for response in RESPONSES.values() for method in response.compared), "retab_retrained")
"""Methods whose class maps are compared and drawn; those of a response alone are drawn with any of its methods."""


def responses_of(*families: str) -> tuple[str, ...]:
    """List the responses of some families."""
    return tuple(response.name for response in RESPONSES.values() if response.family in families)


def sections_behind(response: str, expansion: str) -> tuple[str, ...]:
    """List the sections that decide a method's maps, in the order of their stages.

    Args:
        response: maps that it starts from.
        expansion: of these maps.
    """
    return (*RESPONSES[response].sections, "cam", *EXPANSIONS[expansion].sections)
