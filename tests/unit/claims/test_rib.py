"""RIB's properties as claims: better maps are told from worse ones, and the command writes all of them."""

import numpy as np
import pytest
import torch

from simformer import cli
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapJob
from simformer.baselines.rib.settings import RibSettings
from simformer.baselines.rib.tuned_maps import rib_maps
from simformer.claims.claim import load_claims
from simformer.claims.rib import AREA, _best_iou, _matched, _recall, _where, find_pairs
from simformer.config.settings import IGNORE
from simformer.data.images import read_label
from simformer.data.masking import mask_labels
from simformer.data.splits import make_split
from tests.unit.baselines.stages import CAM, CPU

RIB = RibSettings(iterations=3, lr=0.02, other_images=2, pool=8, images_at_once=4)


@pytest.fixture(scope="module")
def truth(scenes, tmp_path_factory):
    """The scenes with all masks."""
    split = make_split(scenes.index.classes, {"full": True})
    return mask_labels(scenes.data, scenes.index, split, tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def pairs(truth):
    return find_pairs(truth, tuple(range(len(truth.classes))), 12)


def scored(pairs, score):
    """Maps of all pairs' images, of which `score` makes one from the truth, on every pixel."""
    maps = {}
    for pair in pairs:
        mine = [p for p in pairs if p.image.name == pair.image.name]
        layers = torch.stack([torch.from_numpy(score(p)).float() for p in mine])
        maps[pair.image.name] = ClassMaps(tuple(p.category for p in mine), layers, 1, pair.labelled.shape)
    return maps


def partly(pair):
    """Half of the object is found, nothing else."""
    found = pair.shows.copy()
    found[: np.flatnonzero(found.any(axis=1)).mean().astype(int)] = False
    return np.where(found, 0.9, 0.0)


def fully(pair):
    return np.where(pair.shows, 0.9, 0.0)


def inflated(pair):
    """As partly, but everything scores more: recall alone is fooled."""
    return np.where(partly(pair) > 0.5, 0.9, 0.3)


def test_pairs_are_what_the_masks_say(truth, pairs):
    assert len(pairs) >= 12
    for pair in pairs:
        label_map = read_label(truth.label_path(pair.image))
        assert np.array_equal(pair.shows, label_map == pair.category)
        assert np.array_equal(pair.labelled, label_map != IGNORE)
        assert AREA[0] <= pair.shows.mean() <= AREA[1]


def test_recall_at_matched_precision_is_not_fooled_by_inflated_maps(pairs):
    plain, better, fooled = (scored(pairs, score) for score in (partly, fully, inflated))
    for pair in pairs:
        assert _recall(pair, better) == 1 > _recall(pair, plain)
        assert _recall(pair, fooled) == 1, "recall alone is fooled"
        assert _matched(pair, plain, better) == 1
        assert _matched(pair, plain, fooled) == _matched(pair, plain, plain) < 1


def test_the_gain_is_found_where_it_is(pairs):
    plain, better = scored(pairs, partly), scored(pairs, fully)
    claim = _where(pairs, plain, better, 0.4)
    assert len(claim.images) > 5 and (claim.first_values == 1).all() and (claim.second_values == 0).all()
    best = _best_iou(pairs, plain, scored(pairs, fully), 20)
    assert np.array_equal(best.first_values[..., 0], best.first_values[..., 1]), "the object exactly"
    assert (best.second_values.sum(axis=0)[:, 0] <= best.second_values.sum(axis=0)[:, 1]).all()


@pytest.fixture
def check(scenes, image_set, masked, stages, truth, tmp_path):
    """Make RIB's maps at some settings and sizes, and measure them with the command."""

    def run(settings, sizes):
        manifest = tmp_path / "rib/maps.json"
        model = stages.classifier.model
        rib_maps(model, settings, sizes, tmp_path / "rib/facts.json", MapJob(scenes.data, image_set, CPU, manifest))
        files = {
            "network": model, "data": scenes.data, "labels": image_set.root / "labels.json", "maps": manifest,
            "truth": truth.root / "labels.json", "masked": masked.root / "labels.json",
            "settings": settings.model_dump_json(), "cam": sizes.model_dump_json(),
            "amount": '{"pairs": 4, "exact_images": 2}', "output": tmp_path / "claims.json", "device": "cpu",
        }  # fmt: skip
        options = [text for name, value in files.items() for text in (f"--{name}", str(value))]
        assert cli.main(["check_rib", *options]) == 0
        return load_claims(tmp_path / "claims.json")

    return run


def test_the_command_writes_every_property(check, image_set):
    claims = check(RIB, CAM)
    assert [claim.check for claim in claims] == ["R1", "R2", "R3", "R4", "R4", "R4", "R5", "R6", "R6", "R7", "R9", "R9"]
    assert [claim.check for claim in claims if claim.control] == ["R7"]
    exact, kept = claims[-2:]
    assert bool(kept.images) == (exact.first_values.mean() > 0), "a gain that is none is not kept"
    assert len(claims[0].images) == len(image_set.images) and 4 <= len(claims[2].images) < 20


def test_a_single_iteration_gains_nothing_over_plain_maps_whatever_the_size_of_the_images(check):
    """The plain maps are made at RIB's own sizes, and in its precision."""
    claims = check(RIB.model_copy(update={"iterations": 1}), CAM.model_copy(update={"short_edge": 40}))
    gains = [c for c in claims if c.check in ("R3", "R4", "R7") or (c.check, c.first) == ("R9", "exact")]
    assert len(gains) == 6 and all(np.array_equal(c.first_values, c.second_values) for c in gains)
