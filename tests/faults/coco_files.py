"""A tiny COCO: two training images and a test image of 12 x 8 pixels, things and stuff, as plain files in a folder."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.faults import harness

HEIGHT, WIDTH = 8, 12
TRAIN, VAL = (9, 25), (41,)
PERSON, CAR, BANNER, WOOD = 1, 3, 92, 182
RECTANGLE = [[1, 1, 5, 1, 5, 4, 1, 4]]
HALF = {"counts": [48, 48], "size": [HEIGHT, WIDTH]}
"""The right half of the image."""


def annotation(own_id: int, image_id: int, raw_id: int, shape: Any) -> dict[str, Any]:
    """Return an annotation as in COCO's files."""
    crowd = {"area": 12.0, "iscrowd": 0, "bbox": [1.0, 1.0, 4.0, 3.0]}
    return {"segmentation": shape, **crowd, "image_id": image_id, "category_id": raw_id, "id": own_id}


def contents() -> dict[str, dict[str, Any]]:
    """Return the four annotation files by name; ids of annotations are 1, 2, ... in each."""
    files = {}
    for subset, ids in (("train2017", TRAIN), ("val2017", VAL)):
        images = [{"id": i, "file_name": f"{i:012d}.jpg", "height": HEIGHT, "width": WIDTH} for i in ids]
        shapes = {"instances": ((PERSON, RECTANGLE), (CAR, HALF)), "stuff": ((WOOD, HALF), (BANNER, RECTANGLE))}
        for kind, drawn in shapes.items():
            entries = [(i, raw_id, shape) for i in ids for raw_id, shape in drawn]
            files[f"{kind}_{subset}.json"] = {
                "info": {"year": 2017},
                "images": [dict(image) for image in images],
                "annotations": [annotation(number, *entry) for number, entry in enumerate(entries, 1)],
                "categories": [{"id": raw_id, "name": "x", "supercategory": "y"} for raw_id, _ in drawn],
            }
    return json.loads(json.dumps(files))  # nothing is shared


def photograph(height: int = HEIGHT, width: int = WIDTH, form: str = "JPEG") -> bytes:
    """Return a gray photograph as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 99, np.uint8)).save(buffer, form)
    return buffer.getvalue()


def write_coco(folder: Path, files: dict[str, Any]) -> Path:
    """Write annotation files (content, or bytes as they are) and the photographs into a new folder."""
    for name, content in files.items():
        path = folder / "annotations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    for subset, ids in (("train2017", TRAIN), ("val2017", VAL)):
        (folder / subset).mkdir(parents=True)
        for i in ids:
            (folder / subset / f"{i:012d}.jpg").write_bytes(photograph())
    return folder


def prepare_arguments(folder: Path) -> list[str]:
    """Return the command that prepares the dataset of a folder into its `out`."""
    option = {
        "kind": "coco_json",
        "annotations": [{"path": str(folder / "coco/annotations")}],
        "images": [{"path": str(folder / "coco" / subset)} for subset in ("train2017", "val2017")],
        "subset": "164k",
    }
    return harness.prepare_arguments(option, folder / "out")
