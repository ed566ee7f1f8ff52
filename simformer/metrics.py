"""Confusion matrix, and the IoU values computed from it (detectron2's present rule, Sec. 4.1)."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simformer.atomic import atomic_write_bytes, atomic_write_text
from simformer.config.settings import IGNORE, Draw
from simformer.data.identity import Identity, OtherRun, require_dataset, require_groups, require_novel, require_run
from simformer.data.shards import WHOLE, Shard, require_all
from simformer.data.splits import Split
from simformer.errors import MAKES_IT, UserError, if_made
from simformer.text.explain import shown
from simformer.text.json_text import json_text
from simformer.text.strict_json import NUMBER, parse_json, read_generated
from simformer.text.to_make import made_by

COUNTS = ("confusion", "hits", "truth", "predicted")
OWNER = {"run": str, "classes": list, "novel_classes": list}
"""What `owner` says, by type; older files do not."""


@dataclass(frozen=True)
class Evaluation:
    """The counts of the test images. Every metric, and its spread over images, can be computed from them.

    Attributes:
        confusion: int64 [K + 1, K + 1] of `confusion_matrix`, summed over the images.
        hits, truth, predicted: pixels per image and class, int64 [images, K]: of the class and predicted as it; of
            the class; predicted as it where the truth is known.
        images: names of the images.
        identity: classes, dataset, and the classes that were hidden from the model.
        model: hash of the run that trained the model.
        test: hash of the test images and their label maps.
        shard: which part of the test images this is.
        predictions: folder of the predictions, if another program made them; None for those of a network.
    """

    confusion: np.ndarray
    hits: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    images: tuple[str, ...]
    identity: Identity
    model: str
    test: str
    shard: Shard = WHOLE
    predictions: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """K class names in id order."""
        return self.identity.classes

    def save(self, path: Path) -> None:
        """Write `.npz`, atomically."""
        facts = self.identity.content() | {"model": self.model, "test": self.test, "shard": str(self.shard)}
        facts |= {} if self.predictions is None else {"predictions": self.predictions}
        arrays = {name: getattr(self, name) for name in COUNTS}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays, images=np.asarray(self.images, str), facts=np.asarray(json.dumps(facts)))
        atomic_write_bytes(path, buffer.getvalue())

    @classmethod
    def load(cls, shards: Sequence[Path], run: str | None = None) -> Evaluation:
        """Read the shards of one evaluation and join them; the images are in the order of their names.

        Args:
            shards: all of its files.
            run: hash of the run whose evaluation it must be; None if any will do.
        Raises: UserError for a file that is missing, damaged, of an older version, or whose counts disagree, and for
            shards that are not all those of one model on one dataset, each once, or are of another run.
        """
        parts = [read_shard(path) for path in shards]
        first = parts[0]
        require_run(first.identity.where, first.model, run)
        for part in parts[1:]:
            require_same_test(part, first)
            if part.predictions != first.predictions:
                raise UserError(
                    f"{part.identity.where} scores other predictions than {first.identity.where} ({part.predictions} "
                    f"and {first.predictions}); give the shards of one evaluation"
                )
            if (part.model, part.identity.hidden) != (first.model, first.identity.hidden):
                raise UserError(
                    f"{part.identity.where} comes from another model than {first.identity.where} (runs "
                    f"{part.model} and {first.model}); give the shards of one evaluation"
                )
        require_all([(part.shard, part.identity.where) for part in parts])
        images = np.concatenate([np.asarray(part.images, str) for part in parts])
        order = np.argsort(images)
        names = images[order]
        if len(twice := names[1:][names[1:] == names[:-1]]):
            raise UserError(f"{first.identity.where}: image '{twice[0]}' is in several shards; {MAKES_IT}")
        counts = [np.concatenate([getattr(part, name) for part in parts])[order] for name in COUNTS[1:]]
        confusion = np.sum([part.confusion for part in parts], axis=0)
        hits, truth, predicted = counts
        joined = {"confusion": confusion, "hits": hits, "truth": truth, "predicted": predicted}
        return replace(first, **joined, images=tuple(names.tolist()), shard=WHOLE)


def require_same_test(first: Evaluation, second: Evaluation) -> None:
    """Raise UserError unless two evaluations are of the same test images, with the same true label maps."""
    require_dataset(first.identity, second.identity)
    if first.test != second.test:
        raise UserError(
            f"{first.identity.where} comes from other test images or labels than {second.identity.where} "
            f"({first.test} and {second.test}); delete the older one and run snakemake again"
        )


def read_shard(path: Path) -> Evaluation:
    """Read one shard; see `Evaluation.load`."""
    try:
        with np.load(path, allow_pickle=False) as content:
            names = set(content.files)
            arrays = {name: content[name] for name in (*COUNTS, "images", "facts") if name in names}
    except FileNotFoundError:
        raise UserError(f"{path}: no such evaluation; {made_by(path)}") from None
    except Exception as error:  # what a killed writer or a bad disk leaves can fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not an evaluation, or a damaged one ({reason}); {if_made()}") from None
    if "facts" not in arrays:
        what = "an evaluation of an older version" if "confusion" in arrays else "not an evaluation"
        raise UserError(f"{path}: {what}; {if_made()}")
    try:
        facts = parse_json(str(arrays["facts"]))
        identity, shard = Identity.parse(facts, path, MAKES_IT), Shard.parse(facts["shard"])
        confusion, hits, truth, predicted = (arrays[name] for name in COUNTS)
        images, model, test = tuple(arrays["images"].tolist()), str(facts["model"]), str(facts["test"])
        theirs = str(facts["predictions"]) if "predictions" in facts else None
        result = Evaluation(confusion, hits, truth, predicted, images, identity, model, test, shard, theirs)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not an evaluation of this version ({error}); {MAKES_IT}") from None
    if not _consistent(result):
        raise UserError(f"{path}: its counts disagree, so the file was edited or is damaged; {MAKES_IT}")
    return result


def _consistent(evaluation: Evaluation) -> bool:
    """Whether the counts are whole numbers of the right shapes, and those per image add up to the confusion matrix."""
    side, images = len(evaluation.classes) + 1, len(evaluation.images)
    counts = [getattr(evaluation, name) for name in COUNTS]
    shapes = [(side, side)] + 3 * [(images, side - 1)]
    if any(c.shape != shape or c.dtype.kind not in "iu" for c, shape in zip(counts, shapes, strict=True)):
        return False
    known = evaluation.confusion[:-1, :-1]
    sums = np.diag(known), known.sum(axis=0), known.sum(axis=1)
    return all((c >= 0).all() for c in counts) and all(
        np.array_equal(c.sum(axis=0), total) for c, total in zip(counts[1:], sums, strict=True)
    )


def confusion_matrix(predicted: np.ndarray, truth: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pixels by (prediction, truth).

    Args:
        predicted: class ids, integers of any shape, in 0..K-1; uint8 is fastest.
        truth: class ids of the same shape; IGNORE is counted in the last column.
        num_classes: K, at most 255.
    Returns: int64 [K + 1, K + 1], rows = prediction, columns = truth; the last row is empty.
    Raises: ValueError for shapes that differ or ids out of range.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"prediction {predicted.shape} and truth {truth.shape} differ in shape")
    codes = _byte_ids(predicted, num_classes).astype(np.uint16)
    codes <<= 8
    codes |= _byte_ids(truth, num_classes)
    counts = np.bincount(codes.ravel(), minlength=2**16).reshape(256, 256)
    if counts[num_classes:].any() or counts[:, num_classes:IGNORE].any():
        raise _out_of_range(num_classes)
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    matrix[:num_classes] = counts[:num_classes, [*range(num_classes), IGNORE]]
    return matrix


def _byte_ids(ids: np.ndarray, num_classes: int) -> np.ndarray:
    """Return class ids as uint8; raises ValueError if one does not fit."""
    if ids.dtype != np.uint8 and (ids.min(initial=0) < 0 or ids.max(initial=0) > IGNORE):
        raise _out_of_range(num_classes)
    return ids.astype(np.uint8, copy=False)


def _out_of_range(num_classes: int) -> ValueError:
    return ValueError(f"class ids must be below {num_classes} (or {IGNORE} in the truth)")


def scores(confusion: np.ndarray, classes: Sequence[str], novel: Sequence[int]) -> dict[str, Any]:
    """Turn a confusion matrix into percentages.

    Args:
        confusion: [K + 1, K + 1] of `confusion_matrix`; pixels whose truth is IGNORE count nowhere.
        classes: K names.
        novel: ids of the novel classes.
    Returns: `novel`, `base`, `all` (mean IoU), the same with suffix `_acc` (mean accuracy), `pixel_acc`,
        `fw_iou`, and `iou` by class name; a class absent from the truth has None and is in no mean; a mean
        over no class is None.
    """
    counts = confusion[:-1, :-1].astype(np.float64)
    hits, truth, predicted = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    present = truth > 0
    iou = np.full(len(classes), np.nan)
    iou[present] = hits[present] / (truth + predicted - hits)[present]
    accuracy = np.full(len(classes), np.nan)
    accuracy[present] = hits[present] / truth[present]
    is_novel = np.isin(np.arange(len(classes)), list(novel))
    groups = {"novel": is_novel, "base": ~is_novel, "all": np.ones_like(is_novel)}
    total = truth.sum()
    result: dict[str, Any] = {name: _mean(iou[chosen & present]) for name, chosen in groups.items()}
    result |= {f"{name}_acc": _mean(accuracy[chosen & present]) for name, chosen in groups.items()}
    result["pixel_acc"] = 100 * float(hits.sum() / total) if total else None
    result["fw_iou"] = 100 * float(np.nansum(truth * iou) / total) if total else None
    result["iou"] = {name: None if math.isnan(v) else 100 * float(v) for name, v in zip(classes, iou, strict=True)}
    return result


def _mean(values: np.ndarray) -> float | None:
    return 100 * float(values.mean()) if len(values) else None


def owner(run: str, split: Split) -> dict[str, Any]:
    """Return what a file of numbers says of itself, for `run_metrics`: the hash of its run, and its split."""
    return {"run": run, "classes": list(split.classes), "novel_classes": [split.classes[k] for k in split.novel]}


def write_metrics(shards: Sequence[Path], split: Split, output: Path, run: str | None = None) -> None:
    """Turn the stored shards of an evaluation into the percentages of one split (JSON).

    Raises: UserError if the evaluation is not of this split or run; see also `Evaluation.load`.
    """
    save_metrics(Evaluation.load(shards, run), split, output)


def save_metrics(evaluation: Evaluation, split: Split, output: Path) -> dict[str, Any]:
    """Write the percentages of an evaluation in one split (JSON), and return them; see `scores`."""
    require_groups(evaluation.identity, split)
    result = owner(evaluation.model, split)
    result |= {} if evaluation.predictions is None else {"predictions": evaluation.predictions}
    result |= scores(evaluation.confusion, split.classes, split.novel)
    atomic_write_text(output, json_text(result, indent=2) + "\n")
    return result


def run_metrics(run: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Read the metrics of a run of a study; refuse those of another run.

    Args:
        run: `path`, `split`; `hash` of the run's settings as the study has them, without which nothing is compared;
            `novel`, what the study says of the split's novel classes (`Catalogue.novel`).
        names: metrics that must be there.
    Raises: UserError for a file that is missing, damaged or lacks a metric, and for numbers of another run or split,
        e.g. in a copied folder.
    """
    path = Path(run["path"])
    types = {name: dict if name == "iou" else NUMBER for name in names}
    content: dict[str, Any] = read_generated(path, "file of metrics", types, optional=OWNER)
    for name in names:
        values = content[name].values() if name == "iou" else [content[name]]
        if wrong := [value for value in values if not _is_percentage(value)]:
            raise UserError(f"{path}: '{name}' was edited, or damaged; found {shown(wrong[0])}; {if_made()}")
    if run.get("hash") is None:
        return content
    if not {"run", "classes", "novel_classes"} <= content.keys():
        raise OtherRun(f"{path}: metrics of an older version, which did not say which run they belong to; {MAKES_IT}")
    require_run(path, content["run"], run["hash"])
    require_novel(_split_of(content, path), told_novel(run.get("novel")), run["split"])
    return content


def scored_predictions(path: Path) -> str | None:
    """Return the folder of another program's predictions that a file of numbers scores; None if it does not say."""
    found = read_generated(path, "file of metrics", {}, optional={"predictions": str}).get("predictions")
    return None if found is None else str(found)


def _is_percentage(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and 0 <= value <= 100 + 1e-9)


def _split_of(content: Mapping[str, Any], path: Path) -> Split:
    """Return the split that a file of numbers is of."""
    classes, novel = content["classes"], content["novel_classes"]
    try:
        return Split(tuple(classes), tuple(sorted(classes.index(name) for name in novel)), str(path))
    except (AttributeError, TypeError, ValueError):
        raise UserError(f"{path}: edited or damaged, its novel classes are not among its classes; {MAKES_IT}") from None


def is_of(path: Path, novel: Any) -> bool:
    """Return whether a file of numbers is of the novel classes that a study has (`Catalogue.novel`).

    A file that does not say it, and a damaged one, count: the stage that reads them tells what is wrong.
    """
    told = told_novel(novel)
    try:
        return told is None or _split_of(parse_json(path.read_bytes()), path).has_novel(told)
    except (KeyError, TypeError, ValueError, OSError, UserError):
        return True


def told_novel(novel: Any) -> str | Draw | None:
    """Return what the study says of a split's novel classes (`Catalogue.novel`), from JSON."""
    return Draw.model_validate_json(json.dumps(novel)) if isinstance(novel, dict) else novel
