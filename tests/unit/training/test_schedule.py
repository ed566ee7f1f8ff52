"""Learning-rate schedule and parameter groups."""

import pytest
import torch
from torch import nn

from simformer.config.settings import ModelSettings, OptimSettings
from simformer.models.maskformer import MaskFormer
from simformer.models.simnet import SimNet
from simformer.training.schedule import build_optimizer, parameter_groups, set_learning_rate


@pytest.mark.parametrize(("step", "rate"), [(0, 1e-4), (1, 9.99985e-5), (30_000, 5.358867e-5), (59_999, 5.008e-9)])
def test_learning_rates_of_the_reference_schedule(step, rate):
    settings = OptimSettings(steps=60_000)
    model = nn.ModuleDict({"backbone": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    optimizer = build_optimizer([model], model["backbone"], settings)
    factor = set_learning_rate(optimizer, step, settings)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(model["head"].weight)] == pytest.approx(rate, rel=5e-5)
    assert rates[id(model["backbone"].weight)] == pytest.approx(0.1 * rate, rel=5e-5)
    assert factor == pytest.approx(rate / 1e-4, rel=5e-5)


def test_setting_the_rate_twice_does_not_compound():
    settings = OptimSettings(steps=10)
    optimizer = build_optimizer([nn.Linear(2, 2)], nn.Identity(), settings)
    for step in (5, 5, 0):
        set_learning_rate(optimizer, step, settings)
    assert optimizer.param_groups[0]["lr"] == 1e-4


def test_the_optimizer_is_adamw_with_the_reference_constants():
    optimizer = build_optimizer([nn.Linear(2, 2)], nn.Identity(), OptimSettings())
    assert isinstance(optimizer, torch.optim.AdamW)
    assert (optimizer.defaults["betas"], optimizer.defaults["eps"]) == ((0.9, 0.999), 1e-8)


@pytest.fixture(scope="module")
def maskformer():
    with torch.device("meta"):
        return MaskFormer(171, ModelSettings())


def _by_kind(groups):
    return {(round(g["lr"], 12), g["weight_decay"]): {id(p) for p in g["params"]} for g in groups}


def test_parameter_groups_of_resnet50_with_171_classes(maskformer):
    groups = parameter_groups([maskformer], maskformer.backbone, OptimSettings())
    kinds = _by_kind(groups)
    assert {kind: len(ids) for kind, ids in kinds.items()} == {(1e-5, 1e-4): 53, (1e-4, 0.0): 53, (1e-4, 1e-4): 91}
    sizes = {(round(g["lr"], 12), g["weight_decay"]): sum(p.numel() for p in g["params"]) for g in groups}
    assert sizes == {(1e-5, 1e-4): 23_454_912, (1e-4, 0.0): 38_912, (1e-4, 1e-4): 17_766_316}
    assert all(group["base_lr"] == group["lr"] for group in groups)

    named = dict(maskformer.named_parameters())
    assert set().union(*kinds.values()) == {id(p) for p in named.values()}
    assert kinds[1e-5, 1e-4] == {id(p) for name, p in named.items() if name.startswith("backbone.")}
    biases = {name for name in named if name.endswith("bias") and not isinstance(_owner(maskformer, name), NORMS)}
    assert biases and {id(named[name]) for name in biases} <= kinds[1e-4, 1e-4]
    queries = {id(m.weight) for m in maskformer.modules() if isinstance(m, nn.Embedding)}
    assert len(queries) == 1 and queries <= kinds[1e-4, 0.0]


NORMS = (nn.GroupNorm, nn.LayerNorm, nn.BatchNorm1d)


def _owner(model, name):
    return model.get_submodule(name.rpartition(".")[0])


def test_simnet_joins_with_the_full_rate_and_undecayed_norms(maskformer):
    simnet = SimNet(256, 256)
    kinds = _by_kind(parameter_groups([maskformer, simnet], maskformer.backbone, OptimSettings()))
    norms = {id(p) for m in simnet.modules() if isinstance(m, NORMS) for p in m.parameters()}
    others = {id(p) for p in simnet.parameters()} - norms
    assert len(norms) == 12
    assert norms <= kinds[1e-4, 0.0]
    assert others <= kinds[1e-4, 1e-4]


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    (group,) = parameter_groups([model], nn.Identity(), OptimSettings())
    assert {id(p) for p in group["params"]} == {id(p) for p in model[1].parameters()}
