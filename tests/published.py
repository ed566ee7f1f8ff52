"""Tiny archives in the exact on-disk forms of the published datasets, made from known label maps.

Every writer makes a zip (or several) and returns the truth: class ids and 255, uint8 [H, W], by image name. An image
shows six of about seventeen classes, so that a random 3:1 split has base and novel classes in most images. The files'
own ids are computed here by rules of their own, not by those of the package.
"""

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image
from pycocotools import mask as run_lengths

from simformer.config.sources import parse_source
from simformer.data.layout import FINISHED, PIECES
from simformer.data.prepare import prepare
from simformer.errors import UserError

WIDTH, HEIGHT = 80, 64
COCO_CLASSES, ADE_CLASSES = range(0, 171, 10), range(0, 150, 9)
NEVER_ANNOTATED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)
"""Raw ids of COCO-Stuff without a class (Caesar et al.: street sign, hat, shoe, ...)."""

COCO_RAW_IDS = np.array([i for i in range(1, 183) if i not in NEVER_ANNOTATED])
POLYGON_CLASS = 25
GRAY_IMAGE = 1
"""Number of the image that is a gray JPEG, as some of COCO's are."""

PALETTE = [value for i in range(256) for value in (i, 255 - i, 7 * i % 256)]


def truths(classes, counts, seed, size=(HEIGHT, WIDTH)):
    """Return label maps of the training and test images: cells around random points, and an unlabelled strip."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    maps = []
    for _ in range(sum(counts)):
        points = rng.uniform((0, 0), size, (6, 2))
        nearest = np.argmin([(y - a) ** 2 + (x - b) ** 2 for a, b in points], 0)
        label = rng.permutation(classes)[:6][nearest].astype(np.uint8)
        label[:, : size[1] // 16] = 255
        maps.append(label)
    return maps[: counts[0]], maps[counts[0] :]


def jpeg(label, seed, mode="RGB"):
    """Return a photograph of a label map: a colour for each class, and noise; as the bytes of a JPEG file."""
    colours = np.random.default_rng(7).integers(40, 216, (256, 3))
    noise = np.random.default_rng(seed).normal(0, 12, (*label.shape, 3))
    image = Image.fromarray((colours[label] + noise).clip(0, 255).astype(np.uint8)).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def png(array, palette=False):
    """Return an 8-bit PNG file of ids, gray or with a palette."""
    image = Image.fromarray(array.astype(np.uint8))
    if palette:
        image.putpalette(PALETTE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write_zip(path, files):
    """Write a zip of files given by name; photographs are stored as they are, as usual."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for folder in sorted({f"{parent}/" for name in files for parent in Path(name).parents if parent.name}):
            pack.writestr(folder, b"")
        for name, data in files.items():
            pack.writestr(name, data, zipfile.ZIP_STORED if name.endswith(".jpg") else None)
    return path


def rewrite_zip(path, changes):
    """Change members of a zip: new content by name, None to remove it."""
    with zipfile.ZipFile(path) as pack:
        files = {name: pack.read(name) for name in pack.namelist() if not name.endswith("/")}
    write_zip(path, {name: data for name, data in (files | changes).items() if data is not None})


def coco_names(count, subset):
    """Return names of training images (subset 0) or test images (subset 1) as in COCO-Stuff-10K."""
    return [f"COCO_train2014_{9 + 500 * subset + 16 * i:012d}" for i in range(count)]


def mat_v73(values, names=172):
    """Return a MATLAB 7.3 annotation: HDF5 behind a block of 512 bytes, arrays transposed, cells as references."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=512) as file:
        pool = file.create_group("#refs#")

        def array(place, name, content, kind):
            options = {"chunks": content.T.shape, "compression": 3} if content.size > 1000 else {}
            data = place.create_dataset(name, data=np.ascontiguousarray(content.T), **options)
            data.attrs["MATLAB_class"] = np.bytes_(kind)
            return data

        def cell(name, texts):
            data = file.create_dataset(name, (1, len(texts)), dtype=h5py.ref_dtype)
            data.attrs["MATLAB_class"] = np.bytes_("cell")
            for i, text in enumerate(texts):
                letters = array(pool, f"{name}{i}", np.array([[ord(letter) for letter in text]], np.uint16), "char")
                letters.attrs["MATLAB_int_decode"] = np.int32(2)
                data[0, i] = letters.ref

        array(file, "S", values, values.dtype.name)
        cell("names", ["unlabeled", *(f"class {i}" for i in range(1, names))])
        cell("captions", ["A small scene.", "Some things on stuff."])
        array(file, "regionMapStuff", values.astype(np.uint16), "uint16")
        array(file, "regionLabelsStuff", np.unique(values).astype(np.uint16)[:, None], "uint16")
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Tue Nov 29 12:00:00 2016 HDF5 schema 1.00 ."
    header = text.ljust(116) + bytes(8) + b"\x00\x02IM"
    return header + buffer.getvalue()[len(header) :]


def mat_v5(values, names=182):
    """Return a MATLAB 5 annotation, compressed."""
    content = {
        "S": values,
        "names": np.array([f"class {i}" for i in range(1, names + 1)], object)[:, None],
        "captions": np.array(["A small scene.", "Some things on stuff."], object)[:, None],
        "regionMapStuff": values.astype(np.uint16),
        "regionLabelsStuff": np.unique(values).astype(np.uint16)[:, None],
    }
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, content, do_compression=True)
    return buffer.getvalue()


def coco_stuff_mat(label, version):
    """Return the annotation of a label map in release 1.0 or 1.1."""
    if version == "1.0":
        return mat_v73(np.where(label == 255, 1, label.astype(int) + 2).astype(np.uint8))
    return mat_v5(coco_raw(label, unlabelled=0).astype(np.uint8))


def coco_raw(label, unlabelled):
    """Return COCO's raw ids of a label map, int [H, W]."""
    return np.where(label == 255, unlabelled, COCO_RAW_IDS[np.minimum(label, 170)])


def write_coco_stuff_10k(path, train=12, test=4, version="1.0", seed=0, size=(HEIGHT, WIDTH)):
    """Write cocostuff-10k-v1.0.zip or -v1.1.zip; returns the truth by name."""
    files, truth = {}, {}
    for subset, maps in enumerate(truths(COCO_CLASSES, (train, test), seed, size)):
        names = coco_names(len(maps), subset)
        files[f"imageLists/{('train', 'test')[subset]}.txt"] = "".join(f"{name}\n" for name in names).encode()
        for i, (name, label) in enumerate(zip(names, maps, strict=True)):
            files[f"images/{name}.jpg"] = jpeg(label, i, "L" if i == GRAY_IMAGE else "RGB")
            files[f"annotations/{name}.mat"] = coco_stuff_mat(label, version)
            truth[name] = label
    files["imageLists/all.txt"] = files["imageLists/train.txt"] + files["imageLists/test.txt"]
    write_zip(path, files)
    return truth


def write_ade20k(path, train=12, test=4, seed=0):
    """Write ADEChallengeData2016.zip; returns the truth by name."""
    files, truth = {"objectInfo150.txt": b"Idx\tRatio\tTrain\tVal\tName\n", "sceneCategories.txt": b""}, {}
    for subset, maps in zip(("training", "validation"), truths(ADE_CLASSES, (train, test), seed), strict=True):
        for i, label in enumerate(maps):
            name = f"ADE_{subset.removesuffix('ing').removesuffix('idation')}_{i + 1:08d}"
            files[f"images/{subset}/{name}.jpg"] = jpeg(label, i)
            files[f"annotations/{subset}/{name}.png"] = png(np.where(label == 255, 0, label.astype(int) + 1))
            truth[name] = label
    write_zip(path, {f"ADEChallengeData2016/{name}": data for name, data in files.items()})
    return truth


def coco_2017(train, test, seed):
    """Return (set, image id, label map) of a small COCO of the release of 2017."""
    maps = truths(COCO_CLASSES, (train, test), seed)
    return [
        (s, 9 + 1000 * k + 16 * i, m) for k, s in enumerate(("train2017", "val2017")) for i, m in enumerate(maps[k])
    ]


def write_photographs(folder, images):
    """Write train2017.zip and val2017.zip into a folder."""
    for s in ("train2017", "val2017"):
        write_zip(folder / f"{s}.zip", {f"{t}/{i:012d}.jpg": jpeg(label, i) for t, i, label in images if t == s})


def write_coco_stuff_maps(folder, train=12, test=4, seed=0):
    """Write stuffthingmaps_trainval2017.zip, train2017.zip and val2017.zip into a folder; returns the truth by name."""
    images = coco_2017(train, test, seed)
    write_photographs(folder, images)
    maps = {f"{s}/{i:012d}.png": png(coco_raw(label, unlabelled=256) - 1) for s, i, label in images}
    write_zip(folder / "stuffthingmaps_trainval2017.zip", maps)
    return {f"{i:012d}": label for _, i, label in images}


def write_coco_json(folder, train=12, test=4, seed=0):
    """Write annotations_trainval2017.zip, stuff_annotations_trainval2017.zip, train2017.zip and val2017.zip.

    Every image also has a thing drawn as a polygon, over whatever is there; returns the truth by name.
    """
    images = coco_2017(train, test, seed)
    files = {}
    for s in ("train2017", "val2017"):
        there = [(i, label) for t, i, label in images if t == s]
        for i, label in there:
            label[8:20, 40 + i % 7 : 60] = POLYGON_CLASS
        described = [{"id": i, "file_name": f"{i:012d}.jpg", "height": HEIGHT, "width": WIDTH} for i, _ in there]
        for kind, shapes in (("instances", things), ("stuff", stuff)):
            content = {
                "info": {"year": 2017},
                "licenses": [],
                "images": described,
                "annotations": [annotation for i, label in there for annotation in shapes(i, label)],
                "categories": [{"supercategory": "x", "id": int(raw), "name": f"class {raw}"} for raw in COCO_RAW_IDS],
            }
            files[f"annotations/{kind}_{s}.json"] = json.dumps(content).encode()
        files[f"annotations/captions_{s}.json"] = b'{"annotations": []}'
    write_photographs(folder, images)
    for name, kinds in (("annotations", ("instances", "captions")), ("stuff_annotations", ("stuff",))):
        part = {file: data for file, data in files.items() if file.split("/")[1].startswith(kinds)}
        write_zip(folder / f"{name}_trainval2017.zip", part)
    return {f"{i:012d}": label for _, i, label in images}


def annotation(image_id, raw_id, segmentation, crowd=0):
    """Return an annotation as in COCO's files."""
    return {
        "segmentation": segmentation,
        "area": 1.0,
        "iscrowd": crowd,
        "image_id": image_id,
        "bbox": [0, 0, 1, 1],
        "category_id": int(raw_id),
        "id": image_id * 1000 + int(raw_id),
    }


def plain(mask):
    """Return a mask as plain run lengths: down the columns, the first run not in it."""
    pixels = mask.flatten(order="F").astype(np.int8)
    ends = np.flatnonzero(np.diff(pixels, prepend=0, append=1 - pixels[-1]))
    return {"counts": np.diff(ends, prepend=0).tolist(), "size": list(mask.shape)}


def things(image_id, label):
    """Return the annotations of the things of a label map: plain run lengths, and one polygon."""
    found = []
    for class_id in (k for k in np.unique(label) if k < 80):
        shape = plain(label == class_id)
        if class_id == POLYGON_CLASS:
            left = 40 + image_id % 7
            shape = [[left, 8, 60, 8, 60, 20, left, 20]]
        found.append(annotation(image_id, COCO_RAW_IDS[class_id], shape, crowd=int(class_id != POLYGON_CLASS)))
    return found


def stuff(image_id, label):
    """Return the annotations of the stuff of a label map: compressed run lengths, and 'other' over all things."""
    raw = coco_raw(label, unlabelled=0)
    masks = {int(i): raw == i for i in np.unique(raw) if i > 91} | {183: (raw > 0) & (raw <= 91)}
    codes = {i: run_lengths.encode(np.asfortranarray(mask, np.uint8)) for i, mask in masks.items()}
    return [annotation(image_id, i, code | {"counts": code["counts"].decode()}) for i, code in codes.items()]


def source(kind, **options):
    """Return the source of a dataset; paths stand for archives."""

    def archive(value):
        if isinstance(value, Path):
            return {"path": str(value)}
        return [archive(item) for item in value] if isinstance(value, list) else value

    return parse_source({"kind": kind} | {name: archive(value) for name, value in options.items()})


def prepared(dataset, destination, workers=1):
    """Prepare a dataset; returns its label maps by name."""
    prepare(dataset, {}, destination, workers)
    assert sorted(path.name for path in destination.iterdir()) == sorted((FINISHED, *PIECES))
    return {path.stem: np.array(Image.open(path)) for path in (destination / "labels").iterdir()}


def refused(dataset, destination):
    """Fail to prepare a dataset, leaving nothing; returns the lines of the message, a single problem in its own."""
    with pytest.raises(UserError) as error:
        prepare(dataset, {}, destination, 1)
    assert not destination.exists() and not list(destination.parent.glob(".*"))
    return (
        str(error.value)
        .replace("1 problem found in this dataset: ", "1 problem found in this dataset:\n  ")
        .splitlines()
    )


def assert_equal(found, expected):
    """Compare label maps by name."""
    assert sorted(found) == sorted(expected)
    for name, label in expected.items():
        np.testing.assert_array_equal(found[name], label, err_msg=name)
