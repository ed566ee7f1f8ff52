"""CPN: U3, U4, U5, U8 and the pixel-region correlation."""

import numpy as np
import pytest
import torch

from simformer.baselines.cpn.losses import Views, complementary_pair_loss, cpn_terms, view_shares
from simformer.baselines.cpn.masks import draw_views, random_cells, visible_pixels
from simformer.baselines.cpn.settings import CpnSettings
from simformer.baselines.stride8.cross_regularisation import NormalisedMaps, mean_difference
from simformer.baselines.stride8.network import TappedClassifier
from simformer.baselines.stride8.region_correlation import RegionCorrelation
from simformer.baselines.stride8.settings import RegionSettings

PRESENT = torch.tensor([[True, False, True, False, True], [False, True, False, False, False]])


def test_u4_views_are_complementary_and_39_percent_are_hidden():
    rng = np.random.default_rng(0)
    views = draw_views(60, 70, CpnSettings(cell_side=10), rng)
    assert (views[0] ^ views[1]).all() and views.any(dim=(1, 2)).all()
    other = draw_views(60, 70, CpnSettings(cell_side=10, masks="independent"), rng)
    assert not (other[0] ^ other[1]).all()
    hidden = np.mean([1 - visible_pixels(96, 96, 8, rng).mean() for _ in range(200)])
    assert hidden == pytest.approx(0.39, abs=0.02)
    assert len(np.unique(random_cells(96, 96, 8, rng))) == 144


def test_u5_equal_maps_of_all_views_have_no_loss_whatever_the_shares():
    maps = NormalisedMaps(*(torch.rand(2, n, 8, 8) for n in (3, 3, 1)))
    for shares in ([[0.3, 0.7], [1.0, 0.0]], [[0.5, 0.5], [0.1, 0.9]]):
        assert complementary_pair_loss(Views(maps, maps, maps, torch.tensor(shares)), 5) < 1e-6
    assert complementary_pair_loss(Views(maps, maps, maps, torch.full((2, 2), 0.4)), 5) > 1e-2


def test_u3_which_loss_trains_what():
    torch.manual_seed(0)
    network = TappedClassifier("tiny", 5, 0.0, RegionSettings())
    visible = torch.rand(2, 1, 64, 64) > 0.4
    terms = cpn_terms(network, torch.randn(2, 3, 64, 64), torch.cat([visible, ~visible], 1), PRESENT, CpnSettings())
    parts = {}
    for name in ("cls", "cpcr"):
        network.zero_grad()
        terms[name].backward(retain_graph=True)
        grads = [(n.split(".")[0], p.grad) for n, p in network.named_parameters()]
        parts[name] = {n for n, g in grads if g is not None and g.abs().sum() > 0}
    assert parts["cls"] == {"backbone", "head"}
    assert parts["cpcr"] == {"correlation", "regions"}


def test_u3_only_the_whole_image_learns_from_the_class_maps_of_the_pair():
    maps = [NormalisedMaps(*(torch.rand(2, n, 8, 8, requires_grad=True) for n in (3, 3, 1))) for _ in range(3)]
    complementary_pair_loss(Views(*maps, torch.full((2, 2), 0.5)), 5).backward()
    assert maps[0].raw.grad is not None and maps[1].raw.grad is None and maps[2].raw.grad is None
    assert all(m.spread.grad is not None for m in maps)


@pytest.mark.parametrize("over", ["pixel", "class"])
def test_weights_sum_to_one_and_the_released_reshape_is_another_thing(over):
    features, joined, seed = torch.randn(2, 195, 4, 5), torch.randn(2, 192, 4, 5), torch.rand(2, 6, 4, 5)
    torch.manual_seed(0)
    intended = RegionCorrelation(RegionSettings(prcm_softmax=over))
    released = RegionCorrelation(RegionSettings(prcm_softmax=over, prcm_scramble=True))
    released.load_state_dict(intended.state_dict())
    found = intended(features, joined, seed)
    total = found.sum(dim=(2, 3) if over == "pixel" else 1)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-5)
    assert (found - released(features, joined, seed)).abs().max() > 1e-3


def test_shares_are_those_of_the_visible_pixels():
    visible = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    visible[0, 0, :3], visible[0, 1, 3:] = True, True
    assert view_shares(visible).tolist() == [[0.75, 0.25]]


def test_a_mean_over_all_classes():
    assert mean_difference(torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), 6).item() == 0.5
