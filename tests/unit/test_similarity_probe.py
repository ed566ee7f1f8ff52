"""The probe finds what embeddings hold: classes that lie apart or not, and similarity that transfers or not."""

import json
from pathlib import Path

import pytest
import torch

from simformer.config.settings import IGNORE
from simformer.models.simnet import SimNet
from simformer.simnet_f1 import PixelPairs
from tests.similarity_probe import COSINE, ON, OWN, OWN_TRAINING, Compared, page, rows


def pixels(classes: dict[int, torch.Tensor], pairs: int, seed: int) -> list[PixelPairs]:
    """Image pairs with 24 pixels each, whose embeddings are those of their classes and a little noise."""
    generator, ids = torch.Generator().manual_seed(seed), torch.tensor(list(classes))
    centres = torch.stack(list(classes.values()))
    samples = []
    for _ in range(pairs):
        drawn = torch.randint(len(ids), (2, 24), generator=generator)
        noise = 0.05 * torch.randn(2, 24, centres.shape[1], generator=generator)
        samples.append(PixelPairs(centres[drawn] + noise, ids[drawn]))
    return samples


@pytest.fixture
def apart():
    """Two base classes at right angles, and two novel classes close to each other."""
    base = {0: torch.tensor([1.0, 0, 0, 0]), 1: torch.tensor([0, 1.0, 0, 0])}
    novel = {2: torch.tensor([0, 0, 1.0, 0.5]), 3: torch.tensor([0, 0, 1.0, -0.1])}
    return [{"base": pixels(base, 8, seed), "novel": pixels(novel, 8, seed + 1)} for seed in (0, 10)]


def test_similarity_of_base_pixels_may_not_hold_for_novel_ones(apart):
    table = rows(*apart, SimNet(4, 16), steps=150)
    assert min(table[ON["base"]]["base"]) > 95 and min(table[ON["novel"]]["novel"]) > 90
    assert min(table[ON["base"]]["novel"]) < 60
    (base,), (novel,) = ([name for name in table if name.startswith(COSINE[group])] for group in ("base", "novel"))
    assert table[base]["novel"][0] < 10 and min(table[novel]["novel"]) > 90
    assert {OWN, OWN_TRAINING} < set(table)


def test_pixels_without_a_class_do_not_count():
    features = torch.eye(2).expand(2, 2, 2)
    compared = Compared.of([PixelPairs(features, torch.tensor([[0, IGNORE], [0, 1]]))])
    assert compared.similar.tolist() == [True, False]
    assert compared.cosine.tolist() == [1.0, 0.0]
    assert compared.f1_at(0.5) == [100.0, 100.0]


def test_the_kept_page_is_that_of_its_numbers():
    numbers = Path("docs/results/demo_development/similarity.json")
    assert numbers.with_suffix(".md").read_text() == page(json.loads(numbers.read_text()))
