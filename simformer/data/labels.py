"""A label set: the label maps that one training may read, and the image-level labels beside them.

`labels.json` lies beside a folder of PNGs. Masked, full, pseudo and fill labels all have this form, so
training reads nothing else: the true label maps are not reachable from it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from simformer.data.files import atomic_write_text
from simformer.errors import UserError


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
    """

    name: str
    image: str
    label: str
    height: int
    width: int
    classes: tuple[int, ...]
    image_sha256: str
    label_sha256: str


@dataclass(frozen=True)
class LabelSet:
    """Training images with their labels.

    Attributes:
        classes: class names in id order.
        novel: ids of classes that have no mask in these label maps, only image-level labels.
        images: the training images.
        root: folder of `labels.json`.
        crop_scope: whether novel classes are labels of each training crop, as in the released code. The label
            maps then hold the novel pixels; the loader hides them once it knows which classes a crop holds.
    """

    classes: tuple[str, ...]
    novel: tuple[int, ...]
    images: tuple[LabelledImage, ...]
    root: Path
    crop_scope: bool = False

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
        """Write `labels.json` into `root`, atomically, one image per line."""
        atomic_write_text(self.root / "labels.json", self._text())

    def _text(self) -> str:
        records = ",\n".join(json.dumps(asdict(image)) for image in self.images)
        scope = {"crop_scope": True} if self.crop_scope else {}
        head = json.dumps({"classes": self.classes, "novel": self.novel} | scope)[1:-1]
        return f'{{{head}, "images": [\n{records}\n]}}\n'

    @classmethod
    def load(cls, path: Path) -> LabelSet:
        """Read `labels.json`; raises UserError when it is missing or not a label set."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            images = tuple(LabelledImage(**i | {"classes": tuple(i["classes"])}) for i in content["images"])
            classes, novel = tuple(content["classes"]), tuple(content["novel"])
            return cls(classes, novel, images, path.parent, content.get("crop_scope", False))
        except FileNotFoundError:
            raise UserError(f"{path}: no such label set; `snakemake {path}` makes it") from None
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a label set ({error}); delete it and run snakemake again") from None
