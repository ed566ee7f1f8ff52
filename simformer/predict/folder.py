"""Predictions of photographs as files: id maps, coloured pictures, predictions.json, COCO's JSON."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from simformer.atomic import ANOTHER, atomic_write_bytes, atomic_write_text, kind_of, refuse_unwritable
from simformer.data.images import encode_label, encode_png, read_image
from simformer.errors import UserError
from simformer.predict.coco import CocoFile
from simformer.predict.prediction import Prediction
from simformer.predict.segmenter import Segmenter
from simformer.predict.sources import OVERLAY, Source
from simformer.text.json_text import json_text
from simformer.text.visible import visible

RECORDS, COCO = "predictions.json", "coco.json"
"""Files of all images together."""


@dataclass(frozen=True)
class Wanted:
    """What is predicted and written.

    Attributes:
        formats: 'png' (id maps), 'coco' (one JSON of run lengths), or both.
        overlay: also write coloured pictures.
        classes: names of the classes to keep; None: all.
        threshold: pixels of a lower score get no class.
        batch: images of equal size that are predicted together, at most.
    """

    formats: Sequence[str] = ("png",)
    overlay: bool = False
    classes: Sequence[str] | None = None
    threshold: float = 0.0
    batch: int = 1


def predict_folder(segmenter: Segmenter, sources: Sequence[Source], output: Path, wanted: Wanted) -> int:
    """Predict photographs and write the wanted files. For a photograph that cannot be read, print a line and go on.

    If none can be read, what is in the folder stays as it is.

    Args:
        segmenter: the model.
        sources: the photographs.
        output: folder of everything that is written.
        wanted: what is written.
    Returns: number of photographs that could not be read.
    """
    waiting: deque[Source] = deque()
    unread = 0

    def pictures() -> Iterator[NDArray[np.uint8]]:
        nonlocal unread
        for source in sources:
            try:
                picture = read_image(source.path)
            except UserError as error:
                unread += 1
                progress.update()
                tell(str(error))
                continue
            waiting.append(source)
            yield picture

    records: list[dict[str, Any]] = []
    coco = CocoFile(segmenter.classes) if "coco" in wanted.formats else None
    with tqdm(total=len(sources), unit="image", mininterval=0.5, disable=not sys.stderr.isatty()) as progress:
        predictions = segmenter.stream(
            pictures(), batch=wanted.batch, threshold=wanted.threshold, classes=wanted.classes
        )
        for prediction in predictions:
            source = waiting.popleft()
            if wanted.overlay:
                atomic_write_bytes(
                    output / OVERLAY / source.prediction, encode_png(prediction.overlay()), durable=False
                )
            if "png" in wanted.formats:
                atomic_write_bytes(output / source.prediction, encode_label(prediction.ids), durable=False)
            if coco is not None:
                coco.add(source.name, prediction.ids, prediction.scores)
            records.append(_record(source, prediction, wanted))
            progress.update()
    if records:
        atomic_write_text(output / RECORDS, _records_text(segmenter, records))
        if coco is not None:
            atomic_write_text(output / COCO, json_text(coco.content()) + "\n")
        elif (output / COCO).exists():
            earlier = "of an earlier run; this run did not change it (--format coco writes a new one)"
            tell(f"{output / COCO}: {earlier}", "note")
    return unread


def refuse_output(output: Path) -> None:
    """Raise UserError if predictions cannot be written into a folder, which need not be there yet."""
    place = output
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        found = kind_of(place) or "a file"
        raise UserError(f"{place}: {found}; expected a folder for the predictions, name another one with --output")
    refuse_unwritable(place, f"{ANOTHER} with --output")


def _record(source: Source, prediction: Prediction, wanted: Wanted) -> dict[str, Any]:
    """Return what predictions.json says of an image."""
    height, width = prediction.ids.shape
    files = {"prediction": source.prediction} if "png" in wanted.formats else {}
    return {"image": source.name, **files, "width": width, "height": height, "classes": prediction.summary()}


def _records_text(segmenter: Segmenter, records: Sequence[dict[str, Any]]) -> str:
    """Return predictions.json: the training, the classes, and the images, one per line."""
    classes = [vars(c) for c in segmenter.classes]
    lists = {"classes": classes, "images": records}
    parts = [f'"{name}": [\n' + ",\n".join(map(json_text, items)) + "\n]" for name, items in lists.items()]
    return f'{{"model": {json_text(segmenter.training)},\n' + ",\n".join(parts) + "\n}\n"


def tell(what: str, kind: str = "error") -> None:
    """Report a photograph that is left out, or a note, on a line of its own above the progress bar."""
    tqdm.write(f"{kind}: {visible(what, None)}", file=sys.stderr)
