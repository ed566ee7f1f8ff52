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
        "fast: as middle, but only the last stage and the head, and other scales at 3 iterations.",
    )
    iterations: Count = Field(10, description="k, iterations per image. With 1 the maps are the plain ones.")
    tau: Positive = Field(
        0.4,
        description="Threshold of GNDRP: cells below this share of a map's maximum are pooled. RIB has 0.5 on COCO.",
    )
    objective: Literal["gndrp", "average", "sigmoid"] = Field(
        "gndrp",
        description="Loss. gndrp: raw logits, pooled by GNDRP. average: raw logits, average pooling. sigmoid: binary "
        "cross-entropy, average pooling. The last two are ablations.",
    )
    goal: Literal["present", "absent"] = Field(
        "present",
        description="Toward which classes an image is fine-tuned. present: its own. absent: a class that it does not "
        "show (a control).",
    )
    lr: Positive = Field(
        3e-4, description="Learning rate of the backbone. The loss is divided by the number of its positive entries."
    )
    head_lr_factor: Positive = Field(10.0, description="Learning-rate factor of the head.")
    weight_decay: Weight = Field(1e-4, description="L2 weight decay.")
    power: Weight = Field(
        0.9, description="Exponent of the schedule lr (1 - k/iterations)^power. There is no momentum."
    )
    other_images: Annotated[int, Field(ge=0)] = Field(
        6, description="B, number of other images per iteration. With the exact tier, use 20 (VOC) or 15 (COCO)."
    )
    candidates: Count = Field(
        256, description="The other images are drawn from this many images, those with the fewest classes in common."
    )
    pool: Count = Field(
        2048,
        description="Number of crops of other images that are kept as features, the same in every shard. The exact "
        "tier has no pool.",
    )
    images_at_once: Count = Field(1, description="Number of images of equal size that are fine-tuned side by side.")
    explode_share: Share = Field(
        0.8,
        description="A class is no longer summed if its map covers more than this share of the image and "
        "`explode_growth` holds too.",
    )
    explode_growth: Positive = Field(
        1.5, description="The map must also cover more than this factor of what it covered at k = 0."
    )
    stop_logit: Positive = Field(
        60.0, description="An image stops when the mean logit of its present classes is above this."
    )


class RibCheckSettings(Settings):
    """How much of the training images RIB's properties are measured on."""

    pairs: Count = Field(
        300,
        description="At least this many pairs of an image and a novel class are measured, or all if there are fewer.",
    )
    exact_images: Count = Field(200, description="Number of images on which the tier is compared with the exact one.")
