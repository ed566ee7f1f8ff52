"""Typed settings of CONTA."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simformer.baselines.conta.rounds import MAX_ROUNDS
from simformer.baselines.settings import ClassifierSettings, NetworkSettings, Positive, SeedSettings
from simformer.config.fields import Count, Settings, Side

Context = Literal["own", "zero", "shuffled", "constant"]


class ContextClassifierSettings(ClassifierSettings):
    """Classifier that also sees a context map of the image."""

    context: Context = Field("own", description="Context map: see `baselines.conta.context`.")


class SegmentationSettings(NetworkSettings):
    """Segmentation network (DeepLab-v2) on the masks of the previous round."""

    frozen_stages: Annotated[int, Field(ge=0, le=4)] = Field(
        0, description="First stages of the backbone that keep their initial weights."
    )
    epochs: Positive = Field(
        11.0, description="Passes over the training images; 10,000 steps on 9,000 images, half of the released ones."
    )
    batch_images: Count = Field(10, description="Images per step.")
    lr: Positive = Field(2.5e-4, description="Learning rate of the backbone.")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="Momentum.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(5e-4, description="L2 weight decay.")
    bias_lr_factor: Positive = Field(20.0, description="Learning-rate factor of the biases outside the backbone.")
    crop: Side = Field(321, description="Side of the square training crop, pixels; padded where the image is smaller.")
    long_edges: tuple[Side, Side] | None = Field(
        None, description="The longer side is resized to a length drawn from this range; null: left as it is."
    )
    scales: tuple[Positive, Positive] = Field((0.5, 1.5), description="Factor of both sides, drawn from this range.")
    atrous: tuple[Count, ...] = Field(
        (6, 12, 18, 24),
        min_length=1,
        description="Dilations of the parallel 3x3 convolutions whose outputs are summed.",
    )
    views: tuple[Positive, ...] = Field(
        (1.0, 0.75, 0.5),
        min_length=1,
        description="Sizes at which each image is seen; the loss is summed over them and over their maximum, which "
        "is the prediction.",
    )


class ContaSettings(Settings):
    """Rounds, context map, and the masks that one round gives to the next."""

    rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS)] = Field(
        3, description="T, rounds after the plain classifier; the last one's maps are the method's."
    )
    grid: Count = Field(32, description="Side of the square grid on which context maps lie, cells.")
    context: Context = Field(
        "own",
        description="Context map of an image: its own; controls: zero, that of another image, or one everywhere.",
    )
    masks: SeedSettings = Field(
        SeedSettings(threshold=0.25),
        description="Masks of the walked maps, on which the segmentation network is trained.",
    )
