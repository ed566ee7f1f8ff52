"""The audit: each fault alone, and several at once."""

import dataclasses
import hashlib
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from simformer.config.sources import Expected, SceneSettings
from simformer.data.audit import AuditReport, audit
from simformer.data.images import read_label, write_label
from simformer.data.index import DatasetIndex
from simformer.data.scenes import generate_scenes
from simformer.errors import UserError
from tests.conftest import contents

K = 16
TRAIN = [f"train_{i:05d}" for i in range(4)]
TEST = [f"test_{i:05d}" for i in range(2)]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A faultless dataset that no test changes."""
    root = tmp_path_factory.mktemp("pristine") / "data"
    generate_scenes(root, SceneSettings(size=48, train=4, test=2))
    return root


@pytest.fixture
def root(pristine, tmp_path):
    """A copy of it that a test may break."""
    return shutil.copytree(pristine, tmp_path / "data")


def problems_of(root):
    """Return the audit's one error: what stands above the problems, and each of them."""
    with pytest.raises(UserError) as caught:
        audit(root, workers=1)
    told = re.sub(r"(; |\n)correct it in .*, then type the same command$", "", str(caught.value))
    return list(map(str.strip, re.split(r"(?<=found in this dataset:)\s|\n", told)))


def only_problem(root):
    """Return the audit's only problem."""
    lines = problems_of(root)
    assert lines[0].endswith(": 1 problem found in this dataset:"), lines
    assert len(lines) == 2
    return lines[1]


def image(root, name=TRAIN[1]):
    return root / "images" / f"{name}.png"


def label(root, name=TRAIN[1]):
    return root / "labels" / f"{name}.png"


def append(path, line):
    path.write_text(path.read_text() + line + "\n")


def set_pixels(path, value, count=3):
    array = read_label(path)
    array.flat[:count] = value
    write_label(path, array)


def test_a_sound_dataset_is_indexed_with_its_counts(root):
    index, report = audit(root, workers=1)
    assert [record.name for record in index.train] == TRAIN
    assert [record.name for record in index.test] == TEST
    maps = {record.name: read_label(root / record.label) for record in index.train + index.test}
    for record in index.train + index.test:
        assert (record.image, record.label) == (f"images/{record.name}.png", f"labels/{record.name}.png")
        assert (record.height, record.width) == (48, 48)
        assert record.labels == tuple(sorted(set(maps[record.name].flat) - {255}))
        assert record.image_sha256 == hashlib.sha256((root / record.image).read_bytes()).hexdigest()
        assert record.label_sha256 == hashlib.sha256((root / record.label).read_bytes()).hexdigest()
    train = np.stack([maps[name] for name in TRAIN])
    assert report.train.images == 4 and report.train.dropped == ()
    assert report.train.pixels_per_class == tuple((train == k).sum() for k in range(K))
    assert report.train.images_per_class == tuple((train == k).any((1, 2)).sum() for k in range(K))
    assert report.train.ignore_share == pytest.approx((train == 255).mean())


def test_processes_give_what_one_process_gives(root):
    assert audit(root, workers=2) == audit(root, workers=1)


def test_the_report_is_saved_as_json(root, tmp_path):
    _, report = audit(root, workers=1)
    report.save(tmp_path / "audit.json")
    assert json.loads((tmp_path / "audit.json").read_text()) == json.loads(json.dumps(dataclasses.asdict(report)))


def test_one_stray_pixel_is_an_image_level_label(root):
    label_map = np.full((48, 48), 3, np.uint8)
    label_map[5, 5] = 11
    write_label(label(root), label_map)
    index, _ = audit(root, workers=1)
    assert index.train[1].labels == (3, 11)


def test_an_image_without_labels_is_dropped_and_noted(root):
    write_label(label(root), np.full((48, 48), 255, np.uint8))
    index, report = audit(root, workers=1)
    assert [record.name for record in index.train] == [TRAIN[0], *TRAIN[2:]]
    assert report.train.dropped == (TRAIN[1],) and report.train.images == 3


def test_a_subset_without_any_label_is_an_error(root):
    for name in TEST:
        write_label(label(root, name), np.full((48, 48), 255, np.uint8))
    assert "test.txt: every label map is entirely 255" in only_problem(root)


@pytest.mark.parametrize("piece", ["images", "labels", "classes.json", "train.txt", "test.txt"])
def test_a_missing_piece_is_named(root, piece):
    path = root / piece
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match=f"missing {piece}; a prepared dataset has images/, labels/"):
        audit(root, workers=1)


def test_a_missing_image(root):
    image(root).unlink()
    problem = only_problem(root)
    assert f"{TRAIN[1]}.jpg (or .jpeg, .png, " in problem and "listed image not found; the folder has 5" in problem


def test_a_missing_label_map(root):
    label(root).unlink()
    assert f"{TRAIN[1]}.png: listed label map not found" in only_problem(root)


@pytest.mark.parametrize("which", [image, label])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_truncated_png(root, which, share):
    data = which(root).read_bytes()
    which(root).write_bytes(data[: int(share * len(data))])
    problem = only_problem(root)
    assert str(which(root)) in problem and "corrupt" in problem


@pytest.mark.parametrize("which", [image, label])
def test_a_png_with_a_flipped_bit(root, which):
    data = bytearray(which(root).read_bytes())
    data[len(data) // 2] ^= 4
    which(root).write_bytes(data)
    problem = only_problem(root)
    assert str(which(root)) in problem and "corrupt" in problem


def test_a_truncated_jpeg(root):
    path = image(root).with_suffix(".jpg")
    Image.open(image(root)).save(path, quality=95)
    image(root).unlink()
    path.write_bytes(path.read_bytes()[:1500])
    assert f"{path}: truncated or corrupt" in only_problem(root)


def test_a_label_map_in_colour(root):
    Image.new("RGB", (48, 48)).save(label(root))
    assert f"{label(root)}: label map has mode 'RGB'" in only_problem(root)


def test_a_palette_label_map_and_a_gray_jpeg_are_accepted(root):
    label_map = Image.fromarray(np.full((48, 48), 5, np.uint8)).convert("P")
    label_map.frombytes(bytes([5]) * 48 * 48)
    label_map.putpalette(bytes(range(256)) * 3)
    label_map.save(label(root))
    Image.new("L", (48, 48), 77).save(image(root).with_suffix(".jpg"))
    image(root).unlink()
    index, _ = audit(root, workers=1)
    assert index.train[1].labels == (5,)
    assert index.train[1].image == f"images/{TRAIN[1]}.jpg"


def test_ids_out_of_range(root):
    set_pixels(label(root), [16, 40, 254])
    assert only_problem(root).endswith("label ids out of range: 16, 40, 254; expected 0..15, or 255 for ignore")


def test_sizes_that_differ(root):
    write_label(label(root), np.zeros((32, 48), np.uint8))
    problem = only_problem(root)
    assert "48x48" in problem and "48x32" in problem and TRAIN[1] in problem


def test_sizes_are_compared_upright(root):
    exif = Image.Exif()
    exif[274] = 6
    path = image(root).with_suffix(".jpg")
    Image.new("RGB", (48, 32)).save(path, exif=exif)
    image(root).unlink()
    write_label(label(root), np.zeros((48, 32), np.uint8))
    index, _ = audit(root, workers=1)
    assert (index.train[1].height, index.train[1].width) == (48, 32)
    write_label(label(root), np.zeros((32, 48), np.uint8))
    assert "32x48 (width x height, upright)" in only_problem(root)


def test_a_name_listed_twice(root):
    append(root / "train.txt", TRAIN[2])
    assert f"train.txt: '{TRAIN[2]}' listed 2 times" in only_problem(root)


def test_a_name_in_both_lists(root):
    append(root / "test.txt", TRAIN[2])
    assert f"'{TRAIN[2]}' listed in both train.txt and test.txt" in only_problem(root)


def test_a_name_that_is_a_path(root):
    append(root / "train.txt", "../labels/secret")
    assert "'../labels/secret' is not a plain name" in only_problem(root)


@pytest.mark.parametrize("name", ["train.txt", "test.txt"])
def test_an_empty_list(root, name):
    (root / name).write_text("\n  \n")
    assert f"{name}: empty" in problems_of(root)[1]


def test_an_image_in_two_formats(root):
    Image.new("RGB", (48, 48)).save(image(root).with_suffix(".jpg"))
    assert "two images have one name" in only_problem(root)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"names": [str(i) for i in range(15)] + ["3"]}, "class name given more than once: 3"),
        ({"names": []}, "no list of class names"),
        ({"names": "sky"}, "no list of class names"),
        (["sky"], "no list of class names"),
        ({"names": [str(i) for i in range(256)]}, "256 classes; at most 255"),
        ({"names": [str(i) for i in range(16)], "ignore_label": 0}, "ignore_label is 0; expected 255"),
    ],
)
def test_a_faulty_class_file(root, data, message):
    (root / "classes.json").write_text(json.dumps(data))
    assert message in only_problem(root)


def test_a_class_file_that_is_no_json(root):
    (root / "classes.json").write_text("sky, sea")
    assert "cannot be read as JSON" in only_problem(root)


def test_a_misspelt_key_is_refused(root):
    data = json.loads((root / "classes.json").read_text())
    (root / "classes.json").write_text(json.dumps({**data, "tag_only": ["sky"]}))
    assert "classes.json: unknown key 'tag_only'; did you mean 'tags_only'?" in only_problem(root)


def test_other_keys_and_a_right_ignore_label_are_accepted(root):
    data = json.loads((root / "classes.json").read_text())
    other = {"ignore_label": 255, "colours": 3, "source_label_id": [1], "name": "mine"}
    (root / "classes.json").write_text(json.dumps({**data, **other}))
    assert isinstance(audit(root, workers=1)[0], DatasetIndex)


def test_all_faults_are_reported_at_once(root):
    image(root, TRAIN[0]).write_bytes(b"")
    set_pixels(label(root, TRAIN[0]), 99)
    set_pixels(label(root, TRAIN[1]), 77)
    label(root, TEST[0]).unlink()
    write_label(label(root, TEST[1]), np.zeros((8, 8), np.uint8))
    append(root / "train.txt", TRAIN[3])
    (root / "classes.json").write_text("{}")
    lines = problems_of(root)
    assert lines[0].endswith(": 5 problems found in this dataset:")
    (root / "classes.json").write_text(json.dumps({"names": [str(i) for i in range(16)]}))
    broken = contents(root)
    lines = problems_of(root)
    text = "\n".join(lines)
    assert lines[0].endswith(": 6 problems found in this dataset:") and len(lines) == 7
    for part in ["listed 2 times", "range: 99", "range: 77", "not an image", "map not found", "8x8"]:
        assert part in text
    assert contents(root) == broken


def test_only_the_first_twenty_problems_are_spelled_out(root):
    for i in range(30):
        append(root / "train.txt", f"absent_{i}")
    lines = problems_of(root)
    assert lines[0].endswith(": 60 problems found in this dataset:")
    assert len(lines) == 22 and lines[-1] == "... and 40 more"


def test_published_counts_are_insisted_on(pristine):
    audit(pristine, 1, Expected(train=4, test=2, classes=K))
    with pytest.raises(UserError) as caught:
        audit(pristine, 1, Expected(train=9000, classes=171))
    _, *lines, _ = str(caught.value).splitlines()
    assert len(lines) == 2
    assert "4 training images found, but 9000 are published (expect.train of the dataset's file)" in lines[0]
    assert "16 classes found, but 171 are published" in lines[1] and "set expect.classes to 16" in lines[1]


def test_images_without_a_labelled_pixel_count_as_published(root):
    write_label(root / "labels" / f"{TRAIN[0]}.png", np.full((48, 48), 255, dtype=np.uint8))
    index, _ = audit(root, 1, Expected(train=4))
    assert len(index.train) == 3


def test_a_report_is_read_back(pristine, tmp_path):
    report = audit(pristine, 1)[1]
    report.save(tmp_path / "audit.json")
    assert AuditReport.load(tmp_path / "audit.json") == report
    (tmp_path / "audit.json").write_text("{}")
    with pytest.raises(UserError, match=r"audit\.json: not a report of an audit"):
        AuditReport.load(tmp_path / "audit.json")
