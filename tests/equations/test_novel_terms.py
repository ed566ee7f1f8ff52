"""The terms `exclusive` and `present` within L_comp against plain loops; when and where they count."""

import math
from dataclasses import replace

import pytest
import torch

import simformer.losses.complementary as complementary
from simformer.config.settings import LossSettings, MatchingSettings, SimilaritySettings
from simformer.losses.complementary import absences, ramp
from simformer.losses.matching import match
from simformer.losses.pixel_losses import ABSENT
from simformer.losses.total import SimFormerLoss

NOVEL = (4, 5, 6)


def comp(output, targets, progress=1.0, num_groups=2, **weights):
    """L_comp of two groups of two images, without beta."""
    loss = SimFormerLoss(LossSettings(beta=1, **weights), MatchingSettings(), SimilaritySettings(), NOVEL)
    return loss(output, targets, num_masks=5, num_groups=num_groups, progress=progress)["comp"]


def slow_terms(output, targets, slow, share):
    """Both terms by loops over layers, groups, images, queries and cells; the targets' `kept` is the gate's."""
    matches = match(output.class_logits, output.mask_logits, targets, MatchingSettings())
    has_mask = torch.cat([target.has_mask for target in targets])
    grid = output.mask_logits.shape[-1]
    count = max(1, round(share * grid * grid))
    exclusive = present = 0.0
    for layer in range(len(output.class_logits)):
        for group in (0, 1):
            images = []
            for image in (2 * group, 2 * group + 1):
                places = zip(matches.layer, matches.image, matches.query, matches.row, strict=True)
                queries = [int(q) for x, y, q, row in places if (x, y) == (layer, image) and not has_mask[row]]
                if not queries:
                    continue
                masks = [output.mask_logits[layer, image, q].tolist() for q in queries]
                target = targets[image]
                region = (target.label_map == 255) & ~target.padding
                pixels = [slow.upsample(mask, 16) for mask in masks]
                sums = [sum(map(slow.sigmoid, pixel)) for pixel in zip(*pixels, strict=True)]
                beyond = [max(0.0, s - 1) for s, inside in zip(sums, region.flatten().tolist(), strict=True) if inside]
                cells = [(y, x) for y in range(grid) for x in range(grid) if region[16 // grid * y, 16 // grid * x]]
                absence = 0.0
                if len(cells) >= count:
                    for mask in masks:
                        highest = sorted((mask[y][x] for y, x in cells), reverse=True)[:count]
                        absence += sum(math.log(1 + math.exp(-z)) for z in highest) / count / len(masks)
                gate = min(1.0, max(0.0, (target.kept - 0.5) / 0.5))
                images.append((sum(beyond) / max(1, len(beyond)), gate * absence))
            exclusive += sum(a for a, _ in images) / (len(images) + 1e-5) / 2
            present += sum(b for _, b in images) / (len(images) + 1e-5) / 2
    return exclusive, present


@pytest.mark.parametrize("seed", [0, 2, 3])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_equal_plain_loops(new_batch, slow, seed, share):
    """The share of 0.9 is more than some images' region has."""
    output, targets = new_batch(seed, dtype=torch.float64)
    targets = [replace(target, kept=kept) for target, kept in zip(targets, (1.0, 0.6, 0.4, 0.8), strict=True)]
    plain = comp(output, targets)
    exclusive, present = slow_terms(output, targets, slow, share)
    assert exclusive > 0
    settings = dict(exclusive=2.5, present=1.5, present_share=share)
    assert (comp(output, targets, **settings) - plain).item() == pytest.approx(2.5 * exclusive + 1.5 * present)
    assert (comp(output, targets, exclusive=1) - plain).item() == pytest.approx(exclusive)
    ungated = slow_terms(output, [replace(target, kept=1.0) for target in targets], slow, share)[1]
    settings = dict(present=1, present_share=share, present_gate=False)
    assert (comp(output, targets, **settings) - plain).item() == pytest.approx(ungated)


@pytest.mark.parametrize(
    ("progress", "expected"), [(0, 0), (0.2, 0), (0.35, 0.5), (0.5, 1), (0.9, 1)], ids=lambda value: str(value)
)
def test_both_rise_from_the_start_of_the_ramp_to_its_end(new_batch, progress, expected):
    output, targets = new_batch(dtype=torch.float64, labels=[4, 5])
    terms = dict(exclusive=2.0, present=3.0)
    plain, full = comp(output, targets), comp(output, targets, ramp=(0, 0), **terms)
    found = comp(output, targets, progress=progress, **terms)
    torch.testing.assert_close(found, plain + expected * (full - plain))
    if not expected:
        assert torch.equal(found, plain)
    assert ramp(progress, 0.2, 0.5) == pytest.approx(expected)
    assert ramp(progress, 0.4, 0.4) == (progress >= 0.4)


def test_overlap_costs_each_novel_mask_and_one_mask_alone_is_free(new_batch):
    """Gradient descent lowers all masks that overlap; Eq. 4 has a gradient for the highest alone."""
    output, targets = new_batch(layers=1, images=2, dtype=torch.float64, labels=[4, 6])
    output.mask_logits.data.fill_(2.0)
    lone = comp(output, targets, 1.0, 1, focal=0, dice=0, exclusive=1)
    lone.backward()
    matches = match(output.class_logits, output.mask_logits, targets, MatchingSettings(focal=0, dice=0))
    touched = output.mask_logits.grad[0].flatten(2).sum(-1)
    for image in range(2):
        novel = matches.query[matches.label_only[image]].tolist()
        assert (touched[image, novel] > 0).all() and (touched[image] != 0).sum() == 2
    single = new_batch(layers=1, images=2, dtype=torch.float64, labels=[4])
    assert comp(*single, 1.0, 1, focal=0, dice=0, exclusive=1) == 0


def test_images_without_a_not_base_region_have_neither(new_batch):
    output, targets = new_batch(layers=1, images=2, dtype=torch.float64, labels=[4, 6])
    full = [replace(t, label_map=torch.zeros_like(t.label_map), padding=torch.zeros_like(t.padding)) for t in targets]
    found = comp(output, full, 1.0, 1, focal=0, dice=0, exclusive=1, present=1)
    found.backward()
    assert found == 0 and output.mask_logits.grad.isfinite().all()


def test_absent_proposals_do_not_count():
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    logits[0, 2] = ABSENT
    matched = torch.tensor([[True, True, False], [True, True, True]])
    region = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.7
    found = absences(logits, matched, region, 0.2)
    assert found[0] == absences(logits[:1, :2], matched[:1, :2], region[:1], 0.2)[0]


def test_the_loss_without_them_is_not_touched(new_batch, monkeypatch):
    output, targets = new_batch(labels=[4, 5])
    plain = comp(output, targets)
    monkeypatch.setattr(complementary, "absences", None)
    assert torch.equal(comp(output, targets, present_share=0.5, ramp=(0.0, 0.1)), plain)
