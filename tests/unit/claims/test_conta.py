"""C1 to C5: every claim is there, measures by hand, and each can come out either way."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from simformer import cli
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.claims.claim import load_claims
from simformer.claims.conta import Inputs, RoundMaps, companions, conta_claims, mask_counts, spill_shares
from simformer.config.settings import IGNORE
from simformer.data.images import read_label
from tests.specifications import study_of
from tests.unit.baselines.stages import CAM, CPU, made_maps


def made_of(truth, shift, labels, folder):
    """Maps that show the true masks, or with a shift those of the next class of each image."""

    def compute(wanted):
        by_name = {image.name: image for image in truth.images}
        for image in wanted:
            label_map = read_label(truth.label_path(by_name[image.name]))
            order = np.roll(image.classes, shift)
            scores = torch.from_numpy(np.stack([label_map == c for c in order]).astype(np.float32))
            yield image, ClassMaps(image.classes, scores, 1, label_map.shape)

    return made_maps(labels, f"made {shift}", compute, folder / "maps.json")


@pytest.fixture(scope="module")
def inputs(scenes, stages, image_set, masked, truth, round1, tmp_path_factory):
    """Round 1 is right everywhere, all others take a class for the next one."""
    folder = tmp_path_factory.mktemp("made")
    right, wrong = (made_of(truth, shift, image_set, folder / str(shift)) for shift in (0, 1))
    controls = {kind: f"conta_{kind}1" for kind in ("zero", "shuffled", "constant")}
    maps = {name: RoundMaps(wrong, wrong) for name in ("classifier", *controls.values())}
    return Inputs(
        rounds=("classifier", "conta1"),
        controls=controls,
        maps=maps | {"conta1": RoundMaps(right, right)},
        plain=stages.classifier.model,
        network=round1.model,
        predicted=round1.predicted,
        data=scenes.data,
        labels=image_set,
        masked=masked,
        truth=truth,
        cam=CAM,
        background=0.25,
    )


@pytest.fixture(scope="module")
def claims(inputs):
    return conta_claims(inputs, CPU)


def value(claim) -> float:
    """The statistic of a claim; for iou over the classes that occur."""
    if claim.statistic == "iou":
        totals = [values.sum(axis=0) for values in (claim.first_values, claim.second_values)]
        first, second = (100 * np.mean(t[t[:, 1] > 0, 0] / t[t[:, 1] > 0, 1]) for t in totals)
        return first - second
    first, second = claim.first_values.mean(), claim.second_values.mean()
    return first / second if claim.statistic == "ratio" else first - second


def test_every_check_is_there_with_its_controls(claims):
    assert [claim.check for claim in claims] == ["C1"] * 5 + ["C2"] * 2 + ["C3"] * 2 + ["C4"] * 4 + ["C5"] * 2
    assert [claim.check for claim in claims if claim.control] == ["C1", "C4", "C5"]
    assert {claim.method for claim in claims} == {"conta"} and all(len(claim.images) > 5 for claim in claims[:9])
    arms = [(claim.first, claim.second) for claim in claims if claim.check == "C4"]
    controls = [f"conta_{kind}1" for kind in ("zero", "shuffled", "constant")]
    assert [second for first, second in arms if first == "conta1"] == controls


def test_c1_measures_the_context_maps(claims):
    spread, uniform, single, apart, same = claims[:5]
    assert value(spread) > 0 and value(apart) > 0 and value(same) == 0
    assert -1 < value(uniform) <= 1e-9 and 0 < value(single) <= 1 + 1e-9
    # hardly trained attention is uniform, which these measures find
    assert value(uniform) > -0.01


def test_c3_c4_c5_tell_right_maps_from_wrong_ones(claims, inputs):
    later = [claim for claim in claims if claim.check in ("C3", "C4") and not claim.control]
    assert all(value(claim) > 50 for claim in later)
    spill, control = [claim for claim in claims if claim.check == "C5"]
    if len(spill.images):
        assert spill.first_values.max() == 0 and value(spill) <= 0 and value(control) == 0
    swapped = {
        "conta1": inputs.maps["classifier"], "classifier": inputs.maps["conta1"],
        **{name: inputs.maps["conta1"] for name in inputs.controls.values()},
    }  # fmt: skip
    again = conta_claims(replace(inputs, maps=swapped), CPU)
    assert all(value(claim) < -50 for claim in again if claim.check in ("C3", "C4") and not claim.control)


def test_masks_count_on_the_not_base_region_alone(inputs):
    image = next(i for i in inputs.masked.images if len(inputs.masked.novel_labels(i)) > 0)
    label_map = read_label(inputs.truth.label_path(image))
    base = read_label(inputs.masked.label_path(image))
    novel = inputs.masked.novel

    chosen = inputs.masked.novel_labels(image)[0]

    def counts_of(score):
        scores = torch.full((1, *label_map.shape), score)
        read = lambda _: ClassMaps((chosen,), scores, 1, label_map.shape)  # noqa: E731
        return mask_counts(read, inputs, [image], 0.25)[0, novel.index(chosen)].tolist()

    region = (base == IGNORE) & (label_map != IGNORE)
    assert counts_of(1.0) == [(label_map == chosen).sum(), region.sum()]
    assert counts_of(0.2) == [0, (label_map == chosen).sum()]


def test_companions_by_hand():
    images = [SimpleNamespace(classes=c) for c in ((0, 1), (0, 1), (0, 2), (2,))]
    assert companions(SimpleNamespace(images=images, classes=("a", "b", "c"))) == {0: 1, 1: 0, 2: 0}


def test_spilled_share_by_hand(inputs):
    other = companions(inputs.labels)
    shares = spill_shares(inputs, inputs.masked.images, "classifier")
    for (name, category), share in shares.items():
        image = next(i for i in inputs.truth.images if i.name == name)
        shown = dict(zip(image.classes, np.roll(image.classes, 1), strict=True))[category]
        assert share == (shown == other[category])
    assert all(share == 0 for share in spill_shares(inputs, inputs.masked.images, "conta1").values())


@pytest.mark.usefixtures("specified")
def test_the_command_writes_the_same_claims(inputs, claims, round1, scenes, tmp_path):
    maps = {
        name: {"cam": str(found.cam.root / "maps.json"), "irn": str(found.walked.root / "maps.json")}
        for name, found in inputs.maps.items()
    }
    options = {
        "study": study_of({"rounds": inputs.rounds, "controls": inputs.controls, "maps": maps}, tmp_path),
        "on": "scenes/split1", "seed": 0,
        "network": inputs.network, "plain": inputs.plain, "predicted": inputs.predicted.root / "maps.json",
        "data": scenes.data, "labels": inputs.labels.root / "labels.json", "masked": inputs.masked.root / "labels.json",
        "truth": inputs.truth.root / "labels.json", "settings": CAM.model_dump_json(), "background": 0.25,
        "device": "cpu", "output": tmp_path / "c.json",
    }  # fmt: skip
    assert cli.main(["check_conta", *(str(x) for k, v in options.items() for x in (f"--{k}", v))]) == 0
    found = load_claims(tmp_path / "c.json")
    assert [(c.check, c.statement) for c in found] == [(c.check, c.statement) for c in claims]
    assert all(np.allclose(a.first_values, b.first_values) for a, b in zip(found, claims, strict=True))
