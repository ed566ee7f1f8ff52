"""Hugging Face's MaskFormer with random weights, at the sizes of a case: a training step, and inference."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch

import simformer.models.torchvision_ops  # noqa: F401 (first: transformers imports torchvision, see there)
from simformer.data.targets import Target
from simformer.data.transforms import PIXEL_MEAN, PIXEL_STD
from tests.workloads import Case, new_groups

TINY_STAGES = {"embedding_size": 16, "hidden_sizes": [24, 32, 64, 96], "depths": [1, 1, 1, 1], "layer_type": "basic"}
"""Of their ResNet, for a tiny case."""


def new_network(case: Case, supervised: bool) -> torch.nn.Module:
    """Build the network.

    Args:
        case: the sizes.
        supervised: whether every decoder layer has a loss, as in the paper; needs hidden states as outputs.
    """
    import transformers as hf

    torch.manual_seed(0)
    stages = [f"stage{number}" for number in range(1, 5)]
    small = case.backbone == "tiny"
    model = case.settings("maskformer").model
    config = hf.MaskFormerConfig(
        backbone_config=hf.ResNetConfig(out_features=stages, **(TINY_STAGES if small else {})),
        decoder_config=hf.DetrConfig(
            num_queries=model.queries,
            d_model=model.dim,
            decoder_layers=model.decoder_layers,
            decoder_ffn_dim=model.feedforward_dim,
            decoder_attention_heads=model.heads,
            dropout=model.dropout,
        ),
        fpn_feature_size=model.dim,
        mask_feature_size=model.dim,
        num_labels=case.classes,
        use_auxiliary_loss=supervised,
    )
    return hf.MaskFormerForInstanceSegmentation(config)


def training_step(case: Case, device: str, precision: torch.dtype | None, compiled: bool) -> Callable[[], object]:
    """Return what does a training step on all masks: transfer, forward and backward pass, clipping, AdamW.

    Args:
        case: the sizes, images of a step among them.
        device: of the network.
        precision: of autocast, None for none.
        compiled: whether all but the losses is compiled.
    """
    model = new_network(case, supervised=True).to(device).train()
    if compiled:
        model.model.compile()
    settings = case.settings("maskformer").optim
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    groups = new_groups(case, "maskformer")
    images = _normalised(torch.cat([group.images for group in groups]))
    targets = [target for group in groups for target in group.targets]
    masks, classes = [_masks(target) for target in targets], [target.class_ids for target in targets]

    def step() -> float:
        there = images.to(device, non_blocking=True)
        labels = [mask.to(device, non_blocking=True) for mask in masks]
        ids = [ident.to(device, non_blocking=True) for ident in classes]
        with torch.autocast(torch.device(device).type, precision) if precision else nullcontext():
            output = model(pixel_values=there, mask_labels=labels, class_labels=ids, output_hidden_states=True)
        optimizer.zero_grad(set_to_none=True)
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        return float(output.loss.detach())

    return step


def inference_step(case: Case, device: str, precision: torch.dtype | None, compiled: bool) -> Callable[[], object]:
    """Return what predicts the class of every pixel of some images, with their own post-processing."""
    from transformers import MaskFormerImageProcessor

    model = new_network(case, supervised=False).to(device).eval()
    if compiled:
        model.model.compile()
    images = _normalised(torch.cat([group.images for group in new_groups(case, "maskformer")]))
    sizes = [(case.crop, case.crop)] * len(images)
    finish = MaskFormerImageProcessor().post_process_semantic_segmentation

    @torch.inference_mode()
    def step() -> torch.Tensor:
        with torch.autocast(torch.device(device).type, precision) if precision else nullcontext():
            output = model(pixel_values=images.to(device, non_blocking=True))
        return torch.stack(finish(output, target_sizes=sizes)).to(torch.uint8).cpu()

    return step


def _normalised(images: torch.Tensor) -> torch.Tensor:
    """Normalise images on the host, as their image processor does."""
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
    return (images.float() - mean) / deviation


def _masks(target: Target) -> torch.Tensor:
    """Return the masks of an image as their image processor gives them: one of single precision for each class."""
    return (target.label_map[None] == target.class_ids[:, None, None]).float()
