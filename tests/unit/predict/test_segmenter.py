"""Predictions in Python against those that are evaluated."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import simformer
from simformer import inference
from simformer.data.images import read_image
from simformer.data.splits import Split
from simformer.errors import UserError
from simformer.inference import ImageFile
from tests.unit.predict.conftest import CLASSES, NOVEL, photograph


@pytest.fixture(scope="module")
def segmenter(model_file):
    return simformer.load(model_file, "cpu")


def evaluated(segmenter, path):
    """The class ids that `simformer evaluate` would count."""
    height, width = read_image(path).shape[:2]
    image = ImageFile(path, height, width, hashlib.sha256(path.read_bytes()).hexdigest())
    ((_, ids),) = inference.predict(segmenter.trained.model, [image], segmenter.inference, segmenter.device)
    return ids


def test_a_prediction_is_what_is_evaluated_whatever_the_image_comes_as(segmenter, photos):
    classes = set()
    for path in photos.files.values():
        expected, pixels = evaluated(segmenter, path), read_image(path)
        for picture in (path, str(path), pixels, Image.fromarray(pixels)):
            found = segmenter.predict(picture)
            assert np.array_equal(found.ids, expected) and found.ids.dtype == np.uint8
        assert found.scores.shape == expected.shape and found.scores.dtype == np.float32
        assert np.array_equal(found.image, pixels)
        classes |= set(np.unique(expected).tolist())
    assert len(classes) > 2, "the model favours no class"


def test_a_photograph_too_large_for_all_its_scores_is_predicted_class_by_class(segmenter, photos, monkeypatch):
    path = photos.files["a.jpg"]
    whole = segmenter.predict(path)
    for classes in (1, 2, 4):
        monkeypatch.setattr(inference, "RESIZED_BYTES", 4 * 60 * 80 * classes)
        part = segmenter.predict(path)
        assert np.array_equal(part.ids, whole.ids) and np.array_equal(part.scores, whole.scores)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_stream_keeps_the_order_of_images_of_several_sizes(segmenter, batch):
    images = [np.asarray(photograph(*size, i)) for i, size in enumerate([(48, 64)] * 3 + [(64, 48)] + [(48, 64)])]
    found = list(segmenter.stream(iter(images), batch=batch))
    assert [np.array_equal(p.image, image) for p, image in zip(found, images, strict=True)] == [True] * 5
    for prediction, image in zip(found, images, strict=True):
        assert (prediction.ids != segmenter.predict(image).ids).mean() < 0.01  # ties within rounding only


def test_a_stream_is_lazy(segmenter):
    def endless():
        while True:
            yield photograph(48, 48)

    stream = segmenter.stream(endless(), batch=2)
    assert next(stream).ids.shape == (48, 48)


def test_pixels_below_the_threshold_have_no_class(segmenter, photos):
    whole = segmenter.predict(photos.files["a.jpg"])
    threshold = float(np.median(whole.scores))
    found = segmenter.predict(photos.files["a.jpg"], threshold=threshold)
    assert np.array_equal(found.ids == 255, whole.scores < threshold)
    assert np.array_equal(found.ids[found.ids < 255], whole.ids[found.ids < 255])


def test_classes_that_are_not_kept_have_no_pixels(segmenter, photos):
    whole = segmenter.predict(photos.files["a.jpg"])
    names = [c["name"] for c in whole.summary()][:2]
    for kept in (names, [CLASSES.index(name) for name in names]):
        found = segmenter.predict(photos.files["a.jpg"], classes=kept)
        assert [c["name"] for c in found.summary()] == names
        assert np.array_equal(found.ids < 255, np.isin(whole.ids, [CLASSES.index(name) for name in names]))
    with pytest.raises(UserError, match="the model has no class 'cows'; did you mean 'cow'"):
        segmenter.predict(photos.files["a.jpg"], classes=["cows"])


def test_the_summary_counts_every_class(segmenter, photos):
    found = segmenter.predict(photos.files["a.jpg"])
    summary = found.summary()
    assert sum(c["pixels"] for c in summary) == found.ids.size
    for entry in summary:
        own = found.ids == entry["id"]
        assert entry["pixels"] == own.sum() and entry["ratio"] == pytest.approx(own.mean(), abs=1e-6)
        assert entry["mean_score"] == pytest.approx(found.scores[own].mean(), abs=1e-3)
        assert entry["kind"] == ("novel" if entry["id"] in NOVEL else "base")
        assert entry["name"] == CLASSES[entry["id"]]


def test_the_overlay_lays_the_colours_on_the_photograph(segmenter, photos):
    found = segmenter.predict(
        photos.files["a.jpg"], threshold=float(np.median(segmenter.predict(photos.files["a.jpg"]).scores))
    )
    picture = found.overlay()
    none = found.ids == 255
    assert np.array_equal(picture[none], found.image[none])
    row, column = np.argwhere(~none)[0]
    colour = segmenter.classes[found.ids[row, column]].colour
    expected = 0.4 * found.image[row, column] + 0.6 * np.array(colour)
    assert picture[row, column].tolist() == pytest.approx(expected.tolist(), abs=1)


def test_what_a_model_says_of_its_training(segmenter):
    config = segmenter.trained.config
    assert segmenter.training == {
        "run": config.hash, "method": "tiny", "dataset": "scenes", "split": "split1", "seed": 0, "steps": 4,
    }  # fmt: skip


def test_a_split_says_what_is_novel_where_the_model_does_not(write_tiny, tmp_path):
    path = write_tiny(tmp_path / "model.safetensors", novel=None)
    assert {c.kind for c in simformer.load(path, "cpu").classes} == {None}
    Split(CLASSES, (4,)).save(tmp_path / "split.yaml")
    kinds = [c.kind for c in simformer.load(path, "cpu", split=tmp_path / "split.yaml").classes]
    assert kinds == ["base"] * 4 + ["novel"]
    other = write_tiny(tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="belongs to another split"):
        simformer.load(other, "cpu", split=tmp_path / "split.yaml")


def test_a_model_without_a_test_size_needs_one(write_tiny, tmp_path):
    path = write_tiny(tmp_path / "model.safetensors", inference=None)
    with pytest.raises(UserError, match="does not say at which size .* --short-edge 640 --max-long-edge 2560"):
        simformer.load(path, "cpu")
    with pytest.raises(UserError, match="does not say at which size"):
        simformer.load(path, "cpu", short_edge=48)
    sizes = simformer.load(path, "cpu", short_edge=48, max_long_edge=96).inference
    assert (sizes.short_edge, sizes.max_long_edge) == (48, 96)
    with pytest.raises(UserError, match="the shorter side .96. exceeds"):
        simformer.load(path, "cpu", short_edge=96, max_long_edge=48)


BAD = {
    "floats": np.zeros((4, 4, 3)),
    "an alpha channel": np.zeros((4, 4, 4), np.uint8),
    "channels first": np.zeros((3, 8, 8), np.uint8),
    "no pixels": np.zeros((0, 4, 3), np.uint8),
    "one axis": np.zeros(4, np.uint8),
}


@pytest.mark.parametrize("name", BAD)
def test_arrays_that_are_no_pictures(segmenter, name):
    with pytest.raises(UserError, match="expected RGB, uint8"):
        segmenter.predict(BAD[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": float("nan")}, "threshold: found nan; expected a number from 0 up"),
        ({"threshold": -1}, "threshold: found -1; expected a number from 0 up"),
        ({"threshold": "0.5"}, "threshold: found '0.5'; expected a number from 0 up"),
        ({"classes": "sea"}, r"classes: found 'sea'; expected a list, e.g. \['sea'\]"),
        ({"batch": 0}, "batch: found 0; expected a whole number from 1 up"),
        ({"images": "photos"}, "'photos': one name; expected a list of pictures"),
    ],
)
def test_values_that_cannot_be_meant_are_refused_at_once(segmenter, options, message):
    with pytest.raises(UserError, match=message):
        segmenter.stream(**{"images": []} | options)


def test_pictures_of_pillow_become_what_their_files_would(segmenter, tmp_path):
    picture = photograph(40, 60)
    exif = picture.getexif()
    exif[0x112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(tmp_path / "turned.jpg") as opened:
        assert np.array_equal(segmenter.predict(opened).image, read_image(tmp_path / "turned.jpg"))
    gray = np.asarray(picture.convert("L"))
    assert np.array_equal(segmenter.predict(gray).image, segmenter.predict(picture.convert("L")).image)
    assert segmenter.predict(photograph(1, 1)).ids.shape == (1, 1)


def test_the_package_is_imported_without_pytorch():
    subprocess.run([sys.executable, "-c", "import sys, simformer; assert 'torch' not in sys.modules"], check=True)
    heavy = "{'torch', 'numpy', 'pydantic', 'yaml'}"
    code = f"import sys; from simformer import cli; cli._parser(); assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)  # all that `simformer --help` needs
    assert callable(simformer.load)
    with pytest.raises(AttributeError, match="has no attribute 'loads'"):
        simformer.loads  # noqa: B018


@pytest.mark.parametrize("image", [5, None, b"photo.jpg"])
def test_what_is_no_picture_is_told_by_its_type(model_file, image):
    with pytest.raises(UserError, match=f"found an object of type '{type(image).__name__}'; expected a path, an array"):
        simformer.load(model_file, "cpu").predict(image)


def test_a_device_that_is_not_there_is_told_in_the_words_of_python(model_file, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    for device, says in (("cuda:7", "PyTorch finds 0 GPUs here, numbered from 0"), ("gpu", "expected auto, cpu")):
        with pytest.raises(UserError, match=f"^device '{device}': {says}.*; use device='auto'$"):
            simformer.load(model_file, device)
