"""Settings of the stride-8 classifier from which SEAM and CPN start."""

from __future__ import annotations

from pydantic import Field

from simformer.baselines.settings import NetworkSettings
from simformer.config.settings import Share


class TappedSettings(NetworkSettings):
    """Training of a stride-8 classifier whose stages 2 and 3 feed a pixel correlation."""

    dropout: Share = Field(0.5, description="Channels of the last stage that are dropped before the class maps.")
