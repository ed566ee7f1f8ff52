"""CPN's measures on maps where they are known."""

import numpy as np
import torch

from simformer.baselines.cpn.checks import complementary_gaps, fresh_views
from simformer.baselines.cpn.settings import CpnSettings
from simformer.baselines.held_out import HeldOut
from simformer.baselines.maxnorm import maxnorm

SETTINGS = CpnSettings(cell_side=8, masks="independent")


class Constant(torch.nn.Module):
    """A stand-in whose maps do not depend on what is seen, or do."""

    def __init__(self, blind: bool) -> None:
        super().__init__()
        self.blind = blind

    def forward(self, images, present):
        ramp = torch.linspace(0, 1, images.shape[-1]).expand(1, 2, *images.shape[-2:])
        raw = ramp if self.blind else ramp * images[:, :1]
        return raw, torch.cat([raw[:, :1], raw], dim=1)


def image() -> HeldOut:
    truth = np.zeros((32, 32), np.uint8)
    return HeldOut("a", (0,), torch.ones(1, 3, 32, 32), torch.tensor([[True, False]]), truth)


def test_fresh_views_are_complementary_and_repeat():
    first, second = fresh_views([image(), image()], SETTINGS, 0)
    assert (first[:, 0] ^ first[:, 1]).all(), "whatever the training had"
    assert not torch.equal(first, second)
    assert torch.equal(first, fresh_views([image()], SETTINGS, 0)[0])
    assert not torch.equal(first, fresh_views([image()], SETTINGS, 1)[0])


def test_c1_maps_that_ignore_the_masks_have_no_gap_and_others_have():
    views = fresh_views([image()], SETTINGS, 0)
    for blind in (True, False):
        network = Constant(blind)
        maps = maxnorm(network(image().pixels, image().present)[0][0, :1])
        gap = complementary_gaps(network, [image()], [maps], views)
        assert gap < 1e-4 if blind else gap > 0.05
