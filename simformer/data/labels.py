"""A label set: the label maps that one training may read, and their image-level labels.

It is a folder with `labels.json` and PNG files. Masked, full, pseudo and fill labels all have this form. A training
reads nothing else and cannot reach the true label maps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from simformer.config.fields import Labels
from simformer.data.identity import Identity
from simformer.data.sealed import entry, read_sealed, write_sealed
from simformer.data.shards import WHOLE, Shard
from simformer.errors import MAKES_IT, UserError

Kind = Literal["weak", "full", "crop", "images", "control", "seeds", "fill", "pseudo", "maps"]
"""What a label set is for. Six kinds are the labels of methods; `images` has image-level labels alone, `seeds` teaches
networks of baselines, `control` is a `weak` one with wrong or fewer masks. Novel classes have no masks in `weak`,
`crop` and `control`, and guessed ones in `seeds`, `fill`, `pseudo` and `maps`."""


@dataclass(frozen=True)
class LabelledImage:
    """One training image.

    Attributes:
        name: stem of the image.
        image: path below the dataset's folder.
        label: path below the label set's folder.
        height, width: size in pixels.
        classes: image-level labels: every class id present in the whole image, base and novel.
        image_sha256: checksum of the image's file.
        label_sha256: checksum of the label map's pixels.
        unknown: class ids of which nobody says whether the image shows them. Every other class that is not among
            `classes` is absent.
    """

    name: str
    image: str
    label: str
    height: int
    width: int
    classes: tuple[int, ...]
    image_sha256: str
    label_sha256: str
    unknown: tuple[int, ...] = ()


def present_classes(images: Sequence[LabelledImage], count: int) -> NDArray[np.bool_]:
    """Return which of `count` classes are among the image-level labels of n images, bool [n, count]."""
    present = np.zeros((len(images), count), bool)
    for row, image in zip(present, images, strict=True):
        row[list(image.classes)] = True
    return present


def unknown_classes(images: Sequence[LabelledImage], count: int) -> NDArray[np.bool_]:
    """Return of which of `count` classes it is not known whether n images show them, bool [n, count]."""
    unknown = np.zeros((len(images), count), bool)
    for row, image in zip(unknown, images, strict=True):
        row[list(image.unknown)] = True
    return unknown


@dataclass(frozen=True)
class LabelSet:
    """Training images with their labels.

    Attributes:
        classes: class names in id order.
        novel: ids of classes that have no mask in these label maps, only image-level labels.
        images: the training images.
        root: folder of `labels.json`.
        kind: see `Kind`.
        dataset: `DatasetIndex.hash` of the dataset that it was made from.
        hidden: ids of the classes of which no true mask had a part in these label maps, ascending: for a split's label
            sets its novel classes, whether or not other masks of them have been put in.
        shard: which part of a label set this is.
        crop_scope: whether novel classes are labels of each training crop, as in the released code. The label
            maps then hold the novel pixels; the loader hides them once it knows which classes a crop holds.
    """

    classes: tuple[str, ...]
    novel: tuple[int, ...]
    images: tuple[LabelledImage, ...]
    root: Path
    kind: Kind
    dataset: str
    hidden: tuple[int, ...]
    crop_scope: bool = False
    shard: Shard = WHOLE

    @property
    def identity(self) -> Identity:
        """What it belongs to."""
        return Identity(self.classes, self.dataset, self.hidden, str(self.root / "labels.json"))

    def require(self, *kinds: Kind | Labels) -> None:
        """Raise UserError unless the label set is whole and of one of some kinds."""
        if self.shard != WHOLE:
            raise UserError(
                f"{self.root / 'labels.json'}: only part {self.shard} of a label set; give the one that "
                "`simformer join_labels` made of all parts"
            )
        if self.kind not in kinds:
            expected = " or ".join(f"'{kind}'" for kind in kinds)
            raise UserError(
                f"{self.root / 'labels.json'}: a label set of kind '{self.kind}'; expected {expected}, as snakemake's "
                "rules give it"
            )

    def label_path(self, image: LabelledImage) -> Path:
        """Path of an image's label map."""
        return self.root / image.label

    def novel_labels(self, image: LabelledImage) -> list[int]:
        """Image-level labels of the classes without masks."""
        novel = set(self.novel)
        return [c for c in image.classes if c in novel]

    @property
    def hash(self) -> str:
        """First 16 hex digits of the sha256 of everything that a training reads: labels, label maps, images."""
        return hashlib.sha256(self._text().encode()).hexdigest()[:16]

    def save(self) -> None:
        """Write `labels.json` into `root`, atomically, one image per line, with a seal."""
        head = json.dumps({"kind": self.kind, "dataset": self.dataset, "hidden": self.hidden, "shard": str(self.shard)})
        write_sealed(self.root / "labels.json", f"{head[:-1]}, {self._text()[1:]}")

    def _text(self) -> str:
        records = ",\n".join(json.dumps(entry(image)) for image in self.images)
        scope = {"crop_scope": True} if self.crop_scope else {}
        head = json.dumps({"classes": self.classes, "novel": self.novel} | scope)[1:-1]
        return f'{{{head}, "images": [\n{records}\n]}}\n'

    @classmethod
    def load(cls, path: Path) -> LabelSet:
        """Read `labels.json`; raises UserError when it is missing, edited, of an older version, or not a label set."""
        content = read_sealed(path, "label set")
        try:
            images = tuple(LabelledImage(**_with_tuples(item)) for item in content["images"])
            belongs = Identity.parse(content, path, MAKES_IT)
            novel, kind, scope = tuple(content["novel"]), content["kind"], content.get("crop_scope", False)
            shard = Shard.parse(content["shard"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: a label set of another version ({error}); {MAKES_IT}") from None
        if kind not in get_args(Kind) or belongs.dataset is None or belongs.hidden is None:
            raise UserError(f"{path}: not a label set of this version; {MAKES_IT}")
        return cls(belongs.classes, novel, images, path.parent, kind, belongs.dataset, belongs.hidden, scope, shard)


def _with_tuples(item: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object of an image with tuples in place of lists."""
    return {key: tuple(value) if key in ("classes", "unknown") else value for key, value in item.items()}
