"""Whatever is changed in COCO's annotation files: they are drawn as they say, or refused in the user's words."""

import copy
import json
import re
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as run_lengths

from simformer.data.prepare import prepare
from simformer.errors import UserError
from tests.faults.coco_files import HEIGHT, WIDTH, annotation, contents, write_coco
from tests.published import COCO_RAW_IDS, plain, source

KINDS = {"stuff": (92, 118, 182, 183), "instances": (1, 3, 90)}
OTHER = 183
ODD = (
    None, True, False, -1, 0, 1, 3, 8, 9, 12, 13, 25, 41, 92, 183, 2**31, 2**32 + 48, 2**64, 10**30, 10**400, 1.5, 9.0,
    1e300, 2e8, -2e8, float("nan"), float("inf"), float("-inf"), "", "9", "PP", "o" * 9, "\u00e9", "a\nb", [], {}, [[]],
    [1, 2], [[1, 2], [3, 4]], [[1, 1, 5, 1, 5]], [[0, 0, 12, 8] * 9], {"counts": [96], "size": [8, 12]},
    {"counts": "", "size": [8, 12]}, {"counts": [48, 48], "size": [12, 8]}, {"size": [8, 12]},
    {"segmentation": 1, "file_name": 2},
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The photographs; annotation files are written anew for every example."""
    folder = tmp_path_factory.mktemp("coco")
    write_coco(folder / "coco", {})
    return folder


def rectangles():
    """Rectangles on the pixel grid as polygons, which cover exactly the pixels between their sides."""
    sides = st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, 6), st.integers(1, 6))
    return sides.map(lambda s: corners(s[0], s[1], min(s[0] + s[2], WIDTH), min(s[1] + s[3], HEIGHT)))


def corners(left, top, right, bottom):
    """Return a rectangle as a polygon."""
    return [left, top, right, top, right, bottom, left, bottom]


@st.composite
def run_length_shapes(draw):
    """Run lengths of any mask, plain or compressed."""
    bits = draw(st.binary(min_size=HEIGHT * WIDTH // 8, max_size=HEIGHT * WIDTH // 8))
    mask = np.asfortranarray(np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(HEIGHT, WIDTH))
    code = run_lengths.encode(mask)["counts"].decode()
    return {"counts": code, "size": [HEIGHT, WIDTH]} if draw(st.booleans()) else plain(mask)


@st.composite
def annotation_files(draw):
    """The four files with other shapes and categories; valid."""
    files = contents()
    shapes = st.lists(rectangles(), min_size=1, max_size=2) | run_length_shapes()
    for name, content in files.items():
        raw_ids = st.sampled_from(KINDS[name.partition("_")[0]])
        images = st.sampled_from([image["id"] for image in content["images"]])
        drawn = draw(st.lists(st.tuples(images, raw_ids, shapes), max_size=4))
        content["annotations"] = [annotation(number, *entry) for number, entry in enumerate(drawn, 1)]
    return files


def places(content, above=()):
    """Return the way to every value of nested lists and objects."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [way for key, value in items for way in ((*above, key), *places(value, (*above, key)))]


def change(files, draw):
    """Take away, replace or double one value anywhere; returns the way to it."""
    way = draw(st.sampled_from(places(files)))
    holder = files
    for key in way[:-1]:
        holder = holder[key]
    match draw(st.sampled_from(["take away", "replace", "replace", "double"])):
        case "take away" if len(way) > 1:
            del holder[way[-1]]
        case "double" if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[way[-1]]))
        case _:
            holder[way[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return way


def expected(files, image_id):
    """Draw an image of files that are valid, without the package: pixel by pixel where that is possible."""
    label = np.full((HEIGHT, WIDTH), 255)
    for kind in ("stuff", "instances"):
        entries = [
            entry for name, content in files.items() if name.startswith(kind) for entry in content["annotations"]
        ]
        entries = [entry for entry in entries if entry["image_id"] == image_id]
        masks = [(mask_of(a["segmentation"]), a["category_id"]) for a in entries if a["category_id"] != OTHER]
        for mask, raw_id in sorted(masks, key=lambda item: -int(item[0].sum())):
            label[mask] = COCO_RAW_IDS.tolist().index(raw_id)
    return label


def mask_of(shape):
    """Return the pixels of a shape; only polygons that are no rectangles are left to the library."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    if isinstance(shape, dict):
        if isinstance(shape["counts"], str):
            return run_lengths.decode(shape | {"counts": shape["counts"].encode()}).astype(bool)
        flat = [value % 2 == 1 for value, count in enumerate(shape["counts"]) for _ in range(count)]
        return np.array(flat).reshape((HEIGHT, WIDTH), order="F")
    for polygon in (p for p in shape if len(p) >= 6):
        left, top, right, bottom = polygon[0], polygon[1], polygon[2], polygon[-1]
        whole = all(isinstance(v, int) and 0 <= v <= WIDTH for v in polygon)
        if whole and polygon == corners(left, top, right, bottom) and left < right and top < bottom <= HEIGHT:
            mask[top:bottom, left:right] = True
        else:
            mask |= run_lengths.decode(run_lengths.merge(run_lengths.frPyObjects([polygon], HEIGHT, WIDTH))) > 0
    return mask


def imported(folder, files):
    """Return the label maps by image id."""
    shutil.rmtree(folder / "coco/annotations", ignore_errors=True)
    (folder / "coco/annotations").mkdir()
    for name, content in files.items():
        (folder / "coco/annotations" / name).write_text(json.dumps(content))
    images = [folder / "coco" / name for name in ("train2017", "val2017")]
    try:
        coco = source("coco_json", annotations=[folder / "coco/annotations"], images=images, subset="164k")
        prepare(coco, {}, folder / "out", 1)
        return {int(path.stem): np.array(Image.open(path)) for path in (folder / "out/labels").iterdir()}
    finally:
        shutil.rmtree(folder / "out", ignore_errors=True)


QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@QUICK
@given(files=annotation_files())
def test_valid_files_are_drawn_as_they_say(folder, files):
    found = imported(folder, files)
    assert sorted(found) == [9, 25, 41]
    for image_id, label in found.items():
        np.testing.assert_array_equal(label, expected(files, image_id))


@settings(QUICK, max_examples=120)
@given(files=annotation_files(), changes=st.integers(1, 3), data=st.data())
def test_changed_files_are_drawn_as_they_say_or_refused_in_words(folder, files, changes, data):
    ways = [change(files, data.draw) for _ in range(changes)]
    renamed = any("images" in way and way[-1] == "id" for way in ways)  # two images then lack something each
    try:
        found = imported(folder, files)
    except UserError as error:
        lines = str(error).splitlines()
        assert not (folder / "out").exists() and "Error(" not in lines[0]
        if len(lines) > 1:
            told = int(re.search(r": (\d+) problems found in this dataset:$", lines[0])[1])
            assert len(lines) == 1 + min(told, 20) + (told > 20)
        if changes == 1 and not renamed and "listed twice" not in str(error):
            assert len(lines) == 1, "one change, several lines"
        return
    for image_id, label in found.items():
        np.testing.assert_array_equal(label, expected(files, image_id))
