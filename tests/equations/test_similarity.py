"""L_sim (Sec. 3.4), L_dist (Eq. 3), their sampling and their gradients, against plain loops."""

import math

import pytest
import torch
from torch import nn

from simformer.config.settings import SimilaritySettings
from simformer.errors import UserError
from simformer.losses.sampling import gather_points
from simformer.losses.similarity import PairBalance, class_scores
from tests.equations.one_pair import (
    distillation_loss,
    sample_base_points,
    sample_novel_points,
    sample_points,
    similarity_loss,
)


class TinySimNet(nn.Module):
    """One linear layer with batch norm on concatenated pairs; asymmetric in its arguments."""

    def __init__(self, dim=6):
        super().__init__()
        self.linear, self.norm = nn.Linear(2 * dim, 1).double(), nn.BatchNorm1d(1).double()

    def forward(self, a, b):
        j, i = a.shape[1], b.shape[1]
        pairs = torch.cat([a[:, :, None].expand(-1, -1, i, -1), b[:, None].expand(-1, j, -1, -1)], dim=-1)
        return self.norm(self.linear(pairs.flatten(0, 2))).sigmoid().view(len(a), j, i)


@pytest.fixture
def simnet():
    torch.manual_seed(0)
    return TinySimNet()


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def log(x):
    return max(math.log(x), -100.0) if x > 0 else -100.0


def test_points_lie_in_the_region_and_differ():
    region = torch.rand(2, 64, generator=seeded()) < 0.4
    points = sample_points(region, 12, seeded(1))
    assert points.shape == (2, 12) and region.gather(1, points).all()
    assert all(len(set(row.tolist())) == 12 for row in points)
    assert torch.equal(points, sample_points(region, 12, seeded(1)))
    assert not torch.equal(points, sample_points(region, 12, seeded(2)))


def test_a_small_region_is_taken_whole_and_the_rest_drawn_outside():
    region = torch.zeros(1, 64, dtype=torch.bool)
    region[0, [3, 9, 27]] = True
    points = sample_points(region, 10, seeded())[0].tolist()
    assert {3, 9, 27} <= set(points) and len(set(points)) == 10


def test_points_are_uniform_in_the_region():
    region = torch.arange(20)[None] >= 10
    generator = seeded()
    counts = torch.zeros(20)
    for _ in range(4000):
        counts[sample_points(region, 5, generator)[0]] += 1
    assert not counts[:10].any()
    assert (counts[10:] / 4000 - 0.5).abs().max() < 0.05


def test_more_points_than_pixels_is_the_users_mistake():
    with pytest.raises(UserError, match="similarity.points"):
        sample_points(torch.ones(2, 9, dtype=torch.bool), 10, seeded())


@pytest.mark.parametrize("common", [frozenset({2}), frozenset({1, 2}), frozenset()])
def test_base_points(common):
    labels = torch.randint(0, 4, (2, 100), generator=seeded())
    labels[labels == 3] = 255
    padding = torch.zeros(2, 100, dtype=torch.bool)
    padding[:, 90:], labels[:, 90:] = True, 255
    settings = SimilaritySettings(points=10, other_share=0.2)
    seen = set()
    for seed in range(20):
        points = sample_base_points(labels, padding, common, settings, seeded(seed))
        assert points.shape == (2, 10)
        ids = labels.gather(1, points)
        inside = set(ids[:, :8].flatten().tolist())
        if common:
            assert len(inside) == 1 and inside <= common
            assert (ids[:, 8:] != ids[0, 0]).all()
        else:
            assert 255 not in inside and (ids[:, 8:] == 255).all()
        assert not padding.gather(1, points).any()
        seen |= inside
    assert seen == (common or {0, 1, 2})


def test_novel_points_and_padding():
    labels = torch.zeros(2, 100, dtype=torch.int64)
    labels[:, 50:] = 255
    padding = torch.zeros(2, 100, dtype=torch.bool)
    padding[:, 75:] = True
    with_padding = sample_novel_points(labels, padding, SimilaritySettings(points=20), seeded())
    assert (with_padding >= 50).all() and (with_padding >= 75).any()
    settings = SimilaritySettings(points=20, sample_padding=False)
    without = sample_novel_points(labels, padding, settings, seeded())
    assert ((without >= 50) & (without < 75)).all()
    few = sample_novel_points(labels, padding, SimilaritySettings(points=40, sample_padding=False), seeded())
    assert (few < 75).all() and ((few >= 50).sum(1) == 25).all()  # base pixels fill up, never padding


def test_the_papers_points_are_base_and_each_class_is_as_likely():
    """Class 1 is large, 2 and 3 small; the images share 2 and 3, of which half of the pixels are."""
    labels = torch.full((2, 400), 255)
    labels[0, :200], labels[0, 200:220], labels[0, 220:260] = 1, 2, 3
    labels[1, :20], labels[1, 20:40], labels[1, 40:300] = 2, 3, 4
    settings, counts = SimilaritySettings(points=12, pairs="paper"), torch.zeros(2, 5)
    for seed in range(400):
        points = sample_base_points(labels, torch.zeros(2, 400), frozenset({1}), settings, seeded(seed))
        assert points.shape == (2, 12) and all(len(set(row.tolist())) == 12 for row in points)
        ids = labels.gather(1, points)
        assert (ids != 255).all() and ((ids[:, :6] == 2) | (ids[:, :6] == 3)).all()
        counts += torch.stack([torch.bincount(row, minlength=5) for row in ids])
    share = counts / counts.sum(1, keepdim=True)
    expected = torch.tensor([[0, 1 / 6, 5 / 12, 5 / 12, 0], [0, 0, 5 / 12, 5 / 12, 1 / 6]])
    assert (share - expected).abs().max() < 0.04


@pytest.mark.parametrize("base", [0, 3])
def test_the_papers_points_where_base_pixels_or_common_classes_lack(base):
    labels = torch.full((2, 40), 255)
    labels[:, :base] = torch.tensor([[1], [2]])
    points = sample_base_points(
        labels, torch.zeros(2, 40), frozenset(), SimilaritySettings(points=10, pairs="paper"), seeded()
    )
    assert all(len(set(row.tolist())) == 10 for row in points)
    assert ((labels.gather(1, points) != 255).sum(1) == base).all()


def test_what_common_classes_lack_the_papers_points_take_from_other_base_classes():
    """Class 1 is common and has 3 pixels; an image has 27 pixels of another class, and 370 of none."""
    labels = torch.full((2, 400), 255)
    labels[:, :3], labels[0, 3:30], labels[1, 3:30] = 1, 2, 3
    settings = SimilaritySettings(points=24, pairs="paper")
    for seed in range(20):
        points = sample_base_points(labels, torch.zeros(2, 400), frozenset({1}), settings, seeded(seed))
        assert all(len(set(row.tolist())) == 24 for row in points) and (points < 30).all()
        assert ((points[:, :12] < 3).sum(1) == 3).all()


def test_gather_points():
    maps, points = draw(2, 3, 10), torch.tensor([[4, 4, 0], [9, 1, 2]])
    values = gather_points(maps, points)
    for image in range(2):
        for j in range(3):
            assert torch.equal(values[image, j], maps[image, :, points[image, j]])


def test_balance_is_a_window_of_counts():
    balance = PairBalance(window=2, stride=2)
    similar = torch.zeros(2, 4, 4, dtype=torch.bool)
    similar[0, 0, 0] = similar[0, 1, 1] = True  # the second one is not on the stride
    assert balance.update(similar).tolist() == pytest.approx([2 / 10, 8 / 10])
    assert balance.state_dict() == {"counts": [[1, 1], [7, 1]]}
    assert balance.update(similar).tolist() == pytest.approx([2 / 16, 14 / 16])
    other = PairBalance(window=2, stride=2)
    other.load_state_dict(balance.state_dict())
    assert torch.equal(other.update(~similar), balance.update(~similar))
    assert other.state_dict() == balance.state_dict() == {"counts": [[7, 1], [1, 7]]}


LABELS = torch.tensor([[1, 1, 3, 255], [1, 3, 255, 2]], dtype=torch.uint8)


def test_similarity_loss_equals_a_plain_loop(simnet):
    features, balance = draw(2, 4, 6), PairBalance(window=5, stride=2)
    actual = similarity_loss(features, LABELS, simnet, balance)
    probability = simnet(features, features.flip(0))
    (_, first), (dissimilar, similar) = balance.state_dict()["counts"]
    total = 1 + first - 1 + dissimilar + similar + 1
    weights = (similar + 1) / total, (dissimilar + 1) / total
    value = valid = 0
    for direction in range(2):
        for j in range(4):
            for i in range(4):
                a, b = int(LABELS[direction, j]), int(LABELS[1 - direction, i])
                if a == b == 255:
                    continue
                valid += 1
                p = probability[direction, j, i].item()
                value -= weights[a == b] * (log(p) if a == b else log(1 - p))
    assert valid == 2 * 15
    assert actual.item() == pytest.approx(value / valid)


def test_a_pixel_that_may_be_of_the_others_class_is_no_dissimilar_pair(simnet):
    """Class 1 is unknown in the second image, 2 in the first: there 255 may be 1, here 2."""
    features, unknown = draw(2, 4, 6), torch.zeros(2, 5, dtype=torch.bool)
    unknown[1, 1] = unknown[0, 2] = True
    actual = similarity_loss(features, LABELS, simnet, PairBalance(window=5, stride=2), unknown=unknown)
    probability, balance = simnet(features, features.flip(0)), PairBalance(window=5, stride=2)
    weights = balance.update(LABELS[:, :, None] == LABELS.flip(0)[:, None]).tolist()
    value = valid = 0
    for direction in range(2):
        for j in range(4):
            for i in range(4):
                a, b = int(LABELS[direction, j]), int(LABELS[1 - direction, i])
                first, second = (a, b) if direction == 0 else (b, a)  # pixels of the first and of the second image
                if a == b == 255 or (first == 1 and second == 255) or (first == 255 and second == 2):
                    continue
                valid += 1
                p = probability[direction, j, i].item()
                value -= weights[a == b] * (log(p) if a == b else log(1 - p))
    assert valid == 2 * (15 - 3)
    assert actual.item() == pytest.approx(value / valid)
    none = similarity_loss(features, LABELS, simnet, PairBalance(5, 2), unknown=torch.zeros_like(unknown))
    assert torch.equal(none, similarity_loss(features, LABELS, simnet, PairBalance(5, 2)))


def test_the_papers_pairs_are_balanced_and_base_on_both_sides(simnet):
    features = draw(2, 4, 6)
    actual = similarity_loss(features, LABELS, simnet, None, SimilaritySettings(pairs="paper"))
    probability, losses = simnet(features, features.flip(0)), {True: [], False: []}
    for direction in range(2):
        for j in range(4):
            for i in range(4):
                a, b = int(LABELS[direction, j]), int(LABELS[1 - direction, i])
                p = probability[direction, j, i].item()
                if 255 not in (a, b):
                    losses[a == b].append(-(log(p) if a == b else log(1 - p)))
    means = [sum(values) / len(values) for values in losses.values()]
    assert actual.item() == pytest.approx(sum(means) / 2)
    ignored = torch.full((2, 4), 255, dtype=torch.uint8)
    assert similarity_loss(features, ignored, simnet, None, SimilaritySettings(pairs="paper")) == 0


def test_pairs_outside_the_base_region_do_not_count(simnet):
    ignored = torch.full((2, 4), 255, dtype=torch.uint8)
    loss = similarity_loss(draw(2, 4, 6), ignored, simnet, PairBalance(5, 1))
    assert loss.item() == 0
    loss.backward()
    assert not simnet.linear.weight.grad.any()


def test_similarity_loss_trains_only_simnet(simnet):
    features = draw(2, 4, 6).requires_grad_()
    similarity_loss(features, LABELS, simnet, PairBalance(5, 1)).backward()
    assert features.grad is None
    assert simnet.linear.weight.grad.any()


def test_attached_features_are_trained_by_the_similarity_loss_too(simnet):
    features = draw(2, 4, 6).requires_grad_()
    attached = similarity_loss(features, LABELS, simnet, PairBalance(5, 1), SimilaritySettings(detach=False))
    assert torch.equal(attached, similarity_loss(features, LABELS, simnet, PairBalance(5, 1)))
    attached.backward()
    assert features.grad.any()


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_certain_probabilities_have_a_bounded_loss(certain):
    probability = torch.full((2, 4, 4), certain, requires_grad=True)
    loss = similarity_loss(draw(2, 4, 6), LABELS, lambda a, b: probability, PairBalance(5, 1))
    loss.backward()
    assert 0 < loss.item() <= 100 and probability.grad.isfinite().all()


def test_class_scores_equal_a_plain_loop():
    class_logits, mask_logits = draw(2, 5, 8), draw(2, 3, 5, seed=1)
    scores = class_scores(class_logits, mask_logits, torch.tensor([4, 6]))
    for image in range(2):
        for j in range(3):
            for k, novel in enumerate((4, 6)):
                expected = 0.0
                for query in range(5):
                    row = class_logits[image, query].exp()
                    expected += float(row[novel] / row.sum() * mask_logits[image, j, query].sigmoid())
                assert scores[image, j, k].item() == pytest.approx(expected)


@pytest.mark.parametrize("student", ["cross", "same"])
@pytest.mark.parametrize("form", ["bce", "cce"])
def test_distillation_loss_equals_a_plain_loop(simnet, student, form):
    settings = SimilaritySettings(student=student, form=form, clamp=0.3)
    scores, features = draw(2, 5, 3).exp(), draw(2, 5, 6)
    teacher = simnet(features, features.flip(0))
    values = []
    for direction in range(2):
        for j in range(5):
            for i in range(5):
                a, b = scores[direction, j], scores[1 - direction if student == "cross" else direction, i]
                s = max(float(a @ b / (a.norm() * b.norm())), 0.0)
                t = teacher[direction, j, i].item()
                if form == "bce":
                    s, t = min(max(s, 0.3), 0.7), min(max(t, 0.3), 0.7)
                    values.append(-t * log(s) - (1 - t) * log(1 - s))
                else:
                    values.append(-max(t - 0.5, 0) * log(1 + s) - max(0.5 - t, 0) * log(2 - s))
    actual = distillation_loss(scores, features, simnet, settings)
    assert actual.item() == pytest.approx(sum(values) / len(values))
    assert (actual.item() <= 0) == (form == "cce")


def test_distillation_leaves_the_teacher_alone(simnet):
    scores, features = draw(2, 5, 3).exp().requires_grad_(), draw(2, 5, 6).requires_grad_()
    before = simnet.norm.running_mean.clone()
    distillation_loss(scores, features, simnet, SimilaritySettings()).backward()
    assert scores.grad.any()
    assert features.grad is None and simnet.linear.weight.grad is None
    assert not torch.equal(before, simnet.norm.running_mean)  # training mode: its statistics do move


def test_single_precision_under_autocast():
    features, scores = draw(2, 4, 6).float(), draw(2, 4, 3).exp().float()
    probability = draw(2, 4, 4, seed=2).sigmoid().float()

    def run():
        sim = similarity_loss(features, LABELS, lambda a, b: probability, PairBalance(5, 1))
        return sim, distillation_loss(scores, features, lambda a, b: probability, SimilaritySettings())

    plain = run()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = run()
    assert mixed[0].dtype == mixed[1].dtype == torch.float32
    torch.testing.assert_close(plain, mixed, rtol=0, atol=0)
