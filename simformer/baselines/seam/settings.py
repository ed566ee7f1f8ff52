"""Settings of SEAM's training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from simformer.baselines.stride8.settings import CrossSettings
from simformer.config.fields import Weight, leaving_enough


class SeamSettings(CrossSettings):
    """SEAM: a rescaled view of each crop must give the same maps."""

    rescale: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3,
        description="Size of the second view, as a share of the crop. It should leave at least eight cells of stride "
        "8.",
    )
    er: Weight = Field(1.0, description="Weight of the equivariance of the class maps.")
    ecr: Weight = Field(1.0, description="Weight of the cross regularisation of class maps and spread maps.")

    @model_validator(mode="after")
    def _second_view(self) -> SeamSettings:
        leaving_enough(self.crop, self.rescale, "rescale")
        return self
