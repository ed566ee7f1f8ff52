"""Augmentation: sizes, alignment of image and labels, colours, padding."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from simformer.config.settings import AugmentSettings
from simformer.data.transforms import augment, color_jitter, normalise, resize_image, resize_label, resized_shape

BLOCK = 8


def positions(height, width):
    """Image whose red and green are twice the column and the row, and a label map of numbered blocks."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([2 * x, 2 * y, np.full_like(x, 7)], axis=2).astype(np.uint8)
    return image, (y // BLOCK * 12 + x // BLOCK).astype(np.uint8)


def plain(**changes) -> AugmentSettings:
    fixed = {"crop": 48, "short_edges": (48,), "max_long_edge": 200, "color_jitter": False, "flip": False}
    return AugmentSettings(**fixed | changes)


def run(image, label_map, settings_, seed=0, any_crop=True):
    return augment(image, label_map, settings_, np.random.default_rng(seed), any_crop=any_crop)


@pytest.mark.parametrize(
    ("shape", "edge", "longest", "expected"),
    [
        ((480, 640), 640, 2560, (640, 853)),
        ((640, 427), 640, 2560, (959, 640)),
        ((100, 640), 640, 2560, (400, 2560)),
        ((375, 500), 307, 2048, (307, 409)),
        ((96, 96), 96, 384, (96, 96)),
    ],
)
def test_sizes_of_the_reference(shape, edge, longest, expected):
    assert resized_shape(*shape, edge, longest) == expected


@pytest.mark.parametrize(
    ("before", "after"), [((48, 64), (64, 85)), ((64, 43), (31, 21)), ((7, 5), (7, 5)), ((3, 4), (9, 1))]
)
def test_labels_take_the_pixel_at_the_floored_position(before, after):
    label_map = np.random.default_rng(0).integers(0, 256, before).astype(np.uint8)
    expected = [
        [label_map[row * before[0] // after[0], column * before[1] // after[1]] for column in range(after[1])]
        for row in range(after[0])
    ]
    found = resize_label(label_map, *after)
    assert found.tolist() == expected
    nearest = F.interpolate(torch.from_numpy(label_map)[None, None].double(), size=after, mode="nearest")[0, 0]
    assert found.tolist() == nearest.tolist()


def test_images_are_resized_with_antialiasing_and_left_alone_at_their_size():
    stripes = np.zeros((8, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert 80 < resize_image(stripes, 4, 16).min() <= resize_image(stripes, 4, 16).max() < 120
    assert np.array_equal(resize_image(stripes, 8, 64), stripes)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(24, 96),
    st.integers(24, 96),
    st.booleans(),
    st.sampled_from([(24,), (40, 56), (96,), (150,)]),
)
def test_image_and_labels_stay_aligned(seed, height, width, flip, edges):
    crop = run(*positions(height, width), plain(flip=flip, short_edges=edges), seed)
    inside, cell = ~crop.padding, max(1, min(height, width) / edges[0])
    column, row = crop.image[0].float() / 2, crop.image[1].float() / 2
    for place, block in ((column, crop.label_map % 12), (row, crop.label_map // 12)):
        distance = (place - (block * BLOCK + (BLOCK - 1) / 2))[inside].abs()
        # half a block, the blur of resizing, and half a cell since labels take a cell's first pixel
        assert distance.max() <= BLOCK / 2 + 1 + cell / 2
        assert distance.mean() <= BLOCK / 4 + 0.25 + cell / 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 90), st.integers(20, 90), st.booleans())
def test_without_resizing_alignment_is_exact_and_the_crop_a_window(seed, height, width, flip):
    image, labels = positions(height, width)
    crop = run(image, labels, plain(crop=32, flip=flip, short_edges=(min(height, width),)), seed)
    shown = (min(32, height), min(32, width))
    window = crop.image[:, : shown[0], : shown[1]].numpy() // 2
    column, row = window[0].astype(int), window[1].astype(int)
    assert np.array_equal(labels[row, column], crop.label_map[: shown[0], : shown[1]].numpy())
    step = np.unique(np.diff(column, axis=1))
    assert step.tolist() in ([1], [-1]) and (flip or step[0] == 1)
    assert np.unique(np.diff(row, axis=0)).tolist() == [1]
    assert (~crop.padding).sum() == shown[0] * shown[1]


def test_crops_reach_every_corner_scales_every_edge_and_flips_half():
    image, labels = positions(40, 40)
    crops = [run(image, labels, plain(crop=38, flip=True, short_edges=(40,)), seed) for seed in range(200)]
    corners = {(int(c.image[1].min()) // 2, int(c.image[0].min()) // 2) for c in crops}
    assert corners == {(top, left) for top in range(3) for left in range(3)}
    flips = sum(int(c.image[0, 0, 0]) > int(c.image[0, 0, 5]) for c in crops)
    assert 70 < flips < 130
    sides = {int((~run(image, labels, plain(short_edges=(20, 24, 30)), s).padding).sum()) for s in range(40)}
    assert sides == {400, 576, 900}


def test_padding_is_at_the_right_and_bottom_with_its_values():
    crop = run(np.full((30, 40, 3), 9, np.uint8), np.full((30, 40), 3, np.uint8), plain(short_edges=(30,)))
    assert (crop.image.shape, crop.image.dtype, crop.label_map.dtype) == ((3, 48, 48), torch.uint8, torch.uint8)
    assert not crop.padding[:30, :40].any()
    assert crop.padding[30:].all() and crop.padding[:, 40:].all()
    assert (crop.image[:, crop.padding] == 128).all() and (crop.image[:, ~crop.padding] == 9).all()
    assert (crop.label_map[crop.padding] == 255).all() and (crop.label_map[~crop.padding] == 3).all()


def corner_label():
    labels = np.full((96, 96), 255, np.uint8)
    labels[:20, :20] = 1
    return np.zeros((96, 96, 3), np.uint8), labels


def labelled(**options) -> int:
    any_crop = options.pop("any_crop", False)
    small = plain(crop=32, short_edges=(96,), **options)
    return sum(bool((run(*corner_label(), small, seed, any_crop).label_map == 1).any()) for seed in range(60))


def test_a_crop_without_labels_is_drawn_again_unless_the_image_has_other_labels():
    assert labelled() == 60
    assert 0 < labelled(crop_tries=1) < 30
    assert labelled(any_crop=True) == labelled(crop_tries=1)


def test_an_image_without_any_label_ends_after_the_tries():
    image, labels = corner_label()
    crop = run(image, np.full_like(labels, 255), plain(crop=32, short_edges=(96,), crop_tries=3), any_crop=False)
    assert (crop.label_map == 255).all()


def test_a_crop_knows_what_share_of_the_not_base_pixels_it_keeps():
    """Class 3 is hidden as a novel class is; class 1 is base."""
    image, labels = corner_label()
    labels[60:, 60:] = 3
    small = plain(crop=32, short_edges=(64, 96), flip=True)
    for seed in range(8):
        masked = run(image, np.where(labels == 3, 255, labels).astype(np.uint8), small, seed)
        crop = augment(image, labels, small, np.random.default_rng(seed), any_crop=True, hidden=(3,))
        assert crop.kept == masked.kept
        found = [np.count_nonzero(resize_label(labels, side, side) != 1) for side in (64, 96)]
        assert crop.kept in [np.count_nonzero(crop.label_map.numpy() != 1) / count for count in found]
    assert run(image, labels, plain(crop=96, short_edges=(96,))).kept == 1
    assert run(image, np.ones_like(labels), small).kept == 0


def test_jitter_leaves_geometry_and_labels_alone():
    image, labels = positions(60, 70)
    for seed in range(10):
        with_jitter, without = (run(image, labels, plain(color_jitter=on, crop=40), seed) for on in (True, False))
        assert torch.equal(with_jitter.label_map, without.label_map)
        assert torch.equal(with_jitter.padding, without.padding)
        assert (with_jitter.image[:, with_jitter.padding] == 128).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_jitter_maps_colours_wherever_they_are(seed):
    """Rows are of 64 pixels, since OpenCV computes the rest of a row, less than a vector, with other rounding."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (3, 64, 3)).astype(np.uint8)
    order = rng.permutation(3 * 64)
    jittered = color_jitter(image, np.random.default_rng(seed))
    shuffled = color_jitter(image.reshape(-1, 3)[order].reshape(image.shape), np.random.default_rng(seed))
    assert np.array_equal(jittered.reshape(-1, 3)[order], shuffled.reshape(-1, 3))
    assert (jittered.dtype, jittered.shape) == (np.uint8, image.shape)


def jittered(colour, draws=400) -> np.ndarray:
    """One colour after many jitters, [draws, 3]."""
    pixel = np.full((1, 1, 3), colour, np.uint8)
    return np.stack([color_jitter(pixel, np.random.default_rng(seed))[0, 0] for seed in range(draws)])


def test_hue_wraps_around_red():
    colours = jittered((255, 0, 0))
    hue = cv2.cvtColor(colours[None], cv2.COLOR_RGB2HSV)[0, :, 0].astype(int)
    offset = (hue + 90) % 180 - 90
    assert -35 <= offset.min() < -10 and 10 < offset.max() <= 35  # 18, and more where contrast clips
    assert 0.3 < (np.abs(offset) > 0).mean() < 0.6  # half, but for a shift of 0


def test_brightness_and_contrast_keep_their_ranges_and_clip():
    gray = jittered((100, 100, 100))[:, 0].astype(int)
    assert 34 <= gray.min() < 60 and 150 < gray.max() <= 198
    assert 0.18 < (gray == 100).mean() < 0.32  # neither of the two: a quarter
    assert jittered((255, 255, 255)).min() >= 111
    assert jittered((0, 0, 0)).max() <= 48


def test_saturation_keeps_gray_gray_and_moves_colours():
    assert np.ptp(jittered((90, 90, 90)), axis=1).max() == 0
    spread = np.ptp(jittered((200, 150, 150)).astype(int), axis=1)
    assert spread.min() < 40 < 60 < spread.max()


def test_normalisation_uses_the_imagenet_statistics():
    pixel = torch.tensor([124, 116, 104], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 5)
    expected = torch.tensor([(124 - 123.675) / 58.395, (116 - 116.28) / 57.12, (104 - 103.53) / 57.375])
    found = normalise(pixel)
    assert (found.shape, found.dtype) == ((2, 3, 4, 5), torch.float32)
    assert torch.allclose(found[1, :, 3, 2], expected, atol=1e-6)


def test_normalisation_leaves_its_input_alone():
    images = torch.full((1, 3, 2, 2), 100.0)
    assert not torch.equal(normalise(images), images) and (images == 100).all()
