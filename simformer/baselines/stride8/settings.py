"""Settings of the stride-8 classifier from which SEAM and CPN start, and of what both add to it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simformer.baselines.settings import NetworkSettings
from simformer.config.fields import Settings, Share, Weight


class TappedSettings(NetworkSettings):
    """Training of a stride-8 classifier whose stages 2 and 3 feed a pixel correlation."""

    dropout: Share = Field(
        0.5, description="Share of the last stage's channels that are dropped before the class maps."
    )


class CrossSettings(TappedSettings):
    """What SEAM and CPN have in common."""

    topk: Literal["literal", "active"] = Field(
        "literal",
        description="Which errors the cross regularisation counts: the largest 20 % of K + 1 maps (literal), or of the "
        "maps of the image's classes and the background (active). All other maps are 0, so `literal` only divides "
        "the loss.",
    )
    rv: Weight = Field(
        0.0,
        description="Weight of the mean of the lowest quarter of each image's spread maps. This term says that a "
        "quarter of the image is background. The released code has 1; fully labelled scenes have no background.",
    )


class RegionSettings(Settings):
    """Pixel-region correlation module."""

    prcm_softmax: Literal["pixel", "class"] = Field(
        "pixel",
        description="pixel: the weights sum to 1 over the cells of a class, as in the released code; they then hardly "
        "matter. class: over the classes of a cell.",
    )
    prcm_scramble: bool = Field(
        False,
        description="Reshape the keys from (192, K + 1) to (K + 1, 192), as in the released code, instead of "
        "transposing them.",
    )
