"""Our losses and networks against the plain transcription of the specifications."""

from types import SimpleNamespace

import pytest
import torch

from simformer.config.settings import ModelSettings
from simformer.losses.mask import count_masks
from simformer.losses.total import SimFormerLoss, total
from simformer.models.maskformer import MaskFormer
from simformer.models.simnet import SimNet
from tests.reference.losses import PlainLoss, labelled
from tests.reference.network import PlainMaskFormer, PlainSimNet
from tests.workloads import TINY, new_groups

SETTINGS = TINY.settings("simformer")
NOVEL = range(TINY.classes - TINY.novel, TINY.classes)


def random_output(seed: int) -> SimpleNamespace:
    """Logits and embeddings of three layers for the tiny case's images, in double precision."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return (2 * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()

    side = TINY.crop // 4
    return SimpleNamespace(
        class_logits=normal(3, TINY.images, TINY.queries, TINY.classes + 1),
        mask_logits=normal(3, TINY.images, TINY.queries, side, side),
        embeddings=normal(TINY.images, 8, side, side),
    )


def gradients(terms: dict, output: SimpleNamespace, simnet: torch.nn.Module) -> dict:
    """Gradients of all terms by the network's output and by SimNet's parameters; the latter as flat tensors."""
    total(terms).backward()
    result = {name: value.grad.clone() for name, value in vars(output).items() if value.grad is not None}
    for value in vars(output).values():
        value.grad = None
    return result | {name: p.grad.flatten() for name, p in simnet.named_parameters()}


@pytest.mark.parametrize("method", ["simformer", "maskformer"])
def test_losses_and_gradients(method):
    """Over three steps, since the balance of pairs remembers; every group of a step has a balance of its own."""
    settings = TINY.settings(method)
    sections = settings.loss, settings.matching, settings.similarity
    ours, plain = SimFormerLoss(*sections, NOVEL), PlainLoss(*sections, NOVEL)
    torch.manual_seed(0)
    simnet, plain_simnet = SimNet(8, 16).double(), PlainSimNet(8, 16).double()
    plain_simnet.take(simnet.state_dict())
    paired = method == "simformer"
    for step in range(3):
        targets = [t for group in new_groups(TINY, method, seed=step) for t in group.targets]
        output, seeds = random_output(step), [100 * step, 100 * step + 1]
        simnet.zero_grad()
        plain_simnet.zero_grad()
        terms = ours(
            output,
            targets,
            num_masks=count_masks(targets),
            num_groups=2,
            simnet=simnet if paired else None,
            seeds=seeds if paired else (),
        )
        expected = plain(output, [labelled(t) for t in targets], plain_simnet if paired else None, seeds)
        names = {"cls", "focal", "dice"} | ({"comp", "sim", "dist"} if paired else set())
        assert set(terms) == set(expected) == names
        for name, value in expected.items():
            assert value > 0
            torch.testing.assert_close(terms[name], value, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")
        if not paired:
            return
        actual = gradients(terms, output, simnet)
        wanted = gradients(expected, output, plain_simnet)
        assert actual.keys() == wanted.keys() and "embeddings" not in actual
        torch.testing.assert_close(actual, wanted, rtol=1e-7, atol=1e-11)


def test_network():
    """Same weights, same logits of every layer and embeddings, in the mode of training without dropout."""
    settings = ModelSettings(**SETTINGS.model.model_dump() | {"dropout": 0.0})
    torch.manual_seed(0)
    ours, plain = MaskFormer(TINY.classes, settings).double(), PlainMaskFormer(TINY.classes, settings).double()
    plain.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    actual, expected = ours(images), plain(images)
    assert len(actual.class_logits) == len(expected.class_logits) == settings.decoder_layers
    for name in ("class_logits", "mask_logits"):
        wanted = torch.stack(getattr(expected, name))
        torch.testing.assert_close(getattr(actual, name), wanted, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(actual.embeddings, expected.embeddings)
