"""COCO JSON: polygons, run lengths, tags alone, gaps in ids, several files, Unicode."""

import numpy as np
import pytest
from pycocotools import mask as run_lengths

from tests.foreign import HEIGHT, WIDTH, imported, photographs, refused, text

LEFT = [[0, 0, WIDTH // 2, 0, WIDTH // 2, HEIGHT, 0, HEIGHT]]
WHOLE = [[0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT]]


def right_runs(compressed):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    mask[:, WIDTH // 2 :] = 1
    if compressed:
        return run_lengths.encode(mask) | {"counts": run_lengths.encode(mask)["counts"].decode()}
    return {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH // 2, HEIGHT * WIDTH // 2]}


def content(images, annotations, names=("Kuh", "Straße")):
    """A file; categories have ids with gaps."""
    return {
        "images": [{"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH} for i, name in images.items()],
        "annotations": [
            {"id": 100 + i, "image_id": image, "category_id": category, **rest}
            for i, (image, category, rest) in enumerate(annotations)
        ],
        "categories": [{"id": 3 + 40 * i, "name": name} for i, name in enumerate(names)],
    }


def shape(segmentation):
    return {"segmentation": segmentation, "iscrowd": 0, "area": 1, "bbox": [0, 0, 1, 1]}


@pytest.mark.parametrize("compressed", [False, True])
def test_shapes(tmp_path, compressed):
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    file = content(
        {7: "a.jpg", 900: "b.jpg"},
        [(7, 43, shape(right_runs(compressed))), (7, 3, shape(LEFT)), (900, 3, shape(LEFT)), (900, 43, shape(WHOLE))],
    )
    path = text(tmp_path / "a.json", file, "utf-8-sig")
    made = imported(tmp_path, "--images", tmp_path / "photos", "--masks", "coco", path)
    assert made.classes == ["Kuh", "Straße"] and made.names("a") == ["Kuh", "Straße"]
    assert made.names("b") == ["Kuh", "Straße"], "the larger shape is drawn first"


def test_the_subset_for_testing_is_whole(tmp_path, capsys):
    """Images of it in which nothing is drawn belong to it; those without mask are for training, and are counted."""
    photographs(tmp_path / "photos", "a.jpg", "val/b.jpg", "val/c.jpg", "val/d.jpg")
    text(tmp_path / "coco/train.json", content({1: "a.jpg"}, [(1, 3, shape(LEFT))]))
    text(tmp_path / "coco/val.json", content({2: "val/b.jpg", 3: "val/c.jpg"}, [(2, 3, shape(LEFT))]))
    tags = text(tmp_path / "tags.csv", "image,label\nval/d.jpg,cow\na.jpg,\n")
    options = ["--images", tmp_path / "photos", "--masks", "coco", tmp_path / "coco"]
    made = imported(tmp_path / "1", *options)
    assert made.train == ["a"] and made.test == ["b", "c"]
    assert "that the source calls 'val'; all others are for training\n" in capsys.readouterr().out
    made = imported(tmp_path / "2", *options, "--tags", "csv", tags)
    assert made.train == ["a", "d"] and made.test == ["b", "c"]
    assert "all others are for training, 1 of 'val' that have no mask included\n" in capsys.readouterr().out


def test_two_categories_of_one_name_are_one_class_and_the_user_is_told(tmp_path, capsys):
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    file = content({1: "a.jpg", 2: "b.jpg"}, [(1, 3, {}), (2, 43, {})], ("Kuh", "Kuh"))
    path = text(tmp_path / "t.json", file)
    made = imported(tmp_path, "--images", tmp_path / "photos", "--tags", "coco", path)
    assert made.classes == ["Kuh"]
    told = capsys.readouterr().out
    assert "t.json: the categories 3 and 43 have one name, 'Kuh'; they are read as one class" in told


def test_tags_alone(tmp_path):
    """Exports of tags have neither boxes nor shapes; what an image does not list is absent."""
    photographs(tmp_path / "photos", "a.jpg", "b.jpg", "c.jpg")
    path = text(
        tmp_path / "t.json", content({1: "a.jpg", 5: "b.jpg", 6: "c.jpg"}, [(1, 3, {}), (5, 3, {}), (5, 43, {})])
    )
    made = imported(tmp_path, "--images", tmp_path / "photos", "--tags", "coco", path)
    assert made.tags_only == ["Kuh", "Straße"]
    assert [list(made.tags[name].values()) for name in "abc"] == [["1", "0"], ["1", "1"], ["0", "0"]]


def test_masks_and_tags_in_several_files_with_subsets(tmp_path):
    """The layout of Roboflow: a file in the folder of each subset. An image without shapes shows nothing of theirs."""
    root = tmp_path / "export"
    photographs(root, "train/a.jpg", "valid/b.jpg", "train/c.jpg")
    text(root / "train/_annotations.coco.json", content({0: "a.jpg", 1: "c.jpg"}, [(0, 43, shape(WHOLE))]))
    text(root / "valid/_annotations.coco.json", content({0: "b.jpg"}, [(0, 43, shape(LEFT))]))
    tags = text(tmp_path / "tags.json", content({0: "c.jpg", 1: "b.jpg"}, [(0, 3, {})]))
    made = imported(tmp_path, "--images", root, "--masks", "coco", root, "--tags", "coco", tags)
    assert made.train == ["a", "c"] and made.test == ["b"] and made.tags_only == ["Kuh"]
    assert made.names("b") == ["Straße", None] and made.names("c") == [None, None]
    assert made.tags == {"c": {"Kuh": "1"}, "b": {"Kuh": "0"}}, "no tag speaks of a"
    unknown = ["--unlisted", "unknown"]
    made = imported(tmp_path / "2", "--images", root, "--masks", "coco", root, "--tags", "coco", tags, *unknown)
    assert made.tags["c"] == {"Kuh": "1", "Straße": ""} and made.tags["b"] == {"Kuh": "", "Straße": "1"}


def test_windows_paths_and_the_same_name_in_two_folders(tmp_path):
    photographs(tmp_path / "photos", "x/1.jpg", "y/1.jpg")
    file = content({1: r"C:\photos\x\1.jpg", 2: r"C:\photos\y\1.jpg"}, [(1, 3, shape(LEFT)), (2, 43, shape(LEFT))])
    made = imported(tmp_path, "--images", tmp_path / "photos", "--masks", "coco", text(tmp_path / "a.json", file))
    assert made.names("x__1") == ["Kuh", None] and made.names("y__1") == ["Straße", None]


def test_accents_of_macos(tmp_path):
    """A decomposed letter in a file's name, a composed one in the annotations, and the other way round in a class."""
    photographs(tmp_path / "photos", "a\u0308.jpg", "b.jpg")
    file = content({1: "\u00e4.jpg", 2: "b.jpg"}, [(1, 3, shape(LEFT)), (2, 3, shape(LEFT))], ("Ba\u0308r",))
    made = imported(tmp_path, "--images", tmp_path / "photos", "--masks", "coco", text(tmp_path / "a.json", file))
    assert made.classes == ["B\u00e4r"] and made.names("\u00e4") == ["B\u00e4r", None]


def change(**changes):
    """A whole file with other values: `annotation`, `image`, `category`, or a section."""
    file = content({1: "a.jpg"}, [(1, 3, shape(LEFT))])
    for key, value in changes.items():
        if key in file:
            file[key] = value
        else:
            section = {"annotation": "annotations", "image": "images", "category": "categories"}[key]
            file[section][0] |= value
    return file


BAD = {
    "no JSON": ("{", "cannot be read as JSON"),
    "a list": ([], "no list `images`, `annotations`, `categories`"),
    "no categories": (change(categories=None), "no list `categories`; expected COCO's form"),
    "an unknown category": (change(annotation={"category_id": 4}), "category_id is 4, which `categories`"),
    "an unknown image": (change(annotation={"image_id": "1"}), "image_id is '1', which `images` does not have"),
    "no shape": (change(annotation={"segmentation": []}), "no `segmentation`; correct it, or read this file as tags"),
    "a broken shape": (change(annotation={"segmentation": [[1, 2, 3]]}), "odd number of coordinates"),
    "far outside": (change(annotation={"segmentation": [[0, 0, 9e9, 0, 5, 5]]}), "coordinate x = 9e+09"),
    "no size": (change(image={"height": None}), "its height and width are null and 16; expected pixels"),
    "no file name": (change(image={"file_name": ""}), "expected `id` and `file_name`"),
    "no name": (change(category={"name": None}), "expected `id` and `name`"),
    "two images of one id": (change(images=change()["images"] * 2), "two images with the id 1"),
    "an unknown photograph": (change(image={"file_name": "z.jpg"}), "1 of 1 images have no photograph in"),
    "another size": (change(image={"width": 15}), "a.jpg is 16x12 (width x height, upright) but"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(tmp_path, capsys, case):
    file, message = BAD[case]
    photographs(tmp_path / "photos", "a.jpg")
    path = text(tmp_path / "a.json", file)
    line = refused(tmp_path, capsys, "--images", tmp_path / "photos", "--masks", "coco", path)
    assert message in line and str(path) in line
