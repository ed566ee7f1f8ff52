"""Typed settings of CONTA."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simformer.baselines.conta.rounds import MAX_ROUNDS
from simformer.baselines.settings import ClassifierSettings, NetworkSettings, Positive, SeedSettings
from simformer.config.fields import Count, Settings, leaving_enough

Context = Literal["own", "zero", "shuffled", "constant"]


class ContextClassifierSettings(ClassifierSettings):
    """Classifier that also sees a context map of the image."""

    context: Context = Field("own", description="Context map: see `baselines.conta.context`.")


class SegmentationSettings(NetworkSettings):
    """Segmentation network (DeepLab-v2) on the masks of the previous round."""

    bias_lr_factor: Positive = Field(20.0, description="Learning-rate factor of the biases outside the backbone.")
    atrous: tuple[Count, ...] = Field(
        (6, 12, 18, 24),
        min_length=1,
        description="Dilations of the parallel 3x3 convolutions. Their outputs are summed.",
    )
    views: tuple[Positive, ...] = Field(
        (1.0, 0.75, 0.5),
        min_length=1,
        description="Sizes at which each image is seen. The loss is summed over the sizes and over their maximum, "
        "which is the prediction.",
    )

    @model_validator(mode="after")
    def _smallest_view(self) -> SegmentationSettings:
        leaving_enough(self.crop, min(self.views), "views")
        return self


class ContaSettings(Settings):
    """Rounds, context map, and the masks that one round gives to the next."""

    rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS)] = Field(
        3, description="T, number of rounds after the plain classifier. The method uses the maps of the last round."
    )
    grid: Count = Field(32, description="Side, in cells, of the square grid on which context maps lie.")
    context: Context = Field(
        "own",
        description="Context map of an image: its own, or as a control zero, that of another image (shuffled), or one "
        "everywhere (constant).",
    )
    masks: SeedSettings = Field(
        SeedSettings(threshold=0.25),
        description="How masks are made from the walked maps. The segmentation network is trained on them.",
    )
