"""Confounder set and context map against plain loops, and the geometry of the map."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from simformer.baselines.class_maps.cam import summed_maps
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapSet
from simformer.baselines.classifier import Classifier
from simformer.baselines.conta.confounder import Confounder, confounder, mean_masks
from simformer.baselines.conta.context_attention import (
    ContextAttention,
    context_weights,
    padded_masks,
    place_in_crops,
    place_in_views,
)
from simformer.baselines.conta.context_classifier import ENTRIES, ContextClassifier
from simformer.baselines.conta.image_contexts import Contexts, partners
from simformer.baselines.settings import ClassifierSettings
from simformer.baselines.training.crops import placed_crop
from simformer.baselines.training.sgd import build_sgd
from tests.unit.baselines.stages import CPU, made_maps

N, SIDE = 5, 4


@pytest.fixture
def attention():
    torch.manual_seed(0)
    known = torch.tensor([True, True, False, True, True])
    network = ContextAttention(Confounder(torch.rand(N, SIDE, SIDE) * known[:, None, None], known))
    for parameter in network.parameters():
        parameter.data *= 50
    return network


def test_context_map_equals_a_plain_loop(attention):
    masks = [torch.rand(count, SIDE, SIDE) for count in (3, 1, 2)]
    expected, weights = [], (attention.first.detach(), attention.second.detach())
    for of_image in masks:
        alphas = []
        for mask in of_image:
            query = weights[0] @ mask.flatten()
            scores = {i: float(query @ (weights[1] @ attention.confounder[i])) / math.sqrt(N) for i in (0, 1, 3, 4)}
            total = sum(math.exp(s) for s in scores.values())
            alphas.append({i: math.exp(s) / total for i, s in scores.items()})
        alpha = {i: sum(a[i] for a in alphas) / len(alphas) for i in scores}
        expected.append(sum(alpha[i] * attention.confounder[i] for i in alpha).view(SIDE, SIDE))
    found = attention(*padded_masks(masks, SIDE))
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)
    assert found.std(dim=0).max() > 0.01, "images differ, so the comparison means something"


def test_one_class_equals_the_published_formula(attention):
    mask = torch.rand(1, SIDE, SIDE)
    everything = torch.ones(N, dtype=torch.bool)
    x, c = mask.flatten(), attention.confounder
    alpha = torch.softmax((attention.first @ x) @ (attention.second @ c.T) / math.sqrt(N), dim=0)
    found = context_weights(
        mask.flatten(1)[None], torch.tensor([[True]]), c, everything, attention.first, attention.second
    )
    assert torch.allclose(found[0], alpha, atol=1e-6)


def test_weights_sum_to_one_over_known_classes_and_every_weight_learns(attention):
    alpha = attention.weights(*padded_masks([torch.rand(2, SIDE, SIDE)], SIDE))
    assert alpha.sum().item() == pytest.approx(1) and alpha[0, 2] == 0 and (alpha[0, [0, 1, 3, 4]] > 0).all()
    (attention(*padded_masks([torch.rand(2, SIDE, SIDE)], SIDE)) ** 2).sum().backward()
    assert attention.first.grad.abs().sum() > 0 and attention.second.grad.abs().sum() > 0


def test_an_image_without_a_predicted_class_has_no_context(attention):
    found = attention(*padded_masks([torch.zeros(0, SIDE, SIDE), torch.rand(1, SIDE, SIDE)], SIDE))
    assert (found[0] == 0).all() and (found[1] > 0).any()
    assert attention(*padded_masks([torch.zeros(0, SIDE, SIDE)], SIDE)).abs().sum() == 0


def test_average_masks_by_hand():
    first, second = torch.rand(2, SIDE, SIDE), torch.rand(1, SIDE, SIDE)
    found = mean_masks([((0, 3), first), ((3,), second), ((), torch.zeros(0, SIDE, SIDE))], N, SIDE)
    assert torch.allclose(found.masks[0], first[0]) and torch.allclose(found.masks[3], (first[1] + second[0]) / 2)
    assert found.known.tolist() == [True, False, False, True, False]


def test_a_class_that_is_never_predicted_has_its_thresholded_map_or_drops_out(image_set, tmp_path):
    """Class 0 is predicted, the others not; one of them has confident maps, the rest have none."""
    counts = {c: sum(c in i.classes for i in image_set.images) for c in range(len(image_set.classes))}
    sure = max((c for c in counts if c), key=counts.get)

    def predicted(images):
        for image in images:
            mine = tuple(c for c in image.classes if c == 0)
            yield image, ClassMaps(mine, torch.ones(len(mine), SIDE, SIDE), 1, (SIDE, SIDE))

    def maps(images):
        for image in images:
            scores = torch.zeros(len(image.classes), 12, 12)
            for row, c in enumerate(image.classes):
                scores[row, :6] = 0.9 if c == sure else 0.2
            yield image, ClassMaps(image.classes, scores, 4, (48, 48))

    sets = [made_maps(image_set, n, f, tmp_path / n / "maps.json") for n, f in (("p", predicted), ("m", maps))]
    found = confounder(*sets, image_set, 0.5)
    assert found.known.nonzero().flatten().tolist() == [0, sure]
    assert torch.allclose(found.masks[0], torch.ones(SIDE, SIDE))
    assert found.masks[sure][0].min() == 1 and found.masks[sure][-1].max() == 0
    found.save(tmp_path / "c.safetensors")
    again = Confounder.load(tmp_path / "c.safetensors")
    assert torch.equal(again.masks, found.masks) and torch.equal(again.known, found.known)


@pytest.mark.parametrize("backbone", ENTRIES)
def test_u5_zero_new_slices_give_the_plain_logits(backbone):
    """The same logits whatever the context is, bit for bit; with other slices it does matter."""
    torch.manual_seed(0)
    plain = Classifier(backbone, 16, 3).eval()
    network = ContextClassifier(backbone, 16, 3, None).eval()
    network.trunk.backbone.load_state_dict(plain.backbone.state_dict())
    network.head.load_state_dict(plain.head.state_dict())
    network.trunk.widen()
    images, context = torch.rand(2, 3, 64, 80), torch.rand(2, 1, 64, 80)
    with torch.no_grad():
        assert torch.equal(network(images, context), plain(images))
        for name, parameter in network.named_parameters():
            if name.endswith(".context.weight"):
                parameter.fill_(0.5)
        assert not torch.equal(network(images, context), plain(images))
        assert torch.equal(network(images, 0 * context), plain(images))


def test_new_slices_act_as_one_more_channel_of_the_convolution():
    network = ContextClassifier("tiny", 16, 3, None)
    network.trunk.widen()
    entry = network.trunk.backbone.block4.conv1
    torch.nn.init.normal_(entry.context.weight)
    x = torch.rand(2, 65, 5, 6)
    joined = F.conv2d(x, torch.cat([entry.features.weight, entry.context.weight], dim=1), padding=1)
    assert torch.allclose(entry(x), joined, atol=1e-5)


def test_new_slices_and_attention_learn_with_the_backbones_rate():
    network = ContextClassifier("tiny", 16, 3, Confounder(torch.rand(3, 2, 2), torch.ones(3, dtype=torch.bool)))
    network.trunk.widen()
    optimizer = build_sgd(network, network.trunk, ClassifierSettings(lr=0.1, head_lr_factor=10))
    rates = {id(p): g["base_lr"] for g in optimizer.param_groups for p in g["params"]}
    found = {name: rates[id(p)] for name, p in network.named_parameters()}
    assert found.pop("head.weight") == pytest.approx(1.0)
    assert set(found.values()) == {0.1} and "trunk.attention.first" in found
    assert any(name.endswith("shortcut.context.weight") for name in found)


@pytest.mark.parametrize("settings", [{"scales": (0.5, 1.6)}, {"long_edges": (30, 90)}, {"crop": 96}])
def test_context_map_goes_through_the_geometry_of_the_image(settings):
    """An image that is a ramp in rows and columns, and a context map that is the same ramp, agree at every pixel."""
    height, width = 60, 80
    settings = ClassifierSettings(**{"crop": 48, "long_edges": None, "scales": (1.0, 1.0)} | settings)
    rows, columns = (np.arange(s) + 0.5 for s in (height, width))
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = (columns / width * 255).round()[None]
    image[..., 1] = (rows / height * 255).round()[:, None]
    ramp = (torch.arange(64) + 0.5) / 64
    flips = set()
    for seed in range(20):
        crop, at = placed_crop(image, None, settings, np.random.default_rng(seed))
        flips.add(at.flipped)
        for channel, context in enumerate((ramp.expand(64, 64), ramp[:, None].expand(64, 64))):
            found = place_in_crops(context[None], [at], crop.padding[None])[0, 0]
            error = (found - crop.image[channel] / 255)[~crop.padding].abs()
            assert error.max() < 0.03 and error.mean() < 0.008
            assert (found[crop.padding] == 0).all()
    assert flips == {True, False}
    wrong = place_in_crops(ramp.expand(64, 64).flip(-1)[None], [at], crop.padding[None])[0, 0]
    assert (wrong - crop.image[0] / 255)[~crop.padding].abs().mean() > 0.05, "a mirrored map is found out"


def test_the_place_of_a_crop_tells_the_drawn_size():
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)
    settings = ClassifierSettings(crop=48, long_edges=(40, 90), color_jitter=True)
    for seed in range(5):
        _, at = placed_crop(image, None, settings, np.random.default_rng(seed))
        assert max(at.height, at.width) in range(40, 91)


def test_views_get_the_map_and_mirror_images_its_mirror_image():
    contexts = torch.rand(2, SIDE, SIDE)
    views = place_in_views(contexts, 8, 12)
    assert views.shape == (4, 1, 8, 12) and torch.equal(views[2:], views[:2].flip(-1))
    assert torch.allclose(place_in_views(contexts, SIDE, SIDE)[:2, 0], contexts)


def test_a_mirrored_image_with_its_mirrored_context_has_the_mirrored_maps():
    torch.manual_seed(0)
    network = ContextClassifier("tiny", 16, 3, None).eval()
    network.trunk.widen()
    for name, parameter in network.named_parameters():
        if name.endswith(".context.weight"):
            torch.nn.init.normal_(parameter)
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8)
    contexts = torch.rand(1, 8, 8)

    def maps(picture, context):
        response = lambda views, _: network(views, place_in_views(context, *views.shape[-2:]))  # noqa: E731
        return summed_maps(response, [picture], torch.ones(1, 3, dtype=torch.bool), (1.0,), CPU)

    with torch.no_grad():
        mirrored = maps(np.ascontiguousarray(image[:, ::-1]), contexts.flip(-1)).flip(-1)
        assert torch.allclose(maps(image, contexts), mirrored, atol=1e-4)
        assert not torch.allclose(maps(image, contexts), maps(image, contexts.flip(-1)), atol=1e-2)


def test_every_image_lends_its_masks_to_another_one():
    names = [f"i{n}" for n in range(7)]
    found = partners(names, 0)
    assert sorted(found) == sorted(found.values()) == names and all(a != b for a, b in found.items())
    assert found != partners(names, 1) and found == partners(names, 0) and partners(["a"], 0) == {"a": "a"}


def test_own_and_shuffled_contexts_and_the_two_that_read_no_mask(round1, image_set, tmp_path):
    names = [image.name for image in image_set.images]
    attention = round1.response.network.trunk.attention

    def contexts(kind):
        given = (attention, round1.predicted) if kind in ("own", "shuffled") else (None, None)
        return Contexts(kind, *given, names, 0, CPU)

    own, shuffled = contexts("own"), contexts("shuffled")
    swapped = [shuffled.partner[name] for name in names]
    with torch.no_grad():
        assert torch.equal(shuffled(names), own(swapped)) and not torch.equal(shuffled(names), own(names))
        assert own(names).shape == (len(names), 6, 6) and own(names).min() >= 0 and own(names).max() <= 1
    assert contexts("zero")(names).abs().sum() == 0 and (contexts("constant")(names) == 1).all()
    assert isinstance(own.predicted, MapSet)
