"""Settings of the baselines that a study asks for: of a dataset, a response, a round of CONTA."""

import pytest

from simformer.errors import UserError
from tests.conftest import SINGLE
from tests.unit.conftest import BASIC, STUDY, error_of


def test_baselines_have_one_setting_per_dataset_with_defaults_of_each_section(catalogue):
    files = {"datasets/toys": BASIC["datasets/toys"] | {"baselines": {"irn": {"epochs": 5}, "cam": {"scales": [1.0]}}}}
    toys = STUDY["datasets"]["toys"] | {"baselines": {"irn": {"lr": 0.2}}}
    study = catalogue(files, {"datasets": {"toys": toys}})
    found = study.baselines("toys")
    assert (found.irn.epochs, found.irn.lr, found.irn.radius, found.psa.radius) == (5, 0.2, 10, 5)
    assert (found.cam.scales, found.irn_walk.steps, found.psa_walk.steps) == ((1.0,), 256, 64)
    spec = study.network("toys", "irn", 3)
    assert (spec.kind, spec.backbone, spec.seed, spec.settings) == ("irn", "resnet50", 3, found.irn)
    assert spec.hash != study.network("toys", "irn", 4).hash


def test_a_response_may_have_settings_of_its_own(catalogue):
    own = {"seeds": {"threshold": 0.4}, "responses": {"classifier": {"seeds": {"threshold": 0.35}, "irn": {"lr": 0.3}}}}
    study = catalogue({"datasets/toys": BASIC["datasets/toys"] | {"baselines": own}})
    assert study.baselines("toys", "classifier").seeds.threshold == 0.35
    assert study.network("toys", "irn", 0, "classifier").settings.lr == 0.3
    faulty = {"responses": {"classifier": {"seeds": {"treshold": 0.3}}}}
    text = error_of(catalogue, {"datasets/toys": BASIC["datasets/toys"] | {"baselines": faulty}}, {})
    assert "toys.yaml: unknown key 'baselines.seeds.treshold'; did you mean 'baselines.seeds.threshold'?" in text


@pytest.mark.parametrize(
    ("place", "blamed"), [("file", "{root}/datasets/toys.yaml"), ("study", "study.yaml: datasets")]
)
def test_mistakes_in_the_baselines_settings_are_found_at_once(catalogue, tmp_path, place, blamed):
    faulty = {"baselines": {"psa": {"epocs": 3}}}
    files = {"datasets/toys": BASIC["datasets/toys"] | (faulty if place == "file" else {})}
    toys = STUDY["datasets"]["toys"] | (faulty if place == "study" else {})
    text = error_of(catalogue, files, {"datasets": {"toys": toys}})
    assert text.startswith(blamed.format(root=tmp_path))
    assert "unknown key 'baselines.psa.epocs'; did you mean 'baselines.psa.epochs'?" in text


@pytest.mark.parametrize(
    ("faulty", "told"),
    [
        ({"psa": {"radius": 1}}, "'baselines.psa.radius': input should be greater than or equal to 2, found 1"),
        ({"irn_walk": {"radius": 1}}, "'baselines.irn_walk.radius': input should be greater than or equal to 2"),
        ({"seam": {"rescale": 0.001}}, "baselines.seam: rescale 0.001 leaves 0 of the crop's 448 pixels"),
        ({"segmentation": {"views": [0.01]}}, "baselines.segmentation: views 0.01 leaves 3 of the crop's 321 pixels"),
    ],
)
def test_settings_with_which_nothing_could_be_computed_are_refused(catalogue, faulty, told):
    text = error_of(catalogue, {"datasets/toys": BASIC["datasets/toys"] | {"baselines": faulty}}, {})
    assert told in text


def test_maps_are_inherited_with_the_labels(catalogue):
    files = {
        "methods/cam": {"label": "C", "labels": "maps", "maps": {"expansion": "psa"}, "settings": SINGLE},
        "methods/longer": {"label": "L", "inherits": "cam", "settings": {"optim": {"steps": 7}}},
        "methods/weak": {"label": "W", "inherits": "cam", "labels": "weak"},
    }
    study = catalogue(files)
    assert study.method("longer").maps.expansion == "psa" and study.method("longer").labels == "maps"
    assert study.method("weak").maps is None
    assert study.run("toys", "split1", "longer", 0).labels == "maps"
    assert study.training_chain("cam") == ["cam"] and study.trained_split("split1", "cam") == "split1"


def test_contas_maps_are_those_of_its_last_round_and_controls_differ_in_their_context(catalogue):
    toys = BASIC["datasets/toys"] | {"baselines": {"conta": {"rounds": 2}, "irn": {"epochs": 5}}}
    study = catalogue({"datasets/toys": toys})
    assert (study.response("toys", "conta"), study.response("toys", "conta_zero")) == ("conta2", "conta_zero2")
    assert study.response("toys", "classifier") == "classifier"
    specs = {name: study.network("toys", "conta", 0, name) for name in ("conta1", "conta2", "conta_zero1")}
    assert specs["conta1"].settings == specs["conta2"].settings
    assert specs["conta1"].seed == specs["conta_zero1"].seed != specs["conta2"].seed
    assert [specs[name].settings.context for name in ("conta1", "conta_zero1")] == ["own", "zero"]
    assert specs["conta1"].settings.lr == study.baselines("toys").classifier.lr
    assert study.network("toys", "segmentation", 0, "conta1") == study.network("toys", "segmentation", 0, "classifier")


@pytest.mark.parametrize("name", ["conta3", "conta_zero3", "conta9", "cont", "conta"])
def test_a_round_that_a_dataset_does_not_have_is_refused(catalogue, name):
    toys = BASIC["datasets/toys"] | {"baselines": {"conta": {"rounds": 2}}}
    with pytest.raises(UserError, match=rf"toys.yaml: no response '{name}'; it has classifier, conta\w*1, conta\w*2"):
        catalogue({"datasets/toys": toys}).round("toys", name)


def test_settings_of_conta_hold_for_every_round(catalogue):
    own = {"responses": {"conta": {"seeds": {"threshold": 0.4}}}}
    study = catalogue({"datasets/toys": BASIC["datasets/toys"] | {"baselines": own}})
    thresholds = [study.baselines("toys", name).seeds.threshold for name in ("conta", "conta1", "conta3", "classifier")]
    assert thresholds == [0.4, 0.4, 0.4, 0.3]
