"""Typed settings of RETAB's networks and of its walk."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simformer.baselines.settings import NetworkSettings, Positive, WalkSettings
from simformer.config.fields import WHOLE, Count, Share


class EdgeSettings(NetworkSettings):
    """Network that finds class boundaries, trained on the edges of base masks."""

    reach: Count = Field(2, description="rho: a pixel is an edge if another class is at most this many pixels away.")

    sides: Literal["base", "both"] = Field(
        "base",
        description="Which pixels teach edges. base: those of base masks. both: also the pixels of the not-base region "
        "beside them; then every pixel of a novel class that teaches anything is an edge.",
    )


class TwoStageSettings(WalkSettings):
    """Walk in two stages: among cells that are no boundary, then from all cells into boundary cells."""

    stages: Annotated[Literal[1, 2], WHOLE] = Field(
        2, description="Number of stages. 1 is one stage over all cells, as in PSA; it is for comparison."
    )
    boundary: Share = Field(0.5, description="A cell is a boundary cell from this predicted boundary probability on.")
    background: Positive = Field(
        16.0, description="alpha: the score of 'none of them' is (1 - highest score)^alpha. This map is walked as well."
    )
