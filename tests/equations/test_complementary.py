"""L_comp (Eq. 4) against a plain loop, and where its gradient goes."""

import math
from dataclasses import replace

import pytest
import torch

from simformer.config.settings import LossSettings, MatchingSettings
from simformer.losses import chunks
from simformer.losses.complementary import complementary_loss
from simformer.losses.matching import match

SETTINGS = LossSettings(gamma=0.1)
IGNORE_LOGIT = math.log(0.1 / 0.9)


def run(output, targets, group_images=2, num_groups=2, **costs):
    matches = match(output.class_logits, output.mask_logits, targets, MatchingSettings(**costs))
    logits = output.mask_logits[matches.layer, matches.image, matches.query]
    not_base = torch.stack([~t.masks.any(0) & ~t.padding for t in targets])
    layers = len(output.class_logits)
    loss = complementary_loss(logits, matches, not_base, layers, SETTINGS, group_images, num_groups)
    return loss, matches


def novel_queries(matches, targets, layer, image):
    """Queries of one layer and image that are matched to a class without a mask."""
    has_mask = torch.cat([t.has_mask for t in targets])
    return [
        int(q)
        for level, i, q, row in zip(matches.layer, matches.image, matches.query, matches.row, strict=True)
        if (level, i) == (layer, image) and not has_mask[row]
    ]


def slow_loss(output, targets, matches, slow, group_images, num_groups):
    layers, images = output.class_logits.shape[:2]
    losses = [0.0] * layers
    for layer in range(layers):
        for first in range(0, images, group_images):
            values = []
            for image in range(first, first + group_images):
                queries = novel_queries(matches, targets, layer, image)
                if not queries:
                    continue
                grids = [slow.upsample(output.mask_logits[layer, image, q].tolist(), 16) for q in queries]
                union = [max(*column, IGNORE_LOGIT) for column in zip(*grids, strict=True)]
                target = targets[image]
                region = ((target.label_map == 255) & ~target.padding).flatten().tolist()
                values.append(20 * slow.focal(union, region) + slow.dice(union, region))
            losses[layer] += sum(values) / (len(values) + 1e-5) / num_groups
    return losses


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_plain_loop(new_batch, slow, seed):
    output, targets = new_batch(seed, dtype=torch.float64)
    loss, matches = run(output, targets)
    assert loss.tolist() == pytest.approx(slow_loss(output, targets, matches, slow, 2, 2))


def test_fewer_queries_than_classes(new_batch, slow):
    """Some novel classes, and in some layers all of an image, stay unmatched."""
    output, targets = new_batch(3, queries=2, dtype=torch.float64, labels=[5])
    loss, matches = run(output, targets, focal=0, dice=0)
    assert 0 < len(matches.label_only) < 12
    assert loss.tolist() == pytest.approx(slow_loss(output, targets, matches, slow, 2, 2))


def test_images_without_a_novel_class_are_skipped(new_batch):
    output, targets = new_batch(labels=[])
    loss, _ = run(output, targets)
    assert loss.tolist() == [0, 0, 0]
    loss.sum().backward()
    assert not output.mask_logits.grad.any()


def test_padding_is_a_negative(new_batch, blank_target):
    """On an image of padding only, a larger novel score costs more."""
    output, _ = new_batch(images=1, layers=1, labels=[])
    target = replace(blank_target, class_ids=torch.tensor([4]), has_mask=torch.tensor([False]))
    loss, _ = run(output, [target], 1, 1)
    loss.sum().backward()
    assert (output.mask_logits.grad >= 0).all() and output.mask_logits.grad.any()


def test_gradient_reaches_only_the_largest_novel_query_above_gamma(new_batch):
    output, targets = new_batch(layers=1, images=2, dtype=torch.float64, labels=[4, 6])
    with torch.no_grad():  # constant maps: upsampling keeps them, so queries can be told apart exactly
        output.mask_logits.copy_(output.mask_logits.mean((-1, -2), keepdim=True).expand_as(output.mask_logits))
    _, matches = run(output, targets)
    for image in range(2):
        first, second = novel_queries(matches, targets, 0, image)
        output.mask_logits.data[0, image, first] = 1.0
        output.mask_logits.data[0, image, second] = 0.5 if image == 0 else IGNORE_LOGIT - 1
    logits = output.mask_logits[matches.layer, matches.image, matches.query]
    not_base = torch.stack([~t.masks.any(0) & ~t.padding for t in targets])
    complementary_loss(logits, matches, not_base, 1, SETTINGS, 2, 1).sum().backward()
    touched = output.mask_logits.grad[0].abs().sum((-1, -2)) > 0
    for image in range(2):
        assert touched[image].nonzero().flatten().tolist() == [novel_queries(matches, targets, 0, image)[0]]

    output.mask_logits.grad = None
    output.mask_logits.data.fill_(IGNORE_LOGIT - 0.1)
    logits = output.mask_logits[matches.layer, matches.image, matches.query]
    complementary_loss(logits, matches, not_base, 1, SETTINGS, 2, 1).sum().backward()
    assert not output.mask_logits.grad.any()


def test_chunks_change_nothing(new_batch, monkeypatch):
    output, targets = new_batch(dtype=torch.float64, labels=[4, 5])
    whole, _ = run(output, targets)
    gradient = torch.autograd.grad(whole.sum(), output.mask_logits)[0]
    monkeypatch.setattr(chunks, "PIXELS_AT_ONCE", 1)
    parts, _ = run(output, targets)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(torch.autograd.grad(parts.sum(), output.mask_logits)[0], gradient)
