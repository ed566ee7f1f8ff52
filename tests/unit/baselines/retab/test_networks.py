"""Training of RETAB's networks: exact when stopped, better than before, and what they refuse."""

import pytest
import torch

from simformer.baselines.expansion.affinity_network import AffinityNetwork
from simformer.baselines.retab.edge_network import EdgeNetwork, at_pixels
from simformer.baselines.retab.edges import base_edges
from simformer.baselines.retab.settings import EdgeSettings
from simformer.baselines.training.network_file import read_network
from simformer.claims.measures import average_precision
from simformer.data.images import read_image, read_label
from simformer.data.transforms import normalise
from tests.unit.baselines.expansion.test_psa_irn import pair_ranking
from tests.unit.baselines.retab.retab_stages import retab_spec, retab_train


@pytest.mark.parametrize("kind", ["retab_boundary", "retab_affinity"])
def test_a_stopped_training_goes_on_exactly(scenes, masked, retab, tmp_path, kind):
    labels = masked if kind == "retab_boundary" else retab.seeds
    options = retab_spec(kind), scenes.data, labels, masked.novel
    retab_train(tmp_path, *options, stop_after=2)
    outputs = retab_train(tmp_path, *options)
    whole = retab.edges if kind == "retab_boundary" else retab.affinity
    assert outputs.model.read_bytes() == whole.model.read_bytes()


def test_cells_speak_for_the_centre_of_their_pixels():
    logits = torch.tensor([[[0.0, 8.0]]])
    pixels = at_pixels(logits, 8, 15)
    assert pixels.shape == (1, 8, 15)
    assert pixels[0, 0, 0] == 0 and pixels[0, 0, 14] == 8 and pixels[0, 3, 7].item() == pytest.approx(3.5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "tiny"])
def test_the_boundary_network_on_every_backbone(name):
    with torch.no_grad():
        assert EdgeNetwork(name)(torch.rand(1, 3, 60, 48)).shape == (1, 8, 6)


def test_the_boundary_network_learns_edges_that_it_transfers_to_novel_classes(scenes, masked, tmp_path):
    """On test images, with the edges of all classes."""
    spec = retab_spec("retab_boundary", epochs=40, lr=0.1, momentum=0.9, head_lr_factor=1)
    stored = read_network(retab_train(tmp_path, spec, scenes.data, masked).model, "retab_boundary", EdgeSettings)
    network = EdgeNetwork("tiny").eval()
    network.load_state_dict(stored.tensors)
    found, truth = [], []
    for record in scenes.index.test:
        labels = torch.from_numpy(read_label(scenes.data / record.label))[None]
        edges, known = base_edges(labels, torch.zeros_like(labels, dtype=torch.bool), 2)
        image = torch.from_numpy(read_image(scenes.data / record.image).transpose(2, 0, 1).copy())
        with torch.no_grad():
            logits = at_pixels(network(normalise(image[None])), 48, 48)
        found.append(logits[known])
        truth.append(edges[known])
    found, truth = torch.cat(found).numpy(), torch.cat(truth).numpy()
    assert average_precision(found, truth) > truth.mean() + 0.1


def test_the_affinity_network_learns_from_base_masks_and_seeds(scenes, masked, retab, tmp_path):
    spec = retab_spec("retab_affinity", epochs=10, lr=0.1, head_lr_factor=1)
    model = retab_train(tmp_path, spec, scenes.data, retab.seeds, masked.novel).model
    torch.manual_seed(0)
    before, after = AffinityNetwork("tiny").eval(), AffinityNetwork("tiny").eval()
    after.load_state_dict(read_network(model, "retab_affinity", type(spec.settings)).tensors)
    assert pair_ranking(after, scenes) > pair_ranking(before, scenes) + 0.03
