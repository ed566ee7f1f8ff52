"""The key `pseudo` of a method: how its teacher's predictions become labels."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from simformer.config.fields import Settings, Weight


class PseudoSettings(Settings):
    """How a teacher's predictions become labels of the not-base region (Sec. 4.2, "mixed labels")."""

    rule: Literal["released", "common", "present"] = Field(
        "released",
        description="released: the argmax over all classes, where it is a novel class of the image; common: the rule "
        "of the baselines, by which only the image's novel classes compete, each divided by its maximum; present: the "
        "argmax over the image's own classes, base and novel, where it is a novel one. What is left has no label.",
    )
    gamma: Weight = Field(0.1, description="common: lowest score, as a share of the class's maximum; as `maps.gamma`.")

    @property
    def suffix(self) -> str:
        """What the name of a folder of such labels ends with: '', '_present', '_common0.1'."""
        return {"released": "", "present": "_present", "common": f"_common{self.gamma}"}[self.rule]

    @classmethod
    def of_suffix(cls, suffix: str) -> PseudoSettings:
        """Return the rule of a folder by what its name ends with."""
        written = re.fullmatch(r"(?:_([a-z]+))?([0-9].*)?", suffix)
        assert written is not None, "`suffix` has written it"
        rule, gamma = written.groups()
        return cls(rule=rule or "released", **({"gamma": float(gamma)} if gamma else {}))
