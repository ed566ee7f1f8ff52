"""Settings of the stride-8 classifier from which SEAM and CPN start, and of what both add to it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simformer.baselines.settings import NetworkSettings
from simformer.config.fields import Settings, Share, Weight


class TappedSettings(NetworkSettings):
    """Training of a stride-8 classifier whose stages 2 and 3 feed a pixel correlation."""

    dropout: Share = Field(0.5, description="Channels of the last stage that are dropped before the class maps.")


class CrossSettings(TappedSettings):
    """What SEAM and CPN have in common."""

    topk: Literal["literal", "active"] = Field(
        "literal",
        description="Errors that the cross regularisation counts: the largest 20 % of K + 1 maps, or of the maps of "
        "the image's classes and the background. The others are 0, so the first is a mere divisor.",
    )
    rv: Weight = Field(
        0.0,
        description="Weight of the mean of the lowest quarter of each image's spread maps, which says that a quarter "
        "is background; 1 in the released code, not so in fully labelled scenes.",
    )


class RegionSettings(Settings):
    """Pixel-region correlation module."""

    prcm_softmax: Literal["pixel", "class"] = Field(
        "pixel",
        description="The weights sum to 1 over the cells of a class (released code, so that they hardly matter) or "
        "over the classes of a cell.",
    )
    prcm_scramble: bool = Field(
        False, description="Keys reshaped from (192, K + 1) to (K + 1, 192) as released, instead of transposed."
    )
