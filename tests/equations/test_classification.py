"""L_cls against a plain loop."""

import math

import pytest
import torch

from simformer.config.settings import MatchingSettings
from simformer.losses.classification import classification_loss
from simformer.losses.matching import match


def matches_of(output, targets):
    return match(output.class_logits, output.mask_logits, targets, MatchingSettings())


def slow_loss(output, matches, no_object, group_images, num_groups):
    layers, images, queries, columns = output.class_logits.shape
    classes = {
        place: int(c)
        for *place, c in zip(matches.layer, matches.image, matches.query, matches.class_id, strict=True)
        for place in [tuple(map(int, place))]
    }
    losses = [0.0] * layers
    for layer in range(layers):
        for first in range(0, images, group_images):
            value = mass = 0.0
            for image in range(first, first + group_images):
                for query in range(queries):
                    row = output.class_logits[layer, image, query].tolist()
                    label = classes.get((layer, image, query), columns - 1)
                    weight = no_object if label == columns - 1 else 1.0
                    value += weight * (math.log(sum(map(math.exp, row))) - row[label])
                    mass += weight
            losses[layer] += value / mass / num_groups
    return losses


@pytest.mark.parametrize("group_images", [1, 2, 4])
def test_equals_a_plain_loop(new_batch, group_images):
    output, targets = new_batch()
    matches = matches_of(output, targets)
    expected = slow_loss(output, matches, 0.1, group_images, 4 // group_images)
    actual = classification_loss(output.class_logits, matches, 0.1, group_images, 4 // group_images)
    assert actual.tolist() == pytest.approx(expected, rel=1e-5)


def test_images_without_a_class_teach_no_object(new_batch, blank_target):
    output, _ = new_batch(images=2)
    matches = matches_of(output, [blank_target, blank_target])
    actual = classification_loss(output.class_logits, matches, 0.1, 2, 1)
    expected = -output.class_logits.log_softmax(-1)[..., -1].mean((1, 2))
    torch.testing.assert_close(actual, expected)


def test_half_precision_logits_give_a_single_precision_loss(new_batch):
    output, targets = new_batch()
    matches = matches_of(output, targets)
    rounded = output.class_logits.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        actual = classification_loss(rounded, matches, 0.1, 2, 2)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, classification_loss(rounded.float(), matches, 0.1, 2, 2))
