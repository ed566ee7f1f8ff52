"""Every setting of the weakly supervised baselines on a dataset, in sections.

The settings of a method's own networks lie in its folder, e.g. `seam/settings.py`.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from simformer.baselines.retab.settings import EdgeSettings, TwoStageSettings
from simformer.baselines.settings import (
    AffinitySettings,
    CamSettings,
    ClassifierSettings,
    Response,
    SeedSettings,
    WalkSettings,
)
from simformer.settings import Settings


class BaselineSettings(Settings):
    """Everything from images with image-level labels to expanded maps, in sections."""

    classifier: ClassifierSettings = Field(
        ClassifierSettings(), description="Multi-label classifier, trained on image-level labels alone."
    )
    cam: CamSettings = Field(CamSettings(), description="Class activation maps of the training images.")
    seeds: SeedSettings = Field(SeedSettings(), description="Confident pixels of the maps, which teach an expansion.")
    psa: AffinitySettings = Field(
        AffinitySettings(
            frozen_stages=1,
            epochs=8,
            batch_images=8,
            lr=0.01,
            weight_decay=5e-4,
            warmup_steps=200,
            clip_norm=10.0,
            crop=448,
            long_edges=None,
            color_jitter=True,
        ),
        description="PSA's affinity network.",
    )
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
    retab_boundary: EdgeSettings = Field(
        EdgeSettings(
            frozen_stages=1,
            epochs=8,
            batch_images=8,
            lr=1e-3,
            weight_decay=5e-4,
            warmup_steps=200,
            clip_norm=10.0,
            crop=448,
            long_edges=None,
            color_jitter=True,
        ),
        description="RETAB's boundary network, trained on the edges of base masks, per split and seed.",
    )
    retab_affinity: AffinitySettings = Field(
        AffinitySettings(
            frozen_stages=1,
            epochs=8,
            batch_images=8,
            lr=0.01,
            weight_decay=5e-4,
            warmup_steps=200,
            clip_norm=10.0,
            crop=448,
            long_edges=None,
            color_jitter=True,
        ),
        description="RETAB's affinity network, trained on base masks and novel seeds, per split and seed.",
    )
    retab_walk: TwoStageSettings = Field(
        TwoStageSettings(steps=256), description="RETAB's walk in two stages, at stride 8."
    )
    responses: dict[Response, dict[str, dict[str, Any]]] = Field(
        {},
        description="What differs for the maps of one response, e.g. `{rib: {seeds: {threshold: 0.35}}}`.",
    )
