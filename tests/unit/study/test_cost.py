"""What the results of a study take on disk."""

import pytest

from simformer.study.cost import LABEL_BYTES, MAP_BYTES, MODEL_BYTES, OTHER_MODEL_BYTES, result_bytes
from tests.conftest import SINGLE
from tests.unit.conftest import BASIC


@pytest.mark.parametrize(
    ("choices", "sets"),
    [
        ([{"expansion": "none"}], 2),
        ([{"expansion": "psa"}], 4),
        ([{"response": "seam", "expansion": "psa"}, {"expansion": "psa"}], 8),
        ([{"response": "seam", "expansion": "psa", "seed": 0}], 2),
        ([{"expansion": "retab"}], 2 + 4),
    ],
)
def test_class_maps_are_counted_once_for_all_splits_by_response_and_seed(catalogue, choices, sets):
    toys = BASIC["datasets/toys"] | {"expect": {"train": 10}}
    methods = {
        f"methods/m{number}": {"label": f"M{number}", "labels": "maps", "maps": maps, "settings": SINGLE}
        for number, maps in enumerate(choices)
    }
    study = catalogue({"datasets/toys": toys} | methods)
    names = [name.removeprefix("methods/") for name in methods]
    cells = [("toys", split, name, seed) for split in ("split1", "split2") for name in names for seed in (0, 7)]
    backbone = study.run(*cells[0]).settings.model.backbone
    labels = 2 + len(cells)
    expected = len(cells) * MODEL_BYTES[backbone] + 10 * (labels * LABEL_BYTES + sets * MAP_BYTES)
    assert result_bytes(study, cells) == pytest.approx(expected)


def test_a_network_of_timm_that_is_not_listed_counts_as_a_small_one(catalogue):
    vit = {"model": {"backbone": "timm/test_vit", "weights": "timm"}}
    study = catalogue({"methods/vit": {"label": "ViT", "settings": vit}})
    sizes = [result_bytes(study, [("toys", "split1", method, 0)]) for method in ("vit", "plain")]
    assert sizes[0] - sizes[1] == OTHER_MODEL_BYTES - MODEL_BYTES["resnet50"]
