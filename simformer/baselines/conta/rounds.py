"""The rounds of CONTA as responses: which one follows which, and which networks are behind each.

Round 0 is the plain classifier. Round t reads what the segmentation network predicts that was trained on the masks of
round t - 1; two controls read nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simformer.baselines.responses import RESPONSES, responses_of

FAMILIES = responses_of("conta")
"""CONTA and its three controls, which differ in `baselines.conta.context`."""
MASKLESS = ("zero", "constant")
"""Contexts that do not depend on any mask."""
BLIND = tuple(name for name in FAMILIES if RESPONSES[name].overrides.get("conta", {}).get("context") in MASKLESS)
"""Controls with such a context."""
MAX_ROUNDS = 5
"""Upper bound of `baselines.conta.rounds`; the paper saturates at 3."""
FIRST = str(RESPONSES[FAMILIES[0]].start)
"""Response of round 0."""
SEED_TAG = 7


@dataclass(frozen=True)
class Round:
    """One round t >= 1 of CONTA or of a control."""

    family: str
    number: int

    @property
    def response(self) -> str:
        """Name of its folder."""
        return f"{self.family}{self.number}"

    @property
    def previous(self) -> str:
        """Response of the round before."""
        return FIRST if self.number == 1 else Round(self.family, self.number - 1).response

    def seed(self, seed: int) -> int:
        """Seed of its classifier: rounds draw anew, so that a control without context is a re-seeded plain one."""
        return int(np.random.default_rng([seed, SEED_TAG, self.number]).integers(2**31))


ROUNDS: dict[str, Round] = {
    Round(family, number).response: Round(family, number) for family in FAMILIES for number in range(1, MAX_ROUNDS + 1)
}
"""Response -> round, for every round that a dataset may have."""


def networks_behind(response: str) -> list[tuple[str, ...]]:
    """List the networks behind a response's own maps, first to be trained first.

    Returns: (response,) for its classifier, (response, stage) for the networks 'irn' and 'segmentation' beside it.
    """
    found = ROUNDS.get(response)
    if found is None:
        known = RESPONSES[response]
        return (networks_behind(known.start) if known.start else []) + ([(response,)] if known.trained else [])
    if found.family in BLIND:
        return [(response,)]
    between = [(found.previous, "irn"), (found.previous, "segmentation")]
    return [*networks_behind(found.previous), *between, (response,)]
