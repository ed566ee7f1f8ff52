"""Typed settings: one small frozen object per part of the method, every key documented with the paper's symbol.

Functions and modules take these objects, never the whole configuration (only `build.py` sees all of it).
Defaults are the paper's (COCO-Stuff-10K, ResNet-50); where the paper is silent they follow its released code.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simformer.config.fields import (
    DISTINCT,
    LATER,
    BackboneName,
    Count,
    LongEdge,
    Seed,
    Settings,
    Sha256,
    Share,
    Side,
    Weight,
    Weights,
    fitting_weights,
    within,
)

IGNORE = 255
"""Label of pixels that no class owns, and of hidden novel pixels."""


class Draw(Settings):
    """How the novel classes of a random split are drawn."""

    seed: Seed = Field(description="Seed of the permutation of the classes.")
    ratio: tuple[Count, Count] = Field(description="Base : novel classes.")


class ModelSettings(Settings):
    """MaskFormer (Sec. 3.2) and SimNet (Sec. 3.4)."""

    backbone: BackboneName = Field(
        "resnet50",
        description="Backbone network; the paper uses resnet50. You can also name resnet18, mobilenet_v2, tiny (for "
        "the demo), or 'timm/NAME' for a network of timm (docs/backbones.md).",
    )
    weights: Weights = Field(
        "imagenet",
        description="Initial weights of the backbone: 'imagenet' (torchvision's V1 weights), 'timm' (timm's weights "
        "for the backbone), 'none', or the path of a file.",
    )
    weights_sha256: Annotated[Sha256 | None, LATER] = Field(
        None, description="sha256 of the file that `weights` names. Any other file is refused."
    )
    frozen_stages: Annotated[int, LATER, Field(ge=0, le=4)] = Field(
        0, description="How many of the backbone's four stages keep their initial weights; 4 freezes all of it."
    )
    queries: Count = Field(100, description="N, number of queries; each makes a proposal per image.")
    dim: Count = Field(256, description="C, width of pixel embeddings, pixel decoder and transformer.")
    heads: Count = Field(8, description="Attention heads of the transformer decoder.")
    feedforward_dim: Count = Field(2048, description="Hidden width of the transformer's feed-forward blocks.")
    decoder_layers: Count = Field(6, description="L, transformer decoder layers. Each has its own losses.")
    dropout: Share = Field(0.1, description="Dropout on attention weights, residuals and feed-forward units.")
    simnet_dim: Count = Field(256, description="Width of SimNet's residual blocks.")
    simnet_norm: Annotated[Literal["batch", "layer", "none"], LATER] = Field(
        "batch",
        description="Norm of SimNet's blocks. With batch norm (released), other pairs of a batch influence a pair.",
    )
    simnet_input: Annotated[Literal["concatenated", "relational"], LATER] = Field(
        "concatenated",
        description="How SimNet sees embeddings a and b: [a ; b] (released), or [|a - b| ; a * b].",
    )

    @model_validator(mode="after")
    def _fitting_weights(self) -> ModelSettings:
        fitting_weights(self.backbone, self.weights, self.weights_sha256, self.frozen_stages)
        return self

    @model_validator(mode="after")
    def _divisible(self) -> ModelSettings:
        if self.dim % self.heads:
            raise ValueError(f"model.dim ({self.dim}) must be a multiple of model.heads ({self.heads})")
        if self.dim % 32:
            raise ValueError(f"model.dim ({self.dim}) must be a multiple of 32, the groups of its GroupNorm")
        return self


class MatchingSettings(Settings):
    """Bipartite matching of queries and classes of one image (Sec. 3.2)."""

    cls: Weight = Field(1.0, description="Weight of the class probability in the matching cost.")
    focal: Weight = Field(20.0, description="Weight of the focal mask cost (classes with a mask only).")
    dice: Weight = Field(1.0, description="Weight of the dice mask cost (classes with a mask only).")
    remap_columns: bool = Field(
        True,
        description="Map the columns of the cost matrix [has mask | no mask] back to the order of the targets. With "
        "false, as in the released code, columns are assigned wrongly if a base mask vanishes at stride 4.",
    )


class LossSettings(Settings):
    """Weights of the full loss (Eq. 5)."""

    cls: Weight = Field(1.0, description="Weight of L_cls, the proposal classification loss (Eq. 1).")
    focal: Weight = Field(20.0, description="Weight of the focal part of L_mask (Eq. 2) and of L_comp (Eq. 4).")
    dice: Weight = Field(1.0, description="Weight of the dice part of L_mask (Eq. 2) and of L_comp (Eq. 4).")
    sim: Weight = Field(1.0, description="Weight of L_sim (Sec. 3.4). With 0 there is no SimNet.")
    alpha: Weight = Field(
        0.1, description="alpha (Eq. 5), weight of L_dist (Eq. 3). Released: 0 on COCO split 1, 0.5 on ADE."
    )
    beta: Weight = Field(0.2, description="beta (Eq. 5), weight of L_comp (Eq. 4); released: 0.15 on COCO.")
    gamma: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="gamma (Sec. 3.5), constant score for all ignore masks. Released: 0.05."
    )
    no_object: Weight = Field(0.1, description="Weight of 'no object' in L_cls. All classes have weight 1.")
    exclusive: Annotated[Weight, LATER] = Field(
        0.0, description="Weight, within L_comp, of the term against novel masks that overlap (ours); 0: none."
    )
    present: Annotated[Weight, LATER] = Field(
        0.0, description="Weight, within L_comp, of the term that gives every novel class a place (ours). 0 removes it."
    )
    present_share: Annotated[float, LATER, Field(gt=0, le=1)] = Field(
        0.01,
        description="Share of the embedding grid's cells that `present` wants for each novel class of an image. A crop "
        "whose not-base region has fewer cells has no such term.",
    )
    present_gate: Annotated[bool, LATER] = Field(
        True,
        description="Weigh `present` by the share of the image's not-base pixels that the crop keeps: it is off up to "
        "one half, and has its full weight if the crop keeps all.",
    )
    ramp: Annotated[tuple[Share, Share], LATER] = Field(
        (0.2, 0.5),
        description="`exclusive` and `present` rise linearly from 0 to their weights between these shares of steps.",
    )

    @model_validator(mode="after")
    def _rising(self) -> LossSettings:
        if self.ramp[0] > self.ramp[1]:
            raise ValueError(f"loss.ramp is [start, full], found {list(self.ramp)}; give the smaller share first")
        if self.ramp[0] == 1:
            raise ValueError("loss.ramp starts at 1, the end of the training, so the terms never act; start earlier")
        return self

    @model_validator(mode="after")
    def _acting(self) -> LossSettings:
        for name in ("exclusive", "present"):
            if getattr(self, name) > 0 and self.beta == 0:
                raise ValueError(f"loss.{name} > 0 is a part of L_comp: set loss.beta > 0, or loss.{name} to 0")
        if not (self.cls or self.focal or self.dice or self.sim):
            raise ValueError("loss.cls, focal, dice and sim are all 0, so nothing would be learnt; set one of them > 0")
        return self


class SimilaritySettings(Settings):
    """Pixel-pixel similarity transfer: sampling for L_sim and L_dist (Sec. 3.4)."""

    points: Count = Field(100, description="J, pixels sampled per image for L_sim and for L_dist (Table 4).")
    pairs: Annotated[Literal["release", "paper"], LATER] = Field(
        "release",
        description="Pixel pairs of L_sim. release: most pixels belong to one common base class, and one pixel of a "
        "pair must be base. paper (Sec. 3.4): only base pixels, drawn class by class, half of them from common "
        "classes; similar and dissimilar pairs have the same weight.",
    )
    other_share: Share = Field(
        0.2,
        description="`release`: share of L_sim's J pixels drawn outside the common base class (20 of 100).",
    )
    balance_window: Count = Field(
        25,
        description="`release`: iterations over which similar and dissimilar pairs are counted to balance L_sim.",
    )
    balance_stride: Count = Field(5, description="`release`: every n-th pixel pair is counted for the balance.")
    detach: Annotated[bool, LATER] = Field(
        True,
        description="L_sim trains only SimNet (released). With false, its gradient also reaches the embeddings.",
    )
    student: Literal["cross", "same"] = Field(
        "cross",
        description="Student of L_dist. cross: the cosine between input and reference pixels (Eq. 3). same: between "
        "pixels of one image, as in the released code.",
    )
    form: Literal["bce", "cce"] = Field("bce", description="L_dist: binary cross-entropy (Eq. 3), or released 'cce'.")
    clamp: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.01, description="Teacher and student similarities are clamped to [clamp, 1 - clamp] in 'bce'."
    )
    sample_padding: bool = Field(True, description="L_dist may sample padded pixels, as the released code does.")


class PairSettings(Settings):
    """Choice of the reference image B for an input image A (Sec. 3.4)."""

    mode: Literal["none", "paper", "code", "self"] = Field(
        "paper",
        description="paper: B shares a novel and a base class with A; if there is none, only a novel class, then only "
        "a base class, then B = A. code: the rule of the released code. self: B = A (Table 5, Self-Pair). none: "
        "single images, no pairs.",
    )


class AugmentSettings(Settings):
    """Training augmentation (Appendix A3 and the MaskFormer recipe)."""

    crop: Side = Field(640, description="S, side of the square training crop, pixels.")
    short_edges: Annotated[tuple[Side, ...], DISTINCT] = Field(
        (320, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960),
        min_length=1,
        description="The shorter image side is resized to one of these, pixels.",
    )
    max_long_edge: LongEdge = Field(2560, description="Upper bound of the longer side after resizing, pixels.")
    color_jitter: bool = Field(True, description="SSD colour jitter: brightness, contrast, saturation, hue.")
    flip: bool = Field(True, description="Horizontal flip with probability 1/2.")
    crop_tries: Count = Field(50, description="Tries for a crop with at least one usable label.")

    @model_validator(mode="after")
    def _reachable(self) -> AugmentSettings:
        within(self.short_edges, self.max_long_edge, "augment.short_edges, augment.max_long_edge")
        return self


class OptimSettings(Settings):
    """AdamW with a polynomial schedule (Appendix A3)."""

    steps: Count = Field(60_000, description="T, optimiser steps; 60k on COCO-Stuff-10K, 160k on ADE20K.")
    batch_images: Count = Field(8, description="Images per step over all devices. A pair counts as two.")
    group_images: Count = Field(
        2, description="Images over which a loss is normalised: those of one GPU in the reference set-up."
    )
    groups_per_forward: Annotated[int, Field(ge=0)] = Field(
        0, description="Groups in one forward pass; 0 means all. Fewer groups need less memory."
    )
    lr: Annotated[float, Field(gt=0)] = Field(1e-4, description="Base learning rate.")
    backbone_lr_factor: Weight = Field(0.1, description="Learning-rate factor of the backbone.")
    weight_decay: Weight = Field(1e-4, description="Decoupled weight decay; 0 for norm layers and embeddings.")
    power: Weight = Field(0.9, description="Exponent of the schedule lr (1 - t/T)^power.")
    clip_norm: Annotated[float, Field(gt=0)] = Field(
        0.01, description="Bound of the global L2 gradient norm over the whole model, SimNet included."
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "bf16",
        description="Arithmetic of the networks (autocast); losses stay in single precision. bf16 needs a GPU from "
        "Ampere on, or a CPU with AVX512-BF16 or AMX. fp16 is for older GPUs. fp32 takes twice the time or more.",
    )
    compile: bool = Field(
        False,
        description="Compile backbone, pixel decoder and transformer with torch.compile. This takes a minute or more "
        "at the start. It is meant for GPUs, but has not been measured on one yet.",
    )

    @model_validator(mode="after")
    def _groups(self) -> OptimSettings:
        if self.batch_images % self.group_images:
            raise ValueError(
                f"optim.batch_images ({self.batch_images}) must be a multiple of "
                f"optim.group_images ({self.group_images})"
            )
        groups = self.batch_images // self.group_images
        if self.groups_per_forward and groups % self.groups_per_forward:
            raise ValueError(
                f"optim.groups_per_forward ({self.groups_per_forward}) must divide the {groups} groups of a step"
            )
        return self


class InferenceSettings(Settings):
    """Inference for evaluation and for pseudo-labels."""

    short_edge: Side = Field(640, description="Shorter side at test time, pixels.")
    max_long_edge: LongEdge = Field(2560, description="Upper bound of the longer side at test time, pixels.")
    pseudo_short_edges: Annotated[tuple[Side, ...], DISTINCT] = Field(
        (),
        description="Sizes of the shorter side whose predictions (with flips) are averaged to make pseudo-labels. If "
        "empty, there is one plain prediction at the test size.",
    )
    pseudo_max_long_edge: LongEdge = Field(
        4480, description="Upper bound of the longer side in that averaging, pixels."
    )
    batch_images: Count = Field(8, description="Images of equal size in one forward pass.")

    @model_validator(mode="after")
    def _reachable(self) -> InferenceSettings:
        within((self.short_edge,), self.max_long_edge, "short_edge, max_long_edge")
        within(self.pseudo_short_edges, self.pseudo_max_long_edge, "pseudo_short_edges, pseudo_max_long_edge")
        return self


class TrainSettings(Settings):
    """Everything that decides the weights of one training, in sections."""

    model: ModelSettings = ModelSettings()
    matching: MatchingSettings = MatchingSettings()
    loss: LossSettings = LossSettings()
    similarity: SimilaritySettings = SimilaritySettings()
    pairing: PairSettings = PairSettings()
    augment: AugmentSettings = AugmentSettings()
    optim: OptimSettings = OptimSettings()

    @property
    def has_simnet(self) -> bool:
        """Whether a similarity network is trained."""
        return self.loss.sim > 0

    def later_defaults(self) -> dict[str, set[str]]:
        """Return the keys marked LATER that have their default, by section."""
        return {
            name: {
                key
                for key, field in type(section).model_fields.items()
                if LATER in field.metadata and getattr(section, key) == field.default
            }
            for name, section in self
        }

    @model_validator(mode="after")
    def _pairs(self) -> TrainSettings:
        loss, paired = self.loss, self.pairing.mode != "none"
        if loss.alpha > 0 and loss.sim == 0:
            raise ValueError("loss.alpha > 0 needs SimNet, its teacher: set loss.sim > 0 or loss.alpha to 0")
        for name, weight in (("loss.sim", loss.sim), ("loss.alpha", loss.alpha)):
            if weight > 0 and not paired:
                raise ValueError(f"{name} > 0 compares two images: set pairing.mode to 'paper', or {name} to 0")
        if paired and self.optim.group_images != 2:
            raise ValueError(f"pairs need optim.group_images = 2, found {self.optim.group_images}")
        return self

    @model_validator(mode="after")
    def _enough_cells(self) -> TrainSettings:
        """L_sim and L_dist draw pixels of the embedding grid without replacement."""
        cells, similarity = (-(-self.augment.crop // 4)) ** 2, self.similarity
        other = round(similarity.points * similarity.other_share)
        drawn = max(other, similarity.points - other) if self.has_simnet else 0
        if self.loss.alpha > 0 or (self.has_simnet and similarity.pairs == "paper"):
            drawn = similarity.points
        if drawn > cells:
            raise ValueError(
                f"similarity.points ({similarity.points}) draws {drawn} pixels, but the embedding grid has "
                f"{cells} with augment.crop {self.augment.crop}; lower the first or enlarge the second"
            )
        return self
