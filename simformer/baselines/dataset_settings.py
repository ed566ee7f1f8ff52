"""Every setting of the weakly supervised baselines on a dataset, in sections.

The settings of a method's own networks lie in its folder, e.g. `seam/settings.py`.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from simformer.baselines.conta.settings import ContaSettings, SegmentationSettings
from simformer.baselines.cpn.settings import CpnSettings
from simformer.baselines.responses import RESPONSES
from simformer.baselines.retab.settings import EdgeSettings, TwoStageSettings
from simformer.baselines.rib.settings import RibCheckSettings, RibSettings
from simformer.baselines.seam.settings import SeamSettings
from simformer.baselines.settings import (
    AffinitySettings,
    CamSettings,
    ClassifierSettings,
    ResponseName,
    SeedSettings,
    WalkSettings,
)
from simformer.baselines.stride8.settings import TappedSettings
from simformer.config.fields import Settings

TAPPED = {
    "frozen_stages": 1, "epochs": 10, "batch_images": 8, "lr": 0.002, "momentum": 0.9, "weight_decay": 1e-4,
    "warmup_steps": 200, "clip_norm": 10.0, "crop": 448, "long_edges": (448, 768), "color_jitter": True,
}  # fmt: skip
"""Training that the stride-8 networks of SEAM and CPN have in common."""

PAIRS = {
    "frozen_stages": 1, "epochs": 8, "batch_images": 8, "lr": 0.01, "weight_decay": 5e-4, "warmup_steps": 200,
    "clip_norm": 10.0, "crop": 448, "long_edges": None, "color_jitter": True,
}  # fmt: skip
"""Training that PSA's affinity network and RETAB's two networks have in common."""


class BaselineSettings(Settings):
    """Everything from images with image-level labels to expanded maps, in sections."""

    classifier: ClassifierSettings = Field(
        ClassifierSettings(), description="Multi-label classifier, trained only on image-level labels."
    )
    cam: CamSettings = Field(CamSettings(), description="Class activation maps of the training images.")
    seeds: SeedSettings = Field(
        SeedSettings(), description="Confident pixels of the maps. An expansion learns from them."
    )
    psa: AffinitySettings = Field(AffinitySettings(**PAIRS), description="PSA's affinity network.")
    psa_walk: WalkSettings = Field(WalkSettings(), description="Random walk with PSA's affinities, at stride 8.")
    irn: AffinitySettings = Field(
        AffinitySettings(
            frozen_stages=4,
            epochs=3,
            batch_images=32,
            head_lr_factor=1.0,
            long_edges=None,
            scales=(0.5, 1.5),
            radius=10,
        ),
        description="IRN's boundary network.",
    )
    irn_walk: WalkSettings = Field(
        WalkSettings(beta=10.0, steps=256), description="Random walk with IRN's affinities, at stride 4."
    )
    warm: TappedSettings = Field(
        TappedSettings(**TAPPED | {"epochs": 5}),
        description="Plain stride-8 classifier; SEAM and CPN start from it.",
    )
    plain: TappedSettings = Field(
        TappedSettings(**TAPPED),
        description="The warm classifier, trained further in the same way: a control.",
    )
    seam: SeamSettings = Field(SeamSettings(**TAPPED), description="SEAM, from the warm classifier.")
    cpn: CpnSettings = Field(CpnSettings(**TAPPED), description="CPN, from the warm classifier.")
    rib: RibSettings = Field(RibSettings(), description="RIB's fine-tuning of the classifier on each image.")
    retab_boundary: EdgeSettings = Field(
        EdgeSettings(**PAIRS | {"lr": 1e-3}),
        description="RETAB's boundary network, trained on the edges of base masks, per split and seed.",
    )
    retab_affinity: AffinitySettings = Field(
        AffinitySettings(**PAIRS),
        description="RETAB's affinity network, trained on base masks and novel seeds, per split and seed.",
    )
    retab_walk: TwoStageSettings = Field(
        TwoStageSettings(steps=256), description="RETAB's walk in two stages, at stride 8."
    )
    rib_checks: RibCheckSettings = Field(RibCheckSettings(), description="How RIB's properties are measured.")
    conta: ContaSettings = Field(ContaSettings(), description="CONTA's rounds, each a classifier and IRN.")
    segmentation: SegmentationSettings = Field(
        SegmentationSettings(
            frozen_stages=0,
            epochs=11.0,
            batch_images=10,
            lr=2.5e-4,
            momentum=0.9,
            weight_decay=5e-4,
            crop=321,
            long_edges=None,
            scales=(0.5, 1.5),
        ),
        description="Segmentation network (DeepLab-v2, stride 8) between two rounds of CONTA; half the released steps.",
    )
    responses: dict[ResponseName, dict[str, dict[str, Any]]] = Field(
        {name: found.overrides for name, found in RESPONSES.items() if found.overrides},
        description="What differs for the maps of one response, e.g. `{rib: {seeds: {threshold: 0.35}}}`.",
    )
