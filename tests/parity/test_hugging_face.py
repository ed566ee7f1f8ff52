"""MaskFormer against Hugging Face's implementation: same weights, same logits, matching, losses and gradients."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import simformer.models.torchvision_ops  # noqa: F401 (first: transformers imports torchvision, see there)
from simformer.config.settings import LossSettings, MatchingSettings, ModelSettings, SimilaritySettings
from simformer.data.targets import make_target
from simformer.losses.classification import classification_loss
from simformer.losses.mask import count_masks, mask_losses
from simformer.losses.matching import match
from simformer.losses.total import SimFormerLoss, total
from simformer.models.maskformer import MaskFormer
from tests.parity.hf_names import to_hugging_face

hf = pytest.importorskip("transformers", reason="the independent MaskFormer: pip install -e '.[parity]'")

CLASSES, SIZE, BLOCK = 12, (64, 96), 16
LOSS = LossSettings(alpha=0, beta=0, sim=0)


def randomise_vectors(model: nn.Module) -> None:
    """Give norms and biases values that a wrong mapping shows, small enough for logits of order one."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    for name, tensor in tensors:
        if tensor.dim() == 1 and name.endswith(("running_var", "weight")):
            nn.init.uniform_(tensor, 0.5, 1.5)
        elif tensor.dim() == 1:
            nn.init.normal_(tensor, 0, 0.1)
        if name.endswith("bn3.weight"):
            tensor.data.mul_(0.3)  # the residual branch's last norm: keeps the sums over blocks tame


def oracle_outputs(model, images):
    """Class and mask logits of all decoder layers, final last, [L, B, N, ...] each.

    Hugging Face gives the intermediate states without the norm that all layers share in the original.
    """
    out = model(images, output_hidden_states=True)
    norm = model.model.transformer_module.decoder.layernorm
    intermediate = [norm(state) for state in out.transformer_decoder_hidden_states[1:-1]]
    states = torch.stack([*intermediate, out.transformer_decoder_last_hidden_state])
    embeddings = out.pixel_decoder_last_hidden_state
    masks = torch.einsum("lbnc,bchw->lbnhw", model.mask_embedder(states), embeddings)
    assert torch.equal(masks[-1], out.masks_queries_logits)
    return SimpleNamespace(class_logits=model.class_predictor(states), mask_logits=masks, embeddings=embeddings)


def random_targets(seed=0):
    """Two images of blocks of base classes, 255 among them, the second one padded at the right."""
    generator = torch.Generator().manual_seed(seed)
    targets = []
    for image in range(2):
        blocks = torch.randint(0, CLASSES + 2, (SIZE[0] // BLOCK, SIZE[1] // BLOCK), generator=generator)
        blocks[blocks >= CLASSES] = 255
        label_map = blocks.to(torch.uint8).repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
        padding = torch.zeros(SIZE, dtype=torch.bool)
        padding[:, SIZE[1] - 20 * image :] = True
        label_map[padding] = 255
        targets.append(make_target(label_map, padding, []))
    return targets


@pytest.fixture(scope="module")
def networks():
    """Both networks with equal weights, no dropout, and the images."""
    torch.manual_seed(0)
    ours = MaskFormer(CLASSES, ModelSettings(dropout=0))
    randomise_vectors(ours)
    config = hf.MaskFormerConfig(
        backbone_config=hf.ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"]),
        decoder_config=hf.DetrConfig(dropout=0.1, attention_dropout=0.1, activation_dropout=0.1),
        num_labels=CLASSES,
    )
    theirs = hf.MaskFormerForInstanceSegmentation(config).eval()
    result = theirs.load_state_dict(to_hugging_face(ours.state_dict()), strict=False)
    assert result.unexpected_keys == []
    assert {name for name in result.missing_keys if not name.endswith("num_batches_tracked")} <= {
        "criterion.empty_weight"
    }
    return SimpleNamespace(ours=ours.train(), theirs=theirs, images=torch.randn(2, 3, *SIZE))


@pytest.fixture(scope="module")
def outputs(networks):
    """Outputs of both networks in single precision."""
    with torch.no_grad():
        return SimpleNamespace(
            ours=networks.ours(networks.images), theirs=oracle_outputs(networks.theirs, networks.images)
        )


def oracle_pairs(model, output, layer, targets):
    """Per image, (query, target) pairs of one decoder layer."""
    masks = [t.masks.to(output.mask_logits.dtype) for t in targets]
    classes = [t.class_ids for t in targets]
    pairs = model.criterion.matcher(output.mask_logits[layer], output.class_logits[layer], masks, classes)
    return [sorted(zip(q.tolist(), t.tolist(), strict=True)) for q, t in pairs]


def oracle_losses(model, output, targets):
    """Unweighted cls, focal and dice of all decoder layers, [L, 3]."""
    masks = [t.masks.to(output.mask_logits.dtype) for t in targets]
    classes = [t.class_ids for t in targets]
    rows = []
    for class_logits, mask_logits in zip(output.class_logits, output.mask_logits, strict=True):
        losses = model.criterion(mask_logits, class_logits, masks, classes)
        rows.append(torch.stack([losses[f"loss_{name}"] for name in ("cross_entropy", "mask", "dice")]))
    return torch.stack(rows)


def close(actual, expected, tolerance):
    """Largest difference below the tolerance, relative to the largest expected value where that exceeds 1."""
    scale = max(1.0, expected.abs().max().item())
    difference = (actual - expected).abs().max().item()
    assert difference <= tolerance * scale, f"{difference:.2e} at scale {scale:.2f}"


@pytest.mark.parametrize("name", ["class_logits", "mask_logits"])
def test_logits_of_all_decoder_layers(outputs, name):
    actual, expected = getattr(outputs.ours, name), getattr(outputs.theirs, name)
    assert actual.shape == expected.shape and len(actual) == 6
    for layer in range(6):
        assert expected[layer].std() > 0.1
        close(actual[layer], expected[layer], 1e-5)


def test_pixel_embeddings(outputs):
    close(outputs.ours.embeddings, outputs.theirs.embeddings, 1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_matching(networks, outputs, seed):
    targets = random_targets(seed)
    matches = match(outputs.ours.class_logits, outputs.ours.mask_logits, targets, MatchingSettings())
    starts = [0, len(targets[0].class_ids)]
    for layer in range(6):
        expected = oracle_pairs(networks.theirs, outputs.theirs, layer, targets)
        for image in range(2):
            here = (matches.layer == layer) & (matches.image == image)
            rows = (matches.row[here] - starts[image]).tolist()
            assert sorted(zip(matches.query[here].tolist(), rows, strict=True)) == expected[image]


@pytest.mark.parametrize("seed", range(5))
def test_losses_of_all_decoder_layers(networks, outputs, seed):
    targets, output = random_targets(seed), outputs.ours
    matches = match(output.class_logits, output.mask_logits, targets, MatchingSettings())
    chosen = matches.with_mask
    logits = output.mask_logits[matches.layer, matches.image, matches.query][chosen]
    masks = torch.cat([t.masks for t in targets])[matches.row[chosen]]
    cls = classification_loss(output.class_logits, matches, LOSS.no_object, group_images=2, num_groups=1)
    mask = mask_losses(logits, masks, matches.layer[chosen], 6, count_masks(targets), num_groups=1)
    actual, expected = torch.stack([cls, *mask], dim=1), oracle_losses(networks.theirs, outputs.theirs, targets)
    assert (expected > 1e-3).all()
    close(actual, expected, 1e-5)


def test_gradients_in_double_precision(networks):
    """Of the weighted sum over the six layers, with respect to every trained parameter.

    Query and key of the first self-attention and all key biases have no gradient but for rounding: the
    decoder's content starts at zero, and attention does not depend on a constant added to all keys' scores.
    """
    targets, images = random_targets(), networks.images.double()
    ours, theirs = networks.ours.double(), networks.theirs.double()
    try:
        output = ours(images)
        loss = SimFormerLoss(LOSS, MatchingSettings(), SimilaritySettings(), novel_ids=(), group_images=2)
        value = total(loss(output, targets, num_masks=count_masks(targets), num_groups=1))
        value.backward()
        weights = torch.tensor([LOSS.cls, LOSS.focal, LOSS.dice], dtype=torch.float64)
        expected_value = (oracle_losses(theirs, oracle_outputs(theirs, images), targets) * weights).sum()
        expected_value.backward()
        assert value.item() == pytest.approx(expected_value.item(), rel=1e-6)
        gradients = to_hugging_face({name: p.grad for name, p in ours.named_parameters()})
        expected = {name: p.grad for name, p in theirs.named_parameters() if name in gradients}
    finally:
        networks.ours.float()
        networks.theirs.float()
    assert expected.keys() == gradients.keys()
    compared = 0
    for name, wanted in expected.items():
        difference, scale = (gradients[name] - wanted).abs().max().item(), wanted.abs().max().item()
        if "k_proj.bias" in name or "layers.0.self_attn.q_proj" in name or "layers.0.self_attn.k_proj" in name:
            assert max(difference, scale) < 1e-9, name
        else:
            assert difference <= 1e-6 * scale, f"{name}: {difference / scale:.1e}"
            compared += 1
    assert compared == len(expected) - 15
