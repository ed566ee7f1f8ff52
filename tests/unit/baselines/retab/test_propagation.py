"""E1 to E5, E9, E11 on RETAB's own functions: the walk in two stages, its start, its labels."""

import numpy as np
import pytest
import torch

from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapJob
from simformer.baselines.expansion.walk import transition, walk
from simformer.baselines.retab.cells import STRIDE
from simformer.baselines.retab.propagation import (
    NONE_OF_THEM,
    Anchor,
    Propagation,
    boundary_cells,
    own_labels,
    start,
    two_stages,
)  # fmt: skip
from simformer.baselines.retab.settings import TwoStageSettings
from simformer.data.derived_labels import mix_scores
from simformer.data.images import read_image, read_label
from simformer.data.shards import Shard
from tests.unit.baselines.expansion.test_walk import (
    OFFSETS,
    dense_transition,
    dense_walk,
    perfect_affinity,
    random_affinity,
)
from tests.unit.baselines.expansion.test_walk import random_scores as scores_of
from tests.unit.baselines.retab.retab_stages import WALK
from tests.unit.baselines.stages import CAM, CPU, cam

SETTINGS = TwoStageSettings(steps=32)


def ring_of(height: int, width: int) -> torch.Tensor:
    return torch.rand(height, width, generator=torch.Generator().manual_seed(4)) > 0.5


def test_e1_both_stages_equal_powers_of_dense_matrices():
    affinity, scores, ring = 0.5 * random_affinity(13, 15), scores_of(13, 15), ring_of(13, 15)
    settings = TwoStageSettings(steps=256)
    found = two_stages(scores, affinity, ring, settings)
    first = dense_walk(scores, dense_transition(affinity, 8, ~ring, ~ring), 256)
    second = dense_walk(first, dense_transition(affinity, 8, None, ring), 256)
    assert (found - second).abs().max() < 1e-10
    short = dense_walk(scores, dense_transition(affinity, 8, ~ring, ~ring), 255)
    assert (found - dense_walk(short, dense_transition(affinity, 8, None, ring), 256)).abs().max() > 1e-8


def test_e2_no_range_grows_and_a_constant_stays():
    affinity, scores, ring = random_affinity(9, 12), scores_of(9, 12), ring_of(9, 12)
    found = two_stages(scores, affinity, ring, SETTINGS).flatten(1)
    assert (found.amin(1) >= scores.flatten(1).amin(1) - 1e-14).all()
    assert (found.amax(1) <= scores.flatten(1).amax(1) + 1e-14).all()
    constant = torch.full((1, 9, 12), 0.3, dtype=torch.float64)
    assert two_stages(constant, affinity, ring, SETTINGS) == pytest.approx(constant, abs=1e-13)


def test_e3_without_boundaries_it_is_psa_and_with_nothing_else_too():
    affinity, scores = random_affinity(8, 9), scores_of(8, 9)
    plain = walk(scores, transition(affinity, OFFSETS, 8), 32)
    nowhere = torch.zeros(8, 9, dtype=torch.bool)
    assert torch.equal(two_stages(scores, affinity, nowhere, SETTINGS), plain)
    assert torch.equal(two_stages(scores, affinity, ~nowhere, SETTINGS), plain)
    one = SETTINGS.model_copy(update={"stages": 1})
    assert torch.equal(two_stages(scores, affinity, ring_of(8, 9), one), plain)
    assert not torch.equal(two_stages(scores, affinity, ring_of(8, 9), SETTINGS), plain)


def test_e4_cells_inside_know_nothing_of_boundary_cells():
    affinity, scores, ring = random_affinity(8, 9), scores_of(8, 9), ring_of(8, 9)
    found = two_stages(scores, affinity, ring, SETTINGS)
    other = two_stages(torch.where(ring, 9.0, scores), affinity, ring, SETTINGS)
    assert torch.equal(found[:, ~ring], other[:, ~ring])
    assert not torch.equal(found[:, ring], other[:, ring])


def test_e5_regions_with_a_ring_between_them_keep_to_themselves():
    regions = torch.zeros(12, 12, dtype=torch.int64)
    regions[:, 6:] = 1
    ring = torch.zeros(12, 12, dtype=torch.bool)
    ring[:, 5:7] = True
    scores = torch.zeros(2, 12, 12, dtype=torch.float64)
    scores[0, 3, 1] = scores[1, 9, 10] = 1
    found = two_stages(scores, perfect_affinity(regions), ring, TwoStageSettings(steps=500))
    assert torch.equal(found.argmax(0), regions)
    assert (found[1][regions == 0] == 0).all() and (found[0][regions == 1] == 0).all()


def test_an_anchored_walk_neither_enters_nor_leaves_base_cells():
    affinity, scores, ring = random_affinity(8, 9), scores_of(8, 9), ring_of(8, 9)
    region = torch.zeros(8, 9, dtype=torch.bool)
    region[2:, 3:] = True
    anchor = Anchor(region, torch.zeros_like(region))
    found = two_stages(scores, affinity, ring, SETTINGS, anchor)
    assert torch.equal(found[:, ~region], scores[:, ~region])
    other = two_stages(torch.where(region, scores, 9.0), affinity, ring, SETTINGS, anchor)
    assert torch.equal(found[:, region], other[:, region])


def test_the_start_has_the_map_none_of_them_and_zero_beyond_the_image():
    scores = torch.tensor([[[0.2, 0.2], [0.2, 0.2]], [[0.5, 0.5], [0.5, 0.5]]])
    begun = start(ClassMaps((3, 6), scores, 4, (8, 8)), (1, 2), 16.0)
    assert begun.shape == (3, 1, 2)
    assert begun[:, 0, 0].tolist() == pytest.approx([0.2, 0.5, 0.5**16])
    assert begun[:, 0, 1].tolist() == [0, 0, 0]


def test_an_anchored_start_is_zero_on_base_and_normalised_again():
    scores = torch.tensor([[[0.8, 0.2], [0.8, 0.2]]])
    region = torch.tensor([[False, True], [False, True]])
    begun = start(ClassMaps((6,), scores, 4, (8, 8)), (1, 1), 16.0, region)
    assert begun[:, 0, 0].tolist() == pytest.approx([0.5, 0.5]), "S = 1 and S_0 = 0 in R, the other way round on base"


def test_own_labels_let_base_classes_and_none_of_them_compete():
    scores = torch.tensor([0.2, 0.5, 0.3, 0.5, 0.2, 0.3, 0.1, 0.1, 0.9]).view(3, 3, 1).transpose(0, 1)
    maps = ClassMaps((1, 6, NONE_OF_THEM), scores.contiguous(), 8, (24, 8))
    assert own_labels(maps, 24, 8)[[4, 12, 20], 4].tolist() == [6, 1, 255]


def test_walked_maps_of_all_images(scenes, masked, stages, retab, tmp_path):
    for image in masked.images:
        maps = retab.walked.read(image.name)
        if not masked.novel_labels(image):
            assert maps.classes == ()
            continue
        assert maps.classes == (*image.classes, NONE_OF_THEM) and maps.stride == STRIDE
        assert maps.scores.shape[1:] == (6, 6) and maps.scores.min() >= 0 and maps.scores.max() <= 1
    job = MapJob(scenes.data, masked, CPU, tmp_path / "2of3.json", Shard(2, 3))
    part = Propagation(retab.affinity.model, WALK, CPU).write(stages.maps, retab.boundaries, False, job)
    assert part.identity == retab.walked.identity
    assert part.checksums.items() <= retab.walked.checksums.items() and len(part.checksums) == 8
    assert retab.anchored.identity != retab.walked.identity


def test_maps_of_another_size_than_the_boundaries_are_walked_too(scenes, image_set, masked, stages, retab, tmp_path):
    """A dataset may give a response sizes of its own; boundaries are made once, at those of the plain maps."""
    smaller = CAM.model_copy(update={"short_edge": 34})
    maps = cam(stages.classifier.model, scenes.data, image_set, tmp_path / "cam", settings=smaller)
    job = MapJob(scenes.data, masked, CPU, tmp_path / "walked" / "maps.json")
    walked = Propagation(retab.affinity.model, WALK, CPU).write(maps, retab.boundaries, False, job)
    image = next(i for i in masked.images if masked.novel_labels(i))
    found = walked.read(image.name)
    assert found.classes == (*image.classes, NONE_OF_THEM) and found.extent == (34, 34)
    assert found.scores.shape[1:] == (5, 5)


def test_boundaries_keep_their_place_at_another_size():
    scores = torch.zeros(1, 6, 9)
    scores[0, :, 4] = 0.8
    boundary = ClassMaps((NONE_OF_THEM,), scores, STRIDE, (48, 72))
    assert torch.equal(boundary_cells(boundary, (48, 72)), scores[0])
    found = boundary_cells(boundary, (38, 54))
    assert found.shape == (5, 7) and found.argmax(dim=1).tolist() == [3] * 5 and (found[:, [0, 6]] == 0).all()
    even = ClassMaps((NONE_OF_THEM,), torch.full((1, 6, 9), 0.6), STRIDE, (48, 72))
    assert boundary_cells(even, (61, 90)) == pytest.approx(torch.full((8, 12), 0.6)), "padding too"


def test_anchored_maps_have_no_novel_score_on_base_cells(masked, retab):
    found = 0
    for image in masked.images:
        if novel := masked.novel_labels(image):
            base = read_label(masked.label_path(image)) != 255
            whole = base.reshape(6, 8, 6, 8).all(axis=(1, 3))
            maps = retab.anchored.read(image.name).select(novel)
            assert (maps.scores[:, torch.from_numpy(whole)] == 0).all()
            found += int(whole.sum())
    assert found > 20


def test_e9_mixed_labels_hold_present_novel_classes_in_r_and_the_base_masks_outside(masked, retab):
    image = next(i for i in masked.images if len(masked.novel_labels(i)) > 0)
    base, novel = torch.from_numpy(read_label(masked.label_path(image))), masked.novel_labels(image)
    maps = retab.walked.read(image.name)
    mixed = mix_scores(maps.select(novel).at_size(*base.shape), novel, base, 0.1, ())
    region = base == 255
    assert torch.equal(mixed[~region], base[~region])
    assert set(mixed[region].tolist()) <= {*novel, 255}
    filled = mix_scores(maps.select(novel).at_size(*base.shape), novel, base, 0.0, ())
    assert 255 not in filled[region].tolist()
    huge = ClassMaps((*maps.classes, 254), torch.cat([maps.scores, torch.full((1, 6, 6), 9.0)]), 8, maps.extent)
    assert torch.equal(mix_scores(huge.select(novel).at_size(*base.shape), novel, base, 0.1, ()), mixed)


class Colours(torch.nn.Module):
    """Features that mirror with the image: mean colours of the blocks of 8 x 8 pixels."""

    def forward(self, images):
        return 3 * torch.nn.functional.avg_pool2d(images, STRIDE)


def test_e11_a_mirrored_image_gives_mirrored_labels(scenes, masked, stages, retab):
    propagation = Propagation(retab.affinity.model, WALK, CPU)
    propagation.network = Colours()
    agreeing = []
    for image in [i for i in masked.images if masked.novel_labels(i)][:6]:
        pixels = torch.from_numpy(read_image(scenes.data / image.image).transpose(2, 0, 1).copy())
        base, maps = read_label(masked.label_path(image)), stages.maps.read(image.name)
        boundary = retab.boundaries.read(image.name).scores[0]
        found = []
        for flip in (False, True):
            dims = (-1,) if flip else ()
            mine = ClassMaps(maps.classes, maps.scores.flip(dims), maps.stride, maps.extent)
            walked = propagation.propagate(mine, boundary.flip(dims), pixels.flip(dims))
            novel, masks = masked.novel_labels(image), torch.from_numpy(base.copy()).flip(dims)
            mixed = mix_scores(walked.select(novel).at_size(*base.shape), novel, masks, 0.1, ())
            found.append(mixed.flip(dims).numpy())
        agreeing.append(np.mean(found[0] == found[1]))
    assert min(agreeing) >= 0.99
