"""Typed settings of the weakly supervised baselines.

The paper names these methods and gives no setting of theirs: every key is a choice of this pipeline, made after the
methods' own papers and released code.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from simformer.baselines.responses import EXPANSIONS, RESPONSES
from simformer.config.fields import BACKBONES, WHOLE, Count, LongEdge, Seed, Settings, Share, Side, Weight, within
from simformer.config.layers import RECIPE_VERSION
from simformer.errors import UserError

Positive = Annotated[float, Field(gt=0)]
Radius = Annotated[int, Field(ge=2, le=10**15)]
"""Neighbours are nearer than this, in cells. With 1 there would be none."""
if TYPE_CHECKING:  # which cannot read the names from the tables
    ResponseName = str
    ExpansionName = str
else:
    ResponseName = Literal[tuple(RESPONSES)]
    ExpansionName = Literal[tuple(EXPANSIONS)]


class NetworkSettings(Settings):
    """Training of a network on crops, with SGD and a polynomial schedule."""

    frozen_stages: Annotated[int, Field(ge=0, le=4)] = Field(
        2,
        description="How many of the backbone's first stages keep their initial weights. Use 0 for a backbone that is "
        "trained from scratch.",
    )
    epochs: Positive = Field(
        20.0, description="Passes over the training images. The number of steps is epochs x images / batch."
    )
    batch_images: Count = Field(16, description="Images per step.")
    lr: Positive = Field(0.1, description="Learning rate of the backbone.")
    head_lr_factor: Positive = Field(10.0, description="Learning-rate factor of everything outside the backbone.")
    momentum: Share = Field(
        0.0,
        description="Momentum. The released PSA, IRN, SEAM and CPN have none: they pass the weight decay in its place.",
    )
    weight_decay: Weight = Field(1e-4, description="L2 weight decay.")
    power: Weight = Field(0.9, description="Exponent of the schedule lr (1 - t/T)^power.")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        0, description="Number of first steps in which the learning rate rises linearly."
    )
    clip_norm: Positive = Field(5.0, description="Upper bound of the global L2 norm of the gradient.")
    crop: Side = Field(512, description="Side of the square training crop, pixels. Smaller images are padded.")
    long_edges: tuple[Side, Side] | None = Field(
        (320, 640),
        description="The longer side is resized to a length drawn from this range, pixels. null: it is not resized.",
    )
    scales: tuple[Positive, Positive] = Field(
        (1.0, 1.0), description="Both sides are multiplied by a factor drawn from this range."
    )
    color_jitter: bool = Field(
        False, description="Change brightness, contrast, saturation and hue at random (as augment.color_jitter)."
    )

    @model_validator(mode="after")
    def _ranges(self) -> NetworkSettings:
        for name in ("long_edges", "scales"):
            if (found := getattr(self, name)) and found[0] > found[1]:
                raise ValueError(f"{name} is a range [lowest, highest], found {list(found)}")
        return self


NetworkSettingsT = TypeVar("NetworkSettingsT", bound=NetworkSettings, covariant=True)


class NetworkSpec(Settings, Generic[NetworkSettingsT]):
    """All that decides a network's weights beside its data and initial weights."""

    kind: str = Field(description="What it is: classifier, psa, irn, ...")
    backbone: str = Field(description="Backbone, as in model.backbone.")
    seed: Seed = Field(description="Seed of initialisation, data order and augmentation.")
    version: int = Field(RECIPE_VERSION, description="Version of the training code's results.")
    settings: NetworkSettingsT = Field(description="Settings of its training.")

    @property
    def hash(self) -> str:
        """First 16 hex digits of the sha256 of the specification in canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def of_settings(settings: type[NetworkSettingsT]) -> type[NetworkSpec[NetworkSettingsT]]:
    """Return the class of a specification with settings of a class that is known at run time alone."""
    specification: type[NetworkSpec[NetworkSettingsT]] = NetworkSpec[settings]  # type: ignore[valid-type]
    return specification


class ClassifierSettings(NetworkSettings):
    """Multi-label classifier of image-level labels."""

    stride: Annotated[Literal[8, 16], WHOLE] = Field(
        16, description="Stride of the class maps; 16 as in IRN, 8 (dilated) as in PSA."
    )
    reference_classes: Count = Field(
        20,
        description="The loss is multiplied by K divided by this number, so that each class counts as much as one of "
        "VOC's 20.",
    )


class AffinitySettings(NetworkSettings):
    """Network that tells which cells belong together, trained on seeds."""

    radius: Radius = Field(5, description="Training uses pairs of cells that are nearer than this, in cells.")


class CamSettings(Settings):
    """Class activation maps of the training images."""

    short_edge: Side | None = Field(None, description="Shorter side before scaling, pixels. null: the image's own.")
    max_long_edge: LongEdge = Field(640, description="Upper bound of the longer side before scaling, pixels.")
    scales: tuple[Positive, ...] = Field(
        (1.0, 0.5, 1.5, 2.0),
        min_length=1,
        description="Factors of that size. The maps of all factors, also of the mirrored image, are summed.",
    )
    batch_images: Count = Field(
        4, description="Number of images of equal size in one forward pass, each with its mirror image."
    )

    @model_validator(mode="after")
    def _reachable(self) -> CamSettings:
        within((self.short_edge or 0,), self.max_long_edge, "short_edge, max_long_edge")
        return self


Cleaning = Literal["none", "pamr", "crf"]
"""Of seeds, along edges of the image."""


class SeedSettings(Settings):
    """Confident pixels of the maps, on which an affinity network is trained."""

    threshold: Share = Field(
        0.3,
        description="Lowest score of a seed. The classes of the image compete; a pixel below the threshold stays 255.",
    )
    clean: Cleaning = Field(
        "none",
        description="Clean the seeds along edges of the image, at half size. 'crf' needs pydensecrf2 (the extra "
        "'crf').",
    )
    iterations: Count = Field(10, description="Number of iterations of the cleaning.")


class WalkSettings(Settings):
    """Random walk that expands the maps over cells of high affinity."""

    radius: Radius = Field(5, description="Cells nearer than this, in cells, are neighbours. 5 gives 68 neighbours.")
    beta: Positive = Field(8.0, description="Exponent of the affinities.")
    steps: Count = Field(64, description="Number of steps of the walk.")
    power: Positive = Field(1.0, description="Exponent that is applied to the maps before the walk.")


class MapChoice(Settings):
    """Which maps label the novel pixels of a method (`labels: maps`)."""

    response: ResponseName = Field("classifier", description="Network whose class activation maps are the start.")
    expansion: ExpansionName = Field(
        "none",
        description="Random walk that expands the maps: with PSA's affinity network or IRN's boundary network, which "
        "see no mask, or with RETAB's two networks, which learn from the base masks of the split.",
    )
    anchored: bool = Field(
        False,
        description="RETAB only: the walk stays within the not-base region, and edges of base masks are boundaries.",
    )
    clean: Cleaning | None = Field(
        None,
        description="RETAB only: how seeds are cleaned. null: `baselines.seeds.clean`, as for the other expansions.",
    )
    seed: Seed | None = Field(
        None,
        description="Seed of all networks behind the maps. null: the seed of the re-training, so that several seeds "
        "(Table 7) repeat everything. With 0, one label set serves all seeds, and only the re-training is repeated.",
    )
    gamma: Share = Field(
        0.1,
        description="Lowest score that gets a label, as a share of the class's maximum over the not-base region. 0 "
        "labels the whole region.",
    )

    @model_validator(mode="after")
    def _retab_only(self) -> MapChoice:
        for name, given in (("anchored", self.anchored), ("clean", self.clean)):
            if given and self.expansion != "retab":
                raise ValueError(f"`{name}` needs `expansion: retab`, found expansion: {self.expansion}")
        return self

    @property
    def cleaned(self) -> str:
        """Suffix of the folders of seeds whose cleaning is chosen, and of what follows from them: '.pamr', or ''."""
        return f".{self.clean}" if self.clean else ""


def dilatable(backbone: str, dataset: str) -> str:
    """Return a dataset's backbone; raises UserError if class maps cannot be made with it, which need finer strides."""
    if backbone in BACKBONES:
        return backbone
    raise UserError(
        f"settings.model.backbone of {dataset} is '{backbone}', but class maps (CAM*, SEAM*, ...) need one of "
        f"{', '.join(BACKBONES)}, whose strides can be removed; name the network of timm in methods instead"
    )
