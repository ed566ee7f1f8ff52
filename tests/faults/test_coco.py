"""COCO's annotation files, broken in every way that people and programs break them."""

import copy
import gzip
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from simformer.cli import main
from tests.faults.coco_files import (
    HALF,
    HEIGHT,
    RECTANGLE,
    WIDTH,
    annotation,
    contents,
    photograph,
    prepare_arguments,
    write_coco,
)
from tests.faults.harness import refused

THINGS, STUFF = "instances_train2017.json", "stuff_train2017.json"
FILE, PLACE = f"annotations/{THINGS}: ", f"annotations/{THINGS}: annotation 1 of image 9: "
MEND = "; correct it, or download the file again"


def runs(counts, size=(HEIGHT, WIDTH)):
    """Return run lengths as a shape."""
    return {"counts": counts, "size": list(size)}


INF, NAN, HUGE = float("inf"), float("nan"), 10**400
SHAPES = {
    "NaN": ([[1, 1, 5, NAN, 5, 4]], "NaN, which is no number of JSON"),
    "Infinity": ([[1, 1, 5, INF, 5, 4]], "Infinity, which is no number of JSON"),
    "-Infinity": ([[1, 1, 5, -INF, 5, 4]], "-Infinity, which is no number"),
    "2e8": ([[1, 1, 2e8, 1, 5, 4]], "coordinate x = 2e+08 in an image of height 8 and width 12; expected numbers from"),
    "-2e8": ([[1, 1, 5, -2e8, 5, 4]], "coordinate y = -2e+08 in an image"),
    "just beyond": ([[1, 1, 5, 1, 5, 16.5]], "coordinate y = 16.5 in an image"),
    "far point": ([RECTANGLE[0], [2e8, 2]], "coordinate x = 2e+08"),
    "huge whole number": ([[1, 1, HUGE, 1, 5, 4]], "expected numbers near the image"),
    "endless outline": ([[0, 0, 12, 8] * 50_000], "an outline of 1,199,988 pixels in an image of height 8 and width 1"),
    "flat": (RECTANGLE[0], "`segmentation` is a flat list of numbers; expected a list of polygons, [[x, y, "),
    "points": ([[1, 1], [5, 1], [5, 4]], "`segmentation` is a list of points [x, y]; expected a list of polygons"),
    "polygon of points": ([[[1, 1], [5, 1], [5, 4]]], "polygon [[1, 1], [5, 1], [5, 4]]; expected a list of numbers"),
    "odd": ([[1, 1, 5, 1, 5, 4, 1]], "polygon with an odd number of coordinates, 7; expected pairs x, y"),
    "texts": ([["1", "1", "5", "1", "5", "4"]], "polygon ['1', '1', '5', '1', '5', '4']; expected a list of numbers"),
    "truths": ([[True, 1, 5, 1, 5, 4]], "polygon [True, 1, 5, 1, 5, 4]; expected a list of numbers"),
    "null inside": ([[None, 1, 5, 1, 5, 4]], "expected a list of numbers"),
    "null": (None, "`segmentation` is null; expected polygons or run lengths"),
    "one number": ([5], "polygon 5; expected a list of numbers"),
    "a number": (5, "`segmentation` is 5; expected polygons or run lengths"),
    "a text": ("PPYo0", "`segmentation` is 'PPYo0'; expected polygons or run lengths"),
    "a line break": ("a\nb", r"`segmentation` is 'a\nb'; expected polygons"),
    "object of something": ({"a": 1}, "run lengths without `counts` and `size`"),
    "no size": ({"counts": [48, 48]}, "run lengths without `size`"),
    "negative": (runs([100, -4]), "a run of -4 pixels in an image of 96"),
    "negative that overflows": (runs([96, -1, 1]), "a run of -1 pixels"),
    "too few": (runs([5, 5]), "run lengths do not fill the image: 10 of 96 pixels"),
    "too many": (runs([48, 49]), "run lengths do not fill the image: 97 of 96 pixels"),
    "none": (runs([]), "run lengths do not fill the image: 0 of 96 pixels"),
    "wraps around": (runs([48, 2**32 + 48]), "a run of 4294967344 pixels in an image of 96"),
    "huge run": (runs([48, HUGE]), "expected numbers of pixels"),
    "fractions": (runs([48.0, 48.0]), "`counts` is [48.0, 48.0]; expected whole numbers, or a text of compressed run"),
    "runs of texts": (runs(["48", "48"]), "`counts` is ['48', '48']; expected whole numbers"),
    "runs of truths": (runs([True, 95]), "`counts` is [True, 95]; expected whole numbers"),
    "runs null": (runs(None), "`counts` is null; expected whole numbers"),
    "NaN run": (runs([NAN, 48]), "NaN, which is no number of JSON"),
    "compressed, no ASCII": (runs("é"), "`counts` has characters that are not of compressed run lengths"),
    "compressed, other letters": (runs("P 1"), "`counts` has characters that are not of compressed run lengths"),
    "compressed, NUL": (runs("`1\x00"), "`counts` has characters that are not of compressed run lengths"),
    "compressed, cut": (runs("`1`"), "compressed run lengths that end within a number"),
    "compressed, only continued": (runs("o" * 100), "compressed run lengths that end within a number"),
    "compressed, long number": (runs("oooooooooooo0`1"), "a run length of 13 characters; at most 6 make sense"),
    "compressed, other total": (runs("`1"), "run lengths do not fill the image: 48 of 96 pixels"),
    "compressed, negative": (runs("O"), "a run of -1 pixels in an image of 96"),
    "compressed, empty": (runs(""), "run lengths do not fill the image: 0 of 96 pixels"),
    "size turned": (runs([48, 48], (WIDTH, HEIGHT)), "size [12, 8] in an image of height and width [8, 12]"),
    "size of texts": (runs([48, 48], ("8", "12")), "`size` is ['8', '12']; expected [height, width]"),
    "size of fractions": (runs([48, 48], (8.0, 12.0)), "`size` is [8.0, 12.0]; expected [height, width]"),
    "size too long": (runs([48, 48], (8, 12, 1)), "`size` is [8, 12, 1]; expected [height, width]"),
    "huge size": (runs([48, 48], (10**9, 10**9)), "size [1000000000, 1000000000] in an image of height"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_broken_shape_is_refused_with_file_image_and_annotation(name, tmp_path, capsys):
    shape, reason = SHAPES[name]
    files = contents()
    files[THINGS]["annotations"][0]["segmentation"] = shape
    write_coco(tmp_path / "coco", files)
    refused(prepare_arguments(tmp_path), tmp_path, capsys, PLACE, reason, MEND)


def test_a_number_beyond_the_largest_is_refused(tmp_path, capsys):
    files = contents()
    files[THINGS] = json.dumps(files[THINGS]).replace("[[1, 1,", "[[1, 1e999,", 1).encode()
    write_coco(tmp_path / "coco", files)
    refused(prepare_arguments(tmp_path), tmp_path, capsys, PLACE, "coordinate y = inf in an image")


MISSING = object()
ENTRIES = {  # list, key, value, what is said after the file
    "no segmentation": ("annotations", "segmentation", MISSING, "annotation 1 of image 9: no `segmentation`"),
    "no image id": ("annotations", "image_id", MISSING, "annotation 1: image_id is null; expected the id of an image"),
    "image id as a text": ("annotations", "image_id", "9", "annotation 1 of image '9': image_id is '9'; expected"),
    "image id as a list": ("annotations", "image_id", [9], "annotation 1 of image [9]: image_id is [9]; expected"),
    "image id as a fraction": ("annotations", "image_id", 9.0, "image_id is 9.0; expected the id of an image, a whole"),
    "no such image": ("annotations", "image_id", 77, "annotation 1 of image 77: `images` has no such image"),
    "huge image id": ("annotations", "image_id", 10**300, "`images` has no such image"),
    "no id": ("annotations", "id", MISSING, "annotation of image 9: its id is null; expected a whole number"),
    "id as a text": ("annotations", "id", "one", "annotation 'one' of image 9: its id is 'one'; expected a whole"),
    "huge id": ("annotations", "id", 2**64, f"annotation {2**64} of image 9: its id is {2**64}; expected a whole"),
    "doubled id": ("annotations", "id", 3, "annotation id 3 twice, of images 9 and 25"),
    "no category": ("annotations", "category_id", MISSING, "annotation 1 of image 9: category null; expected a thing"),
    "category as a text": ("annotations", "category_id", "1", "annotation 1 of image 9: category '1'; expected a"),
    "category as a fraction": ("annotations", "category_id", 1.0, "category 1.0; expected a thing, 1..90"),
    "category as truth": ("annotations", "category_id", True, "category True; expected a thing, 1..90"),
    "category without a class": ("annotations", "category_id", 12, "category 12; expected a thing, 1..90"),
    "category of the other kind": ("annotations", "category_id", 92, "category 92; expected a thing, 1..90"),
    "negative category": ("annotations", "category_id", -1, "category -1; expected a thing, 1..90"),
    "iscrowd 7": ("annotations", "iscrowd", 7, "annotation 1 of image 9: iscrowd is 7; expected 0 or 1"),
    "iscrowd as a text": ("annotations", "iscrowd", "no", "iscrowd is 'no'; expected 0 or 1"),
    "NaN area": ("annotations", "area", NAN, "annotation 1 of image 9: NaN, which is no number of JSON"),
    "NaN in a box": ("annotations", "bbox", [0, 0, NAN, 1], "annotation 1 of image 9: NaN, which is no number of JSON"),
    "no height": ("images", "height", MISSING, "image 9: height is null; expected pixels, 1..65535"),
    "height 0": ("images", "height", 0, "image 9: height is 0; expected pixels, 1..65535"),
    "negative width": ("images", "width", -12, "image 9: width is -12; expected pixels"),
    "huge width": ("images", "width", 10**9, "image 9: width is 1000000000; expected pixels"),
    "height as a text": ("images", "height", "8", "image 9: height is '8'; expected pixels"),
    "height as truth": ("images", "height", True, "image 9: height is True; expected pixels"),
    "width as a fraction": ("images", "width", 12.0, "image 9: width is 12.0; expected pixels"),
    "NaN width": ("images", "width", NAN, "image 9: NaN, which is no number of JSON"),
    "image without id": ("images", "id", MISSING, "image: its id is null; expected a whole number of up"),
    "own id as a text": ("images", "id", "9", "image '9': its id is '9'; expected a whole number of up"),
    "negative own id": ("images", "id", -9, "image -9: its id is -9; expected a whole number of up"),
    "own id of 13 digits": ("images", "id", 10**12, "its id is 1000000000000; expected a whole number of up"),
    "image twice": ("images", "id", 25, "image 25 is listed twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES)
def test_a_broken_entry_is_refused_by_name(name, tmp_path, capsys):
    section, key, value, reason = ENTRIES[name]
    files = contents()
    entry = files[THINGS][section][0]
    if value is MISSING:
        del entry[key]
    else:
        entry[key] = value
    if name == "image twice":  # nothing else is wrong
        files[THINGS]["annotations"] = [a for a in files[THINGS]["annotations"] if a["image_id"] != 9]
    write_coco(tmp_path / "coco", files)
    refused(prepare_arguments(tmp_path), tmp_path, capsys, FILE, reason, MEND)


def text(change):
    """Return how to change the text of a file."""
    return lambda content: change(json.dumps(content)).encode()


def without(key):
    """Return how to take a key away."""
    return lambda content: {k: v for k, v in content.items() if k != key}


WHOLE_FILES = {
    "cut": (text(lambda data: data[:200]), "JSONDecodeError: "),
    "empty": (lambda _: b"", "it is an empty file"),
    "zeros": (lambda _: bytes(500), "it is a file of zeros"),
    "gzip": (lambda content: gzip.compress(json.dumps(content).encode()), "it is a gzip file"),
    "web page": (lambda _: b"<!DOCTYPE html><html>Sign in</html>", "it is a web page"),
    "pointer": (lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "it is the pointer of Git"),
    "picture": (lambda _: photograph(), "it is a JPEG image"),
    "other encoding": (lambda _: b'{"images": "\xff"}', "UnicodeDecodeError: "),
    "list": (lambda content: [content], "no list `images`"),
    "a number": (lambda _: 5, "no list `images`"),
    "null": (lambda _: None, "no list `images`"),
    "no images": (without("images"), "no list `images`"),
    "no annotations": (without("annotations"), "no list `annotations`"),
    "images as an object": (lambda content: content | {"images": {"9": {}}}, "no list `images`"),
    "annotations null": (lambda content: content | {"annotations": None}, "no list `annotations`"),
    "NaN elsewhere": (lambda content: content | {"info": {"year": NAN}}, "NaN, which is no number of JSON"),
    "NaN at the top": (lambda content: {"version": NAN, **content}, "NaN, which is no number of JSON"),
    "section twice": (text(lambda data: data[:-1] + ', "images": []}'), "key 'images' twice in one object"),
    "key twice": (text(lambda data: data.replace('"id": 1}', '"id": 1, "id": 2}', 1)), "key 'id' twice in one object"),
    "shape twice": (
        text(lambda data: data.replace('"area"', '"segmentation": [], "area"', 1)),
        "key 'segmentation' twice in one object 1 of image 9",
    ),
    "deep": (text(lambda data: data[:-1] + ', "x": ' + "[" * 200_000 + "]" * 200_000 + "}"), "RecursionError: "),
    "huge number": (text(lambda data: data.replace('"id": 1}', '"id": ' + "1" * 5000 + "}", 1)), "ValueError: Exceeds"),
    "text behind": (text(lambda data: data + "}"), "JSONDecodeError: Extra data"),
    "single quotes": (text(lambda data: data.replace('"', "'")), "JSONDecodeError: "),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_a_file_that_is_no_annotation_file_is_refused(name, tmp_path, capsys):
    change, reason = WHOLE_FILES[name]
    files = contents()
    files[THINGS] = change(files[THINGS])
    write_coco(tmp_path / "coco", files)
    says = (f"{FILE}not one of COCO's annotation files (", reason, "; download it again")
    refused(prepare_arguments(tmp_path), tmp_path, capsys, *says)


LISTS = {
    "null among annotations": ("annotations", None, "entry 4 of `annotations` is something else: null"),
    "a number among annotations": ("annotations", 5, "entry 4 of `annotations` is something else: 5"),
    "a list among annotations": ("annotations", [], "entry 4 of `annotations` is something else: []"),
    "nothing among annotations": ("annotations", {}, "annotation: its id is null; expected a whole number"),
    "null among images": ("images", None, "entry 2 of `images` is something else: null"),
    "nothing among images": ("images", {}, "image: its id is null; expected a whole number of up"),
    "an image among annotations": (
        "annotations",
        {"id": 9, "file_name": "a.jpg", "height": 8, "width": 12},
        "entry 4 of `annotations` is something else",
    ),
    "an annotation among images": ("images", annotation(9, 9, 1, RECTANGLE), "entry 2 of `images` is something else"),
}


@pytest.mark.parametrize("name", LISTS)
def test_something_else_in_a_list_is_refused(name, tmp_path, capsys):
    section, value, reason = LISTS[name]
    files = contents()
    files[THINGS][section].append(value)
    write_coco(tmp_path / "coco", files)
    refused(prepare_arguments(tmp_path), tmp_path, capsys, FILE, reason, MEND)


def test_files_that_do_not_agree_on_a_size_are_refused(tmp_path, capsys):
    files = contents()
    files[STUFF]["images"][0] |= {"height": WIDTH, "width": HEIGHT}
    write_coco(tmp_path / "coco", files)
    says = "image 9: height x width is 12 x 8 in", f"{STUFF} but 8 x 12 in", "expected equal sizes"
    refused(prepare_arguments(tmp_path), tmp_path, capsys, *says)


def test_a_folder_named_like_an_annotation_file_is_refused(tmp_path, capsys):
    files = contents()
    del files[THINGS]
    write_coco(tmp_path / "coco", files)
    (tmp_path / "coco/annotations" / THINGS).mkdir()
    refused(prepare_arguments(tmp_path), tmp_path, capsys, f"no {THINGS}; subset 164k needs these files")


def test_several_broken_entries_are_listed_together(tmp_path, capsys):
    files = contents()
    for entry, shape in zip(files[THINGS]["annotations"], (None, [1, 2, 3, 4], [[NAN, 1]], 5), strict=True):
        entry["segmentation"] = shape
    files["stuff_val2017.json"]["annotations"][0]["category_id"] = 999
    write_coco(tmp_path / "coco", files)
    assert main(prepare_arguments(tmp_path)) == 1
    first, *lines = capsys.readouterr().err.splitlines()
    assert first.endswith(": 5 problems found in this dataset:")
    assert [re.findall(r"(\w+\.json): annotation (\d+) of image (\d+)", line) for line in lines] == [
        *([(THINGS, own, image)] for own, image in (("1", "9"), ("2", "9"), ("3", "25"), ("4", "25"))),
        [("stuff_val2017.json", "1", "41")],
    ]
    assert not (tmp_path / "out").exists()


def test_several_broken_shapes_of_one_image_are_listed_together(tmp_path, capsys):
    files = contents()
    for entry in files[THINGS]["annotations"][:2]:
        entry["segmentation"] = [[2e8, 1, 2, 2, 3, 3]]
    write_coco(tmp_path / "coco", files)
    assert main(prepare_arguments(tmp_path)) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"  {tmp_path}")]
    assert [re.search(r"annotation (\d+)", line)[1] for line in lines] == ["1", "2"]


def prepared(folder, files):
    """Return the label maps of a COCO that must work, by image id."""
    shutil.rmtree(folder / "coco", ignore_errors=True)
    write_coco(folder / "coco", files)
    assert main(prepare_arguments(folder)) == 0
    return {int(path.stem): np.array(Image.open(path)) for path in (folder / "out/labels").iterdir()}


def expected_label():
    """Return what the unchanged files show: person over car over wood."""
    label = np.full((HEIGHT, WIDTH), 255)
    label[:, 6:], label[1:4, 1:5] = 2, 0
    return label


GOOD = {
    "unchanged": lambda files: None,
    "crowd drawn as polygons": lambda files: files[THINGS]["annotations"][0].update(iscrowd=1),
    "no iscrowd": lambda files: files[THINGS]["annotations"][0].pop("iscrowd"),
    "no file name": lambda files: files[THINGS]["images"][0].pop("file_name"),
    "a shape without area": lambda files: files[THINGS]["annotations"].append(annotation(9, 9, 1, [])),
    "a point": lambda files: files[THINGS]["annotations"].append(annotation(9, 9, 1, [[2, 2]])),
    "a byte order mark": lambda files: files.update({THINGS: b"\xef\xbb\xbf" + json.dumps(files[THINGS]).encode()}),
    "UTF-16": lambda files: files.update({THINGS: json.dumps(files[THINGS]).encode("utf-16")}),
    "annotations before images": lambda files: files.update({THINGS: dict(sorted(files[THINGS].items()))}),
    "empty runs": lambda files: files[THINGS]["annotations"][1].update(segmentation=runs([0, 0, 48, 0, 0, 48])),
    "compressed": lambda files: files[THINGS]["annotations"][1].update(segmentation=runs("`1`1")),
    "a little outside": lambda files: files[THINGS]["annotations"][1].update(
        segmentation=[[6, -0.5, 12.5, -0.5, 12.5, 8.5, 6, 8.5]]
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_odd_files_that_are_not_broken_are_read(name, tmp_path):
    files = copy.deepcopy(contents())
    GOOD[name](files)
    for label in prepared(tmp_path, files).values():
        np.testing.assert_array_equal(label, expected_label())


def test_the_right_half_is_where_it_should_be():
    assert HALF == {"counts": [48, 48], "size": [8, 12]}
