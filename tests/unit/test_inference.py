"""Inference against a slow, image-by-image statement of the procedure."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from simformer import inference
from simformer.config.settings import InferenceSettings, ModelSettings
from simformer.data.transforms import resize_image, resized_shape
from simformer.inference import ImageFile, class_scores, fuse, predict
from simformer.models.maskformer import MaskFormer

CLASSES = 5
CPU = torch.device("cpu")
SHAPES = [(48, 64), (33, 57), (64, 48), (48, 64), (31, 90), (48, 64), (33, 57)]
MEAN, STD = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    settings = ModelSettings(
        backbone="tiny", queries=12, dim=32, heads=2, feedforward_dim=32, decoder_layers=2, dropout=0.5
    )
    network = MaskFormer(CLASSES, settings).eval()
    torch.nn.init.normal_(network.class_head.weight, std=1.0)
    torch.nn.init.normal_(
        network.transformer.queries.weight if hasattr(network.transformer, "queries") else network.mask_head[0].weight
    )
    return network


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    files = []
    for i, (height, width) in enumerate(SHAPES):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3)).astype(np.uint8))
        coarse.resize((width, height), Image.Resampling.BILINEAR).save(folder / f"{i}.png")
        checksum = hashlib.sha256((folder / f"{i}.png").read_bytes()).hexdigest()
        files.append(ImageFile(folder / f"{i}.png", height, width, checksum))
    return files


def naive_resize(image, edge, longest):
    """Resize so that the shorter side is `edge`, the longer at most `longest`; uint8 [H, W, 3]."""
    height, width = image.shape[:2]
    scale = min(edge / min(height, width), longest / max(height, width))
    size = (int(width * scale + 0.5), int(height * scale + 0.5))
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


@torch.no_grad()
def naive_scores(model, image, size):
    """Scores [K, *size] of one raw image, query by query."""
    pixels = ((torch.from_numpy(image).float() - MEAN) / STD).permute(2, 0, 1)
    height, width = pixels.shape[1:]
    canvas = torch.zeros(3, -(-height // 32) * 32, -(-width // 32) * 32)
    canvas[:, :height, :width] = pixels
    output = model(canvas[None])
    masks = F.interpolate(output.mask_logits[-1], canvas.shape[1:], mode="bilinear", align_corners=False)[0].sigmoid()
    probabilities = output.class_logits[-1][0].softmax(1)
    total = torch.zeros(CLASSES, *canvas.shape[1:])
    for mask, probability in zip(masks, probabilities, strict=True):
        total += probability[:CLASSES, None, None] * mask
    return F.interpolate(total[None, :, :height, :width], size, mode="bilinear", align_corners=False)[0]


def assert_agrees(predicted, scores):
    """The prediction is the best class wherever the two best differ by more than rounding."""
    best = scores.topk(2, dim=0).values
    clear = (best[0] - best[1] > 1e-4).numpy()
    assert clear.mean() > 0.9
    assert np.array_equal(predicted[clear], scores.argmax(0).numpy()[clear])


def read(image):
    return np.array(Image.open(image.path))


def test_one_plain_pass_equals_the_naive_procedure(model, images):
    settings = InferenceSettings(short_edge=40, max_long_edge=75, batch_images=2)
    found = dict(predict(model, images, settings, CPU))
    assert sorted(found) == list(range(len(images)))
    classes = set()
    for position, predicted in found.items():
        image = images[position]
        assert (predicted.shape, predicted.dtype) == ((image.height, image.width), np.uint8)
        resized = naive_resize(read(image), 40, 75)
        assert_agrees(predicted, naive_scores(model, resized, (image.height, image.width)))
        classes |= set(np.unique(predicted).tolist())
    assert len(classes) > 1


def test_averaging_sees_several_scales_of_the_resized_image_and_flips(model, images):
    settings = InferenceSettings(short_edge=40, max_long_edge=75, pseudo_max_long_edge=80, batch_images=3)
    edges = (32, 50)
    plain = dict(predict(model, images, settings, CPU))
    found = dict(predict(model, images, settings, CPU, average_short_edges=edges))
    for position, predicted in found.items():
        size = (images[position].height, images[position].width)
        resized = naive_resize(read(images[position]), 40, 75)
        total = torch.zeros(CLASSES, *size)
        for edge in edges:
            view = naive_resize(resized, edge, 80)
            total += naive_scores(model, view, size)
            total += naive_scores(model, np.ascontiguousarray(view[:, ::-1]), size).flip(-1)
        assert_agrees(predicted, total / 4)
    assert any(not np.array_equal(plain[i], found[i]) for i in found)


@pytest.mark.parametrize("batch", [1, 2, 50])
def test_the_batch_size_changes_nothing(model, images, batch):
    reference = dict(predict(model, images, InferenceSettings(short_edge=48, max_long_edge=96), CPU))
    settings = InferenceSettings(short_edge=48, max_long_edge=96, batch_images=batch)
    for position, predicted in predict(model, images, settings, CPU):
        assert (predicted != reference[position]).mean() < 0.01  # ties within rounding only


def all_scores(model, image, settings, edges):
    """Scores of all classes of one image, all at once at its size, [K, H, W]."""
    size = image.height, image.width
    resized = resize_image(read(image), *resized_shape(*size, settings.short_edge, settings.max_long_edge))
    if not edges:
        return class_scores(model, torch.from_numpy(resized.transpose(2, 0, 1).copy())[None], size)[0]
    total = torch.zeros(())
    for edge in edges:
        view = resize_image(resized, *resized_shape(*resized.shape[:2], edge, settings.pseudo_max_long_edge))
        view = torch.from_numpy(view.transpose(2, 0, 1).copy())[None]
        total = total + class_scores(model, view, size)[0]
        total = total + class_scores(model, view.flip(-1), size)[0].flip(-1)
    return total / (2 * len(edges))


@pytest.mark.parametrize("edges", [(), (24, 40)])
@pytest.mark.parametrize("memory", [1, 2, 1000])
def test_scores_of_an_images_own_classes_are_those_of_all_classes_bit_for_bit(
    model, images, edges, memory, monkeypatch
):
    settings = InferenceSettings(short_edge=32, max_long_edge=100, pseudo_max_long_edge=100, batch_images=1)
    wanted = [[position % CLASSES, CLASSES - 1][: position % 3] for position in range(len(images))]
    wanted = [sorted(set(ids)) for ids in wanted]
    assert {len(ids) for ids in wanted} == {0, 1, 2}
    for name in ("RESIZED_BYTES", "AVERAGED_BYTES"):
        monkeypatch.setattr(inference, name, 4 * 48 * 64 * memory)
    found = dict(inference.image_scores(model, images, wanted.__getitem__, settings, CPU, edges))
    assert sorted(found) == list(range(len(images)))
    for position, scores in found.items():
        assert torch.equal(scores, all_scores(model, images[position], settings, edges)[wanted[position]])
    settings = settings.model_copy(update={"batch_images": 3})
    for position, scores in inference.image_scores(model, images, wanted.__getitem__, settings, CPU, edges):
        torch.testing.assert_close(scores, found[position])


@pytest.mark.parametrize("edges", [(), (24, 40)])
@pytest.mark.parametrize("classes", [1, 2, 4])
def test_classes_taken_a_few_at_a_time_change_no_bit(model, images, edges, classes, monkeypatch):
    settings = InferenceSettings(short_edge=32, max_long_edge=100, pseudo_max_long_edge=100, batch_images=1)
    scores = [all_scores(model, image, settings, edges) for image in images]
    whole = [own.argmax(dim=0).numpy() for own in scores]
    taken, best = [], inference._best
    monkeypatch.setattr(inference, "_best", lambda parts: best(taken.append(part.shape[1]) or part for part in parts))
    for memory in ("RESIZED_BYTES", "AVERAGED_BYTES"):
        monkeypatch.setattr(inference, memory, 4 * 48 * 64 * classes)
    for position, ids in predict(model, images, settings, CPU, average_short_edges=edges):
        assert np.array_equal(ids, whole[position])
    assert taken[0] == classes  # of the first photograph, 48 x 64


def test_images_at_their_own_size_are_not_resized(model, images):
    image = images[0]
    settings = InferenceSettings(short_edge=48, max_long_edge=96)
    ((_, predicted),) = predict(model, [image], settings, CPU)
    assert_agrees(predicted, naive_scores(model, read(image), (48, 64)))


def test_no_object_is_dropped_after_the_softmax():
    class_logits = torch.tensor([[[0.0, 1.0, 5.0], [2.0, -1.0, 0.0]]])
    mask_logits = torch.tensor([[[[3.0]], [[-2.0]]]])
    found = fuse(class_logits, mask_logits)[0, :, 0, 0].double()
    first, second = (np.exp(row) / np.exp(row).sum() for row in ([0.0, 1.0, 5.0], [2.0, -1.0, 0.0]))
    expected = first[:2] / (1 + np.exp(-3)) + second[:2] / (1 + np.exp(2))
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_no_images_give_no_predictions(model):
    assert list(predict(model, [], InferenceSettings(), CPU)) == []
