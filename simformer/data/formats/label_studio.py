"""Label Studio: brushes and polygons (JSON), choices (JSON, JSON-MIN, CSV).

JSON       [{"data": {"image": ...}, "annotations": [{"was_cancelled", "ground_truth", "result": [{"type", "value"}]}]}]
JSON-MIN   [{"image": ..., "<name of the control>": "cat" | {"choices": ["cat", "dog"]}, ...}]; CSV has the same columns

Of an image's annotations, cancelled ones are dropped, and those marked as ground truth win. Choices on which the rest
disagree are unknown; masks are those of the first. Tasks without annotation are passed over. Source:
labelstud.io/guide/export and labelstud.io/guide/task_format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from simformer.data.archive import Tree
from simformer.data.coco_shapes import LONGEST_SIDE, MOST_PIXELS, BrokenShape, compact, shown
from simformer.data.formats.annotations import Annotations, Blank, Options, Shape, Shapes
from simformer.data.formats.brush import Brush
from simformer.data.formats.coco import Outline
from simformer.data.formats.plain_csv import split_list
from simformer.data.formats.text_files import listed, read_json, read_rows, refuse_doubled
from simformer.data.layout import SUFFIXES
from simformer.errors import UserError

FORM = "an export of Label Studio as JSON, JSON-MIN or CSV"
OWN_KEYS = {
    "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "sentiment", "comments",
}  # fmt: skip
"""Columns of JSON-MIN and CSV that Label Studio adds."""
SHAPES = ("brushlabels", "polygonlabels", "labels")
"""Where a region has its class."""


def masks(tree: Tree, options: Options) -> Annotations:
    """Read brushes and polygons; UserError if the file has another form."""
    found = Annotations(str(tree.path))
    others: Counter[str] = Counter()
    for where, reference, results in _annotated(tree, found):
        shapes: list[Shape] = []
        size: tuple[int, int] | None = None
        for result in results[0]:
            value = result.get("value")
            value = value if isinstance(value, dict) else {}
            name: Any = next((value[key][0] for key in SHAPES if isinstance(value.get(key), list) and value[key]), None)
            region = _region(value, result) if isinstance(name, str) else None
            if isinstance(region, str):
                found.problems.append(f"{where}: region {shown(result.get('id'))}: {region}; export the file again")
            elif region is None:
                others.update([str(result.get("type"))])
            else:
                size = result["original_height"], result["original_width"]
                shapes.append(Shape(f"region {shown(result.get('id'))}", name, region))
                if name not in found.classes:
                    found.classes.append(name)
        found.draw(reference, Shapes(where, *size, tuple(shapes)) if size else Blank(where))
    found.notes += [f"not read, since they are no masks: '{kind}' ({count} regions)" for kind, count in others.items()]
    return found


def tags(tree: Tree, options: Options) -> Annotations:
    """Read choices; UserError if the file has another form."""
    found = Annotations(str(tree.path))
    said: dict[str, list[set[str]]] = {}
    for reference, choices in _choices(tree, options, found):
        said.setdefault(reference, []).extend(choices)
    for reference, annotators in said.items():
        found.tags[reference] = {}
        for name in dict.fromkeys(name for choices in annotators for name in sorted(choices)):
            if name not in found.classes:
                found.classes.append(name)
            found.tags[reference][name] = True if all(name in choices for choices in annotators) else None
    return found


def _region(value: Mapping[str, Any], result: Mapping[str, Any]) -> Brush | Outline | str | None:
    """Return the shape of a result, what is wrong with it, or None if it is no mask."""
    if "rle" not in value and "points" not in value:
        return None
    height: Any = result.get("original_height")
    width: Any = result.get("original_width")
    if not all(type(side) is int and 0 < side <= LONGEST_SIDE for side in (height, width)):
        return f"original_height and original_width are {shown(height)} and {shown(width)}; expected pixels"
    if height * width > MOST_PIXELS:
        return f"an image of {height} x {width} pixels; at most {MOST_PIXELS:,} fit"
    if result.get("image_rotation") not in (None, 0):
        return f"the image is turned by {shown(result['image_rotation'])} degrees; turn the photograph itself"
    if "rle" in value:
        try:
            return Brush(bytes(value["rle"]))
        except (TypeError, ValueError):
            return f"`rle` is {shown(value['rle'])}; expected a list of numbers from 0 to 255"
    try:
        return Outline(compact([_pixels(value["points"], height, width)]))
    except (BrokenShape, TypeError, ValueError):
        return f"`points` is {shown(value['points'])}; expected a list of [x, y] in percent"


def _pixels(points: Any, height: int, width: int) -> list[float]:
    """Return points in percent as a flat list in pixels."""
    return [float(x) * side / 100 for point in points for x, side in zip(point, (width, height), strict=True)]


def _annotated(tree: Tree, found: Annotations) -> Iterator[tuple[str, str, list[list[dict[str, Any]]]]]:
    """Yield every annotated task of a JSON export: what messages call it, its image, and the results that count."""
    where = tree.where(_file(tree))
    content = read_json(tree, _file(tree), FORM)
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        raise UserError(f"{where}: found {shown(content)}; expected {FORM}")
    if content and not any("annotations" in task for task in content):
        raise UserError(f"{where}: no annotations in it, as in JSON-MIN; masks need an export as JSON")
    for number, task in enumerate(content):
        what = f"{where}: task {shown(task.get('id', number))}"
        data = task.get("data")
        reference = _image(data) if isinstance(data, dict) else None
        annotations = task.get("annotations")
        if reference is None or not isinstance(annotations, list):
            found.problems.append(f"{what}: {shown(data)} names no image, or has no `annotations`; export it again")
            continue
        kept = [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]
        kept = [one for one in kept if one.get("ground_truth")] or kept
        given = [one.get("result") for one in kept]
        results = [[r for r in result if isinstance(r, dict)] for result in given if isinstance(result, list)]
        if results:
            yield what, reference, results


def _choices(tree: Tree, options: Options, found: Annotations) -> Iterator[tuple[str, list[set[str]]]]:
    """Yield images with the choices of each annotation, from any of the three exports."""
    name = _file(tree)
    if name.lower().endswith((".csv", ".tsv")):
        header, *rows = [row for _, row in read_rows(tree, name, FORM)]
        refuse_doubled(header, tree.where(name))
        if wrong := [row for row in rows if len(row) != len(header)]:
            raise UserError(f"{tree.where(name)}: a row of {len(wrong[0])} cells, the header has {len(header)}; {FORM}")
        yield from _minimal(tree.where(name), [dict(zip(header, row, strict=True)) for row in rows], options, found)
        return
    content = read_json(tree, name, FORM)
    if isinstance(content, list) and any(isinstance(task, dict) and "annotations" in task for task in content):
        for _, reference, results in _annotated(tree, found):
            yield reference, [set(_chosen(result)) for result in results]
    elif isinstance(content, list) and content and all(isinstance(task, dict) for task in content):
        yield from _minimal(tree.where(name), content, options, found)
    else:
        raise UserError(f"{tree.where(name)}: found {shown(content)}; expected {FORM}")


def _chosen(result: list[dict[str, Any]]) -> Iterator[str]:
    for item in result:
        value = item.get("value")
        choices = value.get("choices") if item.get("type") == "choices" and isinstance(value, dict) else None
        yield from (choice for choice in choices or () if isinstance(choice, str))


def _minimal(
    where: str, records: list[dict[str, Any]], options: Options, found: Annotations
) -> Iterator[tuple[str, list[set[str]]]]:
    """Yield images and choices of records: a record without the column is an annotation without choice."""
    columns = _columns(where, records, options.column)
    for number, record in enumerate(records, 1):
        reference = _image({key: value for key, value in record.items() if key not in columns})
        if reference is None:
            found.problems.append(f"{where}: record {number} names no image: {shown(record)}")
            continue
        yield reference, [{name for column in columns for name in _names(record.get(column))}]


def _columns(where: str, records: list[dict[str, Any]], wanted: str | None) -> list[str]:
    """Return the columns that hold choices; UserError if they cannot be told from the others."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    others = [key for key in keys if key not in OWN_KEYS and key != _image_key(records[0])] if records else []
    if wanted is not None:
        if wanted not in keys:
            raise UserError(f"{where}: no column '{wanted}'; its columns are {listed(keys)}; give one as --column")
        return [wanted]
    certain = [key for key in others if any("choices" in str(record.get(key)) for record in records)]
    certain += [key for key in others if key in ("choice", "choices") and key not in certain]
    if not certain and len(others) != 1:
        raise UserError(f"{where}: which column holds the choices? Give one of these as --column: {listed(others)}")
    return certain or others


def _names(value: Any) -> list[str]:
    """Return the choices of a cell: a text for one, an object for several, which CSV has as a text of JSON."""
    if isinstance(value, str) and value.startswith("{"):
        return split_list(value[value.find("[") : value.rfind("]") + 1])
    if isinstance(value, dict):
        value = value.get("choices")
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return [value] if isinstance(value, str) and value else []


def _image_key(data: Mapping[str, Any]) -> str | None:
    """Return the key that names an image: `image`, or the first whose text ends like a picture's file."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    if texts.get("image"):
        return "image"
    ends = {key: (value.lower(), value.partition("?")[0].lower()) for key, value in texts.items()}
    return next((key for key, forms in ends.items() if any(form.endswith(SUFFIXES) for form in forms)), None)


def _image(data: Mapping[str, Any]) -> str | None:
    key = _image_key(data)
    return None if key is None else data[key]


def _file(tree: Tree) -> str:
    names = [name for name in tree.names() if name.lower().endswith((".json", ".csv", ".tsv"))]
    if len(names) != 1:
        raise UserError(f"{tree.path}: {len(names)} files of JSON or CSV; expected one, {FORM}; give the file")
    return names[0]
