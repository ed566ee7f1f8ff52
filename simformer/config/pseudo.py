"""The key `pseudo` of a method: how its teacher's predictions become labels."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from simformer.config.fields import Settings, Share


class PseudoSettings(Settings):
    """How a teacher's predictions become labels of the not-base region (Sec. 4.2, "mixed labels")."""

    rule: Literal["released", "common"] = Field(
        "released",
        description="Which pixels get a label. released: the argmax over all classes, if it is a novel class of the "
        "image. common: the rule of the baselines; only the image's novel classes compete, each divided by its "
        "maximum. All other pixels stay without a label.",
    )
    gamma: Share = Field(
        0.1,
        description="For `common`: the lowest score that gets a label, as a share of the class's maximum (as "
        "`maps.gamma`).",
    )

    @model_validator(mode="after")
    def _used(self) -> PseudoSettings:
        if self.rule == "released" and "gamma" in self.model_fields_set:
            raise ValueError("pseudo.gamma belongs to the rule 'common': set pseudo.rule to it, or leave gamma out")
        return self

    @property
    def suffix(self) -> str:
        """What the name of a folder of such labels ends with: '' or e.g. '_common0.1'."""
        return "" if self.rule == "released" else f"_common{self.gamma}"

    @classmethod
    def of_suffix(cls, suffix: str) -> PseudoSettings:
        """Return the rule of a folder by what its name ends with."""
        return cls(rule="common", gamma=float(suffix.removeprefix("_common"))) if suffix else cls()
