"""PSA and IRN: cell labels, networks, training on seeds, and the walk over a whole image."""

import json
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapJob
from simformer.baselines.expansion.affinity import feature_affinity, pair_kinds
from simformer.baselines.expansion.affinity_network import AffinityNetwork
from simformer.baselines.expansion.boundary_network import BoundaryNetwork
from simformer.baselines.expansion.psa_irn import Expander, build_expander, cell_labels, majority_cells
from simformer.baselines.expansion.stencil import half_disc
from simformer.baselines.settings import AffinitySettings, WalkSettings
from simformer.baselines.training.network_file import read_network, write_network
from simformer.data.identity import Identity
from simformer.data.images import read_image, read_label
from simformer.data.shards import Shard
from simformer.data.transforms import normalise
from simformer.errors import UserError
from tests.unit.baselines.stages import CPU, spec, train

WALK = WalkSettings(steps=8)


def test_majority_needs_more_than_half_of_a_block():
    blocks = torch.zeros(1, 4, 8, dtype=torch.uint8)
    blocks[0, :2, :4], blocks[0, 2:, :4] = 3, 5
    blocks[0, :, 4:] = 7
    blocks[0, 0, 4:] = 255
    assert majority_cells(blocks, 4).tolist() == [[[255, 7]]], "half is not enough"


def test_majority_against_counting():
    maps = torch.randint(0, 2, (2, 8, 12), generator=torch.Generator().manual_seed(0)).to(torch.uint8) * 9
    found = majority_cells(maps, 4)
    for b in range(2):
        for y in range(2):
            for x in range(3):
                block = maps[b, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
                counts = {c: int((block == c).sum()) for c in (0, 9)}
                best = max(counts, key=counts.get)
                assert found[b, y, x] == (best if counts[best] > 8 else 255)


@pytest.mark.parametrize(("kind", "shape"), [("psa", (3, 2)), ("irn", (5, 4))])
def test_cell_labels_fit_the_grid_of_the_network(kind, shape):
    label_maps = torch.full((1, 20, 15), 4, dtype=torch.uint8)
    cells = cell_labels(kind, label_maps)
    assert cells.shape[1:] == shape
    output = build_expander(kind, "tiny")(torch.rand(1, 3, 20, 15))
    assert output.shape[-2:] == shape
    assert cells[0, 0, 0] == 4 and (kind == "irn" or cells[0, 2, 0] == 255), "the last block is half outside"


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "tiny"])
def test_networks_on_every_backbone(name):
    images = torch.rand(1, 3, 64, 48)
    with torch.no_grad():
        assert AffinityNetwork(name)(images).shape == (1, 448, 8, 6)
        assert BoundaryNetwork(name)(images).shape == (1, 16, 12)


def test_frozen_backbone_leaves_the_side_outputs_to_learn(scenes, stages, tmp_path):
    outputs = train(tmp_path, spec("irn", frozen_stages=4), scenes.data, stages.seeds)
    torch.manual_seed(0)
    network = BoundaryNetwork("tiny")
    expected = sum(p.numel() for p in (*network.side.parameters(), *network.join.parameters()))
    assert json.loads(outputs.facts.read_text())["parameters"] == expected


@pytest.mark.parametrize("kind", ["psa", "irn"])
def test_training_on_seeds_is_exact_when_stopped(scenes, stages, tmp_path, kind):
    network_spec = spec(kind, radius=3)
    train(tmp_path, network_spec, scenes.data, stages.seeds, stop_after=2)
    outputs = train(tmp_path, network_spec, scenes.data, stages.seeds)
    assert outputs.model.read_bytes() == getattr(stages, kind).model.read_bytes()


def pixels_of(scenes, image):
    return torch.from_numpy(read_image(scenes.data / image.image).transpose(2, 0, 1).copy())


@pytest.mark.parametrize("kind", ["psa", "irn"])
def test_expanded_maps_of_all_images(scenes, image_set, stages, tmp_path, kind):
    network = getattr(stages, kind).model
    job = MapJob(scenes.data, image_set, CPU, tmp_path / "maps.json")
    expanded = Expander(network, kind, WALK, CPU).write(stages.maps, job)
    for image in image_set.images:
        maps = expanded.read(image.name)
        assert maps.classes == image.classes and maps.extent == (48, 48)
        assert maps.scores.shape[1:] == ((6, 6) if kind == "psa" else (12, 12))
        assert maps.scores.min() >= 0 and maps.scores.max() == 1
    longer = Expander(network, kind, WALK.model_copy(update={"steps": 9}), CPU)
    other = longer.write(stages.maps, replace(job, manifest=tmp_path / "1of24.json", shard=Shard(1, 24)))
    assert other.identity != expanded.identity


def test_psa_starts_from_the_mean_over_its_cells_and_walks_with_its_features(scenes, image_set, stages):
    image = image_set.images[0]
    maps, pixels = stages.maps.read(image.name), pixels_of(scenes, image)
    sharp = WalkSettings(steps=5, beta=1e6)  # nothing but itself is near enough: the walk is the identity
    found = Expander(stages.psa.model, "psa", sharp, CPU).expand(maps, pixels)
    start = F.avg_pool2d(maps.scores.float(), 2)
    assert torch.allclose(found.scores, start / start.max(), atol=1e-5)
    walked = Expander(stages.psa.model, "psa", WalkSettings(steps=5, beta=1), CPU).expand(maps, pixels)
    assert not torch.allclose(walked.scores, found.scores, atol=0.01)


def test_irn_starts_from_maps_outside_boundaries_seen_in_both_mirror_images(scenes, image_set, stages):
    image = image_set.images[0]
    maps, pixels = stages.maps.read(image.name), pixels_of(scenes, image)
    expander = Expander(stages.irn.model, "irn", WalkSettings(steps=1, beta=1e9, power=2.0), CPU)
    x = normalise(pixels[None])
    with torch.inference_mode():
        logits = (expander.network(x) + expander.network(x.flip(-1)).flip(-1)) / 2
    start = maps.scores.float() ** 2 * (1 - logits[0].sigmoid())
    assert torch.allclose(expander.expand(maps, pixels).scores, start / start.max(), atol=1e-5)


def test_sizes_that_are_no_multiples_of_the_stride(stages):
    maps = ClassMaps((2, 5), torch.rand(2, 12, 10), 4, (45, 38))
    pixels = torch.randint(0, 256, (3, 45, 38), dtype=torch.uint8)
    for kind, shape in (("psa", (6, 5)), ("irn", (12, 10))):
        found = Expander(getattr(stages, kind).model, kind, WALK, CPU).expand(maps, pixels)
        assert found.scores.shape == (2, *shape)
        assert found.at_size(45, 38).shape == (2, 45, 38)


def test_an_image_without_classes_stays_without(stages):
    none = ClassMaps((), torch.zeros(0, 3, 3), 4, (12, 12))
    expander = Expander(stages.psa.model, "psa", WALK, CPU)
    assert expander.expand(none, torch.zeros(3, 12, 12, dtype=torch.uint8)).classes == ()


def test_networks_of_the_other_expansion_are_refused(stages, tmp_path):
    with pytest.raises(UserError, match="kind 'psa'; expected 'irn'"):
        Expander(stages.psa.model, "irn", WALK, CPU)
    write_network(tmp_path / "again", AffinityNetwork("tiny"), spec("psa"), Identity(("a", "b"), "d", (0, 1)))
    assert Expander(tmp_path / "again", "psa", WALK, CPU).stored.hash


def test_psa_learns_to_tell_regions_apart(scenes, masked, tmp_path):
    """Trained on base masks, affinities order pairs better than before, on test images, novel classes included."""
    network_spec = spec("psa", epochs=10, radius=3, lr=0.1, head_lr_factor=1)
    stored = read_network(train(tmp_path, network_spec, scenes.data, masked).model, "psa", AffinitySettings)
    torch.manual_seed(0)
    before, after = AffinityNetwork("tiny").eval(), AffinityNetwork("tiny").eval()
    after.load_state_dict(stored.tensors)
    areas = [pair_ranking(network, scenes) for network in (before, after)]
    assert areas[1] > areas[0] + 0.03 and areas[1] > 0.6


def pair_ranking(network, scenes) -> float:
    """Probability that a pair of one class has a higher affinity than a pair of two (area under the ROC curve)."""
    offsets, near, far = half_disc(3), [], []
    for record in scenes.index.test:
        truth = torch.from_numpy(read_label(scenes.data / record.label))[None]
        same, different = pair_kinds(cell_labels("psa", truth), offsets)
        with torch.no_grad():
            affinity = feature_affinity(network(normalise(pixels_of(scenes, record)[None])), offsets)
        near.append(affinity[same])
        far.append(affinity[different])
    near, far = torch.cat(near), torch.cat(far).sort().values
    return (torch.searchsorted(far, near).float() / len(far)).mean().item()
