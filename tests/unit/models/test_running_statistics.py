"""Running statistics of batch norm: updates made apart, chained as if they had been made in turn."""

import copy

import pytest
import torch
from torch import nn

from simformer.models.running_statistics import RunningStatistics


def network():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 5), nn.BatchNorm1d(5, momentum=0.3)).double()
    for _ in range(2):
        layers(torch.randn(6, 3, dtype=torch.float64))
    return layers.train()


@pytest.mark.parametrize("shares", [(3, 1), (0, 4), (2, 0, 2)])
def test_updates_made_apart_equal_updates_in_turn(shares):
    batches = list(torch.randn(4, 6, 3, dtype=torch.float64))
    whole = network()
    before = copy.deepcopy(whole.state_dict())
    for batch in batches:
        whole(batch)
    copies, changes, rest = [], [], list(batches)
    for share in shares:
        part = network()
        statistics = RunningStatistics(part)
        for _ in range(share):
            part(rest.pop(0))
        changes.append(statistics.change())
        copies.append((part, statistics))
    for part, statistics in copies:
        statistics.apply(changes)
        for name, value in part.state_dict().items():
            torch.testing.assert_close(value, whole.state_dict()[name], rtol=1e-13, atol=1e-13)
            assert not name.startswith("1.") or torch.equal(value, before[name])
    assert int(copies[0][0][0].num_batches_tracked) == 2 + 4


def test_a_network_without_batch_norm_has_none():
    layers = nn.Sequential(nn.LayerNorm(3), nn.Linear(3, 5))
    before = copy.deepcopy(layers.state_dict())
    statistics = RunningStatistics(layers)
    layers(torch.randn(4, 3))
    statistics.apply([statistics.change()] * 2)
    assert all(torch.equal(value, before[name]) for name, value in layers.state_dict().items())
