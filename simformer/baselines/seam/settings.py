"""Settings of SEAM's training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simformer.baselines.stride8.settings import TappedSettings
from simformer.config.settings import Weight


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


class SeamSettings(CrossSettings):
    """SEAM: a rescaled view of each crop must give the same maps."""

    rescale: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3, description="Size of the second view, as a share of the crop; it should keep eight cells of stride 8."
    )
    er: Weight = Field(1.0, description="Weight of the equivariance of the class maps.")
    ecr: Weight = Field(1.0, description="Weight of the cross regularisation of class maps and spread maps.")
