"""Settings of CPN's training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simformer.baselines.stride8.settings import CrossSettings, RegionSettings
from simformer.config.fields import Count, Weight


class CpnSettings(CrossSettings):
    """CPN: two views that hide complementary parts of each crop must together give the maps of the whole."""

    cell_side: Count = Field(26, description="Mean side of a part, pixels. 26 gives 300 parts of 448 x 448.")
    masks: Literal["complementary", "independent"] = Field(
        "complementary",
        description="complementary: the second view shows what the first one hides. independent (a control): it shows "
        "other parts.",
    )
    cp: Weight = Field(
        1.0, description="Weight of the agreement between the maps of the two views and those of the whole image."
    )
    cpcr: Weight = Field(1.0, description="Weight of the cross regularisation between views.")
    regions: RegionSettings = Field(RegionSettings(), description="Pixel-region correlation module.")
