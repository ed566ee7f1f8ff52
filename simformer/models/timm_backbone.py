"""Backbones by timm's names: a network's own pyramid, or one that is resampled from a single stride."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import getmodule
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simformer.config.fields import TIMM
from simformer.config.paths import pip_install
from simformer.data.transforms import PIXEL_MEAN, PIXEL_STD
from simformer.errors import UserError, did_you_mean, first_line

STRIDES = (4, 8, 16, 32)
PROBE = (96, 160)
"""Height and width of the image on which a network shows what its maps are made from."""
ANY_SIZE: tuple[dict[str, Any], ...] = (
    {"dynamic_img_size": True},  # ViT: resamples its position embeddings
    {"strict_img_size": False, "always_partition": True},  # Swin: pads to windows and shifts them in every stage
    {"strict_img_size": False},
    {},  # convolutions take any size
)
"""What timm's families need to take images of any size, in the order in which it is tried."""


if TYPE_CHECKING:

    class TimmNetwork(nn.Module):
        """What a network of timm has beside what every module has, as far as it is used here."""

        feature_info: Sequence[Mapping[str, Any]]
        pretrained_cfg: Mapping[str, Any]

        def prune_intermediate_layers(self, indices: list[int], prune_norm: bool, prune_head: bool) -> object:
            """Take off what comes after the last of some blocks, and the classifier."""

        def forward_intermediates(
            self, x: Tensor, indices: list[int], norm: bool, output_fmt: str, intermediates_only: bool
        ) -> list[Tensor]:
            """Return the maps of some blocks."""


class TimmBackbone(nn.Module):
    """Four maps at strides 4, 8, 16 and 32 of a network of timm, whose names its tensors keep after 'network.'.

    A network with maps at these strides gives them as they are, of images that zeros pad to multiples of 32. One with
    a single stride p (ViT) gives those of four blocks at equal distances, normed by its last norm layer, and bilinear
    resampling makes the pyramid, the earliest block at stride 4: the blocks of BEiT with UPerNet (Bao et al. 2022),
    which learns the resampling. Its images are first resized to the nearest multiples of p, so that the cells of its
    maps cover the image, and nothing else.

    Batch norms are frozen, statistics and parameters, as in the paper's ResNet-50: a step has too few images for them.

    Args:
        name: 'timm/' and timm's name, e.g. 'timm/swin_tiny_patch4_window7_224'; random weights.

    Raises: UserError if timm is not installed, or has no such network, or the network gives no such maps.
    """

    def __init__(self, name: str):
        super().__init__()
        self.name = name
        self.network = _create(name)
        self.patch, indices = _indices(name, self.network.feature_info)
        self.network.prune_intermediate_layers(indices, prune_norm=False, prune_head=True)
        self.indices = indices
        self.other_norm = _other_norm(self.network.pretrained_cfg)
        self._freeze(p for norm in self._batch_norms() for p in norm.parameters())
        maps = self._probe()
        self.channels = tuple(m.shape[1] for m in maps)
        used = _sources(maps, self.parameters())
        self._freeze(p for p in self.parameters() if id(p) not in used)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature maps: arguments and result as of `Backbone`."""
        height, width = images.shape[-2:]
        sizes = [(-(-height // stride), -(-width // stride)) for stride in STRIDES]
        images = self._normed(images)
        if self.patch is None:
            padded = F.pad(images, (0, -width % STRIDES[-1], 0, -height % STRIDES[-1]))
            return tuple(m[..., :h, :w] for m, (h, w) in zip(self._maps(padded), sizes, strict=True))
        half = self.patch // 2
        whole = [max(1, (side + half) // self.patch) * self.patch for side in (height, width)]
        return tuple(_resized(m, size) for m, size in zip(self._maps(_resized(images, whole)), sizes, strict=True))

    def train(self, mode: bool = True) -> TimmBackbone:
        """Set the mode of everything but batch norms, which always use their stored statistics."""
        super().train(mode)
        for norm in self._batch_norms():
            norm.eval()
        return self

    def freeze(self, stages: int) -> None:
        """Make all that the first maps are computed from constant; 4 leaves nothing of the network to train."""
        if stages:
            used = _sources(self._probe()[:stages], self.parameters())
            self._freeze(p for p in self.parameters() if id(p) in used)

    def undecayed(self) -> set[int]:
        """Return ids of the parameters that timm does not decay: vectors, and those that the network names."""
        named = set(getattr(self.network, "no_weight_decay", set)())
        return {id(p) for name, p in self.network.named_parameters() if p.dim() <= 1 or name in named}

    def _maps(self, images: Tensor) -> list[Tensor]:
        return self.network.forward_intermediates(
            images, indices=self.indices, norm=True, output_fmt="NCHW", intermediates_only=True
        )

    def _normed(self, images: Tensor) -> Tensor:
        """Turn images with ImageNet's mean and deviation into those that the network expects."""
        if self.other_norm is None:
            return images
        channels = zip(images.unbind(-3), *self.other_norm, strict=True)
        return torch.stack([channel * scale + shift for channel, scale, shift in channels], dim=-3)

    def _batch_norms(self) -> Iterable[nn.Module]:
        return (m for m in self.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))

    @staticmethod
    def _freeze(parameters: Iterable[nn.Parameter]) -> None:
        for parameter in list(parameters):
            parameter.requires_grad_(False)

    @torch.enable_grad()
    def _probe(self) -> tuple[Tensor, ...]:
        """Return the maps of an image of zeros, with their graph; the mode and all random numbers stay."""
        training, device = self.training, next(self.parameters()).device
        try:
            maps: tuple[Tensor, ...] = self.eval()(torch.zeros(1, 3, *PROBE, device=device))
        except Exception as error:  # each family refuses sizes in its own way
            raise UserError(
                f"model.backbone '{self.name}': this network takes no images of {PROBE[0]} x {PROBE[1]} pixels "
                f"({first_line(error)}); choose one that takes images of any size, e.g. {TIMM}convnext_tiny"
            ) from None
        finally:
            self.train(training)
        expected = [tuple(-(-side // stride) for side in PROBE) for stride in STRIDES]
        if [tuple(m.shape[-2:]) for m in maps] != expected:
            raise _no_pyramid(self.name, f"maps of {[tuple(m.shape[-2:]) for m in maps]}, expected {expected}")
        return maps


def own_tensors(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring weights of a timm network to the names of `TimmBackbone`; what it has no use for is dropped.

    Args:
        name: see `TimmBackbone`.
        state: state dict with timm's names, or those of the network's authors, as far as timm reads them.

    Returns: tensors under our names; unknown ones keep theirs.
    """
    with torch.device("meta"):
        network, ours = _create(name), TimmBackbone(name).state_dict()
    convert = getattr(getmodule(type(network)), "checkpoint_filter_fn", None)
    if convert and not all(key in ours for key in state):
        state = convert(dict(state), network)
    named = {key if key in ours else f"network.{key}": tensor for key, tensor in state.items()}
    passed = {f"network.{key}" for key in network.state_dict()} - set(ours)
    head = tuple(f"network.{part}." for part in _classifiers(network))
    return {
        key: tensor
        for key, tensor in named.items()
        if key in ours or not (key in passed or key.startswith(head) or key.endswith(".num_batches_tracked"))
    }


def download(name: str) -> dict[str, Tensor]:
    """Get the weights that timm publishes under a name, from its cache or the internet; the hub checks them.

    Raises: UserError if there are none under this name, or they cannot be had.
    """
    timm = _timm(name)
    if not timm.models.get_pretrained_cfg(name.removeprefix(TIMM), allow_unregistered=False).has_weights:
        raise UserError(
            f"model.weights: timm has no weights under the name '{name}'; type  model.weights: none, or name a file"
        )
    try:
        network: TimmNetwork = timm.create_model(name.removeprefix(TIMM), pretrained=True)
        return network.state_dict()
    except Exception as error:  # network, proxy, disk, hash and format faults share no base class
        raise UserError(
            f"model.weights: could not get timm's weights of '{name}' ({first_line(error)}); try again where there is "
            "internet, or bring the file yourself and type  model.weights: PATH"
        ) from error


def _timm(name: str) -> ModuleType:
    """Import timm; it imports torchvision, which has one safe way."""
    import simformer.models.torchvision_ops  # noqa: F401

    try:
        import timm
    except ImportError as error:
        raise UserError(
            f"model.backbone '{name}': the package timm cannot be imported ({first_line(error)}); "
            f"type  {pip_install('timm')}"
        ) from None
    return timm


def _create(name: str) -> TimmNetwork:
    """Build timm's network with random weights, for images of any size if it can."""
    timm, own = _timm(name), name.removeprefix(TIMM)
    architecture, _, tag = own.partition(".")
    if not timm.is_model(architecture):
        hint = did_you_mean(name, (TIMM + known for known in timm.list_models()), _listing(own))
        raise UserError(f"model.backbone '{name}': timm {timm.__version__} has no such network{hint}")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        known = f"Known: {', '.join(tags) or 'none'}"
        hint = did_you_mean(name, (f"{TIMM}{architecture}.{each}" for each in tags), known)
        raise UserError(f"model.backbone '{name}': timm has no weights '{tag}' of this network{hint}")
    for options in ANY_SIZE:
        try:
            network: TimmNetwork = timm.create_model(own, pretrained=False, **options)
            break
        except TypeError:
            if not options:
                raise
    if not hasattr(network, "prune_intermediate_layers") or not getattr(network, "feature_info", None):
        raise _no_pyramid(name, "no intermediate maps")
    return network


def _indices(name: str, info: Sequence[Mapping[str, Any]]) -> tuple[int | None, list[int]]:
    """Choose the four maps; returns the patch size of a network with one stride, else None, and their numbers."""
    strides = [int(entry["reduction"]) for entry in info]
    if all(stride in strides for stride in STRIDES):
        return None, [len(strides) - 1 - strides[::-1].index(stride) for stride in STRIDES]
    if len(set(strides)) == 1 and len(strides) >= len(STRIDES):
        return strides[0], [len(strides) * (k + 1) // len(STRIDES) - 1 for k in range(len(STRIDES))]
    raise _no_pyramid(name, f"maps at the strides {', '.join(map(str, dict.fromkeys(strides)))}")


def _no_pyramid(name: str, found: str) -> UserError:
    return UserError(
        f"model.backbone '{name}': {found}; expected a network of timm with maps at the strides 4, 8, 16 and 32, or at "
        f"a single one (ViT), e.g. {TIMM}convnext_tiny"
    )


def _listing(own: str) -> str:
    return f"This lists them: python -c \"import timm; print(timm.list_models('*{own[:4]}*'))\""


def _other_norm(given: Mapping[str, Any]) -> tuple[list[float], list[float]] | None:
    """Return, per channel, factor and summand from ImageNet's mean and deviation to a network's; None if equal."""
    mean, deviation = ([255 * value for value in given[key]] for key in ("mean", "std"))
    if all(abs(a - b) < 1e-3 for a, b in zip([*mean, *deviation], [*PIXEL_MEAN, *PIXEL_STD], strict=True)):
        return None
    scale = [ours / theirs for ours, theirs in zip(PIXEL_STD, deviation, strict=True)]
    shift = [(ours - theirs) / std for ours, theirs, std in zip(PIXEL_MEAN, mean, deviation, strict=True)]
    return scale, shift


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def _classifiers(network: TimmNetwork) -> list[str]:
    named = network.pretrained_cfg.get("classifier") or ()
    return [named] if isinstance(named, str) else list(named)


@torch.enable_grad()
def _sources(maps: Sequence[Tensor], parameters: Iterable[nn.Parameter]) -> set[int]:
    """Return ids of the trainable parameters that maps are computed from."""
    trainable = [p for p in parameters if p.requires_grad]
    if not trainable:
        return set()
    gradients = torch.autograd.grad(torch.stack([m.sum() for m in maps]).sum(), trainable, allow_unused=True)
    return {id(p) for p, gradient in zip(trainable, gradients, strict=True) if gradient is not None}
