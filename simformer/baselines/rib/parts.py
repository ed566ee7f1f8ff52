"""A classifier cut in two: constant stages, whose features are kept, and stages that are fine-tuned."""

from __future__ import annotations

from torch import nn

from simformer.baselines.classifier import Classifier

HEAD = "head"
STAGES = 4


def cut(network: Classifier, constant_stages: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Cut a classifier after a number of stages of its backbone; one after the other they give its raw maps.

    Args:
        network: any backbone: a stage ends where the backbone's map is taken.
        constant_stages: 0 (nothing is constant, the first part passes images through) to 3.
    Returns: constant part, fine-tuned part whose last layer is 'head'.
    """
    layers = list(network.backbone.named_children())
    end = network.backbone.taps[constant_stages - 1] if constant_stages else None
    first = 1 + [name for name, _ in layers].index(end) if end else 0
    constant, tuned = nn.Sequential(), nn.Sequential()
    for position, (name, layer) in enumerate(layers):
        (constant if position < first else tuned).add_module(name, layer)
    tuned.add_module(HEAD, network.head)
    return constant, tuned
