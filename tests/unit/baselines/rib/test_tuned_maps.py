"""RIB's maps on disk (CONTA and RIB: U4), in any number of shards, with what the fine-tunings were like."""

import json
from dataclasses import replace

import pytest
import torch

from simformer.baselines.class_maps.map_files import MapJob, gather_maps
from simformer.baselines.rib.settings import RibSettings
from simformer.baselines.rib.tuned_maps import load_tuner, rib_maps
from simformer.baselines.settings import CamSettings
from simformer.data.shards import WHOLE, Shard
from simformer.errors import UserError
from tests.unit.baselines.stages import CAM, CPU, cam, spec, train

RIB = RibSettings(iterations=4, lr=0.02, other_images=2, pool=8, candidates=4)
SMALL = {"iterations": 4, "lr": 0.02, "pool": 8, "candidates": 4}


@pytest.fixture(scope="module")
def make(scenes, image_set, stages):
    """Make maps in a folder; returns them and the facts."""

    def call(folder, settings=RIB, shard=WHOLE, scales=CAM, labels=image_set, network=None):
        name = "maps" if shard == WHOLE else f"{shard.number}of{shard.count}"
        facts = folder / f"{name}.facts.json"
        path = network or stages.classifier.model
        job = MapJob(scenes.data, labels, CPU, folder / f"{name}.json", shard)
        made = rib_maps(path, settings, scales, facts, job)
        return made, json.loads(facts.read_text())

    return call


@pytest.fixture(scope="module")
def whole(make, tmp_path_factory):
    return make(tmp_path_factory.mktemp("whole"))


def test_u4_one_iteration_is_the_plain_map_to_the_bit(make, scenes, image_set, stages, whole, tmp_path):
    single = CamSettings(scales=CAM.scales, batch_images=1)
    plain = cam(stages.classifier.model, scenes.data, image_set, tmp_path / "plain", settings=single)
    for tier in ("exact", "middle", "fast"):
        first, facts = make(tmp_path / tier, RibSettings(iterations=1, tier=tier, pool=8, other_images=2))
        assert first.checksums == plain.checksums
        assert len(facts["mean_logit"]) == 1
    assert whole[0].checksums != plain.checksums


def test_shards_and_images_side_by_side_change_rounding_alone(make, image_set, whole, tmp_path):
    for number in (1, 2, 3):
        make(tmp_path, shard=Shard(number, 3))
    joined = gather_maps([tmp_path / f"{n}of3.json" for n in (1, 2, 3)], image_set, tmp_path / "maps.json")
    assert joined.checksums == whole[0].checksums, "one image at a time: to the bit"
    together, _ = make(tmp_path / "together", RIB.model_copy(update={"images_at_once": 5}))
    for image in image_set.images:
        a, b = together.read(image.name), whole[0].read(image.name)
        assert torch.allclose(a.scores.float(), b.scores.float(), atol=2e-3), "half precision has steps of 1e-3"


def test_a_stopped_job_goes_on_where_it_was(make, image_set, whole, tmp_path):
    few = replace(image_set, images=image_set.images[:3])
    other_pool, _ = make(tmp_path / "few", labels=few)
    assert other_pool.identity != whole[0].identity, "other images come from all labels, so they belong to it"
    first, facts = make(tmp_path / "all")
    kept = {n: (tmp_path / f"all/maps/{n}.npz").stat().st_mtime_ns for n in first.checksums}
    lost = image_set.images[2].name
    (tmp_path / f"all/maps/{lost}.npz").unlink()
    (tmp_path / "all/maps.facts.json").unlink()
    again, same = make(tmp_path / "all")
    assert again == first and same == facts
    assert [n for n, t in kept.items() if (tmp_path / f"all/maps/{n}.npz").stat().st_mtime_ns != t] == [lost]


def test_facts_tell_the_course_of_the_fine_tunings(image_set, whole):
    facts = whole[1]
    assert facts["images"] == len(image_set.images)
    assert facts["labels_per_image"] == sum(len(i.classes) for i in image_set.images) / facts["images"]
    assert len(facts["mean_logit"]) == 4 and 0 <= facts["rising_images"] <= 1
    assert facts["stopped_images"] == 0 and 0 <= facts["exploded_classes"] <= 1


def test_stopped_images_and_exploding_classes_are_counted(make, tmp_path):
    hot = RIB.model_copy(update={"stop_logit": 1e-6, "explode_share": 0.0, "explode_growth": 0.5})
    facts = make(tmp_path, hot)[1]
    assert facts["stopped_images"] > 0 and len(facts["mean_logit"]) <= 4


def test_r1_logits_of_present_classes_rise(make, tmp_path):
    facts = make(tmp_path / "up", RIB.model_copy(update={"other_images": 0}))[1]
    assert facts["rising_images"] > 0.9 and facts["mean_logit"][-1] > facts["mean_logit"][0]


def test_tiers_agree_where_they_are_the_same(make, scenes, image_set, tmp_path):
    """One scale, no other images, three constant stages: nothing is left that the tiers do differently."""
    frozen = train(tmp_path / "classifier", spec("classifier", frozen_stages=3), scenes.data, image_set).model
    loose = train(tmp_path / "loose", spec("classifier"), scenes.data, image_set).model
    alike = {}
    for name, network in (("frozen", frozen), ("loose", loose)):
        made = [
            make(
                tmp_path / f"{name}_{tier}",
                RibSettings(tier=tier, other_images=0, **SMALL),
                scales=CamSettings(scales=(1.0,)),
                network=network,
            )[0].checksums
            for tier in ("exact", "fast")
        ]
        alike[name] = made[0] == made[1]
    assert alike == {"frozen": True, "loose": False}, "with trainable early stages they must differ"


def test_images_without_a_label_have_no_map(make, image_set, tmp_path):
    bare = replace(image_set, images=(replace(image_set.images[0], classes=()), *image_set.images[1:]))
    maps, facts = make(tmp_path, labels=bare)
    assert maps.read(bare.images[0].name).scores.shape[0] == 0
    assert facts["images"] == len(bare.images)


def test_toward_an_absent_class(scenes, image_set, stages):
    chosen = RIB.model_copy(update={"goal": "absent"})
    tuner, _ = load_tuner(stages.classifier.model, scenes.data, image_set, chosen, CAM, CPU)
    found = [i for i in image_set.images if len(i.classes) < len(image_set.classes)]
    (trajectory,) = tuner.trajectories(scenes.data, found[:1], len(image_set.classes))
    assert trajectory.logits[-1] > trajectory.logits[0]


def test_what_cannot_be_is_refused(make, image_set, tmp_path):
    with pytest.raises(UserError, match="needs scale 1.0 among them"):
        make(tmp_path / "a", scales=CamSettings(scales=(0.5,)))
    with pytest.raises(UserError, match="lower baselines.rib.other_images or raise baselines.rib.pool"):
        make(tmp_path / "b", RIB.model_copy(update={"pool": 1}))
    with pytest.raises(UserError, match="has other classes than"):
        make(tmp_path / "c", labels=replace(image_set, classes=("a",), images=()))
