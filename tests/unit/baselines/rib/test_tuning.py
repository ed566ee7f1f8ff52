"""RIB's fine-tuning (CONTA and RIB: U2, R7, tiers, rules that end it), on tiny features and on every backbone."""

import copy

import pytest
import torch
from torch import nn

from simformer.baselines.classifier import Classifier
from simformer.baselines.rib import tuning
from simformer.baselines.rib.pooling import PRESENT, rib_loss
from simformer.baselines.rib.settings import RibSettings
from simformer.baselines.rib.tuning import STAGES, Plan, cut, fine_tune

SCALES = (1.0, 0.5)
IMAGES, CLASSES, CHANNELS = 4, 5, 6


def network(seed=0):
    torch.manual_seed(seed)
    layers = {"norm": nn.GroupNorm(2, CHANNELS), "conv": nn.Conv2d(CHANNELS, 8, 3, padding=1), "relu": nn.ReLU()}
    made = nn.Sequential()
    for name, layer in layers.items():
        made.add_module(name, layer)
    made.add_module("head", nn.Conv2d(8, CLASSES, 1, bias=False))
    return made


def data(images=IMAGES):
    generator = torch.Generator().manual_seed(1)
    views = [torch.randn(images, 2, CHANNELS, side, side, generator=generator) for side in (8, 4)]
    present = torch.rand(images, CLASSES, generator=generator) < 0.4
    present[:, 0] = True
    more = [
        (
            torch.randn(images, 3, CHANNELS, 8, 8, generator=generator),
            (torch.rand(images, 3, CLASSES, generator=generator) < 0.3).float(),
        )
        for _ in range(10)
    ]
    return views, present, more


def run(settings, images=slice(None), tuned=None):
    views, present, more = data()
    views, present = [v[images] for v in views], present[images]
    plan = Plan.of(settings, SCALES)
    others = lambda k: (more[k][0][images], more[k][1][images]) if settings.other_images else None  # noqa: E731
    return fine_tune(tuned or network(), views, present, present.float(), others, settings, plan)


def settings(**changes):
    return RibSettings(**{"lr": 0.02, "other_images": 3} | changes)


def test_u2_images_side_by_side_are_those_one_by_one():
    together = run(settings())
    alone = [run(settings(), slice(m, m + 1))[0] for m in range(IMAGES)]
    for a, b in zip(together, alone, strict=True):
        for x, y in zip(a.maps, b.maps, strict=True):
            assert (x - y).abs().max() / y.abs().max() < 1e-6
        assert a.logits == pytest.approx(b.logits, rel=1e-5, abs=1e-6)
    swapped = alone[::-1]
    assert all((a.maps[0] - b.maps[0]).abs().max() > 0.1 for a, b in zip(together, swapped, strict=True)), "control"


@pytest.mark.parametrize("objective", ["gndrp", "average", "sigmoid"])
def test_it_is_sgd_on_the_loss_of_one_image(objective):
    """One image by an optimiser and autograd: maps, rates and the update that is left out."""
    chosen = settings(tier="exact", iterations=4, objective=objective)
    (found,) = run(chosen, slice(0, 1))
    views, present, more = data()
    tuned = copy.deepcopy(network())
    groups = [
        {"params": p, "base": chosen.lr * (10 if n.startswith("head") else 1)} for n, p in tuned.named_parameters()
    ]
    optimizer = torch.optim.SGD(groups, lr=1.0, weight_decay=chosen.weight_decay)
    sums = [0.0, 0.0]
    for k in range(4):
        for s, features in enumerate(views):
            plain, mirrored = tuned(features[0]).detach().relu()
            sums[s] = sums[s] + plain + mirrored.flip(-1)
        labels = present[:1].float().expand(2, -1)
        loss = rib_loss([(tuned(views[0][0]), labels), (tuned(more[k][0][0]), more[k][1][0])], objective, chosen.tau)
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * (1 - k / 4) ** 0.9
        optimizer.step()
    for s in range(2):
        assert torch.allclose(found.maps[s], sums[s], rtol=1e-4, atol=1e-5)


def test_the_network_itself_stays_as_it_was():
    tuned = network()
    before = copy.deepcopy(tuned.state_dict())
    run(settings(), tuned=tuned)
    assert all(torch.equal(before[name], tensor) for name, tensor in tuned.state_dict().items())


def test_logits_of_present_classes_rise_and_fall_toward_others():
    rising = run(settings(other_images=0))
    assert all(t.logits[-1] > t.logits[0] for t in rising)
    assert all(t.logits[-1] == pytest.approx(t.logits[0]) for t in run(settings(lr=1e-12, weight_decay=0)))


def test_a_high_logit_stops_its_image_alone():
    free = run(settings(other_images=0))
    limits = sorted(max(t.logits[:-1]) for t in free)
    limit = (limits[-2] + limits[-1]) / 2
    stopped = run(settings(other_images=0, stop_logit=limit))
    ended = [t for t in stopped if t.stopped is not None]
    assert len(ended) == 1 and len(ended[0].logits) == ended[0].stopped + 1
    for a, b in zip(free, stopped, strict=True):
        assert torch.equal(a.maps[0], b.maps[0]) == (b.stopped is None)


def test_a_class_that_covers_too_much_is_summed_no_further():
    free, cautious = run(settings(lr=0.2)), run(settings(lr=0.2, explode_share=0.0, explode_growth=1.0))
    assert not any(t.exploded for t in run(settings(lr=1e-12)))
    found = 0
    for a, b in zip(free, cautious, strict=True):
        for c in range(CLASSES):
            same = torch.equal(a.maps[0][c], b.maps[0][c])
            assert same == (c not in b.exploded)
            assert c not in b.exploded or b.exploded[c] > 0, "the plain maps are always there"
            found += c in b.exploded
    assert found


def test_tiers_evaluate_scales_when_they_say():
    scales = (1.0, 0.5, 1.5, 2.0)
    fast, middle, exact = (Plan.of(RibSettings(tier=t), scales) for t in ("fast", "middle", "exact"))
    assert fast.evaluated == (tuple(range(10)), *[(0, 4, 9)] * 3) and fast.loss == (0,)
    assert middle.evaluated[1] == (0, 3, 6, 9) and middle.loss == (0,)
    assert exact.evaluated == (tuple(range(10)),) * 4 and exact.loss == (0, 2, 3), "0.5 has no loss"


def test_seldom_evaluated_scales_keep_their_weight():
    still = {"lr": 1e-12, "weight_decay": 0.0, "other_images": 0}
    fast, exact = (run(settings(tier=t, **still)) for t in ("fast", "exact"))
    for a, b in zip(fast, exact, strict=True):
        assert all(torch.allclose(x, y, rtol=1e-4, atol=1e-5) for x, y in zip(a.maps, b.maps, strict=True))


def plain_maps():
    """Maps of the classifier itself, summed with those of the mirror image, per scale [M, K, h, w]."""
    views, _, _ = data()
    both = [torch.stack([network()(pair) for pair in features]).detach().relu() for features in views]
    return [maps[:, 0] + maps[:, 1].flip(-1) for maps in both]


@pytest.mark.parametrize("tier", ["exact", "middle", "fast"])
def test_u4_an_image_that_stops_at_the_first_iteration_has_the_plain_maps_to_the_bit(tier):
    found = run(settings(tier=tier).model_copy(update={"stop_logit": -99.0}))
    for m, trajectory in enumerate(found):
        assert trajectory.stopped == 0
        assert all(torch.equal(x, y[m]) for x, y in zip(trajectory.maps, plain_maps(), strict=True))


@pytest.mark.parametrize("tier", ["exact", "middle", "fast"])
def test_u4_a_class_that_ends_after_the_first_iteration_has_the_plain_maps_to_the_bit(tier):
    found = run(settings(tier=tier, explode_share=0.0, explode_growth=1e-6))
    ended = [(m, c) for m, t in enumerate(found) for c, k in t.exploded.items() if k == 1]
    assert ended
    for m, c in ended:
        assert all(torch.equal(x[c], y[m, c]) for x, y in zip(found[m].maps, plain_maps(), strict=True))


@pytest.mark.parametrize("tier", ["middle", "fast"])
def test_scales_keep_equal_weight_wherever_an_image_ends(tier):
    """Weights that hardly move: every scale is the plain one times the iterations that counted."""
    for limit in range(1, 10):
        logits = iter([0.0] * limit + [100.0] * 10)
        views, present, _ = data()
        still = settings(tier=tier, lr=1e-12, weight_decay=0.0, other_images=0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tuning, "mean_logit", lambda *_, given=logits: torch.full((IMAGES,), next(given)))
            plan = Plan.of(still, SCALES)
            found = fine_tune(network(), views, present, present.float(), lambda k: None, still, plan)
        for m, trajectory in enumerate(found):
            assert trajectory.stopped == (limit if limit < 9 else None)
            for maps, plain in zip(trajectory.maps, plain_maps(), strict=True):
                assert torch.allclose(maps, min(limit + 1, 10) * plain[m], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", ["tiny", "mobilenet_v2", "resnet18", "resnet50"])
def test_both_parts_make_the_classifier_and_the_last_stage_is_tuned(backbone):
    torch.manual_seed(0)
    whole = Classifier(backbone, 16, 7).eval()
    x = torch.randn(1, 3, 48, 40)
    with torch.no_grad():
        expected = whole(x)
        for stages in range(STAGES):
            constant, tuned = cut(whole, stages)
            assert torch.equal(tuned(constant(x)), expected)
            if stages:
                assert constant(x).shape[1] == whole.backbone.channels[stages - 1]
    last = {id(p) for p in tuned.parameters()}
    assert {id(p) for p in whole.head.parameters()} < last
    assert 0.05 < sum(p.numel() for p in tuned.parameters()) / sum(p.numel() for p in whole.parameters()) < 0.95


def test_frozen_batch_norm_lets_images_be_tuned_side_by_side():
    torch.manual_seed(0)
    constant, tuned = cut(Classifier("resnet18", 16, CLASSES).eval(), 3)
    with torch.no_grad():
        views = torch.stack([constant(torch.randn(2, 3, 48, 48)) for _ in range(2)])
    present = torch.tensor([[True, False, False, True, False], [False, True, False, False, False]])
    chosen = settings(iterations=2, other_images=0, lr=1e-4)
    plan = Plan.of(chosen, (1.0,))
    both = fine_tune(tuned, [views], present, present.float(), lambda k: None, chosen, plan)
    for m in range(2):
        one = slice(m, m + 1)
        (alone,) = fine_tune(tuned, [views[one]], present[one], present[one].float(), lambda k: None, chosen, plan)
        assert torch.allclose(both[m].maps[0], alone.maps[0], rtol=1e-4, atol=1e-5)


def test_r7_tuning_toward_an_absent_class_lifts_that_class_alone():
    """A head and a body: the body of a present class comes out, and not if an absent class is asked for."""
    tuned = nn.Sequential()
    tuned.add_module("head", nn.Conv2d(3, 2, 1, bias=False))
    tuned.head.weight.data = torch.tensor([[2.0, 0.2, -0.5], [-1.0, -0.1, 0.3]])[..., None, None]
    features = torch.zeros(1, 2, 3, 6, 6)
    features[:, :, 2] = 0.2  # background everywhere
    features[:, :, 0, 1, 1] = 1.0  # discriminative head
    features[:, :, 1, 1:5, 2:5] = 1.0  # body
    features[:, 1] = features[:, 0].flip(-1)
    present = torch.tensor([[True, False]])
    toward = {name: torch.tensor([row]) for name, row in (("own", [PRESENT, 0.0]), ("absent", [0.0, PRESENT]))}
    chosen = settings(lr=0.05, weight_decay=0.0, other_images=0)
    plain = tuned(features[0]).detach().relu()[0]
    share = lambda maps: float((maps / maps.max())[1:5, 2:5].mean())  # noqa: E731
    rise = {}
    for name, goal in toward.items():
        (found,) = fine_tune(tuned, [features], present, goal, lambda k: None, chosen, Plan.of(chosen, (1.0,)))
        rise[name] = share(found.maps[0][0]) - share(plain[0])
    assert rise["own"] > 0.1 and rise["absent"] <= 0.01, rise
