"""Label Studio: choices in three exports, brushes and polygons, several annotators, uploads and local files."""

import json

import numpy as np
import pytest

from simformer.data.coco_shapes import BrokenShape
from simformer.data.formats.brush import Brush, decode
from tests.foreign import HEIGHT, WIDTH, imported, photographs, refused, text


def pack(values, sizes=(3, 4, 8, 16)):
    """The stream of the package rle-pack, written from its description: runs of equal values, else literally."""
    bits = f"{len(values):032b}{8 - 1:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    place = 0
    while place < len(values):
        end = place + 1
        while end < len(values) and values[end] == values[place]:
            end += 1
        repeated = end - place > 1
        if not repeated:
            while end < len(values) and values[end] != values[end - 1]:
                end += 1
        end = min(end, place + 2 ** sizes[-1])
        length = end - place - 1
        kind = next(k for k, size in enumerate(sizes) if length < 2**size)
        bits += f"{int(repeated)}{kind:02b}{length:0{sizes[kind]}b}"
        bits += f"{values[place]:08b}" if repeated else "".join(f"{value:08b}" for value in values[place:end])
        place = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def brush(mask, name):
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[..., 3] = 255 * mask
    return region("brushlabels", {"format": "rle", "rle": pack(rgba.ravel().tolist()), "brushlabels": [name]})


def polygon(points, name):
    return region("polygonlabels", {"points": points, "polygonlabels": [name], "closed": True})


def region(kind, value):
    size = {"original_height": HEIGHT, "original_width": WIDTH, "image_rotation": 0}
    return {"id": "x1", "type": kind, "from_name": "tag", "to_name": "image", "value": value, **size}


def choices(*names):
    return {"type": "choices", "from_name": "choice", "to_name": "image", "value": {"choices": list(names)}}


def task(image, *results, **rest):
    return {
        "id": 1,
        "data": {"image": image},
        "annotations": [{"was_cancelled": False, "result": result, **rest} for result in results],
    }


def right():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, WIDTH // 2 :] = True
    return mask


@pytest.mark.parametrize("seed", range(5))
def test_the_stream_of_a_brush(seed):
    rng = np.random.default_rng(seed)
    values = np.repeat(rng.integers(0, 256, 40), rng.integers(1, 60, 40)).astype(np.uint8)
    values = np.concatenate([values, rng.integers(0, 256, 300).astype(np.uint8)])
    np.testing.assert_array_equal(decode(bytes(pack(values.tolist())), len(values)), values)


def test_a_broken_stream():
    data = bytes(pack([1, 2, 3, 4] * 4))
    for broken in (data[:-3], data[:5], b""):
        with pytest.raises(BrokenShape, match="end too early"):
            decode(broken, 16)
    with pytest.raises(BrokenShape, match="of 16 values of 8 bits; the image asks for 96"):
        Brush(data).encode(4, 6)


def test_brushes_and_polygons(tmp_path):
    photographs(tmp_path / "photos", "a.jpg", "b c.jpg")
    grass = polygon([[50, 0], [100, 0], [100, 100], [50, 100]], "Gras")
    export = [
        task("/data/upload/1/1a2b3c4d-a.jpg", [brush(~right(), "Kuh"), grass]),
        task("/data/local-files/?d=photos/b%20c.jpg", [brush(right(), "Kuh"), region("rectanglelabels", {})]),
        task("/data/upload/1/1a2b3c4d-a.jpg") | {"annotations": []},
    ]  # fmt: skip
    path = text(tmp_path / "ls.json", export)
    made = imported(tmp_path, "--images", tmp_path / "photos", "--masks", "label-studio", path)
    assert made.classes == ["Kuh", "Gras"]
    assert made.names("a") == ["Kuh", "Gras"] and made.names("b c") == [None, "Kuh"]


def test_choices_of_several_annotators(tmp_path):
    """Cancelled annotations are dropped, ground truth wins, disagreement is unknown, an empty one is absence."""
    photographs(tmp_path / "photos", *(f"{i}.jpg" for i in range(6)))
    truth = task("s3://bucket/3.jpg", [choices("cat")], [choices("dog")])
    truth["annotations"][1]["ground_truth"] = True
    cancelled = task("4.jpg", [choices("cat")], was_cancelled=True)
    export = [
        task("https://example.com/0.jpg?token=1", [choices("cat", "dog")]),
        task("1.jpg", [choices("cat")], [choices("cat", "dog")]),
        task("2.jpg", []),
        truth,
        cancelled,
    ]
    path = text(tmp_path / "ls.json", export)
    made = imported(tmp_path, "--images", tmp_path / "photos", "--tags", "label-studio", path)
    assert {name: list(states.values()) for name, states in made.tags.items()} == {
        "0": ["1", "1"],
        "1": ["1", ""],
        "2": ["0", "0"],
        "3": ["0", "1"],
    }


MINIMAL = [
    {"image": "/data/upload/1/1a2b3c4d-a.jpg", "id": 1, "choice": "cat", "annotator": 1, "annotation_id": 1},
    {"image": "/data/upload/1/1a2b3c4d-b.jpg", "id": 2, "choice": {"choices": ["cat", "dog"]}, "annotator": 1},
    {"image": "/data/upload/1/1a2b3c4d-c.jpg", "id": 3, "annotator": 1, "lead_time": 2.5},
    {"image": "/data/upload/1/1a2b3c4d-d.jpg", "id": 4, "choice": "cat", "annotator": 1},
    {"image": "/data/upload/1/1a2b3c4d-d.jpg", "id": 4, "choice": "dog", "annotator": 2},
]
EXPECTED = {"a": ["1", "0"], "b": ["1", "1"], "c": ["0", "0"]}
"""Of d, the annotators say different things: nothing is known."""


def cells(value):
    value = json.dumps(value) if isinstance(value, dict) else str(value)
    return '"' + value.replace('"', '""') + '"'


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("key", ["choice", "Tiere im Bild"])
def test_the_short_exports(tmp_path, form, key):
    photographs(tmp_path / "photos", *(f"{name}.jpg" for name in "abcd"))
    records = [{key if k == "choice" else k: v for k, v in record.items()} for record in MINIMAL]
    content = json.dumps(records)
    if form == "csv":
        header = ["image", "id", key, "annotator", "annotation_id", "lead_time"]
        content = "\n".join([",".join(header), *(",".join(cells(r.get(k, "")) for k in header) for r in records)])
    path = text(tmp_path / f"ls.{form}", content, "utf-8-sig")
    made = imported(tmp_path, "--images", tmp_path / "photos", "--tags", "label-studio", path)
    assert {name: list(states.values()) for name, states in made.tags.items()} == EXPECTED


def test_which_column(tmp_path, capsys):
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    records = [{"image": f"{name}.jpg", "weather": "sun", "animal": "cat", "id": 1} for name in "ab"]
    path = text(tmp_path / "ls.json", records)
    options = ["--images", tmp_path / "photos", "--tags", "label-studio", path]
    line = refused(tmp_path, capsys, *options)
    assert "which column holds the choices? Give one of these as --column: weather, animal" in line
    assert "no column 'plant'" in refused(tmp_path, capsys, *options, "--column", "plant")
    assert imported(tmp_path, *options, "--column", "animal").tags == {"a": {"cat": "1"}, "b": {"cat": "1"}}


SQUARE = [[0, 0], [50, 0], [50, 50]]
BAD = {
    "a dictionary": ({}, "expected an export of Label Studio"),
    "JSON-MIN": (MINIMAL, "no annotations in it, as in JSON-MIN; masks need an export as JSON"),
    "no image": ([task(None, [polygon(SQUARE, "x")])], "names no image"),
    "a turned image": ([task("a.jpg", [polygon(SQUARE, "x") | {"image_rotation": 90}])], "is turned by 90 degrees"),
    "no size": ([task("a.jpg", [polygon(SQUARE, "x") | {"original_width": 0}])], "original_width are 12 and 0"),
    "points of text": ([task("a.jpg", [polygon("abc", "x")])], "`points` is 'abc'; expected a list of [x, y]"),
    "a broken brush": ([task("a.jpg", [region("brushlabels", {"rle": [0], "brushlabels": ["x"]})])], "end too early"),
    "no bytes": ([task("a.jpg", [region("brushlabels", {"rle": [300], "brushlabels": ["x"]})])], "`rle` is [300]"),
    "no shapes": ([task("a.jpg", [choices("x")])], "no classes; is it the right file and format?"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(tmp_path, capsys, case):
    content, message = BAD[case]
    photographs(tmp_path / "photos", "a.jpg")
    path = text(tmp_path / "ls.json", content)
    line = refused(tmp_path, capsys, "--images", tmp_path / "photos", "--masks", "label-studio", path)
    assert message in line and str(path) in line


def test_a_file_of_another_format_is_quoted_in_one_short_line(tmp_path, capsys):
    content = {name: [{f"key{i}": "x" * 500 for i in range(9)}] * 9 for name in ("images", "annotations", "categories")}
    photographs(tmp_path / "photos", "a.jpg")
    for kind in ("masks", "tags"):
        given = ["--images", tmp_path / "photos", f"--{kind}", "label-studio", text(tmp_path / "coco.json", content)]
        found = refused(tmp_path, capsys, *given).partition(": found ")[2].partition("; expected an export")[0]
        assert found.startswith("{'annotations': [") and len(found) <= 80


def test_two_columns_of_one_name(tmp_path, capsys):
    photographs(tmp_path / "photos", "a.jpg")
    table = text(tmp_path / "a.csv", "image,choice,choice\na.jpg,cat,dog\n")
    line = refused(tmp_path, capsys, "--images", tmp_path / "photos", "--tags", "label-studio", table)
    assert "a.csv: column 'choice' is there twice; remove one, or rename it" in line
