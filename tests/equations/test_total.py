"""Eq. 5: what the terms are made of, and that a step may be split at will."""

import copy

import pytest
import torch

import simformer.losses.total
from simformer.config.settings import LossSettings, MatchingSettings, SimilaritySettings
from simformer.losses.mask import count_masks
from simformer.losses.sampling import gather_points
from simformer.losses.similarity import PairBalance, class_scores
from simformer.losses.total import SimFormerLoss, total
from simformer.models.simnet import SimNet
from tests.equations.one_pair import distillation_loss, sample_base_points, sample_novel_points, similarity_loss

NOVEL = (4, 5, 6)
SIMILARITY = SimilaritySettings(points=8, balance_stride=2)


def new_loss(loss=None, group_images=2, similarity=SIMILARITY):
    return SimFormerLoss(loss or LossSettings(), MatchingSettings(), similarity, NOVEL, group_images)


def new_simnet(dtype=torch.float64):
    torch.manual_seed(0)
    return SimNet(8, 16).to(dtype).train()


def part(output, targets, images):
    """The given images of a batch, cut from the same leaves."""
    cut = copy.copy(output)
    cut.class_logits, cut.mask_logits = output.class_logits[:, images], output.mask_logits[:, images]
    cut.embeddings = output.embeddings[images]
    return cut, targets[images]


def run(new_batch, splits, steps=2):
    """Loss terms and gradients of two steps over 4 groups, in calls over the given numbers of groups."""
    loss, simnet, results = new_loss(), new_simnet(), []
    for step in range(steps):
        output, targets = new_batch(seed=step, images=8, dtype=torch.float64)
        terms, first = {}, 0
        for groups in splits:
            cut = part(output, targets, slice(2 * first, 2 * (first + groups)))
            seeds = range(100 * step + first, 100 * step + first + groups)
            arguments = dict(simnet=simnet, seeds=seeds, first_slot=first, num_groups=4)
            contribution = loss(*cut, num_masks=count_masks(targets), **arguments)
            total(contribution).backward()
            terms = {name: terms.get(name, 0) + value.detach() for name, value in contribution.items()}
            first += groups
        results += [terms, output.class_logits.grad, output.mask_logits.grad]
    results += [{n: p.grad for n, p in simnet.named_parameters()}, dict(simnet.named_buffers())]
    return results, loss.state_dict()


@pytest.mark.parametrize("splits", [(1, 3), (2, 2), (1, 1, 1, 1)])
def test_a_split_step_adds_up_to_the_whole(new_batch, splits):
    whole, state = run(new_batch, (4,))
    assert set(whole[0]) == {"cls", "focal", "dice", "comp", "sim", "dist"}
    assert all(value != 0 for value in whole[0].values())
    parts, parts_state = run(new_batch, splits)
    torch.testing.assert_close(parts, whole, rtol=1e-10, atol=1e-12)
    assert parts_state == state and list(state) == ["0", "1", "2", "3"]


def test_pairs_at_once_are_as_pairs_one_after_the_other(new_batch, monkeypatch):
    """As on a GPU. Only SimNet's running statistics, which training does not read, see the calls in another order."""
    single, state = run(new_batch, (4,))
    monkeypatch.setattr(simformer.losses.total, "_pairs_at_once", lambda device, pairs: pairs)
    together, other_state = run(new_batch, (4,))
    assert len(single.pop()) == len(together.pop()) == 18  # the statistics
    torch.testing.assert_close(together, single, rtol=1e-10, atol=1e-12)
    assert other_state == state


def test_state_can_be_stored(new_batch):
    output, targets = new_batch(images=4, dtype=torch.float64)
    arguments = dict(num_masks=5, num_groups=2, seeds=(1, 2))
    first, second = new_loss(), new_loss()
    first(output, targets, simnet=new_simnet(), **arguments)
    second(output, targets, simnet=new_simnet(), first_slot=5, **arguments)
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict()
    a = first(output, targets, simnet=new_simnet(), **arguments)
    assert torch.equal(a["sim"], second(output, targets, simnet=new_simnet(), **arguments)["sim"])
    assert not torch.equal(a["sim"], new_loss()(output, targets, simnet=new_simnet(), **arguments)["sim"])


def test_terms_carry_their_weights(new_batch):
    output, targets = new_batch(images=4, dtype=torch.float64)
    arguments = dict(num_masks=5, num_groups=2, seeds=(1, 2))
    ones = dict(cls=1, sim=1, alpha=1, beta=1)
    plain = new_loss(LossSettings(**ones))(output, targets, simnet=new_simnet(), **arguments)
    weighted = LossSettings(cls=2, sim=3, alpha=4, beta=5)
    weighted = new_loss(weighted)(output, targets, simnet=new_simnet(), **arguments)
    for name, factor in dict(cls=2, focal=1, dice=1, comp=5, sim=3, dist=4).items():
        torch.testing.assert_close(weighted[name], factor * plain[name])
    torch.testing.assert_close(total(weighted), sum(weighted.values()))


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (dict(alpha=0), {"cls", "focal", "dice", "comp", "sim"}),
        (dict(alpha=0, sim=0), {"cls", "focal", "dice", "comp"}),
        (dict(beta=0), {"cls", "focal", "dice", "sim", "dist"}),
        (dict(cls=0), {"focal", "dice", "comp", "sim", "dist"}),
        (dict(focal=0, dice=0, beta=0), {"cls", "sim", "dist"}),
    ],
)
def test_terms_of_weight_zero_are_left_out(new_batch, settings, names):
    output, targets = new_batch(images=2, dtype=torch.float64)
    loss = new_loss(LossSettings(**settings))
    terms = loss(output, targets, num_masks=3, num_groups=1, simnet=new_simnet(), seeds=(1,))
    assert set(terms) == names


def test_without_simnet_there_is_no_transfer(new_batch):
    output, targets = new_batch(images=3)
    loss = new_loss(group_images=3)
    assert set(loss(output, targets, num_masks=3, num_groups=1)) == {"cls", "focal", "dice", "comp"}


def test_distillation_needs_a_common_novel_class(new_batch):
    output, targets = new_batch(images=4, dtype=torch.float64, labels=[4])
    other = new_batch(images=4, labels=[5])[1]
    arguments = dict(num_masks=5, num_groups=1, seeds=(1,), simnet=new_simnet())
    cut, pair = part(output, targets, slice(0, 2))
    assert new_loss()(cut, pair, **arguments)["dist"] > 0
    assert new_loss()(cut, [targets[0], other[1]], **arguments)["dist"] == 0


def test_transfer_terms_are_made_of_their_parts(new_batch):
    """Second pair of a call: its own seed, common classes, labels and padding at the grid, last layer."""
    output, targets = new_batch(images=4, dtype=torch.float64, labels=[4, 6])
    arguments = dict(num_masks=5, num_groups=7, seeds=(1, 2))
    loss, weights = new_loss(), LossSettings()
    terms = loss(output, targets, simnet=new_simnet(), **arguments)
    simnet, sim, dist = new_simnet(), 0, 0
    for pair, seed in ((slice(0, 2), 1), (slice(2, 4), 2)):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.stack([t.label_map[::4, ::4].flatten() for t in targets[pair]])
        padding = torch.stack([t.padding[::4, ::4].flatten() for t in targets[pair]])
        common = frozenset.intersection(*(frozenset(t.class_ids[t.has_mask].tolist()) for t in targets[pair]))
        points = sample_base_points(labels, padding, common, SIMILARITY, generator)
        features = gather_points(output.embeddings[pair].flatten(2), points)
        sim += similarity_loss(features, labels.gather(1, points), simnet, PairBalance(25, 2))
        points = sample_novel_points(labels, padding, SIMILARITY, generator)
        features = gather_points(output.embeddings[pair].flatten(2), points)
        mask_logits = gather_points(output.mask_logits[-1, pair].flatten(2), points)
        scores = class_scores(output.class_logits[-1, pair], mask_logits, torch.tensor(NOVEL))
        dist += distillation_loss(scores, features, simnet, SIMILARITY)
    torch.testing.assert_close(terms["sim"], sim / 7)
    torch.testing.assert_close(terms["dist"], weights.alpha * dist / 7)


def test_gradient_of_the_transfer(new_batch):
    """L_sim and L_dist see the last decoder layer only, and neither moves the pixel embeddings."""
    output, targets = new_batch(images=2, dtype=torch.float64, labels=[4])
    simnet = new_simnet()
    terms = new_loss()(output, targets, num_masks=3, num_groups=1, simnet=simnet, seeds=(1,))
    terms["dist"].backward(retain_graph=True)
    assert all(p.grad is None for p in simnet.parameters())
    assert not output.class_logits.grad[:-1].any() and output.class_logits.grad[-1].any()
    assert not output.mask_logits.grad[:-1].any() and output.mask_logits.grad[-1].any()
    output.class_logits.grad = output.mask_logits.grad = None
    terms["sim"].backward()
    assert output.class_logits.grad is None and output.mask_logits.grad is None
    assert output.embeddings.grad is None and simnet.head.weight.grad.any()


def test_the_similarity_loss_reaches_the_embeddings_if_they_are_attached(new_batch):
    output, targets = new_batch(images=2, dtype=torch.float64, labels=[4])
    loss = new_loss(similarity=SIMILARITY.model_copy(update={"detach": False}))
    terms = loss(output, targets, num_masks=3, num_groups=1, simnet=new_simnet(), seeds=(1,))
    torch.autograd.grad(terms["dist"], output.mask_logits, retain_graph=True)
    assert torch.autograd.grad(terms["dist"], output.embeddings, retain_graph=True, allow_unused=True) == (None,)
    assert torch.autograd.grad(terms["sim"], output.embeddings)[0].any()


def test_blank_images_give_finite_losses(new_batch, blank_target):
    output, _ = new_batch(images=2)
    simnet = new_simnet(torch.float32)
    terms = new_loss()(output, [blank_target] * 2, num_masks=0, num_groups=1, simnet=simnet, seeds=(1,))
    assert terms["focal"] == terms["dice"] == terms["comp"] == terms["sim"] == terms["dist"] == 0
    total(terms).backward()
    assert output.class_logits.grad.isfinite().all() and output.mask_logits.grad.isfinite().all()


def test_autocast_keeps_losses_in_single_precision(new_batch):
    output, targets = new_batch(images=2, labels=[4])
    rounded = copy.copy(output)
    for name in ("class_logits", "mask_logits", "embeddings"):
        setattr(rounded, name, getattr(output, name).detach().bfloat16())
    arguments = dict(num_masks=3, num_groups=1, seeds=(1,))
    plain = new_loss()(output, targets, simnet=new_simnet(torch.float32), **arguments)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = new_loss()(rounded, targets, simnet=new_simnet(torch.float32), **arguments)
    for name, value in mixed.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, plain[name], rtol=0.05, atol=0.05)


def test_images_must_fill_groups(new_batch):
    output, targets = new_batch(images=3)
    with pytest.raises(ValueError, match="groups of 2"):
        new_loss()(output, targets, num_masks=3, num_groups=1)


def test_simnet_needs_pairs_and_seeds(new_batch):
    output, targets = new_batch(images=4)
    arguments = dict(num_masks=3, num_groups=1, simnet=new_simnet(torch.float32))
    with pytest.raises(ValueError, match="pairs|groups of 2"):
        new_loss(group_images=4)(output, targets, seeds=(1,), **arguments)
    with pytest.raises(ValueError, match="seed"):
        new_loss()(output, targets, seeds=(1,), **arguments)
