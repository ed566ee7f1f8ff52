"""Predictions as COCO's JSON: one annotation per class and image, its pixels as compressed run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask

from simformer.predict.prediction import SegmentedClass


class CocoFile:
    """The content of such a file; images and annotations are numbered from 1, categories are class ids.

    Args:
        classes: the K classes of the model.
    """

    def __init__(self, classes: Sequence[SegmentedClass]) -> None:
        self._categories = [{"id": c.id, "name": c.name, "supercategory": c.kind or ""} for c in classes]
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, name: str, ids: NDArray[np.uint8], scores: NDArray[np.float32]) -> None:
        """Add an image: its name, class ids and scores, both [H, W]."""
        height, width = ids.shape
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": name, "width": width, "height": height})
        for category in self._categories:
            pixels = ids == category["id"]
            if not pixels.any():
                continue
            runs = mask.encode(np.asfortranarray(pixels, np.uint8))
            counts = runs["counts"]
            assert isinstance(counts, bytes), "pycocotools returns bytes"
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": number,
                    "category_id": category["id"],
                    "segmentation": {"size": [height, width], "counts": counts.decode("ascii")},
                    "area": int(mask.area(runs)),
                    "bbox": mask.toBbox(runs).tolist(),
                    "iscrowd": 0,
                    "score": round(float(scores[pixels].mean()), 4),
                }
            )

    def content(self) -> dict[str, Any]:
        """Return the file's content, for JSON."""
        return {"images": self._images, "annotations": self._annotations, "categories": self._categories}
