"""What decides the weights of a baseline's network, beside its data and its initial weights."""

from __future__ import annotations

import hashlib
import json
from typing import Generic, TypeVar

from pydantic import Field

from simformer.baselines.settings import NetworkSettings
from simformer.config.layers import RECIPE_VERSION
from simformer.config.settings import Seed, Settings

NetworkSettingsT = TypeVar("NetworkSettingsT", bound=NetworkSettings)


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
