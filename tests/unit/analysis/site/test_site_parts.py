"""What the gallery site is built from, checked without a browser."""

import base64
import io
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from simformer.analysis.site.images import write_images
from simformer.analysis.site.join import write_site
from simformer.analysis.site.predictions import write_predictions
from simformer.analysis.site.similarity import CELLS, LEVELS, grid_size, quantise, settle, similarity_grid
from simformer.build import TrainedModel, build_training
from simformer.config.settings import InferenceSettings
from simformer.data.images import decode_label, encode_label, read_image, read_label
from simformer.data.palette import class_colours
from simformer.data.transforms import normalise
from simformer.errors import UserError
from simformer.inference import ImageFile, predict
from simformer.models.simnet import SimNet

CPU = torch.device("cpu")
SIZES = InferenceSettings(short_edge=48, max_long_edge=96, batch_images=3)


@pytest.fixture(scope="module")
def trained(scenes, masked, new_config):
    training = build_training(new_config(), scenes.data, masked, None, CPU)
    return TrainedModel(training.model.eval(), training.simnet.eval(), new_config(), masked.identity)


@pytest.fixture(scope="module")
def site(trained, scenes, tmp_path_factory):
    """A site of the untrained network's predictions."""
    folder = tmp_path_factory.mktemp("site")
    write_images(scenes.data, scenes.index, folder / "scenes/images.js")
    write_predictions(trained, scenes.data, scenes.index, SIZES, CPU, folder / "scenes/split1/m/seed0/predictions.js")
    return folder


def received(path):
    text = path.read_text()
    assert text.startswith("receive(") and text.endswith(");\n")
    return json.loads(text[len("receive(") : -3])


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_palette_png_holds_ids_and_colours():
    ids = np.random.default_rng(0).integers(0, 256, (13, 17), dtype=np.uint8)
    colours = class_colours(30)
    encoded = encode_label(ids, colours)
    assert np.array_equal(decode_label(encoded, "test"), ids)
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.mode == "P"
        assert np.array_equal(np.array(image.convert("RGB")), colours[ids])


def test_images_and_truth_are_those_of_the_dataset(site, scenes):
    facts = received(site / "scenes/images.js")
    assert facts["classes"] == list(scenes.index.classes)
    assert [tuple(row[:3]) for row in facts["images"]] == [(r.name, r.height, r.width) for r in scenes.index.test]
    assert facts["colours"] == class_colours(len(scenes.index.classes))[: len(scenes.index.classes)].tolist()
    for record in scenes.index.test:
        truth = base64.b64decode(received(site / f"scenes/truth/{record.name}.js"))
        assert np.array_equal(decode_label(truth, "truth"), read_label(scenes.data / record.label))
        photograph = read_image(site / f"scenes/photographs/{record.name}.jpg").astype(int)
        apart = [np.abs(photograph - read_image(scenes.data / other.image)).mean() for other in scenes.index.test]
        assert min(apart) == np.abs(photograph - read_image(scenes.data / record.image)).mean() < 8
        assert read_image(site / f"scenes/thumbnails/{record.name}.jpg").shape == (112, 112, 3)


def test_predictions_and_iou_are_those_of_the_network(site, trained, scenes):
    folder = site / "scenes/split1/m/seed0"
    facts = received(folder / "predictions.js")
    images = [ImageFile.of(scenes.data, r) for r in scenes.index.test]
    hits, union = np.zeros((2, len(trained.classes)))
    present = set()
    for position, ids in predict(trained.model, images, SIZES, CPU):
        record = scenes.index.test[position]
        stored = base64.b64decode(received(folder / f"maps/{record.name}.js"))
        assert np.array_equal(decode_label(stored, "map"), ids)
        truth = read_label(scenes.data / record.label)
        for at, c in enumerate(record.labels):
            both, either = ((ids == c) & (truth == c)).sum(), ((ids == c) & (truth < 255) | (truth == c)).sum()
            assert facts["images"][position][at] == round(100 * both / either)
        for c in range(len(trained.classes)):
            hits[c] += ((ids == c) & (truth == c)).sum()
            union[c] += ((ids == c) & (truth < 255) | (truth == c)).sum()
        present |= set(record.labels)
    for c, value in enumerate(facts["classes"]):
        assert value == (pytest.approx(100 * hits[c] / union[c], abs=0.006) if c in present else None)


def test_similarities_are_those_of_simnet_with_the_images_own_statistics(site, trained, scenes):
    """By hand: embeddings at the middle of every cell, batch norm of all pairs, one pair at a time."""
    record = scenes.index.test[0]
    stored = received(site / f"scenes/split1/m/seed0/similarity/{record.name}.js")
    cells = stored["rows"] * stored["columns"]
    levels = np.frombuffer(zlib.decompress(base64.b64decode(stored["data"])), np.uint8).reshape(cells, cells)
    assert stored["levels"] == LEVELS and levels.max() < LEVELS
    image = torch.from_numpy(read_image(scenes.data / record.image).transpose(2, 0, 1).copy())[None]
    with torch.inference_mode():
        embeddings = trained.model(torch.nn.functional.pad(normalise(image), (0, 16, 0, 16))).embeddings[0, :, :12, :12]
        points = embeddings.flatten(1).T[None]
        settled = settle(trained.simnet, points)
        for row, column in [(0, 0), (5, 100), (143, 7)]:
            expected = float(settled(points[:, [row]], points[:, [column]]))
            assert levels[row, column] == round(expected * (LEVELS - 1))
    assert (stored["rows"], stored["columns"]) == (12, 12)


def test_settled_statistics_are_those_of_the_pairs_and_the_network_is_left_alone(trained):
    points = torch.randn(1, 30, 32, generator=torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in trained.simnet.state_dict().items()}
    with torch.inference_mode():
        found = settle(trained.simnet, points)(points, points)
        expected = trained.simnet.train()(points, points)
        trained.simnet.eval().load_state_dict(before)
        poor = trained.simnet(points, points)
    assert torch.allclose(found, expected, atol=1e-3)  # unbiased against biased variance
    assert not torch.allclose(poor, expected, atol=1e-2), "the control: running statistics give something else"
    assert all(torch.equal(value, before[name]) for name, value in trained.simnet.state_dict().items())


@pytest.mark.parametrize(("norm", "relational"), [("layer", False), ("none", True), ("batch", True)])
def test_networks_whose_layers_cannot_be_folded_are_settled_too(norm, relational):
    torch.manual_seed(0)
    simnet, points = SimNet(8, 16, norm, relational).eval(), torch.randn(1, 30, 8)
    with torch.inference_mode():
        found, expected = settle(simnet, points)(points, points), simnet.train(norm == "batch")(points, points)
    assert torch.allclose(found, expected, atol=1e-2)


@pytest.mark.parametrize(("size", "grid"), [((24, 24), (24, 24)), ((120, 160), (18, 24)), ((5, 3), (5, 3))])
def test_the_grid_is_never_finer_than_the_embeddings(size, grid):
    assert grid_size(*size) == grid
    assert max(grid) <= CELLS


def test_levels_span_zero_to_one():
    assert quantise(np.array([[0.0, 0.5, 1.0]])).tolist() == [[0, 8, LEVELS - 1]]


def test_a_wide_image_is_compared_within_its_bounds(trained):
    """Padding up to the size divisor must not take part: the grid's shape is that of the image."""
    image = torch.randint(0, 255, (1, 3, 40, 72), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    similarity, size = similarity_grid(trained.model, trained.simnet, image)
    assert size == (10, 18) and similarity.shape == (180, 180)
    assert similarity.min() >= 0 and similarity.max() <= 1


def test_equal_input_gives_equal_files(site, trained, scenes, tmp_path):
    write_images(scenes.data, scenes.index, tmp_path / "scenes/images.js")
    write_predictions(trained, scenes.data, scenes.index, SIZES, CPU, tmp_path / "scenes/split1/m/seed0/predictions.js")
    assert files(tmp_path) == files(site)


def test_a_method_without_simnet_has_an_empty_folder(trained, scenes, tmp_path):
    plain = TrainedModel(trained.model, None, trained.config, trained.identity)
    write_predictions(plain, scenes.data, scenes.index, SIZES, CPU, tmp_path / "predictions.js")
    assert received(tmp_path / "predictions.js")["similarity"] is False
    assert list((tmp_path / "similarity").iterdir()) == []


def test_other_classes_are_refused(trained, scenes, tmp_path):
    other = TrainedModel(trained.model, None, trained.config, replace(trained.identity, classes=("a", "b")))
    with pytest.raises(UserError, match="has other classes than"):
        write_predictions(other, scenes.data, scenes.index, SIZES, CPU, tmp_path / "predictions.js")
    assert not list(tmp_path.iterdir())


def test_joining_adds_the_page_and_touches_no_part(site, split, tmp_path):
    split.save(tmp_path / "split.yaml")
    before = files(site)
    methods = [{"method": "m", "label": "M*", "folder": "scenes/split1/m/seed0"}]
    view = {"dataset": "scenes", "title": "Scenes", "split": "split1", "groups": str(tmp_path / "split.yaml")}
    write_site("Title", [view | {"methods": methods}], site / "index.html")
    after = files(site)
    assert {name: after[name] for name in before} == before
    added = {str(name) for name in set(after) - set(before)}
    assert {"index.html", "contents.js", "gallery.css", "app.js"} <= added
    contents = received(site / "contents.js")
    assert contents["views"][0]["novel"] == list(split.novel)
    assert contents["views"][0]["methods"] == methods


def test_no_static_file_names_another_place(site):
    """Neither page nor scripts nor style hold an address; the page's scripts are all there."""
    from importlib.resources import files as resources

    static = {file.name: file.read_text() for file in resources("simformer.analysis.site").joinpath("static").iterdir()}
    assert [name for name, text in static.items() if "http:" in text or "https:" in text or "url(" in text] == []
    page = static["index.html"]
    assert {part.split('"')[0] for part in page.split('<script src="')[1:]} == {n for n in static if n.endswith(".js")}


def test_a_site_without_models_is_refused(tmp_path):
    with pytest.raises(UserError, match="no method of the study's first table has a model to show; name a table with"):
        write_site("Title", [], tmp_path / "index.html")
    assert not list(tmp_path.iterdir())
