"""SEAM's claims: every measure on maps where it is known, what must not pass, and the command on tiny networks."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from simformer import cli
from simformer.baselines.seam.settings import SeamSettings
from simformer.baselines.stride8.cross_regularisation import maxnorm
from simformer.baselines.stride8.network import TappedClassifier
from simformer.baselines.training.network_file import StoredNetwork
from simformer.claims.claim import load_claims
from simformer.claims.map_scores import distance_between_images, entropy, mean_gaps, recalls, score_maps
from simformer.claims.seam import affinity_aucs, equivariance_gaps, pair_auc, transform
from simformer.claims.stride8_networks import gates, measure_arm, require_equal_training
from simformer.claims.table import check_table
from simformer.claims.test_images import HeldOut, pair_names, partners
from simformer.config.settings import IGNORE
from simformer.errors import UserError
from tests.unit.baselines.seam.test_seam import spec, train
from tests.unit.baselines.stages import CAM


def held_out(truth, classes, name="a", num_classes=4) -> HeldOut:
    present = torch.zeros(1, num_classes, dtype=torch.bool)
    present[0, list(classes)] = True
    pixels = torch.randn(1, 3, *truth.shape, generator=torch.Generator().manual_seed(len(name)))
    return HeldOut(name, tuple(classes), pixels, present, truth.astype(np.uint8))


@pytest.fixture
def halves():
    """Left half class 0, right half class 2, a column without truth; and a perfect map of both."""
    truth = np.full((8, 16), 2)
    truth[:, :8], truth[:, 15] = 0, IGNORE
    return held_out(truth, (0, 2)), torch.stack([torch.from_numpy(truth == c).float() * 0.9 for c in (0, 2)])


class Local(torch.nn.Module):
    """A stand-in for a network: class k's map is colour k, plus something that depends on the position."""

    def __init__(self, tilt: float) -> None:
        super().__init__()
        self.tilt = tilt

    def forward(self, images, present):
        ramp = self.tilt * torch.linspace(0, 1, images.shape[-1]).expand(images.shape[-2:])
        raw = torch.cat([images, images[:, :1]], dim=1) + ramp
        return raw, torch.cat([raw[:, :1], raw], dim=1).relu()


def gaps(network, image, factor):
    maps = maxnorm(network(image.pixels, image.present)[0][0, list(image.classes)])
    return equivariance_gaps(network, [image], [maps], transform(factor))


def test_s1_equivariant_maps_have_no_gap_and_others_have(halves):
    assert np.array_equal(gaps(Local(0.0), halves[0], None), [0, 0])
    assert (gaps(Local(3.0), halves[0], None) > 0.05).all(), "the negative control: a map tied to the position"
    smooth = replace(halves[0], pixels=torch.linspace(0, 1, 16).expand(1, 3, 8, 16))
    assert gaps(Local(0.0), smooth, 0.5).max() < 1e-4
    assert transform(0.67)(torch.zeros(1, 3, 96, 96)).shape[-2:] == (64, 64)


def test_s2_distance_between_images():
    truth = np.zeros((4, 4))
    images = [held_out(truth, (0,), "a"), held_out(truth, (0,), "bb"), held_out(truth + 1, (1,), "ccc")]
    assert partners(images) == [(0, 0, 1, 0), (1, 0, 0, 0)], "class 1 has one image"
    ones, zeros = torch.ones(1, 4, 4), torch.zeros(1, 4, 4)
    assert distance_between_images(images, [ones, zeros, ones]) == 1
    assert distance_between_images(images, [ones, torch.ones(1, 4, 4), zeros]) == 0
    assert np.isnan(distance_between_images(images[1:], [zeros, ones]))


def test_s3_s4_scores_of_a_perfect_and_a_wrong_map(halves):
    image, perfect = halves
    scores = score_maps([image], [perfect], (0, 2))
    assert np.array_equal(scores.precision, [1, 1]) and scores.best_precision == 1
    assert np.array_equal(scores.hot, [0.5, 8 * 8 / 128 - 8 / 128])
    counts = scores.counts[scores.best, 0]
    assert np.array_equal(counts[:, 0], counts[:, 1]) and counts.sum() == 2 * (8 * 16 - 8)
    wrong = score_maps([image], [perfect.flip(0)], (0, 2))
    assert (wrong.precision < 0.6).all() and wrong.counts[..., 0].sum() == 0
    assert np.array_equal(recalls([image], [perfect], 0.99), [1, 1])
    assert (recalls([image], [perfect.flip(0)], 0.99) == 0).all()


def test_a_class_that_the_truth_lacks_makes_no_pair(halves):
    image = replace(halves[0], classes=(0, 1, 2))
    assert pair_names([image, halves[0]]) == ("a",) * 4
    maps = torch.stack([halves[1][0], torch.rand(8, 16), halves[1][1]])
    assert np.array_equal(score_maps([image], [maps], (0, 2)).precision, [1, 1])


def test_entropy_and_gaps():
    point = torch.zeros(1, 4, 4)
    point[0, 1, 2] = 5
    found = entropy(torch.cat([torch.full((1, 4, 4), 0.3), point, torch.zeros(1, 4, 4)]))
    assert torch.allclose(found, torch.tensor([np.log(16), 0, 0]))
    assert np.allclose(mean_gaps(torch.ones(2, 4, 4), torch.full((2, 4, 4), 0.25)), 0.75)


def test_s5_affinity_of_known_features():
    truth = np.repeat([[0, 0, 1, 1]], 3, axis=0)
    ids = torch.from_numpy(truth)
    perfect = torch.stack([ids == 0, ids == 1]).float()
    assert pair_auc(perfect, truth) == 1
    assert pair_auc(torch.ones(2, 3, 4), truth) == 0.5, "the negative control: all cells alike"
    truth[0, 0] = IGNORE
    perfect[:, 0, 0] = torch.tensor([0.0, 1.0])
    assert pair_auc(perfect, truth) == 1
    assert np.isnan(pair_auc(perfect, np.zeros((3, 4))))


def test_s5_colours_are_the_image_and_the_untrained_module_differs(halves):
    torch.manual_seed(0)
    network = TappedClassifier("tiny", 4, 0.0).eval()
    truth = np.zeros((32, 32))
    truth[:, 16:] = 2
    image = held_out(truth, (0, 2))
    image = replace(image, pixels=torch.where(torch.from_numpy(truth) == 0, 1.0, -1.0).expand(1, 3, 32, 32).clone())
    learned, colours = affinity_aucs(network, [image])
    assert colours[0] == 1 and learned[0] != 1


def test_g1_a_constant_map_is_told_from_a_good_one(halves):
    image, perfect = halves
    scores = {"good": perfect, "constant": torch.full_like(perfect, 0.9), "empty": torch.zeros_like(perfect)}
    shown = {}
    for name, maps in scores.items():
        arm = SimpleNamespace(name=name, spread=score_maps([image], [maps], (0, 2)), labels=np.ones(1))
        claims = [c for c in gates(arm, arm, [image], np.arange(4)) if c.check == "G1"]
        shown[name] = [
            c.first_values.mean() > c.bound if c.expected == "above" else c.first_values.mean() < c.bound
            for c in claims
        ]
    assert shown == {"good": [True, True], "constant": [True, False], "empty": [False, True]}


def test_unequal_training_is_refused():
    def stored(kind, **changes):
        return StoredNetwork(spec(kind, **changes), (), {}, "")

    require_equal_training({"plain": stored("plain"), "seam": stored("seam"), "warm": stored("warm", epochs=9)})
    with pytest.raises(UserError, match=r"plain 1 and 6; seam 2 and 6"):
        require_equal_training({"plain": stored("plain"), "seam": stored("seam", epochs=2)})


@pytest.fixture(scope="module")
def networks(scenes, image_set, tmp_path_factory):
    """One tiny network of every arm."""
    folder = tmp_path_factory.mktemp("arms")
    found = {"warm": train(folder / "warm", spec("warm"), scenes.data, image_set).model}
    specs = {
        "plain": spec("plain"), "seam": spec("seam"), "seam_no_er": spec("seam", er=0.0),
        "seam_no_ecr": spec("seam", ecr=0.0), "cpn": spec("cpn"), "cpn_independent": spec("cpn", masks="independent"),
    }  # fmt: skip
    for name, own in specs.items():
        found[name] = train(folder / name, own, scenes.data, image_set, found["warm"]).model
    return found


def check(kind, names, networks, scenes, split, folder) -> int:
    scenes.index.save(folder / "index.json")
    split.save(folder / "split.yaml")
    given = [f"{name}={networks[name]}" for name in names]
    options = {"data": scenes.data, "index": folder / "index.json", "split": folder / "split.yaml", "device": "cpu"}
    options |= {"settings": CAM.model_dump_json(), "output": folder / f"{kind}.json"}
    flat = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    return cli.main([f"check_{kind}", "--network", *given, *flat])


ARMS = {
    "seam": ("plain", "seam", "seam_no_er", "seam_no_ecr", "warm"),
    "cpn": ("plain", "cpn", "cpn_independent"),
}


@pytest.mark.parametrize("kind", ["seam", "cpn"])
def test_commands_write_claims_that_the_table_reads(kind, networks, scenes, split, tmp_path):
    assert check(kind, ARMS[kind], networks, scenes, split, tmp_path) == 0
    written = (tmp_path / f"{kind}.json").read_bytes()
    claims = load_claims(tmp_path / f"{kind}.json")
    checks = {
        "seam": {"G0", "G1", "S1", "S2", "S3", "S4", "S5", "S6"},
        "cpn": {"G0", "G1", "C1", "C2", "C3", "C4", "C5"},
    }
    assert {claim.check for claim in claims} == checks[kind]
    assert any(claim.control for claim in claims)
    assert {name for claim in claims for name in claim.images} <= {record.name for record in scenes.index.test}
    file = {"dataset": "scenes", "split": "split1", "seed": 0, "path": str(tmp_path / f"{kind}.json")}
    assert len(check_table({"files": [file]})) == len(claims)
    assert check(kind, ARMS[kind], networks, scenes, split, tmp_path) == 0
    assert (tmp_path / f"{kind}.json").read_bytes() == written
    json.loads(written)


def test_missing_and_wrong_networks_are_told(networks, scenes, split, tmp_path, capsys):
    assert check("seam", ARMS["cpn"], networks, scenes, split, tmp_path) == 1
    assert "expected NAME=FILE once for each of plain, seam" in capsys.readouterr().err
    swapped = networks | {"cpn": networks["plain"]}
    assert check("cpn", ARMS["cpn"], swapped, scenes, split, tmp_path) == 1
    assert "not a network of CPN" in capsys.readouterr().err


def test_one_network_against_itself_shows_nothing(networks, scenes, split, tmp_path):
    same = dict.fromkeys(ARMS["seam"], networks["seam"])
    assert check("seam", ARMS["seam"], same, scenes, split, tmp_path) == 0
    arms = [
        c
        for c in load_claims(tmp_path / "seam.json")
        if c.check in ("S1", "S2") or (c.check, c.second) == ("S5", "warm")
    ]
    assert len(arms) == 6 and all(np.array_equal(claim.first_values, claim.second_values) for claim in arms)


def test_measured_maps_are_those_of_training_and_dropout_is_off(halves):
    torch.manual_seed(0)
    network = TappedClassifier("tiny", 4, 0.5).eval()
    image = held_out(np.zeros((32, 32)), (0, 2))
    stored = StoredNetwork(spec("seam"), (), {}, "")
    first, second = (measure_arm("seam", network, stored, [image], (0,)) for _ in range(2))
    assert torch.equal(first.maps[0], second.maps[0]) and first.maps[0].shape == (2, 32, 32)
    with pytest.raises(UserError, match="larger test set"):
        first.relative(np.ones(1))
    assert np.array_equal(replace(first, between=0.0).relative(np.zeros(2)), [0, 0])
    assert isinstance(stored.spec.settings, SeamSettings)
