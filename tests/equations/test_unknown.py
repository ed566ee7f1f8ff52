"""A class that is unknown in an image: masked in every loss, neither present nor absent."""

from dataclasses import replace

import pytest
import torch

from simformer.config.settings import LossSettings, MatchingSettings, SimilaritySettings
from simformer.data.targets import make_target
from simformer.losses.matching import match
from simformer.losses.pixel_losses import pixel_losses
from simformer.losses.total import SimFormerLoss

NOVEL = (4, 5, 6)
PLUS = {"exclusive": 2.5, "present": 1.0, "present_share": 0.1, "ramp": (0.0, 0.0)}


def terms(output, targets, **weights):
    """Terms of two groups of two images, without SimNet, and their gradients by the logits."""
    loss = SimFormerLoss(LossSettings(beta=1, **weights), MatchingSettings(), SimilaritySettings(), NOVEL)
    found = loss(output, targets, num_masks=5, num_groups=2)
    by = {}
    for name in ("cls", "comp"):
        inputs = [output.class_logits, output.mask_logits]
        by[name] = torch.autograd.grad(found[name], inputs, retain_graph=True, allow_unused=True)
    return {name: term.item() for name, term in found.items()}, by


def unmatched(output, targets):
    """Whether nothing is matched with a query, bool [L, B, N]."""
    matches = match(output.class_logits, output.mask_logits, targets, MatchingSettings())
    free = torch.ones(output.class_logits.shape[:3], dtype=torch.bool)
    free[matches.layer, matches.image, matches.query] = False
    return free


@pytest.fixture
def batch(new_batch):
    """Images that show class 4, of which the first does not tell about 5; 6 is absent in all."""
    output, targets = new_batch(labels=[4])
    return output, [replace(targets[0], unknown=(5,)), *targets[1:]]


def changed(output, place, by):
    """The output with other class logits in one place."""
    logits = output.class_logits.detach().clone()
    logits[place] += by
    return type(output)(**vars(output) | {"class_logits": logits.requires_grad_()})


def test_a_query_without_a_match_learns_nothing_of_an_unknown_class(batch):
    output, targets = batch
    free = unmatched(output, targets)
    gradient = terms(output, targets)[1]["cls"][0]
    assert free[:, 0].any()
    assert not gradient[:, 0, :, 5][free[:, 0]].any()
    assert (gradient[:, 0, :, 6][free[:, 0]] > 0).all()  # an absent one is pushed down
    assert (gradient[:, 1, :, 5][free[:, 1]] > 0).all()  # as is the same class where it is known to be absent
    assert (gradient[:, 0, :, 5][~free[:, 0]] > 0).all()  # a matched query is of its own class and of no other


@pytest.mark.parametrize("shift", [-3.0, 0.5])
def test_no_unmatched_logit_of_an_unknown_class_changes_the_loss(batch, shift):
    output, targets = batch
    layer, query = unmatched(output, targets)[:, 0].nonzero()[0].tolist()
    other = changed(output, (layer, 0, query, 5), shift)
    assert match_of(other, targets) == match_of(output, targets)
    assert terms(other, targets)[0] == terms(output, targets)[0]
    known = [replace(target, unknown=()) for target in targets]
    assert terms(other, known)[0]["cls"] != terms(output, known)[0]["cls"]


def match_of(output, targets):
    matches = match(output.class_logits, output.mask_logits, targets, MatchingSettings())
    return [getattr(matches, name).tolist() for name in ("layer", "image", "query", "row", "class_id")]


def test_an_unknown_class_is_matched_with_nothing_and_leaves_the_other_matches_as_they_are(batch):
    output, targets = batch
    known = [replace(target, unknown=()) for target in targets]
    assert match_of(output, targets) == match_of(output, known)
    matches = match(output.class_logits, output.mask_logits, targets, MatchingSettings())
    assert 5 not in matches.class_id
    assert matches.novel_ids == tuple(frozenset({4}) for _ in targets)


def test_present_absent_and_unknown_differ_and_other_images_do_not_change(batch):
    output, targets = batch
    absent = [replace(target, unknown=()) for target in targets]
    shows = make_target(targets[0].label_map, targets[0].padding, [4, 5])
    found = [terms(output, [first, *targets[1:]]) for first in (absent[0], targets[0], shows)]
    for name in ("cls", "comp"):
        assert len({values[name] for values, _ in found}) == 3, name
        for (_, one), (_, other) in ((found[0], found[1]), (found[1], found[2])):
            for mine, its in zip(one[name], other[name], strict=True):
                if mine is not None:
                    assert torch.equal(mine[:, 2:], its[:, 2:])  # the other group
    assert found[0][0]["focal"] == found[1][0]["focal"]
    assert found[0][0]["dice"] == found[1][0]["dice"]


def test_what_no_base_mask_covers_may_be_of_the_unknown_class(batch):
    output, targets = batch
    gradient = terms(output, targets)[1]["comp"][1]
    matches = match(output.class_logits, output.mask_logits, targets, MatchingSettings())
    region = (targets[0].label_map == 255) & ~targets[0].padding
    inside = region.view(4, 4, 4, 4).permute(0, 2, 1, 3).flatten(2).all(-1)
    around = torch.nn.functional.max_pool2d((~inside).float()[None], 3, 1, 1)[0] == 0  # beyond the reach of bilinear
    outside = ~region.view(4, 4, 4, 4).permute(0, 2, 1, 3).flatten(2).any(-1)
    for position in matches.label_only.flatten().tolist():
        layer, image, query = matches.layer[position], matches.image[position], matches.query[position]
        if image == 0:
            assert not gradient[layer, 0, query][around].any()
            assert (gradient[layer, 0, query][outside] >= 0).all()  # off the base masks, as ever
            assert (gradient[layer, 0, query][outside] > 0).any()


def test_the_terms_against_overlap_hold_as_they_are(batch):
    output, targets = batch
    known = [replace(target, unknown=()) for target in targets]
    added = [terms(output, t, **PLUS)[0]["comp"] - terms(output, t)[0]["comp"] for t in (targets, known)]
    assert added[0] == pytest.approx(added[1], rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("weights", [None, (20.0, 1.0, 2.5)])
def test_granted_masks_count_as_covered_on_both_paths(dtype, weights):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(6, 2, 4, 4, generator=generator).to(dtype)
    masks = torch.rand(6, 16, 16, generator=generator) < 0.5
    granted = torch.tensor([True, False, True, False, False, True])
    plain, some = (pixel_losses(logits, masks, -2.0, weights, mine) for mine in (None, granted))
    torch.testing.assert_close(some[~granted], plain[~granted])
    assert (some[granted] < plain[granted]).all()
    wide = logits.float().requires_grad_()
    narrow = logits.requires_grad_()
    for tensor in (wide, narrow):
        pixel_losses(tensor, masks, -2.0, weights, granted).sum().backward()
    torch.testing.assert_close(narrow.grad.float(), wide.grad, atol=5e-2, rtol=2e-2)
