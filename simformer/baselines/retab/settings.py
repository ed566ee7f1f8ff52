"""Typed settings of RETAB's networks and of its walk."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simformer.baselines.settings import NetworkSettings, Positive, WalkSettings
from simformer.config.fields import WHOLE, Count, Share


class EdgeSettings(NetworkSettings):
    """Network that finds class boundaries, trained on the edges of base masks."""

    reach: Count = Field(2, description="rho: a pixel with another class at most so many pixels away is an edge.")

    sides: Literal["base", "both"] = Field(
        "base",
        description="Pixels that teach edges: those of base masks, or those of the not-base region beside them too. "
        "With both, every pixel of a novel class that teaches anything is an edge.",
    )


class TwoStageSettings(WalkSettings):
    """Walk in two stages: among cells that are no boundary, then from all cells into boundary cells."""

    stages: Annotated[Literal[1, 2], WHOLE] = Field(
        2, description="1: one stage over all cells, as PSA; for comparison."
    )
    boundary: Share = Field(0.5, description="Lowest predicted boundary probability of a boundary cell.")
    background: Positive = Field(
        16.0, description="alpha: the score of 'none of them' is (1 - highest score)^alpha; it walks along."
    )
