"""RIB's pooling and losses (CONTA and RIB: U3), against plain loops."""

import math

import torch

from simformer.baselines.rib.pooling import ABSENT, PRESENT, SHARED, gndrp, mean_logit, rib_loss


def maps(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_u3_without_a_threshold_it_is_the_plain_mean():
    a = maps(4, 5, 6, 7)
    assert torch.equal(gndrp(a, math.inf), a.mean(dim=(-2, -1)))
    assert not torch.allclose(gndrp(a, 0.4), a.mean(dim=(-2, -1))), "a threshold matters"


def test_a_threshold_of_1_leaves_out_the_maximum_alone():
    a = maps(3, 6, 7)
    expected = (a.sum(dim=(-2, -1)) - a.amax(dim=(-2, -1))) / 42
    assert torch.allclose(gndrp(a, 1.0), expected, atol=1e-6)


def test_low_cells_are_summed_as_they_are_and_divided_by_all_cells():
    a = torch.tensor([[[10.0, 3.0], [-2.0, 4.0]]], requires_grad=True)
    pooled = gndrp(a, 0.4)
    assert pooled.item() == (3.0 - 2.0) / 4, "4 is not below 0.4 x 10; negative cells count; the divisor is 4"
    pooled.sum().backward()
    assert torch.equal(a.grad, torch.tensor([[[0.0, 0.25], [0.25, 0.0]]])), "no gradient through maximum and mask"


def test_a_map_without_a_positive_value_gives_nothing():
    a = torch.tensor([[[-1.0, -2.0]], [[0.0, 0.0]]], requires_grad=True)
    pooled = gndrp(a, 0.4)
    pooled.sum().backward()
    assert (pooled == 0).all() and (a.grad == 0).all()


def test_the_loss_is_the_mean_over_labels_of_more_than_20_classes():
    groups, total, count = [], 0.0, 0
    for n, rows in enumerate((2, 6)):
        a, labels = maps(rows, 30, 4, 5, seed=n), torch.full((rows, 30), ABSENT)
        labels[:, 3 + n], labels[0, 25 + n], labels[-1, 7] = PRESENT, PRESENT, SHARED
        for row in range(rows):
            for c in range(30):
                if labels[row, c] == PRESENT:
                    total, count = total - float(gndrp(a[row, c], 0.4)), count + 1
        groups.append((a, labels))
    assert math.isclose(float(rib_loss(groups, "gndrp", 0.4)), total / count, rel_tol=1e-5)
    as_images = [(a[None], t[None]) for a, t in groups]
    assert math.isclose(float(mean_logit(as_images, "gndrp", 0.4)), -total / count, rel_tol=1e-5)
    assert rib_loss(groups, "average", 0.4) != rib_loss(groups, "gndrp", 0.4)


def test_shared_classes_neither_pull_nor_push():
    a = maps(2, 5, 3, 3).requires_grad_()
    labels = torch.tensor([[PRESENT, SHARED, ABSENT, ABSENT, ABSENT]] * 2)
    for objective in ("gndrp", "average", "sigmoid"):
        (gradient,) = torch.autograd.grad(rib_loss([(a, labels)], objective, 0.4), a)
        assert (gradient[:, 1] == 0).all() and (gradient[:, 0] != 0).any()
        assert (gradient[:, 2:] != 0).any() == (objective == "sigmoid"), "raw logits have no negatives"
