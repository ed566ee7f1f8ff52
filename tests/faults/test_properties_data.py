"""Whatever a picture, a class file, a list or a split holds: it is read as it should be, or refused in one line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simformer.atomic import atomic_write_bytes
from simformer.baselines.settings import NetworkSettings
from simformer.baselines.training.crops import placed_crop
from simformer.config.settings import AugmentSettings
from simformer.data.class_names import look, normal
from simformer.data.images import decode_image, decode_label, photograph_size
from simformer.data.inspection import LARGEST_ASPECT, SMALLEST_SIDE
from simformer.data.layout import decode_names, read_classes
from simformer.data.named_files import NamedFiles, list_name_problem
from simformer.data.pixels import turn_upright
from simformer.data.splits import make_split
from simformer.data.transforms import augment, resized_shape
from simformer.errors import UserError
from simformer.text.strict_json import parse_generated, read_option
from tests.faults.pictures import LABEL, exif, frames, picture, png, saved

SEEDS = {
    "JPEG": saved(picture(), "JPEG", exif=exif(6)),
    "CMYK": saved(picture("CMYK"), "JPEG"),
    "PNG": saved(picture(), "PNG", exif=exif(3)),
    "palette": saved(picture().quantize(9), "PNG", transparency=2),
    "label": png(LABEL, 8, 0),
    "TIFF": saved(picture(), "TIFF"),
    "packed TIFF": saved(picture("L"), "TIFF", compression="tiff_lzw"),
    "WebP": saved(picture(), "WEBP"),
    "BMP": saved(picture(), "BMP"),
    "GIF": saved(picture("L"), "GIF"),
    "frames": frames("GIF"),
}
"""Whole files, from which broken ones are made."""

FEW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
text = st.text(st.characters(exclude_categories=()), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


def one_line(call):
    """Return what a call returns; None if it refuses its input, which must take one line."""
    try:
        return call()
    except UserError as error:
        assert len(str(error).splitlines()) == 1, str(error)
        return None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", SEEDS)
@FEW
@given(data=st.data())
def test_a_damaged_picture_is_read_or_refused(kind, data):
    content = bytearray(SEEDS[kind])
    # Most of a file is pixels: half of the changes are made in its first bytes, where the format is described.
    places = st.integers(0, min(300, len(content)) - 1) | st.integers(0, len(content) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)):
        content[place] = value
    content = bytes(content[: data.draw(st.integers(1, len(content)) | st.just(len(content)))])
    image = one_line(lambda: decode_image(content, "a.png"))
    if image is not None:
        assert image.dtype == np.uint8 and image.shape[2] == 3
        assert one_line(lambda: photograph_size(content, "a.png")) in (image.shape[:2], None)
    label = one_line(lambda: decode_label(content, "a.png"))
    assert label is None or (label.dtype == np.uint8 and label.ndim == 2)


@FEW
@given(st.binary(max_size=300))
def test_any_bytes_are_no_picture_or_one(data):
    assert one_line(lambda: decode_image(data, "a.png")) is None
    assert one_line(lambda: decode_label(data, "a.png")) is None


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 5))
def test_turning_moves_pixels_and_loses_none(orientation, height, width):
    pixels = np.arange(height * width * 3).astype(np.uint8).reshape(height, width, 3)
    turned = turn_upright(pixels, orientation)
    assert sorted(turned.ravel()) == sorted(pixels.ravel())
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    assert np.array_equal(turn_upright(turned, undo), pixels)


@FEW
@given(names=json_values | st.lists(text, max_size=5), more=st.dictionaries(text, json_values, max_size=2))
def test_a_class_file_is_read_or_refused(tmp_path_factory, names, more):
    root = tmp_path_factory.getbasetemp()
    (root / "classes.json").write_text(json.dumps(more | {"names": names}))
    classes = one_line(lambda: read_classes(root))
    if classes is not None:
        assert list(classes) == [normal(name) for name in names]
        assert len({look(name) for name in classes}) == len(classes)
        assert all(name == name.strip() and len(name.splitlines()) == 1 for name in classes)


@given(st.binary(max_size=60) | text.map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_json_or_refused(data):
    one_line(lambda: parse_generated(data, Path("a.json"), "record", "make it again"))


@given(key=text, others=st.lists(text, max_size=3), first=st.integers(0, 3))
def test_a_key_given_twice_is_always_refused(key, others, first):
    keys = [*others[:first], key, *others[first:], key]
    content = "{" + ", ".join(f"{json.dumps(k)}: 1" for k in keys) + "}"
    for data in (content, f'{{"deep": [{content}]}}'):
        assert one_line(lambda data=data: read_option(data, "--spec")) is None


@given(st.binary(max_size=80) | text.map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_list_or_refused(data):
    for name in one_line(lambda: decode_names(data, "train.txt")) or ():
        assert name and name == name.strip() and "\n" not in name and "\r" not in name
        problem = list_name_problem(name)
        assert problem is None or len(problem.splitlines()) == 1


@given(st.lists(text.filter(lambda t: list_name_problem(t) is None and t.strip()), max_size=6), st.data())
def test_a_list_is_read_back_whatever_ends_its_lines(names, data):
    ends = [data.draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n", " \t\n"])) for _ in names]
    content = "".join(name + end for name, end in zip(names, ends, strict=True)).encode()
    assert decode_names(content, "train.txt") == [normal(name.strip()) for name in names]


@FEW
@given(name=text, ending=st.sampled_from([".png", ".JPG", ".Tiff"]), entry=text)
def test_a_name_finds_its_own_file_or_none(tmp_path_factory, name, ending, entry):
    names = [normal(n.strip()) for n in (name, entry)]
    if not all(names) or any(map(list_name_problem, names)) or names[0].startswith("."):
        return
    folder = tmp_path_factory.mktemp("named")
    (folder / f"{names[0]}{ending}").write_bytes(b"x")
    files = NamedFiles(folder, (".jpg", ".png", ".tiff"), "image")
    assert files.find(names[0]) == folder / f"{names[0]}{ending}"
    found = one_line(lambda: files.find(names[1]))
    assert (found is not None) == (names[0] == names[1])


@given(st.integers(1, 250), st.sampled_from("aé字"))
def test_every_name_that_a_list_may_hold_can_be_written(tmp_path_factory, length, letter):
    name = letter * length
    if list_name_problem(name) is None:
        folder = tmp_path_factory.mktemp("long")
        atomic_write_bytes(folder / f"{name}.json", b"x", durable=False)
        assert os.listdir(folder) == [f"{name}.json"]


@given(st.lists(st.sets(st.integers(0, 5)), max_size=6), st.sets(st.integers(0, 5), max_size=6))
def test_a_split_is_refused_exactly_if_something_is_not_shown(images, novel):
    classes = tuple("abcdef")
    split = one_line(lambda: make_split(classes, {"novel": [classes[i] for i in sorted(novel)]}))
    assert (split is None) == (len(novel) in (0, 6))
    if split is None:
        return
    assert split.novel == tuple(sorted(novel)) and sorted(split.novel + split.base) == list(range(6))
    seen = set().union(*images)
    fine = one_line(lambda: split.refuse_unseen(images) or True)
    assert bool(fine) == (novel <= seen and bool(seen - novel))


sides = st.integers(1, 64) | st.sampled_from([1, 600, 4000])
SMALL = AugmentSettings(crop=16, short_edges=(16, 24), max_long_edge=32)


@settings(max_examples=60)
@given(sides, sides, st.integers(0, 99))
def test_training_crops_of_any_size_of_image_exist(height, width, seed):
    image = np.zeros((height, width, 3), np.uint8)
    crop = augment(image, image[..., 0], SMALL, np.random.default_rng(seed), any_crop=True)
    assert crop.image.shape == (3, 16, 16) and not crop.padding.all()
    network = NetworkSettings(crop=16, scales=(0.1, 0.2), long_edges=None)
    if height * width <= 64 * 64:
        crop = placed_crop(image, image[..., 0], network, np.random.default_rng(seed))[0]
        assert crop.image.shape == (3, 16, 16) and not crop.padding.all()


@given(st.integers(1, 30_000), st.integers(1, 30_000), st.integers(1, 2000), st.integers(1, 3000))
def test_no_side_vanishes_and_none_is_too_long(height, width, short_edge, max_long_edge):
    shape = resized_shape(height, width, short_edge, max_long_edge)
    assert min(shape) >= 1 and max(shape) <= max(max_long_edge, 1)


@given(st.integers(SMALLEST_SIDE, 2000), st.integers(SMALLEST_SIDE, 2000))
def test_an_image_that_the_audit_accepts_keeps_its_aspect_at_the_papers_sizes(height, width):
    if max(height, width) <= LARGEST_ASPECT * min(height, width):
        rows, columns = resized_shape(height, width, 512, 2048)
        assert min(rows, columns) >= 15 and abs(rows / columns / (height / width) - 1) < 0.05
