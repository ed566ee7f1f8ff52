"""Image-level labels that crops lose, on hand-made label maps of which every crop is known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from simformer.claims.lost_labels import lost_labels
from simformer.config.settings import AugmentSettings
from simformer.data.checked import read_label_map
from simformer.data.loader import TrainingGroups
from simformer.data.transforms import Crop
from simformer.data.truth import read_truth

TRUTHS = {0: np.array([[2, 3, 0, 255]], np.uint8), 1: np.array([[1, 1, 2, 255]], np.uint8)}
CROPS = {
    (0, 0): [2, 3, 0],  # nothing is lost
    (0, 1): [3, 255, 0],  # 2 is lost; a pixel that no class owns is left
    (1, 0): [1, 1, 1],  # 2 is lost, and only base pixels are left
    (1, 1): [1, 2, 1],
}
"""Image and epoch -> what a crop shows; a padded pixel follows."""


class Groups:
    """Two images that are cropped as CROPS says, and a third one that is not looked at."""

    labels = SimpleNamespace(images=[(2, 3), (2,), (3,)], novel=(2, 3), novel_labels=list)

    def image_ids(self, number):
        return [number % 3]

    def crop(self, image, number, slot, truth):
        assert slot == 0 and truth is TRUTHS[image]
        shown = torch.tensor([[*CROPS[image, number // 3], 255]], dtype=torch.uint8)
        return Crop(torch.zeros(3, 1, 4), shown, torch.tensor([[False, False, False, True]]))


def test_shares_by_hand():
    result = lost_labels(Groups(), [0, 1], TRUTHS.__getitem__, epochs=2)
    assert result["lost"] == pytest.approx(100 * 2 / 6)
    assert result["lost_empty"] == pytest.approx(100 * 1 / 6)
    assert result["clutter"] == pytest.approx(100 * 2 / 5)


def test_nothing_to_count():
    assert all(map(math.isnan, lost_labels(Groups(), [], TRUTHS.__getitem__).values()))


def test_crops_of_real_images_are_those_of_training(scenes, masked):
    settings = AugmentSettings(crop=16, short_edges=(48,), max_long_edge=48)
    groups = TrainingGroups(scenes.data, masked, settings, 1, None, seed=3)
    truth = {k: read_truth(scenes.data, record) for k, record in enumerate(scenes.index.train)}
    chosen = [k for k, image in enumerate(masked.images) if masked.novel_labels(image)]
    result = lost_labels(groups, chosen, truth.__getitem__, epochs=1)
    lost = total = 0
    for number in range(len(masked.images)):
        (image,) = groups.image_ids(number)
        if image in chosen:
            weak = groups.crop(image, number, 0, read_label_map(masked, masked.images[image]))
            true = groups.crop(image, number, 0, truth[image])
            assert torch.equal(weak.image, true.image), "the crop does not depend on the label map"
            wanted = masked.novel_labels(masked.images[image])
            total += len(wanted)
            lost += sum(not (true.label_map == c).any() for c in wanted)
    assert result["lost"] == pytest.approx(100 * lost / total) and 0 < lost < total
