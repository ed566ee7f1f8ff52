"""Reading, merging, explaining and hashing of configuration."""

import pytest
import yaml

from simformer.baselines.dataset_settings import BaselineSettings
from simformer.config.layers import RunConfig, merge, parse, parse_layers, read_yaml
from simformer.config.settings import TrainSettings
from simformer.data.splits import Split
from simformer.errors import UserError
from simformer.study.files import DatasetFile, MethodFile, Study
from tests.conftest import SINGLE


def study(splits):
    return {"datasets": {"scenes": {"splits": {1: splits}}}}


def error_of(call, *arguments) -> str:
    with pytest.raises(UserError) as error:
        call(*arguments)
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"loss": {"alfa": 1}}, "a.yaml: unknown key 'settings.loss.alfa'; did you mean 'settings.loss.alpha'?"),
        ({"optm": {}}, "a.yaml: unknown key 'settings.optm'; did you mean 'settings.optim'?"),
        ({"optim": {"qqqq": 1}}, "a.yaml: unknown key 'settings.optim.qqqq'; Allowed here: steps, batch_images"),
        ({"optim": {"lr": "fast"}}, "a.yaml: key 'settings.optim.lr': input should be a valid number"),
        ({"optim": {"lr": 0}}, "a.yaml: key 'settings.optim.lr': input should be greater than 0, found 0"),
        ({"optim": {"steps": None}}, "a.yaml: key 'settings.optim.steps': should be a whole number, found null"),
        ({"pairing": {"mode": "papr"}}, "'none', 'paper', 'code' or 'self', found 'papr'"),
        ({"loss": {"sim": 0}}, "a.yaml: settings: loss.alpha > 0 needs SimNet"),
        ({"pairing": {"mode": "none"}}, "a.yaml: settings: loss.sim > 0 compares two images"),
        ({"augment": {"crop": 32}}, "(100) draws 100 pixels, but the embedding grid has 64"),
        (
            {"augment": {"crop": 32}, "loss": {"alpha": 0}, "similarity": {"pairs": "paper"}},
            "(100) draws 100 pixels, but the embedding grid has 64",
        ),
        ({"loss": {"exclusive": 2.5, "beta": 0}}, "loss.exclusive > 0 is a part of L_comp: set loss.beta > 0"),
        ({"loss": {"present": 1, "beta": 0}}, "loss.present > 0 is a part of L_comp: set loss.beta > 0"),
        ({"loss": {"ramp": [1, 1]}}, "loss.ramp starts at 1, the end of the training"),
        (
            {"loss": {"cls": 0, "focal": 0, "dice": 0, "sim": 0, "alpha": 0}, "pairing": {"mode": "none"}},
            "loss.cls, focal, dice and sim are all 0, so nothing would be learnt",
        ),
        ({"optim": {"batch_images": 6, "group_images": 3}}, "pairs need optim.group_images = 2, found 3"),
        ({"optim": {"batch_images": 7}}, "(7) must be a multiple of optim.group_images (2)"),
        ({"optim": {"batch_images": 8, "groups_per_forward": 3}}, "(3) must divide the 4 groups of a step"),
        ({"model": {"dim": 36}}, "model.dim (36) must be a multiple of model.heads (8)"),
        ({"model": {"dim": 48}}, "model.dim (48) must be a multiple of 32"),
    ],
)
def test_mistakes_in_training_settings_are_explained_in_one_line(content, message):
    text = error_of(parse_layers, TrainSettings, [("a.yaml", content)], "settings")
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("model", "content", "message"),
    [
        (Study, study({"novl": ["a"]}), "unknown key 'datasets.scenes.splits.1.novl'; did you mean"),
        (Study, study({"novel": ["a", "b"], "base": ["b"]}), "classes both base and novel: b"),
        (Study, study({}), "give exactly one of novel, file, seed (found none)"),
        (Study, study({"novel": ["a"], "ratio": [5, 3]}), "ratio belongs to a random split (seed), but novel names"),
        (Study, study({"novel": ["a"], "seed": 1}), "give exactly one of novel, file, seed (found novel and seed)"),
        (Study, study({"novel": []}), "the list of novel classes is empty"),
        (Study, study({"seed": 1, "base": ["a"]}), "draws the base classes itself; remove base"),
        (Study, study({"seed": 1}) | {"seeds": [1, 1]}, "seeds has duplicates: 1, 1"),
        (Study, {"datasets": {"Scenes": {"splits": {1: {"seed": 1}}}}}, "key 'datasets.Scenes': string should match"),
        (Study, {"results": "r"}, "key 'datasets' is missing"),
        (MethodFile, {"label": "x", "labels": "pseudo"}, "`teacher` and `labels: pseudo` need each other"),
        (MethodFile, {"label": "x", "teacher": "y"}, "`teacher` and `labels: pseudo` need each other"),
        (MethodFile, {"label": "x", "pseudo": {"rule": "common"}}, "`pseudo` needs `labels: pseudo`"),
        (
            MethodFile,
            {"label": "x", "labels": "pseudo", "teacher": "y", "pseudo": {"gamma": 0.5}},
            "pseudo.gamma belongs to the rule 'common'",
        ),
        (
            MethodFile,
            {"label": "x", "labels": "pseudo", "teacher": "y", "pseudo": {"rule": "common", "gamma": 1.5}},
            "key 'pseudo.gamma': input should be less than or equal to 1",
        ),
        (
            MethodFile,
            {"label": "x", "labels": "maps", "maps": {"response": "classifier", "gamma": 1.5}},
            "key 'maps.gamma': input should be less than or equal to 1",
        ),
        (MethodFile, {"label": "x", "labels": "maps"}, "`maps` and `labels: maps` need each other"),
        (MethodFile, {"label": "x", "maps": {}}, "`maps` and `labels: maps` need each other"),
        (
            MethodFile,
            {"label": "x", "labels": "maps", "maps": {"expansoin": "psa"}},
            "unknown key 'maps.expansoin'; did you mean 'maps.expansion'?",
        ),
        (
            BaselineSettings,
            {"classifier": {"long_edges": [90, 30]}},
            "classifier: long_edges is a range [lowest, highest], found [90, 30]",
        ),
        (
            DatasetFile,
            {"title": "x", "source": {"kind": "folder", "path": "p", "pth": "q"}},
            "unknown key 'source.pth'; did you mean 'source.path'? Allowed here: kind, path",
        ),
        (
            DatasetFile,
            {"title": "x", "source": {"kind": "scenes", "siez": 9}},
            "unknown key 'source.siez'; did you mean 'source.size'? Allowed here: size, train",
        ),
        (
            DatasetFile,
            {"title": "x", "source": {"kind": "scene"}},
            "source.kind: unknown kind 'scene'; did you mean 'scenes'?",
        ),
    ],
)
def test_mistakes_in_the_files_of_a_study_are_explained_in_one_line(model, content, message):
    text = error_of(parse, model, content, "a.yaml")
    assert text.startswith("a.yaml: ")
    assert message in text
    assert "\n" not in text


def test_every_mistake_has_its_line():
    text = error_of(parse, MethodFile, {"labl": "x"}, "m.yaml")
    assert sorted(line.split(";")[0] for line in text.splitlines()) == [
        "m.yaml: key 'label' is missing",
        "m.yaml: unknown key 'labl'",
    ]


def test_an_error_names_the_last_file_that_sets_the_faulty_key():
    layers = [("a.yaml", {"optim": {"lr": 1}}), ("b.yaml", {"optim": {"lr": -1}}), ("c.yaml", {"optim": {"steps": 1}})]
    assert error_of(parse_layers, TrainSettings, layers).startswith("b.yaml: key 'optim.lr'")


def test_an_error_between_keys_names_every_file_that_sets_some_of_the_section():
    layers = [
        ("a.yaml", {"optim": {"batch_images": 7}}),
        ("b.yaml", {"loss": {"beta": 0}}),
        ("c.yaml", {"optim": {"steps": 1}}),
    ]
    assert error_of(parse_layers, TrainSettings, layers).startswith("a.yaml + c.yaml: optim: optim.batch_images (7)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "key 'a' is given twice in the mapping that starts at line 1"),
        ("x:\n  a: 1\n  a: 2\n", "key 'a' is given twice in the mapping that starts at line 2"),
        ("a: 1\nb: [1, 2\nc: 3\n", "line 3, column 2: not valid YAML"),
        ("- a\n- b\n", "expected 'key: value' lines, found list"),
        ("", "expected 'key: value' lines, found nothing"),
    ],
)
def test_unreadable_yaml_is_explained(tmp_path, text, message):
    path = tmp_path / "f.yaml"
    path.write_text(text)
    assert f"{path}: {message}" in error_of(read_yaml, path)


def test_a_file_that_is_not_text_is_explained(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(b"a: \xff\xfe")
    assert f"{path}: not UTF-8 text" in error_of(read_yaml, path)


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    (tmp_path / "simformer.yaml").write_text("a: 1")
    text = error_of(read_yaml, tmp_path / "simfomer.yaml")
    assert text == f"{tmp_path}/simfomer.yaml: no such file; did you mean '{tmp_path}/simformer.yaml'?"
    assert error_of(read_yaml, tmp_path / "other.yaml") == f"{tmp_path}/other.yaml: no such file"


def test_merge_replaces_lists_and_scalars_and_joins_mappings():
    one, two = {"a": {"x": 1, "y": [1, 2]}, "b": 1}, {"a": {"y": [3]}, "b": {"z": 1}}
    assert merge(one, two) == {"a": {"x": 1, "y": [3]}, "b": {"z": 1}}
    assert one == {"a": {"x": 1, "y": [1, 2]}, "b": 1}


def test_a_resolved_run_survives_flattening_and_its_file(new_config, tmp_path):
    config = new_config({"optim": {"lr": 1e-5}, "augment": {"short_edges": [48, 56, 64]}}, seed=3)
    assert RunConfig.from_flat(config.flat(), "flat") == config
    config.save(tmp_path / "config.yaml")
    loaded = RunConfig.load(tmp_path / "config.yaml")
    assert (loaded, loaded.hash) == (config, config.hash)
    assert config.flat()["optim.lr"] == 1e-5
    assert config.flat()["augment.short_edges"] == [48, 56, 64]


def test_the_resolved_file_is_refused_after_an_edit_but_not_after_a_comment(new_config, tmp_path):
    config, path = new_config(), tmp_path / "config.yaml"
    config.save(path)
    content = yaml.safe_load(path.read_text())
    path.write_text("# note\n" + yaml.safe_dump(dict(sorted(content.items(), reverse=True)), sort_keys=False))
    assert RunConfig.load(path).hash == config.hash
    path.write_text(yaml.safe_dump(content | {"optim.lr": 0.5}))
    text = error_of(RunConfig.load, path)
    assert str(path) in text
    assert config.hash in text
    assert "This file is generated" in text


def _another(config: RunConfig, key: str) -> RunConfig | None:
    """Return the run with another valid value of one flat key, if there is one while all others stay."""
    flat = config.flat(complete=True)
    value = flat[key]
    words = [
        "weak",
        "full",
        "none",
        "code",
        "same",
        "cce",
        "bf16",
        "resnet18",
        "paper",
        "constant",
        "relational",
        "other",
    ]
    if isinstance(value, bool):
        candidates = [not value]
    elif isinstance(value, list):
        candidates = [[*value, 77], [v / 2 for v in value]]
    elif isinstance(value, str):
        candidates = [word for word in words if word != value]
    elif value is None:
        candidates = ["0" * 64]
    else:
        candidates = [value + 1, value * 2 or 0.5, value / 2]
    for candidate in candidates:
        try:
            return RunConfig.from_flat(flat | {key: candidate}, "flat")
        except UserError:
            continue
    return None


def test_the_hash_depends_on_every_key(new_config):
    unchanged = set(new_config().flat())
    for config in (new_config(), new_config(SINGLE, {"optim": {"batch_images": 4}})):
        others = {key: _another(config, key) for key in config.flat()}
        unchanged -= {key for key, other in others.items() if other and other.hash != config.hash}
    assert not unchanged


def test_keys_that_came_later_leave_the_hash_of_older_runs_alone(new_config):
    """The hash and keys are those of the code before `loss.exclusive`."""
    config = new_config()
    later = {key for key in config.flat(complete=True) if key not in config.flat()}
    assert {"loss.exclusive", "loss.present", "loss.ramp"} <= later and len(config.flat()) == 53
    assert config.hash == "12dd781f373e05d1"
    with_weights = new_config({"model": {"weights": "w.pth"}})  # of which some keys tell more
    for key in later:
        changed = _another(with_weights, key)
        assert changed is not None and changed.flat()[key] == changed.flat(complete=True)[key]
        assert changed.hash != with_weights.hash and RunConfig.from_flat(changed.flat(), "flat") == changed


def test_the_hash_is_that_of_equal_settings_however_written(new_config):
    written_out = new_config({"loss": {"beta": 0.2}, "optim": {"power": 0.9}})
    assert written_out.hash == new_config().hash
    assert new_config({"optim": {"lr": 1}}).hash == new_config({"optim": {"lr": 1.0}}).hash


@pytest.mark.parametrize("word", ["12345e67", "1e5", "5e12", "-1e9"])
def test_a_hash_or_a_class_that_looks_like_a_number_stays_text(new_config, tmp_path, word):
    """PyYAML writes `12345e67` without quotes; one hash in seventy looks so."""
    config = new_config().model_copy(update={"novel": word})
    config.save(tmp_path / "config.yaml")
    assert RunConfig.load(tmp_path / "config.yaml") == config
    Split(("sky", word), (1,)).save(tmp_path / "split.yaml")
    assert Split.load(tmp_path / "split.yaml").classes == ("sky", word)
