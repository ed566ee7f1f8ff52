"""CPN's measures on maps where they are known."""

import numpy as np
import torch

from simformer.baselines.cpn.settings import CpnSettings
from simformer.baselines.stride8.cross_regularisation import maxnorm
from simformer.baselines.stride8.network import TappedClassifier
from simformer.baselines.stride8.pixel_correlation import pixel_seed
from simformer.baselines.stride8.settings import RegionSettings
from simformer.claims.cpn import complementary_gaps, fresh_views, without_regions
from simformer.claims.test_images import HeldOut

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


def test_without_regions_the_maps_are_those_of_the_pixel_correlation():
    torch.manual_seed(0)
    network = TappedClassifier("tiny", 3, 0.0, RegionSettings()).eval()
    images, present = torch.randn(1, 3, 32, 32), torch.tensor([[True, True, False]])
    with torch.inference_mode():
        raw, spread = without_regions(network)(images, present)
        stages = network.backbone(images)[1:3]
        features = network.correlation.features(images, stages)
        assert torch.allclose(spread, network.correlation(features, pixel_seed(raw, present)))
        whole = network(images, present)[1]
    assert network.regions is not None and (whole > spread).any() and (whole >= spread).all()
