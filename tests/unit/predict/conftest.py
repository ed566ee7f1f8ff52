"""A tiny model of random weights in a file, and a folder of photographs."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from simformer.config.settings import InferenceSettings
from simformer.data.identity import Identity
from simformer.data.transforms import normalise
from simformer.models.maskformer import MaskFormer
from simformer.models.model_file import write_model
from tests.conftest import SINGLE

CLASSES = ("sky", "cow", "grass", "car", "road")
NOVEL = (1, 3)
SIZE = InferenceSettings(short_edge=48, max_long_edge=96)


@torch.no_grad()
def tell_queries_apart(network):
    """Shift and scale the heads so that the queries of a random network differ in class and mask."""
    outputs = {}
    heads = {network.class_head: 4, network.mask_head[-1]: 10}
    hooks = [head.register_forward_hook(lambda head, _, output: outputs.update({head: output})) for head in heads]
    network(normalise(torch.from_numpy(np.array(photograph(64, 64))).permute(2, 0, 1)[None]))
    for head, spread in heads.items():
        found = outputs[head].flatten(0, 2)
        scale = spread / found.std(0).mean()
        head.weight.mul_(scale)
        head.bias.copy_(scale * (head.bias - found.mean(0)))
    for hook in hooks:
        hook.remove()


def photograph(height, width, seed=0):
    """A coarse random picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def write_tiny(new_config):
    """Write a model file of random weights that do not favour one class."""

    def write(path, inference=SIZE, novel=NOVEL, backbone="tiny"):
        config = new_config(SINGLE, {"model": {"backbone": backbone}})
        torch.manual_seed(5)
        network = MaskFormer(len(CLASSES), config.settings.model).eval()
        tell_queries_apart(network)
        tensors = {f"model.{name}": tensor for name, tensor in network.state_dict().items()}
        write_model(path, tensors, config, Identity(CLASSES, "0" * 16, novel), inference)
        return path

    return write


@pytest.fixture(scope="session")
def model_file(write_tiny, tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture
def photos(tmp_path):
    """Photographs in a folder and one below it; `folder`, and `files` by name."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    sizes = {"a.jpg": (60, 80), "b.PNG": (60, 80), "sub/a.webp": (64, 48)}
    for seed, (name, size) in enumerate(sizes.items()):
        photograph(*size, seed).save(folder / name)
    (folder / "notes.md").write_text("no photograph")
    return SimpleNamespace(folder=folder, files={name: folder / name for name in sizes})
