"""RETAB's measured properties on the tiny scenes: every claim is there, and controls behave where they must."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from simformer import cli
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.expansion.stencil import half_disc
from simformer.baselines.retab.settings import TwoStageSettings
from simformer.claims.claim import load_claims
from simformer.claims.retab import Inputs, retab_claims
from simformer.claims.retab_walks import View, counts, own_argmax, true_affinity, true_boundaries
from simformer.data.derived_labels import UNSURE
from tests.unit.baselines.retab.retab_stages import WALK
from tests.unit.baselines.retab.test_propagation import Colours

NOVEL = (6, 8)


@pytest.fixture(scope="module")
def inputs(scenes, masked, truth, stages, retab, tmp_path_factory) -> Inputs:
    folder = tmp_path_factory.mktemp("networks")
    networks = {
        name: folder / name / "network.safetensors" for name in ("retab", "psa", "shuffled", "base50", "base25")
    }
    for name, path in networks.items():
        path.parent.mkdir()
        path.write_bytes((stages.psa if name == "psa" else retab.affinity).model.read_bytes())
    return Inputs(
        scenes.data, masked, truth, stages.seeds, stages.maps, retab.boundaries, retab.walked, networks, WALK, 0.1, 50,
        None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def claims(inputs):
    return retab_claims(inputs)


def test_every_property_of_the_specification_is_claimed(claims, masked):
    assert {claim.check for claim in claims} == {"P1", "P2", "P3", "C1", "C2", "C3", "C4", "C5"}
    assert len({(c.check, c.statement, c.first, c.second) for c in claims}) == len(claims)
    assert {c.check for c in claims if c.control} >= {"P1", "P2", "C1", "C2"}
    names = {image.name for image in masked.images if masked.novel_labels(image)}
    for claim in claims:
        assert set(claim.images) <= names and claim.method == "retab"
        if claim.statistic == "iou":
            assert claim.first_values.shape == (len(claim.images), len(masked.novel), 2)
            assert (claim.first_values[..., 0] <= claim.first_values[..., 1]).all()


def test_equal_networks_give_equal_arms(claims):
    same = [c for c in claims if c.second in ("shuffled", "base50", "base25")]
    assert len(same) == 6
    for claim in same:
        assert np.array_equal(claim.first_values, claim.second_values)


def test_mixed_labels_of_images_with_an_unknown_class_are_those_trained_on(inputs, claims):
    images = tuple(replace(image, unknown=(255,)) for image in inputs.masked.images)
    doubtful, sure = replace(inputs.masked, images=images), replace(inputs, gamma=UNSURE)
    mixed = [
        [c for c in found if (c.check, c.first, c.second) == ("C3", "retab", "cam")]
        for found in (retab_claims(replace(inputs, masked=doubtful)), retab_claims(sure), claims)
    ]
    (found,), (expected,), (plain,) = mixed
    assert np.array_equal(found.first_values, expected.first_values)
    assert np.array_equal(found.second_values, expected.second_values)
    assert not np.array_equal(plain.second_values, expected.second_values)


def test_fewer_images_are_spread_evenly(inputs):
    found = retab_claims(replace(inputs, limit=3))
    assert max(len(claim.images) for claim in found) == 3


def test_the_command_writes_the_same_claims(inputs, claims, tmp_path):
    arguments = ["check_retab", "--affinity", *(f"{name}={path}" for name, path in inputs.networks.items())]
    files = {
        "maps": inputs.maps.root / "maps.json",
        "boundaries": inputs.boundaries.root / "maps.json",
        "walked": inputs.walked.root / "maps.json",
        "seeds": inputs.seeds.root / "labels.json",
        "labels": inputs.masked.root / "labels.json",
        "truth": inputs.truth.root / "labels.json",
        "data": inputs.data,
        "settings": WALK.model_dump_json(),
        "gamma": 0.1,
        "images": 50,
        "output": tmp_path / "claims.json",
    }
    for name, value in files.items():
        arguments += [f"--{name}", str(value)]
    assert cli.main(arguments) == 0
    found = load_claims(tmp_path / "claims.json")
    assert [c.statement for c in found] == [c.statement for c in claims]
    for mine, theirs in zip(found, claims, strict=True):
        assert np.allclose(mine.first_values, theirs.first_values)


def two_regions() -> View:
    """Two novel regions side by side, a seed in each, and a true boundary between them."""
    truth = torch.full((96, 96), 6, dtype=torch.uint8)
    truth[:, 48:] = 8
    scores = torch.full((2, 24, 24), 0.25)
    scores[0, 8:16, 2:6] = scores[1, 8:16, 18:22] = 0.9
    pixels = torch.where(truth == 6, 40, 200).to(torch.uint8).expand(3, 96, 96)
    boundary, other = torch.zeros(12, 12), torch.zeros(12, 12)
    boundary[:, 5:7] = other[5:7] = 1
    region = torch.ones(96, 96, dtype=torch.bool)
    return View(ClassMaps(NOVEL, scores, 4, (96, 96)), pixels, boundary, other, truth, region)


def iou(labels: torch.Tensor, view: View) -> float:
    found = counts(labels, view, NOVEL)
    return float((found[:, 0] / found[:, 1]).mean())


def test_arms_come_out_in_order_where_colours_tell_the_regions():
    view = two_regions()
    settings = TwoStageSettings(steps=60, beta=4.0, background=16.0)
    labels = own_argmax(view, {"retab": Colours(), "psa": Colours()}, settings)
    scores = {name: iou(label_map, view) for name, label_map in labels.items()}
    assert scores["retab"] == pytest.approx(1, abs=0.1) and scores["true_affinity"] > 0.9
    assert scores["cam"] < 0.5 < scores["retab"]
    assert torch.equal(labels["psa"], labels["one_stage"])
    assert scores["inverted_gate"] < scores["retab"]


def test_true_affinity_is_one_within_a_class():
    view = two_regions()
    affinity = true_affinity(view, (12, 12), half_disc(5))
    right = half_disc(5).index((0, 1))
    assert affinity[right, 3, 4] == 1 and affinity[right, 3, 5] == 0 and affinity[right, 3, 6] == 1


@pytest.mark.parametrize(("border", "cell"), [(64, 7), (128, 15), (136, 16)])
def test_true_affinity_lies_on_the_grid_of_the_walk_where_sizes_are_no_multiple_of_8(border, cell):
    truth = torch.full((16, 145), 6, dtype=torch.uint8)
    truth[:, border:] = 8
    view = replace(two_regions(), truth=truth, maps=ClassMaps(NOVEL, torch.zeros(2, 4, 37), 4, (16, 145)))
    affinity = true_affinity(view, (2, 19), half_disc(2))[half_disc(2).index((0, 1))]
    assert (affinity[:, :18] == 0).nonzero()[:, 1].tolist() == [cell, cell], "of the cell before the border alone"
    edges = true_boundaries(view, (2, 19))
    assert set(edges.nonzero()[:, 1].tolist()) == {cell, cell + 1}, "as true boundaries do"


def test_only_pixels_of_r_with_a_true_label_count():
    view = two_regions()
    region, truth = view.region.clone(), view.truth.clone()
    region[:, :16] = False
    truth[:8] = 255
    labels = torch.full((96, 96), 6, dtype=torch.uint8)
    assert counts(labels, replace(view, region=region, truth=truth), NOVEL).tolist() == [
        [88 * 32, 88 * 80],
        [0, 88 * 48],
    ]
