"""PASCAL VOC: label maps with a palette, lists, tags with difficult objects; the exports of CVAT."""

import numpy as np

from tests.foreign import HEIGHT, halves, imported, photographs, png, refused, text

PALETTE = [0, 0, 0, 128, 0, 0] * 128
COW, SHEEP, PERSON = 10, 17, 15


def devkit(tmp_path, newline="\n"):
    """VOC2012 of four images: two with masks, all with tags."""
    root = tmp_path / "VOC2012"
    photographs(root / "JPEGImages", *(f"2007_{i:06d}.jpg" for i in range(4)))
    png(root / "SegmentationClass/2007_000000.png", halves(0, PERSON), PALETTE)
    png(root / "SegmentationClass/2007_000001.png", halves(255, PERSON), PALETTE)
    text(root / "ImageSets/Segmentation/train.txt", "2007_000000\n", newline=newline)
    text(root / "ImageSets/Segmentation/val.txt", "2007_000001\n", newline=newline)
    text(root / "ImageSets/Segmentation/trainval.txt", "2007_000000\n2007_000001\n", newline=newline)
    tags = {"cow": " 1-1 0 1", "person": " 1 1-1 0"}
    for name, flags in tags.items():
        lines = [f"2007_{i:06d} {flags[2 * i : 2 * i + 2]}" for i in range(4)]
        text(root / f"ImageSets/Main/{name}_train.txt", "\n".join([lines[0], *lines[2:], ""]), newline=newline)
        text(root / f"ImageSets/Main/{name}_val.txt", lines[1], newline=newline)
    text(root / "ImageSets/Main/train.txt", "2007_000000\n")
    return root


def test_masks_alone(tmp_path):
    root = devkit(tmp_path)
    made = imported(tmp_path, "--images", root / "JPEGImages", "--masks", "voc", root)
    assert made.train == ["2007_000000"] and made.test == ["2007_000001"]
    assert len(made.classes) == 21 and made.classes[COW] == "cow" and made.classes[SHEEP] == "sheep"
    assert made.names("2007_000000") == ["background", "person"] and made.names("2007_000001") == [None, "person"]


def test_background_can_be_no_class(tmp_path):
    root = devkit(tmp_path)
    made = imported(tmp_path, "--images", root / "JPEGImages", "--masks", "voc", root, "--reduce-zero-label")
    assert made.classes[0] == "aeroplane" and made.names("2007_000000") == [None, "person"]


def test_a_difficult_object_is_unknown(tmp_path):
    """0 of ImageSets/Main is neither present nor absent; masks say what the images show that have them."""
    root = devkit(tmp_path, newline="\r\n")
    made = imported(tmp_path, "--images", root / "JPEGImages", "--masks", "voc", root, "--tags", "voc", root)
    assert made.tags_only == ["cow"] and made.test == ["2007_000001"]
    assert [made.tags[f"2007_{i:06d}"]["cow"] for i in range(4)] == ["1", "0", "", "1"]
    assert [made.tags[f"2007_{i:06d}"]["person"] for i in range(4)] == ["1", "1", "0", ""]
    assert made.tags["2007_000000"]["bird"] == "0" and made.tags["2007_000003"]["bird"] == "", "no list tells of birds"
    assert made.names("2007_000003") == [None, None]


def test_unlisted_may_be_absent_or_unknown(tmp_path):
    root = devkit(tmp_path)
    (root / "ImageSets/Main/cow_val.txt").unlink()
    options = ["--images", root / "JPEGImages", "--tags", "voc", root, "--classes", "cow", "person"]
    made = imported(tmp_path / "absent", *options)
    assert made.tags["2007_000001"] == {"cow": "0", "person": "1"}
    made = imported(tmp_path / "unknown", *options, "--unlisted", "unknown")
    assert made.tags["2007_000001"] == {"cow": "", "person": "1"}


def test_colours_of_an_export_of_cvat(tmp_path):
    colours = {"road": (10, 20, 30), "background": (0, 0, 0)}
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    text(
        tmp_path / "voc/labelmap.txt",
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:10,20,30::\nsea:1,1,1::\n",
    )
    text(tmp_path / "voc/ImageSets/Segmentation/default.txt", "a\nb\n")
    for name in "ab":
        row = [colours["road"], colours["background"]]
        png(tmp_path / f"voc/SegmentationClass/{name}.png", np.array([row], np.uint8).repeat(HEIGHT, 0).repeat(8, 1))
    made = imported(tmp_path, "--images", tmp_path / "photos", "--masks", "voc", tmp_path / "voc")
    assert made.classes == ["background", "road", "sea"] and made.names("a") == ["road", "background"]


def test_what_is_refused(tmp_path, capsys):
    root = devkit(tmp_path)
    photos = ["--images", root / "JPEGImages"]
    assert "expected the folder above it" in refused(tmp_path, capsys, *photos, "--masks", "voc", root / "ImageSets")
    assert "no ImageSets/Main" in refused(tmp_path, capsys, *photos, "--tags", "voc", root / "JPEGImages")
    main = text(root / "ImageSets/Main/cow_train.txt", "2007_000000 2\n2007_000002\n")
    line = refused(tmp_path, capsys, *photos, "--tags", "voc", root)
    assert f"{main}: line 1 is '2007_000000 2'; expected an image and 1 (shown), -1" in line and "line 2" in line
    text(root / "ImageSets/Segmentation/val.txt", "2007_000003\n")
    line = refused(tmp_path, capsys, *photos, "--masks", "voc", root)
    assert "no SegmentationClass/2007_000003.png, which a list names" in line


def test_lists_that_contradict_each_other_are_noted(tmp_path, capsys):
    """The class is unknown, also if a third list agrees with one of them."""
    root = devkit(tmp_path)
    text(root / "ImageSets/Main/cow_test.txt", "2007_000000 -1\n")
    text(root / "ImageSets/Main/cow_trainval.txt", "2007_000000 1\n2007_000002 1\n")
    made = imported(tmp_path, "--images", root / "JPEGImages", "--tags", "voc", root)
    assert [made.tags[f"2007_{i:06d}"]["cow"] for i in range(4)] == ["", "0", "1", "1"]
    assert (
        f"note: {root}: lines contradict each other, so it is unknown: 'cow' in 2007_000000\n"
        in capsys.readouterr().out
    )
