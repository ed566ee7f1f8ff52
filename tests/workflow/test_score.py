"""Another program's predictions as a row of a table."""

import json

import pytest
import yaml

OTHER = {"label": "Theirs", "labels": "none", "predictions": "theirs/{dataset}"}


@pytest.mark.slow
def test_predictions_become_a_row(new_pipeline, study_with):
    config = new_pipeline.folder / "config"
    (config / "methods/theirs.yaml").write_text(yaml.safe_dump(OTHER))
    (config / "experiments/mine.yaml").write_text(yaml.safe_dump({"title": "Theirs", "methods": ["theirs"]}))
    new_pipeline.study(study_with(experiments=["mine"]))
    done = new_pipeline.snakemake("--cores", "2", "--", "data/scenes/index.json")
    assert done.returncode == 0, done.stderr
    table = "results/tiny/mine.md"
    missing = new_pipeline.snakemake("--dry-run", table)
    assert missing.returncode != 0 and "theirs/scenes" in missing.stdout + missing.stderr
    truth, folder = new_pipeline.folder / "data/scenes/labels", new_pipeline.folder / "theirs/scenes"
    folder.parent.mkdir()
    folder.symlink_to(truth)
    assert {rule for rule, _ in new_pipeline.planned(table)} == {"split", "score", "metrics", "table"}
    done = new_pipeline.snakemake("--cores", "2", "--show-failed-logs", "--", table)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = new_pipeline.folder / "results/tiny/scenes/split1/theirs/seed0/metrics.json"
    assert json.loads(metrics.read_text())["all"] == 100
    assert "Theirs" in (new_pipeline.folder / table).read_text()
    assert new_pipeline.planned(table) == set()
    (config / "methods/theirs.yaml").write_text(yaml.safe_dump(OTHER | {"predictions": "absent/{dataset}"}))
    again = new_pipeline.snakemake("--cores", "2", "--", table)
    assert again.returncode != 0 and "absent/scenes: no such folder" in again.stdout + again.stderr


def test_a_study_without_models_has_tables_but_no_pictures(new_pipeline, study_with):
    config = new_pipeline.folder / "config"
    (config / "methods/theirs.yaml").write_text(yaml.safe_dump(OTHER))
    (config / "experiments/mine.yaml").write_text(yaml.safe_dump({"title": "Theirs", "methods": ["theirs"]}))
    new_pipeline.study(study_with(experiments=["mine"]))
    (new_pipeline.folder / "theirs/scenes").mkdir(parents=True)
    rules = {rule for rule, _ in new_pipeline.planned()}
    assert {"table", "comparison", "score"} < rules
    assert not rules & {"gallery", "curves", "site", "site_images", "site_predictions", "train"}
    for picture in ("gallery", "curves"):
        refused = new_pipeline.snakemake("--dry-run", f"results/tiny/scenes/split1/{picture}.mine.png")
        said = refused.stdout + refused.stderr
        assert "experiments/mine.yaml: no row has a model on scenes split1, only predictions of another" in said
