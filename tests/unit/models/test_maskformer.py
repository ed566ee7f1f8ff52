"""MaskFormer: golden parameter counts, shapes, shared heads, train against eval mode, gradients."""

import pytest
import torch
from torch import nn

from simformer.config.settings import ModelSettings
from simformer.models.maskformer import MaskFormer

SMALL = ModelSettings(
    backbone="tiny",
    weights="none",
    queries=6,
    dim=32,
    heads=4,
    feedforward_dim=48,
    decoder_layers=3,
    dropout=0.0,
    simnet_dim=32,
)


def make_model(**changes) -> MaskFormer:
    """A small model of 5 classes."""
    torch.manual_seed(0)
    return MaskFormer(5, SMALL.model_copy(update=changes))


@pytest.mark.parametrize(("num_classes", "total"), [(171, 41_260_140), (150, 41_254_743)])
def test_golden_parameter_counts(num_classes, total):
    """The paper's two networks, split as the reference optimiser splits them."""
    with torch.device("meta"):
        model = MaskFormer(num_classes, ModelSettings())
    assert sum(p.numel() for p in model.parameters()) == total
    backbone = list(model.backbone.parameters())
    unregularised = [
        p for m in model.modules() if isinstance(m, nn.GroupNorm | nn.LayerNorm | nn.Embedding) for p in m.parameters()
    ]
    assert (len(backbone), sum(p.numel() for p in backbone)) == (53, 23_454_912)
    assert (len(unregularised), sum(p.numel() for p in unregularised)) == (53, 38_912)
    assert len(list(model.parameters())) == 197


@pytest.mark.parametrize("size", [(96, 96), (61, 130)])
def test_shapes(size):
    """L states in training, one in eval mode; the grid is the image at stride 4, rounded up."""
    model = make_model()
    h, w = -(-size[0] // 4), -(-size[1] // 4)
    for mode, layers in ((True, 3), (False, 1)):
        with torch.no_grad():
            output = model.train(mode)(torch.randn(2, 3, *size))
        assert output.class_logits.shape == (layers, 2, 6, 6)
        assert output.mask_logits.shape == (layers, 2, 6, h, w)
        assert output.embeddings.shape == (2, 32, h, w)


def test_every_layer_is_decoded_by_the_same_heads():
    """Class logits and masks of each layer, from that layer's normalised state, pixel by pixel."""
    model = make_model().double()
    images = torch.randn(2, 3, 40, 33, dtype=torch.float64)
    output = model(images)
    states = model.transformer(model.backbone(images)[-1])
    for layer in range(3):
        torch.testing.assert_close(output.class_logits[layer], model.class_head(states[layer]))
        kernels = model.mask_head(states[layer])
        masks = (kernels[:, :, :, None, None] * output.embeddings[:, None]).sum(2)
        torch.testing.assert_close(output.mask_logits[layer], masks)


def test_mask_head_is_a_three_layer_perceptron():
    """ReLU between the layers, none at the end, every width C."""
    model = make_model()
    first, second, third = [m for m in model.mask_head if isinstance(m, nn.Linear)]
    x = torch.randn(4, 32)
    torch.testing.assert_close(model.mask_head(x), third(second(first(x).relu()).relu()))
    assert {m.weight.shape for m in (first, second, third)} == {(32, 32)}


def test_eval_gives_the_final_layer_of_train_mode():
    """With dropout 0 the two modes agree."""
    model = make_model().double()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    train, final = model.train()(images), model.eval()(images)
    torch.testing.assert_close(final.class_logits[0], train.class_logits[-1])
    torch.testing.assert_close(final.mask_logits[0], train.mask_logits[-1])
    torch.testing.assert_close(final.embeddings, train.embeddings)


def test_images_of_a_batch_do_not_influence_each_other():
    """An image alone and in a batch gives the same output, in train mode too (no batch statistics)."""
    model = make_model().double().train()
    images = torch.randn(3, 3, 64, 64, dtype=torch.float64)
    together, alone = model(images), model(images[1:2])
    torch.testing.assert_close(together.mask_logits[:, 1:2], alone.mask_logits)
    torch.testing.assert_close(together.class_logits[:, 1:2], alone.class_logits)


def test_every_parameter_learns():
    """Only layer 0's self-attention has idle weights at the start: the content it attends to is zero."""
    model = make_model().train()
    output = model(torch.randn(2, 3, 64, 64))
    (output.class_logits.square().sum() + output.mask_logits.square().mean()).backward()
    assert all(p.grad is not None for p in model.parameters())
    idle = [name for name, p in model.named_parameters() if p.grad.abs().max() == 0]
    first = "transformer.layers.0"
    assert idle == [
        f"{first}.self_attention.in_proj_weight",
        f"{first}.self_attention.out_proj.weight",
        f"{first}.self_norm.weight",
    ]
