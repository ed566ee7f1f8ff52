"""`simformer doctor`: datasets and weights, healthy and broken, and what to type."""

import pytest

from simformer.doctor.inputs import check_inputs
from tests.stubs import LARGE, SCENES, by_name, touch


def test_generated_data_need_nothing(study):
    assert by_name(check_inputs(*study()))["data toys"].level == "ok"


def test_prepared_data_need_no_archive(study, here):
    touch(here / "data/toys/index.json")
    assert by_name(check_inputs(*study(LARGE)))["data toys"].level == "ok"


def test_archives_that_are_not_there_are_to_be_downloaded(study, here):
    check = by_name(check_inputs(*study(LARGE)))["data toys"]
    assert check.level == "warning" and "fetch_all" in check.fix
    touch(here / "data/downloads/toys/archive")
    assert by_name(check_inputs(*study(LARGE)))["data toys"].level == "ok"


def test_a_dataset_that_is_prepared_but_not_audited_is_called_so(study, here):
    touch(here / "data/toys/classes.json", '{"names": ["sea", "sky"]}')
    check = by_name(check_inputs(*study()))["data toys"]
    assert (check.level, check.found) == ("ok", "prepared, not audited yet")
    touch(here / "results/logs/audit/toys.log", "error: data/toys: 1 problem found in this dataset: a.png is cut off\n")
    check = by_name(check_inputs(*study()))["data toys"]
    assert check.level == "problem" and "the audit has failed: error: data/toys: 1 problem found" in check.found
    assert "results/logs/audit/toys.log" in check.fix


@pytest.mark.parametrize(
    "source",
    [{"kind": "folder", "path": "$TOYS/toys.tar"}, {"kind": "ade20k", "archive": {"path": "$TOYS/toys.tar"}}],
    ids=["folder", "archive"],
)
def test_own_copies_must_be_where_the_study_says(study, tmp_path, monkeypatch, source):
    def check():
        return by_name(check_inputs(*study(SCENES | {"source": source})))["data toys"]

    monkeypatch.delenv("TOYS", raising=False)
    assert check().level == "problem" and "TOYS, which is not set" in check().found and "TOYS=" in check().fix
    monkeypatch.setenv("TOYS", str(tmp_path))
    assert check().level == "problem" and "toys.tar" in check().found and "$TOYS" in check().fix
    touch(tmp_path / "toys.tar")
    assert check().level == "ok" and check().found == f"not prepared yet; its source {tmp_path}/toys.tar exists"


def test_weights_are_looked_for_where_the_rules_put_them(study, here, tmp_path, monkeypatch):
    def check(weights):
        dataset = SCENES | {"settings": {"model": {"weights": weights}}}
        return by_name(check_inputs(*study(dataset))).get("weights toys")

    assert check("none") is None
    assert check("imagenet").level == "warning"
    monkeypatch.delenv("WEIGHTS", raising=False)
    assert check("$WEIGHTS").level == "problem" and "WEIGHTS, which is not set" in check("$WEIGHTS").found
    assert check(str(tmp_path / "w.pth")).level == "problem"
    touch(tmp_path / "w.pth")
    assert check(str(tmp_path / "w.pth")).level == "ok"
    touch(here / "data/weights/toys.resnet50.safetensors")
    assert check("imagenet").level == "ok" and check("$WEIGHTS").level == "ok"


def test_timm_must_be_there_for_its_networks(study, monkeypatch):
    def check(model):
        return by_name(check_inputs(*study(SCENES | {"settings": {"model": model}}))).get("timm")

    vit = {"backbone": "timm/test_vit", "weights": "none"}
    assert check(vit).level == "ok" and "for timm/test_vit" in check(vit).found
    monkeypatch.setattr("simformer.doctor.inputs.installed", lambda name: None)
    assert check(vit).level == "problem" and ".[timm]" in check(vit).fix
    assert check({"backbone": "resnet18"}) is None


def test_predictions_of_another_program_must_be_there(study, here):
    def checks():
        return by_name(check_inputs(*study(methods=["weak", "theirs"])))

    touch(here / "config/methods/theirs.yaml", "label: T\nlabels: none\npredictions: p/{split}\n")
    check = checks()["predictions"]
    assert (check.level, check.found) == ("problem", "config/methods/theirs.yaml: predictions: not there: p/split1")
    assert "put it there" in check.fix
    (here / "p/split1").mkdir(parents=True)
    assert "predictions" not in checks()
