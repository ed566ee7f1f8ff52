"""Typed settings of RIB; defaults after its released code, corrected for more than 20 classes and for dense scenes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simformer.baselines.settings import Positive
from simformer.config.fields import Count, Settings, Share, Weight


class RibSettings(Settings):
    """Fine-tuning of the classifier on each training image; its maps are summed over the iterations."""

    tier: Literal["exact", "middle", "fast"] = Field(
        "fast",
        description="exact: all stages that the classifier trained, loss at every scale >= 1, maps of every scale at "
        "every iteration, fresh crops. middle: loss at scale 1, other scales at 4 iterations, crops from a pool. "
        "fast: as middle, last stage and head only, other scales at 3 iterations.",
    )
    iterations: Count = Field(10, description="Iterations k per image; with 1 the maps are the plain ones.")
    tau: Positive = Field(
        0.4, description="Threshold of GNDRP: cells below this share of a map's maximum are pooled; 0.5 on COCO."
    )
    objective: Literal["gndrp", "average", "sigmoid"] = Field(
        "gndrp",
        description="Loss: raw logits pooled by GNDRP; raw logits of average pooling; binary cross-entropy of average "
        "pooling (the last two are ablations).",
    )
    goal: Literal["present", "absent"] = Field(
        "present", description="Classes fine-tuned toward on the image: its own; one that is absent (a control)."
    )
    lr: Positive = Field(3e-4, description="Learning rate of the backbone, for a loss divided by its positive entries.")
    head_lr_factor: Positive = Field(10.0, description="Learning-rate factor of the head.")
    weight_decay: Weight = Field(1e-4, description="L2 weight decay.")
    power: Weight = Field(0.9, description="Exponent of the schedule lr (1 - k/iterations)^power; no momentum.")
    other_images: Annotated[int, Field(ge=0)] = Field(
        6, description="B, other images per iteration; 20 (VOC) or 15 (COCO) go with the exact tier."
    )
    candidates: Count = Field(256, description="They are drawn from so many with the fewest classes in common.")
    pool: Count = Field(
        2048, description="Crops of other images that are kept as features, the same in every shard (not exact tier)."
    )
    images_at_once: Count = Field(1, description="Images of equal size that are fine-tuned side by side.")
    explode_share: Share = Field(
        0.8, description="A class is summed no further where its map covers more than this share of the image ..."
    )
    explode_growth: Positive = Field(1.5, description="... and more than this factor of its cover at k = 0.")
    stop_logit: Positive = Field(60.0, description="An image stops when its present classes' mean logit exceeds this.")


class RibCheckSettings(Settings):
    """How much of the training images RIB's properties are measured on."""

    pairs: Count = Field(300, description="Pairs of an image and a novel class at least, as many as there are.")
    exact_images: Count = Field(200, description="Images on which the tier is compared with the exact one.")
