"""COCO-Stuff-10K from archives in the exact form of both releases."""

import zipfile

import numpy as np
import pytest

from simformer.data.audit import audit
from simformer.data.coco_stuff_10k import decode_mat
from simformer.errors import UserError
from tests.published import (
    HEIGHT,
    NEVER_ANNOTATED,
    WIDTH,
    assert_equal,
    coco_stuff_mat,
    mat_v5,
    mat_v73,
    prepared,
    refused,
    rewrite_zip,
    source,
    write_coco_stuff_10k,
    write_zip,
)

VERSIONS = ("1.0", "1.1")
NAME = "COCO_train2014_000000000009"
MAT = f"annotations/{NAME}.mat"


@pytest.fixture
def write(tmp_path):
    """Write a release and change members of it; returns its path."""

    def write(version="1.0", **changes):
        write_coco_stuff_10k(tmp_path / "coco.zip", train=3, test=2, version=version)
        rewrite_zip(tmp_path / "coco.zip", changes.get("changes", {}))
        return tmp_path / "coco.zip"

    return write


def whole_range(dtype=np.uint8):
    """Return every class id and 255 once, [2, 86]."""
    return np.array([*range(171), 255], dtype).reshape(2, 86)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_release_becomes_a_dataset(tmp_path, version):
    truth = write_coco_stuff_10k(tmp_path / "coco.zip", version=version)
    assert_equal(prepared(source("coco_stuff_10k", archive=tmp_path / "coco.zip"), tmp_path / "out"), truth)
    index, _ = audit(tmp_path / "out", workers=1)
    names = [record.name for record in (*index.train, *index.test)]
    assert (len(index.train), len(index.test), len(index.classes)) == (12, 4, 171)
    assert names == list(truth) and names[0] == NAME


@pytest.mark.parametrize("version", VERSIONS)
def test_every_class_and_unlabelled(version):
    decoded = decode_mat(coco_stuff_mat(whole_range(), version), "a.mat")
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, whole_range())


def test_the_published_ids():
    """Person, toothbrush (raw 90), banner (raw 92, 82 in v1.0) and wood (182 and 172)."""
    old = decode_mat(mat_v73(np.array([[1, 2, 81], [82, 172, 1]], np.uint8)), "a.mat")
    new = decode_mat(mat_v5(np.array([[0, 1, 90], [92, 182, 0]], np.uint8)), "a.mat")
    np.testing.assert_array_equal(old, [[255, 0, 79], [80, 170, 255]])
    np.testing.assert_array_equal(new, old)


def test_a_label_map_is_not_turned():
    truth = np.full((5, 2), 255, np.uint8)
    truth[4, 0], truth[0, 1] = 3, 150
    for version in VERSIONS:
        np.testing.assert_array_equal(decode_mat(coco_stuff_mat(truth, version), "a.mat"), truth)


def test_file_format_and_ids_are_told_apart_from_each_other():
    values = np.array([[1, 2], [82, 172]], np.uint8)
    np.testing.assert_array_equal(decode_mat(mat_v5(values, names=172), "a"), decode_mat(mat_v73(values), "a"))
    np.testing.assert_array_equal(decode_mat(mat_v73(values, names=182), "a"), decode_mat(mat_v5(values), "a"))


def test_a_release_may_mix_both_formats(tmp_path):
    truth = write_coco_stuff_10k(tmp_path / "coco.zip", train=3, test=1)
    rewrite_zip(tmp_path / "coco.zip", {MAT: coco_stuff_mat(truth[NAME], "1.1")})
    assert_equal(prepared(source("coco_stuff_10k", archive=tmp_path / "coco.zip"), tmp_path / "out"), truth)


@pytest.mark.parametrize("kind", [np.float64, np.uint16, np.int32])
def test_other_types_of_number_are_read_if_whole(kind):
    values = np.array([[1, 2], [82, 172]])
    for make in (mat_v73, lambda v: mat_v5(v, names=172)):
        np.testing.assert_array_equal(decode_mat(make(values.astype(kind)), "a"), [[255, 0], [80, 170]])


def test_raw_ids_that_were_never_annotated_are_ignored():
    assert (decode_mat(mat_v5(np.array([NEVER_ANNOTATED], np.uint8)), "a") == 255).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (mat_v5(np.array([[0, 183, 255]], np.uint8)), "label ids out of range: 183, 255; expected 1..182, or 0 for "),
        (mat_v73(np.array([[0, 173]], np.uint8)), "label ids out of range: 0, 173; expected 2..172, or 1 for "),
        (mat_v5(np.ones((4, 4), np.uint8), names=91), r"91 class names; expected 172 \(release v1.0\) or 182 \(v1.1\)"),
        (mat_v5(np.ones((4, 4, 3), np.uint8)), r"`S` is uint8 \[4, 4, 3\]; expected a label map, uint8 \[H, W\]"),
        (mat_v5(np.full((4, 4), 1.5)), "`S` has values from 1.5 to 1.5; expected whole numbers to 255"),
        (mat_v5(np.full((4, 4), 300, np.uint16)), "`S` has values from 300 to 300; expected whole numbers to 255"),
        (mat_v73(np.ones((4, 4), np.uint8))[:3000], r"not a readable MATLAB file with `S` and `names` \(OSError"),
        (mat_v5(np.ones((40, 4), np.uint8))[:250], r"not a readable MATLAB file with `S` and `names` \(.*\); copy"),
        (b"no MATLAB", r"not a readable MATLAB file with `S` and `names` \(.*\); copy or download it again$"),
        (b"", r"not a readable MATLAB file with `S` and `names` \(.*\); copy or download it again$"),
    ],
)  # fmt: skip
def test_annotations_that_are_wrong(data, message):
    with pytest.raises(UserError, match=rf"^x/a\.mat: {message}"):
        decode_mat(data, "x/a.mat")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_damaged_annotation_is_never_a_traceback(version):
    data = coco_stuff_mat(whole_range(), version)
    rng = np.random.default_rng(0)
    refusals = 0
    for i in range(200):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(0, len(data), 8)] = rng.integers(0, 256, 8)
        try:
            decode_mat(damaged[: rng.integers(len(data)) if i % 2 else None].tobytes(), "a.mat")
        except UserError:
            refusals += 1
    assert refusals > 100


def test_what_is_listed_must_be_there(write, tmp_path):
    other = "COCO_train2014_000000000025"
    archive = write(changes={f"images/{NAME}.jpg": None, f"annotations/{other}.mat": None})
    assert refused(source("coco_stuff_10k", archive=archive), tmp_path / "out") == [
        f"{archive}: 2 problems found in this dataset:",
        f"  training image {NAME}: no photograph; expected images/{NAME}.jpg in {archive}",
        f"  training image {other}: no label; expected annotations/{other}.mat in {archive}",
    ]


def test_what_is_not_listed_is_left_out(write, tmp_path):
    archive = write(changes={"imageLists/train.txt": f"{NAME}\r\n\r\n".encode()})
    labels = prepared(source("coco_stuff_10k", archive=archive), tmp_path / "out")
    assert len(labels) == 3 and (tmp_path / "out/train.txt").read_text() == f"{NAME}\n"


def test_a_listed_path_leads_nowhere(write, tmp_path):
    archive = write(changes={"imageLists/train.txt": b"../annotations/x\n/etc/passwd\n"})
    lines = refused(source("coco_stuff_10k", archive=archive), tmp_path / "out")
    assert (
        lines[1]
        == f"  training image ../annotations/x: no photograph; expected images/../annotations/x.jpg in {archive}"
    )
    assert len(lines) == 5


def test_a_broken_annotation_is_named(write, tmp_path):
    archive = write("1.1", changes={MAT: b"x" * 500})
    lines = refused(source("coco_stuff_10k", archive=archive), tmp_path / "out")
    assert lines[1].startswith(f"  {archive}/{MAT}: not a readable MATLAB file with `S` and `names` (")


def test_unequal_sizes_are_named(write, tmp_path):
    archive = write(changes={MAT: mat_v73(np.ones((WIDTH, HEIGHT), np.uint8))})
    lines = refused(source("coco_stuff_10k", archive=archive), tmp_path / "out")
    assert lines[1] == (
        f"  {archive}/images/{NAME}.jpg is {WIDTH}x{HEIGHT} (width x height, upright) but {archive}/{MAT} is "
        f"{HEIGHT}x{WIDTH}; expected equal sizes"
    )


@pytest.mark.parametrize("part", ["images/*.jpg", "annotations/*.mat", "imageLists/train.txt", "imageLists/test.txt"])
def test_another_layout_is_explained(tmp_path, part):
    write_coco_stuff_10k(tmp_path / "whole.zip", train=2, test=1)
    with zipfile.ZipFile(tmp_path / "whole.zip") as pack:
        start, end = part.split("*") if "*" in part else (part, "")
        names = [n for n in pack.namelist() if not n.endswith("/") and not (n.startswith(start) and n.endswith(end))]
        write_zip(tmp_path / "part.zip", {name: pack.read(name) for name in names})
    assert refused(source("coco_stuff_10k", archive=tmp_path / "part.zip"), tmp_path / "out") == [
        f"{tmp_path / 'part.zip'}: missing {part}; COCO-Stuff-10K has images/*.jpg, annotations/*.mat, "
        "imageLists/train.txt, imageLists/test.txt"
    ]
