"""Writes the table of costs in docs/backbones.md, parameters and arithmetic: `python -m docs.draw.backbones`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from simformer.models.maskformer import MaskFormer
from simformer.study.catalogue import FULL_SPLIT, Catalogue

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/backbones.md"
BEGIN, END = "<!-- cost: written by python -m docs.draw.backbones -->\n", "<!-- end of cost -->\n"
DATASET, CLASSES = "coco_stuff_10k", 171
METHODS = ("simformer", "simformer_swin_t", "simformer_convnext_t", "simformer_dinov2", "simformer_dinov2_trained")


def table() -> str:
    """Return the table: a row per method, of the network on one crop of COCO-Stuff-10K, without losses and SimNet."""
    study = {"datasets": {DATASET: {"splits": {1: {"seed": 0}}}}, "experiments": ["backbones"]}
    catalogue = Catalogue(study, "docs", ROOT / "config")
    lines = [
        "| method | `model.backbone` | crop | parameters, M: backbone, all, trained | "
        "forward pass, GFLOPs: backbone, all |",
        "|---|---|---|---|---|",
    ]
    for method in METHODS:
        settings = catalogue.run(DATASET, FULL_SPLIT, method, 0).settings
        side = settings.augment.crop
        with torch.device("meta"):
            model, images = MaskFormer(CLASSES, settings.model).eval(), torch.empty(1, 3, side, side)
            flops = [_flops(network, images) for network in (model.backbone, model)]
        numbers = [sum(p.numel() for p in network.parameters()) for network in (model.backbone, model)]
        numbers.append(sum(p.numel() for p in model.parameters() if p.requires_grad))
        million = ", ".join(f"{number / 1e6:.1f}" for number in numbers)
        giga = ", ".join(f"{flop / 1e9:.0f}" for flop in flops)
        lines.append(f"| `{method}` | `{settings.model.backbone}` | {side} | {million} | {giga} |")
    return "\n".join(lines) + "\n"


def _flops(network: torch.nn.Module, images: torch.Tensor) -> int:
    """Count the operations of products of matrices and convolutions; a multiplication and its addition are two."""
    with FlopCounterMode(display=False) as counter:
        network(images)
    return counter.get_total_flops()


def main() -> None:
    """Replace what stands between the two marks."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
