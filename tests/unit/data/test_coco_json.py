"""COCO-Stuff from annotation files: shapes of every kind, drawing order, and files that are broken."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as run_lengths

from simformer.data import coco_json as importer
from simformer.data.archive import open_tree
from simformer.data.audit import audit
from simformer.data.coco_json import coco_json, draw
from simformer.errors import UserError
from tests.published import (
    COCO_RAW_IDS,
    annotation,
    assert_equal,
    jpeg,
    plain,
    prepared,
    refused,
    rewrite_zip,
    source,
    write_coco_json,
)

THINGS, STUFF = "annotations_trainval2017.zip", "stuff_annotations_trainval2017.zip"
TRAIN, VAL = "train2017.zip", "val2017.zip"
PERSON, CAR, BANNER, WOOD, OTHER = 1, 3, 92, 182, 183


def release(folder, subset="164k", annotations=(THINGS, STUFF)):
    """Return the source made of the archives of a folder."""
    return source(
        "coco_json",
        annotations=[folder / name for name in annotations],
        images=[folder / TRAIN, folder / VAL],
        subset=subset,
    )


def rectangle(left, top, right, bottom):
    """Return the pixels [top, bottom) x [left, right) as a polygon."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def compressed(mask):
    """Return a mask as compressed run lengths."""
    code = run_lengths.encode(np.asfortranarray(mask, np.uint8))
    return {"counts": code["counts"].decode(), "size": list(mask.shape)}


@pytest.fixture
def drawn(tmp_path):
    """Draw annotations of one image of 12 x 8 pixels, given as (raw id, shape) of things and of stuff."""

    def drawn(things, stuff, size=(8, 12)):
        (tmp_path / "train2017").mkdir(exist_ok=True)
        (tmp_path / "train2017/000000000001.jpg").write_bytes(jpeg(np.zeros(size, np.uint8), 0))
        image = {"id": 1, "file_name": "000000000001.jpg", "height": size[0], "width": size[1]}
        for kind, shapes in (("instances", things), ("stuff", stuff)):
            drawn = [annotation(1, raw, shape) | {"id": number} for number, (raw, shape) in enumerate(shapes, 1)]
            content = {"images": [image], "annotations": drawn}
            (tmp_path / f"{kind}_train2017.json").write_text(json.dumps(content))
            content = {"images": [], "annotations": []}
            (tmp_path / f"{kind}_val2017.json").write_text(json.dumps(content))
        tree = open_tree(tmp_path)
        [item] = coco_json([tree], [tree], "164k").train
        return draw(item.label, "a")

    return drawn


def test_the_release_becomes_a_dataset(tmp_path):
    truth = write_coco_json(tmp_path)
    assert_equal(prepared(release(tmp_path), tmp_path / "out", workers=2), truth)
    index, _ = audit(tmp_path / "out", workers=1)
    assert (len(index.train), len(index.test), len(index.classes)) == (12, 4, 171)
    assert [record.name for record in (*index.train, *index.test)] == list(truth)


def test_the_10k_subset_follows_its_lists_and_names(tmp_path, monkeypatch):
    truth = write_coco_json(tmp_path)
    monkeypatch.setattr(importer, "coco_stuff_10k_images", lambda: {"train": [9, 41], "test": [1009]})
    expected = {f"COCO_train2014_{i:012d}": truth[f"{i:012d}"] for i in (9, 41, 1009)}
    assert_equal(prepared(release(tmp_path, "10k"), tmp_path / "out"), expected)


def test_annotation_files_may_be_named_one_by_one(tmp_path, monkeypatch):
    truth = write_coco_json(tmp_path)
    monkeypatch.setattr(importer, "coco_stuff_10k_images", lambda: {"train": [9], "test": [25]})
    for name in (THINGS, STUFF):
        shutil.unpack_archive(tmp_path / name, tmp_path)
    files = [f"annotations/{kind}_train2017.json" for kind in ("instances", "stuff")]
    labels = prepared(release(tmp_path, "10k", files), tmp_path / "out")
    assert_equal(labels, {f"COCO_train2014_{i:012d}": truth[f"{i:012d}"] for i in (9, 25)})


def test_every_class_has_its_id(drawn):
    """One pixel for each raw id, things and stuff in files of their own."""
    shapes = [(int(raw), rectangle(i % 19, i // 19, i % 19 + 1, i // 19 + 1)) for i, raw in enumerate(COCO_RAW_IDS)]
    label = drawn([s for s in shapes if s[0] < 91], [s for s in shapes if s[0] > 91], size=(10, 19))
    np.testing.assert_array_equal(label.ravel(), [*range(171), *[255] * 19])


@pytest.mark.parametrize("form", [plain, compressed])
def test_run_lengths(drawn, form):
    mask = np.random.default_rng(3).integers(0, 2, (8, 12))
    np.testing.assert_array_equal(drawn([(PERSON, form(mask))], []), np.where(mask, 0, 255))


def test_polygons_of_one_annotation_are_joined(drawn):
    expected = np.full((8, 12), 255)
    expected[1:3, 2:5] = expected[5:8, 6:12] = 2
    label = drawn([(CAR, rectangle(2, 1, 5, 3) + rectangle(6, 5, 12, 8))], [])
    np.testing.assert_array_equal(label, expected)


def test_a_shape_without_area_draws_nothing(drawn):
    label = drawn([(CAR, [[1, 1, 5, 5]]), (PERSON, [[2, 2]]), (CAR, []), (PERSON, rectangle(0, 0, 1, 1))], [])
    assert label[0, 0] == 0 and (label.ravel()[1:] == 255).all()


def test_things_lie_on_stuff_however_large(drawn):
    whole, small = rectangle(0, 0, 12, 8), rectangle(3, 3, 5, 5)
    label = drawn([(PERSON, whole)], [(BANNER, small)])
    assert (label == 0).all()


@pytest.mark.parametrize("turned", [False, True])
def test_small_areas_lie_on_large_ones_whatever_their_order(drawn, turned):
    things = [(PERSON, rectangle(0, 0, 6, 8)), (CAR, rectangle(1, 1, 3, 3))]
    stuff = [(WOOD, rectangle(0, 0, 12, 8)), (BANNER, rectangle(8, 0, 10, 2))]
    label = drawn(things[::-1] if turned else things, stuff[::-1] if turned else stuff)
    expected = np.full((8, 12), 170)
    expected[:2, 8:10] = 80
    expected[:, :6] = 0
    expected[1:3, 1:3] = 2
    np.testing.assert_array_equal(label, expected)


def test_other_is_no_class(drawn):
    label = drawn([(PERSON, rectangle(0, 0, 2, 2))], [(OTHER, rectangle(0, 0, 4, 4)), (WOOD, rectangle(6, 0, 12, 8))])
    expected = np.full((8, 12), 255)
    expected[:2, :2], expected[:, 6:] = 0, 170
    np.testing.assert_array_equal(label, expected)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ([[1, 1, 5, 1, 5]], "polygon with an odd number of coordinates, 5; expected pairs x, y"),
        ({"counts": [5, 5], "size": [8, 12]}, "run lengths do not fill the image: 10 of 96 pixels"),
        ({"counts": [5, -5], "size": [8, 12]}, "a run of -5 pixels in an image of 96"),
        ({"counts": "00", "size": [12, 8]}, "size [12, 8] in an image of height and width [8, 12]"),
        ({"counts": "é", "size": [8, 12]}, "`counts` has characters that are not of compressed run lengths"),
        ({"size": [8, 12]}, "run lengths without `counts`"),
        ({"counts": [90, 90], "size": [8, 12]}, "run lengths do not fill the image: 180 of 96 pixels"),
    ],
)
def test_broken_shapes(drawn, tmp_path, shape, reason):
    with pytest.raises(UserError) as error:
        drawn([(CAR, shape)], [])
    place = f"{tmp_path}/instances_train2017.json: annotation 1 of image 1"
    assert str(error.value).endswith(f"{place}: {reason}; correct it, or download the file again")


@pytest.mark.parametrize("raw_id", [0, 12, 184, 255, BANNER])
def test_unknown_categories(drawn, raw_id):
    with pytest.raises(UserError, match=rf"annotation 1 of image 1: category {raw_id}; expected a thing, 1\.\.90; "):
        drawn([(raw_id, rectangle(0, 0, 2, 2))], [])


def test_a_broken_annotation_names_its_image(tmp_path):
    write_coco_json(tmp_path)
    name = "annotations/stuff_train2017.json"
    with open_tree(tmp_path / STUFF).pack as pack:
        content = json.loads(pack.read(name))
    content["annotations"][0]["category_id"] = 999
    rewrite_zip(tmp_path / STUFF, {name: json.dumps(content).encode()})
    image = content["annotations"][0]["image_id"]
    own = content["annotations"][0]["id"]
    [_, line] = refused(release(tmp_path), tmp_path / "out")
    assert line == (
        f"  {tmp_path / STUFF}/{name}: annotation {own} of image {image}: category 999; expected a stuff class, "
        "92..182, or 183 for other; correct it, or download the file again"
    )


def test_images_without_annotations_or_photograph_are_named(tmp_path):
    write_coco_json(tmp_path)
    name = "annotations/stuff_train2017.json"
    with open_tree(tmp_path / STUFF).pack as pack:
        content = json.loads(pack.read(name))
    content["images"] = content["images"][1:]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 9]
    rewrite_zip(tmp_path / STUFF, {name: json.dumps(content).encode()})
    rewrite_zip(tmp_path / TRAIN, {"train2017/000000000025.jpg": None})
    files = ", ".join(str(tmp_path / name) for name in (THINGS, STUFF))
    images = ", ".join(str(tmp_path / name) for name in (TRAIN, VAL))
    assert refused(release(tmp_path), tmp_path / "out") == [
        f"{files}, {images}: 2 problems found in this dataset:",
        f"  training image 000000000025: no photograph; expected 000000000025.jpg, or its 12 digits alone, in {images}",
        f"  training image 000000000009: no label; expected it in instances_*.json and stuff_*.json of {files}",
    ]


def test_an_image_that_nothing_covers_is_left_to_the_audit(tmp_path):
    write_coco_json(tmp_path)
    for archive, kind in ((THINGS, "instances"), (STUFF, "stuff")):
        name = f"annotations/{kind}_train2017.json"
        with open_tree(tmp_path / archive).pack as pack:
            content = json.loads(pack.read(name))
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 9]
        rewrite_zip(tmp_path / archive, {name: json.dumps(content).encode()})
    prepared(release(tmp_path), tmp_path / "out")
    assert (np.asarray(Image.open(tmp_path / "out/labels/000000000009.png")) == 255).all()
    assert audit(tmp_path / "out", workers=1)[1].train.dropped == ("000000000009",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"images": [', "JSONDecodeError: "),
        (b"[]", "ValueError: no list `images`"),
        (b'{"images": []}', "ValueError: no list `annotations`"),
        (b"\xff\xfe\x00", "UnicodeDecodeError: "),
    ],
)  # fmt: skip
def test_a_file_that_is_no_annotation_file(tmp_path, data, reason):
    write_coco_json(tmp_path)
    name = "annotations/instances_train2017.json"
    rewrite_zip(tmp_path / THINGS, {name: data})
    [line] = refused(release(tmp_path), tmp_path / "out")
    assert line.startswith(f"{tmp_path / THINGS}/{name}: not one of COCO's annotation files ({reason}")
    assert line.endswith("; download it again")


def test_missing_annotation_files_are_named(tmp_path):
    write_coco_json(tmp_path)
    assert refused(release(tmp_path, annotations=(THINGS,)), tmp_path / "out") == [
        f"{tmp_path / THINGS}: no stuff_*.json; expected files of both kinds"
    ]
    rewrite_zip(tmp_path / STUFF, {"annotations/stuff_val2017.json": None})
    assert refused(release(tmp_path), tmp_path / "out") == [
        f"{tmp_path / THINGS}, {tmp_path / STUFF}: no stuff_val2017.json; subset 164k needs these files"
    ]
    shutil.copy(tmp_path / STUFF, tmp_path / "copy.zip")
    [line] = refused(release(tmp_path, annotations=(THINGS, STUFF, "copy.zip")), tmp_path / "out")
    assert line.endswith("stuff_train2017.json: two files have one name; give one of them")


def test_a_process_gets_the_annotations_of_its_images_alone(tmp_path):
    write_coco_json(tmp_path, train=40, test=1)
    trees = [open_tree(tmp_path / name) for name in (THINGS, STUFF, TRAIN, VAL)]
    conversion = coco_json(trees[:2], trees[2:], "164k")
    sizes = [sum(len(layer.regions) for layer in item.label.layers) for item in conversion.train]
    assert min(sizes) >= 3 and max(sizes) <= 9
    assert len(conversion.trees) == 4 and os.fspath(conversion.trees[0].path).endswith(THINGS)
