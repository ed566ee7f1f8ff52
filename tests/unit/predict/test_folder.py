"""`simformer predict`: files that mirror the photographs, and what becomes of odd ones."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

import simformer
from simformer.cli import main
from simformer.data.images import read_label
from tests.unit.predict.conftest import CLASSES, photograph


@pytest.fixture
def predict(model_file, tmp_path):
    """Run the command; returns exit status and output folder."""

    def run(*words):
        output = tmp_path / "out"
        given = ["--model", str(model_file), "--output", str(output), "--device", "cpu"]
        return main(["predict", *map(str, words), *given]), output

    return run


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_predictions_mirror_the_folder(predict, photos, model_file, capsys):
    status, output = predict(photos.folder)
    assert (status, files(output)) == (0, ["a.png", "b.png", "predictions.json", "sub/a.png"])
    told = capsys.readouterr()
    assert told.out == f"3 images predicted: {output}/predictions.json\n" and told.err == ""
    segmenter = simformer.load(model_file, "cpu")
    content = json.loads((output / "predictions.json").read_text())
    assert content["model"] == segmenter.training
    assert [c["name"] for c in content["classes"]] == list(CLASSES)
    assert [i["image"] for i in content["images"]] == list(photos.files)
    for image in content["images"]:
        expected = segmenter.predict(photos.files[image["image"]])
        assert np.array_equal(read_label(output / image["prediction"]), expected.ids)
        assert (image["height"], image["width"]) == expected.ids.shape
        assert image["classes"] == expected.summary()


def test_pictures_run_lengths_classes_and_threshold(predict, photos, model_file, capsys):
    kept = ["--classes", "cow", "car", "road", "--threshold", "0.5", "--format", "coco", "png"]
    status, output = predict(photos.folder, "--overlay", "--batch", "2", *kept)
    assert status == 0
    names = ["a.png", "b.png", "sub/a.png"]
    assert files(output) == sorted([*names, *(f"overlay/{n}" for n in names), "coco.json", "predictions.json"])
    coco = COCO(output / "coco.json")
    capsys.readouterr()
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    for image in coco.loadImgs(coco.getImgIds()):
        ids = np.full((image["height"], image["width"]), 255)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            ids[coco.annToMask(annotation) == 1] = annotation["category_id"]
            assert annotation["area"] == (ids == annotation["category_id"]).sum()
        written = read_label(output / (image["file_name"].rpartition(".")[0] + ".png"))
        assert np.array_equal(ids, written) and not np.isin(written, [0, 2]).any()
    prediction = simformer.load(model_file, "cpu").predict(
        photos.files["a.jpg"], threshold=0.5, classes=["cow", "car", "road"]
    )
    assert np.array_equal(np.array(Image.open(output / "overlay/a.png")), prediction.overlay())


def test_run_lengths_alone_write_no_id_maps(predict, photos):
    status, output = predict(photos.files["a.jpg"], "--format", "coco")
    assert (status, files(output)) == (0, ["coco.json", "predictions.json"])
    assert "prediction" not in json.loads((output / "predictions.json").read_text())["images"][0]


def odd_files(folder):
    """Photographs of odd kinds, with the shape of their prediction; None for those that cannot be read."""
    turned = photograph(40, 60)
    exif = turned.getexif()
    exif[0x112] = 6
    turned.save(folder / "turned.jpg", exif=exif)
    photograph(40, 60).convert("CMYK").save(folder / "cmyk.jpg")
    deep = np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    Image.fromarray(deep // 64).save(folder / "dark.png")
    photograph(1, 1).save(folder / "one.png")
    photograph(20, 20000).save(folder / "wide.jpg")
    photograph(40, 60).convert("RGBA").save(folder / "clear.webp", lossless=True)
    photograph(40, 60).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:300])
    (folder / "text.jpg").write_text("hello")
    (folder / "nothing.png").write_bytes(b"")
    return {
        "turned.jpg": (60, 40), "cmyk.jpg": (40, 60), "deep.png": (40, 60), "one.png": (1, 1), "wide.jpg": (20, 20000),
        "clear.webp": (40, 60), "dark.png": None, "cut.jpg": None, "text.jpg": None, "nothing.png": None,
    }  # fmt: skip


def test_odd_photographs_end_with_a_prediction_or_a_line(predict, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    shapes = odd_files(folder)
    status, output = predict(folder, tmp_path / "none.jpg")
    lines = capsys.readouterr().err.splitlines()
    assert status == 1
    bad = [name for name, shape in shapes.items() if shape is None] + ["none.jpg"]
    assert len(lines) == len(bad) + 1 and all(any(name in line for line in lines) for name in bad)
    assert all(line.startswith("error: ") for line in lines)
    assert lines[-1] == "error: 5 inputs could not be used (see above). The others were predicted."
    good = {name: shape for name, shape in shapes.items() if shape}
    assert files(output) == sorted([*(name.rpartition(".")[0] + ".png" for name in good), "predictions.json"])
    for name, shape in good.items():
        assert read_label(output / (name.rpartition(".")[0] + ".png")).shape == shape


def test_a_run_that_predicts_nothing_leaves_earlier_predictions_as_they_are(predict, photos, tmp_path, capsys):
    _, output = predict(photos.folder, "--format", "png", "coco")
    before = {name: (output / name).read_bytes() for name in files(output)}
    (tmp_path / "text.jpg").write_text("hello")
    capsys.readouterr()
    status, _ = predict(tmp_path / "text.jpg", "--format", "coco")
    told = capsys.readouterr()
    assert status == 1 and told.out == ""
    assert told.err.endswith("error: 1 input could not be used (see above). No photograph was predicted.\n")
    assert {name: (output / name).read_bytes() for name in files(output)} == before


def test_the_file_of_coco_of_an_earlier_run_is_mentioned(predict, photos, capsys):
    _, output = predict(photos.folder, "--format", "coco")
    before = (output / "coco.json").read_bytes()
    assert capsys.readouterr().err == ""
    assert predict(photos.files["a.jpg"])[0] == 0
    says = "of an earlier run; this run did not change it (--format coco writes a new one)"
    assert capsys.readouterr().err == f"note: {output / 'coco.json'}: {says}\n"
    assert (output / "coco.json").read_bytes() == before


REFUSED = {
    "an empty folder": (["{empty}"], "no photograph in this folder"),
    "nothing there": (["{folder}/x.jpg"], "no such file or folder"),
    "an address": (["https://example.org/x.jpg"], "https://example.org/x.jpg: an address; download the photograph"),
    "an unknown class": (["{folder}", "--classes", "rode"], "did you mean 'road'?"),
    "a size below the smallest": (["{folder}", "--short-edge", "100"], "short_edge, max_long_edge"),
}


def test_an_output_that_is_no_folder_is_refused_before_anything_is_predicted(photos, model_file, tmp_path, capsys):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    for output in (taken, taken / "sub/out"):
        assert main(["predict", str(photos.folder), "--model", str(model_file), "--output", str(output)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line == f"error: {taken}: a file; expected a folder for the predictions, name another one with --output"
    assert taken.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_predicted(predict, photos, monkeypatch, capsys):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    status, output = predict(photos.folder)
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 1 and line.endswith("nothing can be written into this folder; name another one with --output")
    assert not output.exists()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_writes_nothing(predict, photos, tmp_path, capsys, name):
    words, says = REFUSED[name]
    (tmp_path / "empty").mkdir()
    status, output = predict(*(word.format(folder=photos.folder, empty=tmp_path / "empty") for word in words))
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 1 and says in line and not output.exists()


def test_a_model_that_does_not_say_what_is_novel(write_tiny, photos, tmp_path, capsys):
    model = write_tiny(tmp_path / "imported.safetensors", novel=None)
    given = ["--model", str(model), "--output", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["predict", str(photos.files["a.jpg"]), *given]) == 0
    assert capsys.readouterr().err == f"{model}: does not say which classes are novel; to have it said, add --split\n"
    content = json.loads((tmp_path / "out/predictions.json").read_text())
    assert {c["kind"] for c in content["classes"]} == {None}
