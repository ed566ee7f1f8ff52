"""The studies and methods that come with the project: each resolves, and says what the released code does."""

from pathlib import Path

import pytest

from simformer.config.layers import read_yaml
from simformer.study.catalogue import Catalogue

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_study_resolves_every_method_and_experiment(path):
    study = Catalogue(read_yaml(path), str(path), REPOSITORY / "config")
    methods = [method.stem for method in (REPOSITORY / "config/methods").glob("*.yaml")]
    assert methods
    for dataset in study.study.datasets:
        for method in methods:
            assert study.run(dataset, "full", method, 0).method == method
    for experiment in (REPOSITORY / "config/experiments").glob("*.yaml"):
        assert study.experiment(experiment.stem).methods


@pytest.mark.parametrize(("dataset", "stride8", "pairs"), [("coco_stuff_10k", 10, 8), ("ade20k", 8, 4)])
def test_schedules_of_the_baselines_on_the_papers_datasets(dataset, stride8, pairs):
    """SEAM and CPN, 6.4; RETAB, 4.4 and 4.5. Arms that are compared have equal schedules."""
    study = REPOSITORY / "config/config.yaml"
    shipped = Catalogue(read_yaml(study), study.name, study.parent).baselines(dataset)
    assert [getattr(shipped, name).epochs for name in ("seam", "cpn", "plain")] == [stride8] * 3
    assert [getattr(shipped, name).epochs for name in ("retab_boundary", "retab_affinity", "psa")] == [pairs] * 3
    assert shipped.warm.epochs == 5


@pytest.mark.parametrize(
    ("dataset", "number", "alpha", "beta", "form"),
    [
        ("coco_stuff_10k", 1, 0.0, 0.15, "bce"),
        ("coco_stuff_10k", 2, 0.1, 0.15, "cce"),
        ("coco_stuff_10k", 3, 0.1, 0.15, "bce"),
        ("coco_stuff_10k", 9, 0.1, 0.15, "cce"),
        ("ade20k", 1, 0.5, 0.2, "cce"),
        ("ade20k", 4, 0.5, 0.2, "cce"),
    ],
)
def test_the_released_behaviour_by_dataset_and_split(dataset, number, alpha, beta, form):
    study = REPOSITORY / "config/config.yaml"
    shipped = Catalogue(read_yaml(study), study.name, study.parent)
    run = shipped.run(dataset, f"split{number}", "simformer_release", 0)
    settings = run.settings
    assert (settings.loss.alpha, settings.loss.beta, settings.loss.gamma) == (alpha, beta, 0.05)
    assert (settings.similarity.form, settings.similarity.student) == (form, "same")
    assert (run.labels, settings.pairing.mode, settings.matching.remap_columns) == ("crop", "code", False)
    assert settings.similarity.sample_padding, "L_dist samples padding too"
