"""The formats that can be imported: who reads their masks and tags, and what it means that a class is not listed."""

from __future__ import annotations

from dataclasses import dataclass

from simformer.data.formats import (
    class_folders,
    coco,
    cvat,
    hugging_face,
    label_studio,
    open_images,
    pictures,
    plain_csv,
    roboflow,
    voc,
)
from simformer.data.formats.annotations import Reader, State


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        masks, tags: its readers; None where it has no such thing.
        unlisted: state of a class of which a source says nothing in an image that it lists; None for unknown.
    """

    masks: Reader | None = None
    tags: Reader | None = None
    unlisted: State = False


FORMATS = {
    "ids": Format(masks=pictures.pictures),
    "colours": Format(masks=pictures.pictures),
    "voc": Format(voc.masks, voc.tags),
    "coco": Format(coco.masks, coco.tags),
    "cvat": Format(cvat.masks, cvat.tags),
    "label-studio": Format(label_studio.masks, label_studio.tags),
    "hugging-face": Format(hugging_face.masks, hugging_face.tags),
    "open-images": Format(tags=open_images.tags, unlisted=None),
    "roboflow": Format(tags=roboflow.tags),
    "csv": Format(tags=plain_csv.tags),
    "folders": Format(tags=class_folders.tags),
}
"""By the name that a user types."""
