"""Studies and the files they name: merging, inheritance, grids, and errors that name the file."""

import json

import pytest

from simformer.errors import UserError
from simformer.study.initial_weights import weights_of_backbone
from simformer.study.sweeps import swept
from tests.conftest import SINGLE
from tests.unit.conftest import BASIC, STUDY, error_of


def test_settings_are_merged_dataset_study_parent_method(catalogue):
    def lr(dataset=None, study=None, parent=None, method=None):
        def layer(value, other):
            return {"optim": {"power": other} | ({} if value is None else {"lr": value})}

        files = {
            "datasets/toys": BASIC["datasets/toys"] | {"settings": layer(dataset, 1)},
            "methods/parent": {"label": "P", "settings": layer(parent, 3)},
            "methods/plain": {"label": "C", "inherits": "parent", "settings": layer(method, 4)},
        }
        toys = STUDY["datasets"]["toys"] | {"settings": layer(study, 2)}
        settings = catalogue(files, {"datasets": {"toys": toys}}).run("toys", "split1", "plain", 0).settings
        assert settings.optim.power == 4
        return settings.optim.lr

    assert lr() == 1e-4
    assert lr(0.1) == 0.1
    assert lr(0.1, 0.2) == 0.2
    assert lr(0.1, 0.2, 0.3) == 0.3
    assert lr(0.1, 0.2, 0.3, 0.4) == 0.4


def test_a_study_cannot_undo_what_makes_a_method(catalogue):
    toys = STUDY["datasets"]["toys"] | {"settings": {"loss": {"beta": 0.15, "alpha": 0.5}, "pairing": {"mode": "code"}}}
    files = {"methods/plain": {"label": "P", "settings": {"loss": {"alpha": 0, "sim": 0}, "pairing": {"mode": "none"}}}}
    settings = catalogue(files, {"datasets": {"toys": toys}}).run("toys", "split1", "plain", 0).settings
    assert (settings.loss.alpha, settings.pairing.mode, settings.loss.beta) == (0, "none", 0.15)


def test_a_method_has_settings_for_a_dataset_and_for_a_split_of_it(catalogue):
    method = {
        "label": "P",
        "settings": {"loss": {"alpha": 0.1, "beta": 0.1, "gamma": 0.1}},
        "datasets": {"toys": {"loss": {"beta": 0.2, "gamma": 0.2}}},
        "splits": {"toys": {2: {"loss": {"gamma": 0.3}}}},
    }
    files = {"methods/plain": method, "methods/child": {"label": "C", "inherits": "plain", "settings": SINGLE}}
    study = catalogue(files | {"experiments/table1": {"title": "T", "methods": ["plain", "child"]}})

    def weights(split, name="plain"):
        loss = study.run("toys", split, name, 0).settings.loss
        return loss.alpha, loss.beta, loss.gamma

    assert weights("split1") == weights("full") == (0.1, 0.2, 0.2)
    assert weights("split2") == (0.1, 0.2, 0.3)
    assert weights("split2", "child") == (0, 0, 0.3)


def test_settings_for_a_dataset_that_is_not_there_are_refused(catalogue):
    text = error_of(catalogue, {"methods/plain": {"label": "P", "datasets": {"toyz": {}}}})
    assert "methods/plain.yaml: datasets: no dataset 'toyz' (there is no " in text and "did you mean 'toys'?" in text


def test_backbone_weights_belong_to_the_dataset(catalogue):
    text = error_of(catalogue, {"methods/plain": {"label": "P", "settings": {"model": {"weights": "w.pth"}}}})
    assert "methods/plain.yaml: 'settings.model.weights' belongs to the dataset's file" in text


def test_a_teacher_must_not_see_every_mask(catalogue):
    files = {
        "methods/plain": {"label": "P", "labels": "pseudo", "teacher": "all"},
        "methods/all": {"label": "A", "labels": "full"},
    }
    assert "teacher 'all' is trained on all masks" in error_of(catalogue, files)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, ["split1", "split2", "split10"]),
        ({"splits": {"toys": [2, 3, 5, 77]}}, ["split2", "split3", "split5"]),
        ({"splits": {"others": [1]}}, ["split1", "split2", "split10"]),
    ],
)
def test_an_experiment_takes_the_splits_it_lists_or_all_that_are_not_reserved(catalogue, table, expected):
    splits = {number: {"seed": number} for number in (1, 2, 10)} | {
        number: {"seed": number, "only": ["table6"]} for number in (3, 5)
    }
    files = {"experiments/table1": {"title": "T", "methods": ["plain"], **table}}
    found = catalogue(files, {"datasets": {"toys": {"splits": splits}}, "seeds": [4, 0]}).cells("table1")
    assert found == [("toys", split, "plain", seed) for split in expected for seed in (4, 0)]


def test_an_experiment_may_fix_its_seeds(catalogue):
    files = {"experiments/table1": {"title": "T", "methods": ["plain"], "seeds": [1, 2]}}
    assert [seed for *_, seed in catalogue(files).cells("table1")] == [1, 2, 1, 2]


def test_an_experiment_without_a_split_says_what_it_uses(catalogue):
    text = error_of(catalogue, {"experiments/table1": {"title": "T", "methods": ["plain"], "splits": {"toys": [8]}}})
    assert "study.yaml: no split for experiment 'table1', which uses toys [8]; add one under `datasets`" in text


def test_the_experiments_of_a_split_do_not_change_the_split(catalogue):
    def text(split):
        return catalogue(study={"datasets": {"toys": {"splits": {1: split}}}}).split_json("toys", "split1")

    assert text({"seed": 1}) == text({"seed": 1, "only": ["table1"]})


def test_a_method_is_listed_once(catalogue):
    table = {"title": "T", "methods": ["plain", "plain"]}
    assert "methods has duplicates: plain, plain" in error_of(catalogue, {"experiments/table1": table})


@pytest.mark.parametrize(
    ("place", "blamed"),
    [
        ("datasets/toys", "{root}/datasets/toys.yaml"),
        ("methods/parent", "{root}/methods/parent.yaml"),
        ("methods/plain", "{root}/methods/plain.yaml"),
        ("study", "study.yaml: datasets.toys"),
    ],
)
def test_an_error_names_the_file_that_sets_the_faulty_key(catalogue, tmp_path, place, blamed):
    faulty, fine = {"optim": {"stps": 1}}, {"optim": {"lr": 0.1}}
    files = {
        "datasets/toys": BASIC["datasets/toys"],
        "methods/parent": {"label": "P"},
        "methods/plain": {"label": "C", "inherits": "parent"},
    }
    files = {name: content | {"settings": faulty if name == place else fine} for name, content in files.items()}
    toys = STUDY["datasets"]["toys"] | {"settings": faulty if place == "study" else fine}
    text = error_of(catalogue, files, {"datasets": {"toys": toys}})
    where = blamed.format(root=tmp_path)
    assert text.startswith(f"{where}: unknown key 'settings.optim.stps'; did you mean 'settings.optim.steps'?")


def test_labels_and_teacher_are_inherited_unless_labels_are_named(catalogue):
    files = {
        "methods/oracle": {"label": "O", "labels": "full", "settings": SINGLE},
        "methods/long": {"label": "L", "inherits": "oracle", "settings": {"optim": {"steps": 7}}},
        "methods/again": {"label": "A", "inherits": "long", "labels": "pseudo", "teacher": "plain"},
        "methods/again_long": {"label": "B", "inherits": "again"},
        "methods/weak": {"label": "W", "inherits": "again", "labels": "weak"},
    }
    study = catalogue(files)
    facts = {name: (study.method(name).labels, study.method(name).teacher) for name in ("long", "again_long", "weak")}
    assert facts == {"long": ("full", None), "again_long": ("pseudo", "plain"), "weak": ("weak", None)}
    run = study.run("toys", "split1", "again_long", 3)
    assert (run.labels, run.seed, run.settings.optim.steps, run.settings.loss.sim) == ("pseudo", 3, 7, 0)
    assert study.method("again_long").label == "B"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"methods/plain": {"label": "P", "inherits": "b"}, "methods/b": {"label": "B", "inherits": "plain"}},
            "plain.yaml: methods inherit in a circle: plain -> b -> plain",
        ),
        ({"methods/plain": {"label": "P", "inherits": "plan"}}, "plain.yaml: inherits: no method 'plan' (there is no "),
        (
            {"methods/plain": {"label": "P", "labels": "pseudo", "teacher": "teachr"}},
            "methods/plain.yaml: teacher: no method 'teachr'",
        ),
        (
            {
                "experiments/table1": BASIC["experiments/table1"]
                | {"reported": {"toys": {"split1": {"other": {"novel": 1}}}}}
            },
            "table1.yaml: reported: other is no row of this table; rows: plain",
        ),
        (
            {"experiments/table1": BASIC["experiments/table1"] | {"published_std": {"toys": {"split1": {"other": 1}}}}},
            "table1.yaml: published_std: other is no row of this table; rows: plain",
        ),
        (
            {
                "experiments/table1": BASIC["experiments/table1"]
                | {"published_p": {"toys": {"split1": {"plain": {"other": 0.1}}}}}
            },
            "table1.yaml: published_p: plain - other is no pair of `compare`",
        ),
        (
            {"experiments/table1": {"title": "T", "methods": []}},
            "table1.yaml: key 'methods': should have at least one entry",
        ),
        (
            {"experiments/table1": BASIC["experiments/table1"] | {"compare": [["plain", "plian"]]}},
            "table1.yaml: compare: plian is no row of this table; rows: plain",
        ),
    ],
)
def test_files_that_do_not_fit_together_are_refused(catalogue, files, message):
    assert message in error_of(catalogue, files)


def test_the_study_overrides_source_and_inference(catalogue):
    toys = STUDY["datasets"]["toys"] | {"source": {"train": 9}, "inference": {"short_edge": 50}}
    dataset = catalogue(study={"datasets": {"toys": toys}}).datasets["toys"]
    assert (dataset.source.train, dataset.source.size, dataset.inference.short_edge) == (9, 96, 50)


def test_a_faulty_override_is_blamed_on_the_study(catalogue):
    toys = STUDY["datasets"]["toys"] | {"source": {"trian": 9}}
    text = error_of(catalogue, {}, {"datasets": {"toys": toys}})
    assert text.startswith("study.yaml: datasets.toys: unknown key 'source.trian'; did you mean 'source.train'?")


def test_splits_are_named_by_number_and_an_unknown_one_lists_them(catalogue):
    study = catalogue()
    assert [split for _, split, *_ in study.cells("table1")] == ["split1", "split2"]
    assert json.loads(study.split_json("toys", "full")) == {"full": True}
    assert json.loads(study.split_json("toys", "split2"))["seed"] == 4
    with pytest.raises(UserError, match="dataset 'toys' has no split3; it has split1, split2"):
        study.split_json("toys", "split3")


SWEPT = {
    "methods/low": {"label": "L", "inherits": "plain", "settings": {"loss": {"alpha": 0.01}}},
    "methods/high": {"label": "H", "inherits": "plain", "settings": {"loss": {"alpha": 0.5}}},
    "methods/wide": {"label": "W", "inherits": "plain", "settings": {"loss": {"gamma": 0.2}}},
}
SWEEP = {
    "title": "S",
    "methods": ["plain", "low", "wide", "high"],
    "sweep": ["loss.alpha", "loss.gamma"],
}


WORDS = {
    "methods/low": {"label": "L", "inherits": "plain", "settings": {"similarity": {"pairs": "paper"}}},
    "experiments/table1": {"title": "S", "methods": ["plain", "low"], "sweep": ["similarity.pairs"]},
}


def test_a_sweep_finds_the_value_of_every_method(catalogue):
    study = catalogue(SWEPT | {"experiments/table1": SWEEP})
    assert swept(study, "table1", "toys", "split1") == {
        "loss.alpha": {"plain": 0.1, "low": 0.01, "high": 0.5},
        "loss.gamma": {"plain": 0.1, "wide": 0.2},
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"experiments/table1": SWEEP | {"sweep": ["loss.alfa"]}}, "sweep: unknown setting loss.alfa"),
        ({"experiments/table1": SWEEP | {"sweep": ["loss.alpha"]}}, "'wide' differs from 'plain' in loss.gamma"),
        ({"methods/low": {"label": "L", "inherits": "plain"}}, "'low' differs from 'plain' in nothing"),
        (WORDS, "table1.yaml: sweep: similarity.pairs is 'release' for 'plain', but a sweep is drawn over numbers"),
    ],
)
def test_what_is_no_sweep_is_refused(catalogue, files, message):
    study = catalogue(SWEPT | {"experiments/table1": SWEEP} | files)
    with pytest.raises(UserError, match=message):
        swept(study, "table1", "toys", "split1")


@pytest.mark.parametrize("key", [{"compare": [["plain", "low"]]}, {"sweep": ["loss.alpha"]}])
def test_a_table_of_simnet_compares_and_sweeps_nothing(catalogue, key):
    table = {"title": "S", "methods": ["plain", "low"], "measure": "simnet_f1", "metrics": ["base_sim"]}
    (name,) = key
    assert f"{name} needs measure 'iou', not 'simnet_f1'" in error_of(
        catalogue, SWEPT | {"experiments/table1": table | key}
    )


TIMM = {"model": {"backbone": "timm/test_vit", "weights": "timm"}}


def test_a_method_with_a_backbone_of_its_own_names_its_weights(catalogue):
    study = catalogue({"methods/vit": {"label": "ViT", "settings": TIMM}})
    assert study.run("toys", "split1", "vit", 0).settings.model.weights == "timm"
    assert study.model("toys").backbone == "resnet50"
    assert weights_of_backbone(study, "toys", "timm/test_vit").weights == "timm"
    assert weights_of_backbone(study, "toys", "resnet50").weights == "imagenet"
    with pytest.raises(UserError, match="neither toys nor a method has initial weights of 'timm/test_vit2'"):
        weights_of_backbone(study, "toys", "timm/test_vit2")


def test_a_method_that_does_not_fit_the_dataset_is_no_reason_to_refuse_its_weights(catalogue):
    study = catalogue({"methods/j": {"label": "J", "settings": {"similarity": {"points": 10**6}}}})
    with pytest.raises(UserError, match="draws 1000000 pixels"):
        study.run("toys", "split1", "j", 0)
    assert weights_of_backbone(study, "toys", "resnet50").weights == "imagenet"


def test_one_backbone_has_one_file_of_initial_weights_per_dataset(catalogue):
    own = {"model": {"backbone": "timm/test_vit", "weights": "vit.pth", "weights_sha256": "0" * 64}}
    study = catalogue({"methods/vit": {"label": "A", "settings": TIMM}, "methods/own": {"label": "B", "settings": own}})
    with pytest.raises(UserError) as error:
        weights_of_backbone(study, "toys", "timm/test_vit")
    assert "on toys, method 'own' and method 'vit' start 'timm/test_vit' from different weights" in str(error.value)


def test_class_maps_are_not_made_with_networks_of_timm(catalogue):
    study = catalogue({"datasets/toys": {"title": "Toys", "source": {"kind": "scenes"}, "settings": TIMM}})
    with pytest.raises(UserError, match="'timm/test_vit', but class maps .* need one of resnet50"):
        study.network("toys", "classifier", 0)


def test_a_name_without_a_file_is_told_with_the_file_that_names_it(catalogue, tmp_path):
    table = BASIC["experiments/table1"] | {"methods": ["plian"]}
    text = error_of(catalogue, {"experiments/table1": table})
    path = tmp_path / "methods/plian.yaml"
    assert text == (
        f"{tmp_path}/experiments/table1.yaml: methods: no method 'plian' (there is no {path}); did you mean 'plain'?"
    )
    path.with_suffix(".yml").touch()
    assert error_of(catalogue, {"experiments/table1": table}).endswith(
        f"; rename {path.with_suffix('.yml')} to plian.yaml"
    )
