"""Focal and dice, and L_mask, against plain loops and the numbers of the released MaskFormer."""

import pytest
import torch

from simformer.config.settings import MatchingSettings
from simformer.losses import chunks
from simformer.losses.focal_dice import focal_dice, focal_dice_pairwise
from simformer.losses.mask import count_masks, mask_losses
from simformer.losses.matching import match
from simformer.losses.pixel_losses import ABSENT, pixel_losses

LOGITS = torch.tensor([[-2.0, -1.0, 0.0, 0.5], [1.0, 2.0, -0.5, 0.0]])
MASKS = torch.tensor([[0, 0, 1, 1], [1, 1, 0, 0]], dtype=torch.bool)


def test_reference_numbers():
    """Values measured on the released MaskFormer code."""
    focal, dice = focal_dice(LOGITS, MASKS)
    assert focal.mean().item() == pytest.approx(0.0331652, abs=1e-6)
    assert dice.mean().item() == pytest.approx(0.2555856, abs=1e-6)
    focal, dice = (cost[0] for cost in focal_dice_pairwise(LOGITS[None], MASKS[None]))
    expected = torch.tensor([[0.0196403, 0.2502526], [0.4754086, 0.0466902]])
    torch.testing.assert_close(focal, expected, atol=1e-6, rtol=0)
    expected = torch.tensor([[0.2806022, 0.6061972], [0.4981084, 0.2305691]])
    torch.testing.assert_close(dice, expected, atol=1e-6, rtol=0)


def test_plain_loops(slow):
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(3, 20, generator=generator, dtype=torch.float64)
    masks = torch.rand(3, 20, generator=generator) < 0.3
    for row, mask, f, d in zip(logits, masks, *focal_dice(logits, masks), strict=True):
        assert f.item() == pytest.approx(slow.focal(row.tolist(), mask.tolist()))
        assert d.item() == pytest.approx(slow.dice(row.tolist(), mask.tolist()))


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    for masks in (torch.tensor([[True, False]]), torch.tensor([[False, True]])):
        sum(focal_dice(logits, masks)).sum().backward()
        assert logits.grad.isfinite().all()


@pytest.fixture
def matched(new_batch):
    output, targets = new_batch(dtype=torch.float64)
    matches = match(output.class_logits, output.mask_logits, targets, MatchingSettings())
    chosen = matches.with_mask
    masks = torch.cat([t.masks for t in targets])[matches.row[chosen]]
    logits = output.mask_logits[matches.layer, matches.image, matches.query][chosen].detach().requires_grad_()
    return logits, masks, matches.layer[chosen], targets


@pytest.mark.parametrize(("num_masks", "num_groups"), [(11, 2), (1, 2), (40, 8)])
def test_sum_over_masks_and_divisor(matched, slow, num_masks, num_groups):
    logits, masks, layer, _ = matched
    focal, dice = [0.0] * 3, [0.0] * 3
    for z, mask, l in zip(logits.tolist(), masks, layer.tolist(), strict=True):  # noqa: E741
        pixels = slow.upsample(z, 16)
        focal[l] += slow.focal(pixels, mask.flatten().tolist()) / max(1, num_masks / num_groups) / num_groups
        dice[l] += slow.dice(pixels, mask.flatten().tolist()) / max(1, num_masks / num_groups) / num_groups
    actual = mask_losses(logits, masks, layer, 3, num_masks, num_groups)
    assert actual[0].tolist() == pytest.approx(focal)
    assert actual[1].tolist() == pytest.approx(dice)


def test_count_masks_counts_base_classes_only(matched):
    targets = matched[-1]
    assert count_masks(targets) == sum(len(set(t.label_map.unique().tolist()) - {255}) for t in targets)


def test_no_mask_gives_zero_and_zero_gradient(new_batch):
    output, _ = new_batch()
    empty = torch.zeros(0, dtype=torch.int64)
    logits = output.mask_logits[empty, empty, empty]
    focal, dice = mask_losses(logits, torch.zeros(0, 16, 16, dtype=torch.bool), empty, 3, 0, 2)
    assert focal.tolist() == dice.tolist() == [0, 0, 0]
    (focal.sum() + dice.sum()).backward()
    assert not output.mask_logits.grad.any()


def test_chunks_change_nothing(matched, monkeypatch):
    logits, masks, layer, _ = matched

    def run():
        focal, dice = mask_losses(logits, masks, layer, 3, 9, 2)
        return (focal, dice, *torch.autograd.grad((20 * focal + dice).sum(), logits))

    whole = run()
    monkeypatch.setattr(chunks, "PIXELS_AT_ONCE", 3 * 256)
    for a, b in zip(whole, run(), strict=True):
        torch.testing.assert_close(a, b)


def test_single_precision_under_autocast(matched):
    logits, masks, layer, _ = matched
    rounded = logits.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = mask_losses(rounded, masks, layer, 3, 9, 2)
    for a, b in zip(mixed, mask_losses(rounded.float(), masks, layer, 3, 9, 2), strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=1e-3, atol=0)


@pytest.mark.parametrize("proposals", [1, 3])
@pytest.mark.parametrize("floor", [-float("inf"), -1.5])
@pytest.mark.parametrize("weights", [None, (2.0, 0.5, 3.0)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.02), (torch.float16, 0.004)])
def test_the_path_of_half_precision_has_the_losses_and_gradients_of_the_other(
    proposals, floor, weights, dtype, tolerance
):
    generator = torch.Generator().manual_seed(0)
    rounded = (3 * torch.randn(5, proposals, 6, 9, generator=generator)).to(dtype)
    masks = torch.rand(5, 24, 36, generator=generator) < 0.3
    masks[0], masks[1] = False, True
    outer = torch.rand((5,) if weights else (5, 2), generator=generator)
    results = []
    for logits in (rounded.clone(), rounded.float()):
        losses = pixel_losses(logits.requires_grad_(), masks, floor, weights)
        (outer * losses).sum().backward()
        results.append((losses, logits.grad.float()))
    (losses, gradient), (expected, by_autograd) = results
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, expected, rtol=tolerance, atol=tolerance)
    assert (gradient - by_autograd).abs().max() < 3 * tolerance * by_autograd.abs().max()
    assert (gradient - by_autograd).norm() < tolerance * by_autograd.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_proposals_that_are_not_there_change_nothing(dtype, monkeypatch):
    """Rows of one, two and three proposals, a row at a time and together."""
    generator = torch.Generator().manual_seed(0)
    logits, masks = torch.randn(3, 3, 4, 4, generator=generator), torch.rand(3, 16, 16, generator=generator) < 0.5
    for row in range(3):
        logits[row, row + 1 :] = ABSENT
    for pixels in (1, chunks.PIXELS_IN_CACHE):
        monkeypatch.setattr(chunks, "PIXELS_IN_CACHE", pixels)
        leaf = logits.to(dtype, copy=True).requires_grad_()
        losses = pixel_losses(leaf, masks, -1.0, (2.0, 0.5, 3.0))
        losses.sum().backward()
        for row in range(3):
            alone = logits[row : row + 1, : row + 1].to(dtype, copy=True).requires_grad_()
            expected = pixel_losses(alone, masks[row : row + 1], -1.0, (2.0, 0.5, 3.0))
            expected.sum().backward()
            torch.testing.assert_close(losses[row], expected[0])
            torch.testing.assert_close(leaf.grad[row, : row + 1], alone.grad[0])
            assert not leaf.grad[row, row + 1 :].any()


@pytest.mark.parametrize("size", [1, 2, 7])
def test_rows_at_once_change_nothing_in_half_precision(size, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    logits, masks = torch.randn(7, 2, 4, 4, generator=generator), torch.rand(7, 16, 16, generator=generator) < 0.5
    results = []
    for pixels in (size * 2 * 256, chunks.PIXELS_IN_CACHE):
        monkeypatch.setattr(chunks, "PIXELS_IN_CACHE", pixels)
        leaf = logits.bfloat16().requires_grad_()
        losses = pixel_losses(leaf, masks, -1.0)
        losses.sum().backward()
        results.append((losses, leaf.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("weights", [None, (2.0, 0.5, 3.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_without_rows_there_is_nothing_to_lose(weights, dtype):
    """As in a pass whose images have no novel class."""
    logits = torch.zeros(0, 1, 4, 4, dtype=dtype, requires_grad=True)
    losses = pixel_losses(logits, torch.zeros(0, 16, 16, dtype=torch.bool), -1.0, weights)
    losses.sum().backward()
    assert losses.shape == ((0,) if weights else (0, 2)) and losses.dtype == torch.float32
    assert logits.grad.shape == logits.shape


def test_half_precision_stays_finite_at_extreme_logits_and_without_rows():
    logits = torch.tensor([[-300.0, 300.0], [300.0, -300.0]]).bfloat16().expand(2, 1, 2, 2).requires_grad_()
    masks = torch.eye(2, dtype=torch.bool).expand(2, 2, 2)
    losses = pixel_losses(logits, masks)
    losses.sum().backward()
    assert losses.isfinite().all()
    assert pixel_losses(logits[:0], masks[:0]).shape == (0, 2)
