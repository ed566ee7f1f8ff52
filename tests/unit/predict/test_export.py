"""Exported networks against PyTorch."""

import importlib
import importlib.util
import json

import numpy as np
import pytest
import torch

import simformer
from simformer.cli import main
from simformer.predict import export as exporting
from simformer.predict.export import Exported, compare

SIZES = [(1, 64, 64), (2, 96, 160), (1, 256, 64)]


@pytest.fixture(scope="module")
def segmenter(model_file):
    return simformer.load(model_file, "cpu")


@torch.no_grad()
def scores(segmenter, image):
    return Exported(segmenter.trained.model, argmax=False)(torch.from_numpy(image)).numpy()


def export(model, output, *words):
    return main(["export", "--model", str(model), "--output", str(output), *words])


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["tiny", "resnet18"])
def test_onnx_takes_images_of_any_multiple(write_tiny, tmp_path, capsys, backbone):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    model = write_tiny(tmp_path / "model.safetensors", backbone=backbone)
    segmenter = simformer.load(model, "cpu")
    for name, *argmax in (("scores",), ("classes", "--argmax")):
        assert export(model, tmp_path / f"{name}.onnx", "--format", "onnx", *argmax) == 0
        assert f"{name}.onnx: agrees with PyTorch" in capsys.readouterr().out
    sides = ["batch", "32*rows", "32*columns"]
    sessions = {name: onnxruntime.InferenceSession(tmp_path / f"{name}.onnx") for name in ("scores", "classes")}
    for name, session in sessions.items():
        (taken,), (given,) = session.get_inputs(), session.get_outputs()
        assert (taken.name, taken.shape) == ("image", [sides[0], 3, *sides[1:]])
        assert (given.name, given.shape) == (name, [sides[0], *[5] * (name == "scores"), *sides[1:]])
    for count, height, width in SIZES:
        image = np.random.default_rng(1).uniform(0, 255, (count, 3, height, width)).astype(np.float32)
        expected = scores(segmenter, image)
        found, ids = (session.run(None, {"image": image})[0] for session in sessions.values())
        assert np.abs(found - expected).max() < 1e-3
        chosen = np.take_along_axis(expected, ids[:, None].astype(int), axis=1)[:, 0]
        assert ids.dtype == np.uint8 and (chosen > expected.max(axis=1) - 1e-4).all(), "ties within rounding only"
    facts = json.loads({p.key: p.value for p in onnx.load(tmp_path / "scores.onnx").metadata_props}["simformer"])
    assert [c["name"] for c in facts["classes"]] == list(segmenter.trained.classes)
    assert facts["input"]["multiple"] == 32 and facts["inference"] == {"short_edge": 48, "max_long_edge": 96}


@pytest.mark.slow
def test_a_program_of_torch_export_takes_images_of_any_multiple(segmenter, model_file, tmp_path):
    assert export(model_file, tmp_path / "model.pt2", "--format", "torch_export", "--argmax") == 0
    extra = {"simformer.json": ""}
    module = torch.export.load(tmp_path / "model.pt2", extra_files=extra).module()
    assert json.loads(extra["simformer.json"])["output"].startswith("class ids")
    for count, height, width in SIZES:
        image = np.random.default_rng(1).uniform(0, 255, (count, 3, height, width)).astype(np.float32)
        assert np.array_equal(module(torch.from_numpy(image)).numpy(), scores(segmenter, image).argmax(axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "torch_export"])
def test_a_network_with_windows_is_exported_for_one_image_size(write_tiny, tmp_path, capsys, form):
    onnxruntime = pytest.importorskip("onnxruntime")
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    importlib.import_module("tests.tiny_timm")
    model, output = write_tiny(tmp_path / "model.safetensors", backbone="timm/tiny_swin"), tmp_path / "model"
    assert export(model, output, "--format", form) == 1
    assert "for one image size only" in capsys.readouterr().err and not output.exists()
    assert export(model, output, "--format", form, "--image-size", "64", "160") == 0
    image = np.random.default_rng(1).uniform(0, 255, (3, 3, 64, 160)).astype(np.float32)
    if form == "onnx":
        found = onnxruntime.InferenceSession(output).run(None, {"image": image})[0]
    else:
        found = torch.export.load(output).module()(torch.from_numpy(image)).detach().numpy()
    assert np.abs(found - scores(simformer.load(model, "cpu"), image)).max() < 1e-3


def test_a_size_that_no_network_takes_is_refused(model_file, tmp_path, capsys):
    output = tmp_path / "model.pt2"
    assert export(model_file, output, "--format", "torch_export", "--image-size", "500", "640") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "multiples of 32" in line and "--image-size 512 640" in line and not output.exists()


@pytest.mark.parametrize(
    ("name", "form", "better", "other"),
    [("m.onnx", "torch_export", "m.pt2", "onnx"), ("m.PT2", "onnx", "m.onnx", "torch_export")],
)
def test_the_ending_of_another_format_is_refused(model_file, tmp_path, capsys, name, form, better, other):
    assert export(model_file, tmp_path / name, "--format", form) == 1
    says = f"this ending is of --format {other}; name it {tmp_path / better}, or take --format {other}"
    assert capsys.readouterr().err == f"error: --output {tmp_path / name}: {says}\n" and not (tmp_path / name).exists()


def test_a_network_that_cannot_be_exported_says_so_in_one_line(model_file, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise AssertionError("Guard failed: image.size()[0] != 1\nand more")

    monkeypatch.setattr("torch.export.export", fail)
    assert export(model_file, tmp_path / "model.pt2", "--format", "torch_export") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "backbone 'tiny' cannot be exported" in line and "Guard failed: image.size()[0] != 1)" in line
    assert "--format onnx" in line and not (tmp_path / "model.pt2").exists()


def test_a_padded_photograph_gets_the_scores_of_a_prediction(segmenter):
    """What docs/predict.md says of padding: the mean colour, at the right and below."""
    height, width = 48, 72
    photo = np.random.default_rng(2).integers(0, 256, (3, height, width), dtype=np.uint8)
    padded = np.broadcast_to(np.float32([123.675, 116.28, 103.53])[:, None, None], (3, 64, 96)).copy()
    padded[:, :height, :width] = photo
    found = scores(segmenter, padded[None])[..., :height, :width]
    expected = simformer.inference.class_scores(segmenter.trained.model, torch.from_numpy(photo)[None], (height, width))
    assert np.abs(found - expected.numpy()).max() < 1e-4


def test_a_network_that_differs_is_noticed(segmenter):
    def wrong(image):
        return np.roll(scores(segmenter, image), 1, axis=1)

    with torch.no_grad():
        same = compare(segmenter, False, lambda image: scores(segmenter, image))
        other = compare(segmenter, False, wrong)
        classes = compare(segmenter, True, lambda image: wrong(image).argmax(axis=1))
    assert (same.difference, same.equal) == (0.0, 1.0)
    assert other.difference > 0.1 and other.equal < 0.9 and classes.equal < 0.9


def test_a_file_that_differs_is_not_written(model_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exporting, "_torch_export", lambda *given: (b"", lambda image: scores_of_nothing(image)))
    monkeypatch.setattr(torch.export, "export", lambda *given, **keywords: None)
    assert export(model_file, tmp_path / "new/model.pt2", "--format", "torch_export") == 1
    assert "not written, since the exported network does not agree with PyTorch" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def scores_of_nothing(image):
    return np.zeros((len(image), 5, *image.shape[2:]), np.float32)


def test_onnx_needs_its_packages(model_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exporting, "NEEDS", ("onnx", "no_such_package"))
    assert export(model_file, tmp_path / "m.onnx", "--format", "onnx") == 1
    line = "error: --format onnx needs packages that are not installed (no_such_package); type: pip install"
    assert capsys.readouterr().err.startswith(line)
