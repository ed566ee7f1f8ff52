"""The DAG of the CAM baselines: what is shared, what an edit makes run again, and a run from nothing to the table."""

import copy
import json

import pytest

QUICK = {
    "frozen_stages": 0, "epochs": 1, "batch_images": 8, "lr": 0.02, "crop": 48, "long_edges": None, "warmup_steps": 0,
}  # fmt: skip
BASELINES = {
    "classifier": QUICK,
    "cam": {"scales": [1.0]},
    "seeds": {"threshold": 0.5},
    "psa": QUICK | {"radius": 3, "color_jitter": False},
    "psa_walk": {"steps": 2},
    "irn": QUICK | {"radius": 3, "scales": [1.0, 1.0]},
    "irn_walk": {"steps": 2},
}


@pytest.fixture
def study(tiny):
    """The tiny study with two splits, of the experiment on class maps."""
    content = copy.deepcopy(tiny) | {"experiments": ["cam"]}
    content["datasets"]["scenes"]["splits"][2] = {"seed": 7}
    content["datasets"]["scenes"]["baselines"] = BASELINES
    return content


def jobs_of(planned, rule: str) -> list[str]:
    return sorted(wildcards for name, wildcards in planned if name == rule)


def test_what_knows_no_mask_is_made_once_for_all_splits(pipeline, study):
    pipeline.study(study)
    planned = pipeline.planned()
    assert jobs_of(planned, "image_labels") == ["dataset=scenes"]
    assert jobs_of(planned, "classifier") == ["dataset=scenes, seed=0"]
    assert jobs_of(planned, "cam") == ["dataset=scenes, response=classifier, seed=0, shard=1of1"]
    assert len(jobs_of(planned, "seeds")) == 1
    for rule in ("affinity", "refine"):
        assert [("psa" in w, "irn" in w) for w in jobs_of(planned, rule)] == [(False, True), (True, False)]
    assert len(jobs_of(planned, "gather_maps")) == 3
    assert len(jobs_of(planned, "mix")) == 2 * 3
    assert not [w for rule, w in planned if rule in ("classifier", "cam", "affinity", "refine") and "split" in w]


@pytest.mark.slow
def test_plain_maps_need_no_expansion_and_shards_are_jobs(pipeline, study):
    study["datasets"]["scenes"]["shards"] = {"train": 3}
    pipeline.study(study)
    target = "results/tiny/scenes/split1/cam_retrained/seed0/mixed/labels.json"
    planned = pipeline.planned(target)
    assert len(jobs_of(planned, "cam")) == 3
    assert {"seeds", "affinity", "refine", "train"}.isdisjoint({rule for rule, _ in planned})


def test_rib_starts_from_the_classifier_and_shares_the_rest(pipeline, study):
    study["datasets"]["scenes"]["shards"] = {"train": 2}
    pipeline.study(study)
    folder = "results/tiny/scenes/split1"
    planned = pipeline.planned(f"{folder}/rib_retrained/seed0/mixed/labels.json", f"{folder}/checks/rib.seed0.json")
    assert len(jobs_of(planned, "rib")) == 2 and len(jobs_of(planned, "classifier")) == 1
    assert not jobs_of(planned, "cam"), "the check makes its plain maps at RIB's own sizes"
    assert len(jobs_of(planned, "check_rib")) == 1 and len(jobs_of(planned, "affinity")) == 1
    assert "rib" in jobs_of(planned, "affinity")[0] and "train" not in {rule for rule, _ in planned}


@pytest.mark.slow
def test_from_nothing_to_mixed_labels_and_a_measured_network_and_what_edits_make_run_again(new_pipeline, study):
    pipeline = new_pipeline
    del study["datasets"]["scenes"]["splits"][2]
    folder = "results/tiny/scenes/split1"
    mixed = [f"{folder}/{method}/seed0/mixed/labels.json" for method in ("psa_retrained", "irn_retrained")]
    targets = [*mixed, f"{folder}/cam_retrained/seed0/metrics.json"]
    pipeline.study(study)
    done = pipeline.snakemake("--cores", "2", "--show-failed-logs", *targets)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 0 <= json.loads((pipeline.folder / targets[-1]).read_text())["novel"] <= 100
    facts = json.loads((pipeline.folder / mixed[0]).with_name("facts.json").read_text())
    assert facts["images_with_novel_labels"] > 0
    assert pipeline.planned(*targets) == set()

    walk = copy.deepcopy(study)
    walk["datasets"]["scenes"]["baselines"]["psa_walk"] = {"steps": 3}
    pipeline.study(walk)
    again = pipeline.planned(*targets)
    assert {rule for rule, _ in again} == {"refine", "gather_maps", "mix"}
    assert all("irn" not in wildcards and "cam_retrained" not in wildcards for _, wildcards in again)

    pipeline.study(study)
    path = pipeline.folder / "config/methods/cam_retrained.yaml"
    path.write_text(path.read_text().replace("expansion: none", "expansion: none, gamma: 0.3"))
    changed = pipeline.planned(*targets)
    assert {rule for rule, _ in changed} == {"mix", "train", "evaluate", "metrics"}
    assert all("method=cam_retrained" in wildcards for _, wildcards in changed)


@pytest.mark.slow
def test_claims_are_measured_on_request_for_the_first_split_alone(pipeline, study):
    pipeline.study(study)
    assert {"check_maps", "map_gallery", "stage_costs"}.isdisjoint({rule for rule, _ in pipeline.planned()})
    planned = pipeline.planned("measured_baselines")
    assert jobs_of(planned, "check_maps") == ["dataset=scenes, split=split1, seed=0"]
    assert jobs_of(planned, "map_gallery") == ["dataset=scenes, split=split1"]
    assert jobs_of(planned, "retab_pictures") == ["dataset=scenes, split=split1, seed=0"]
    assert jobs_of(planned, "claims_table") == ["page=baseline_checks", "page=retab_checks"]
    assert len(jobs_of(planned, "stage_costs")) == 1
    table = pipeline.planned("results/tiny/baseline_checks.csv")
    assert not jobs_of(table, "train") and jobs_of(table, "fill_labels") == ["dataset=scenes, split=split1"]


@pytest.mark.slow
def test_claims_of_all_splits_and_seeds(pipeline, study):
    pipeline.study(study | {"check_splits": "all", "seeds": [0, 1]})
    planned = pipeline.planned("results/tiny/baseline_checks.md")
    assert len(jobs_of(planned, "check_maps")) == 2 * 2 and len(jobs_of(planned, "classifier")) == 2


@pytest.mark.slow
def test_cleaned_seeds_are_a_variant_beside_the_others(pipeline, study):
    pipeline.study(study | {"experiments": ["retab"]})
    planned = pipeline.planned()
    place = "dataset=scenes, split=split1, seed=0, response=classifier, cleaned="
    assert {place, f"{place}.pamr"} < set(jobs_of(planned, "retab_affinity"))
    assert len(jobs_of(planned, "retab_affinity")) == 2 * 2 and len(jobs_of(planned, "retab_boundary")) == 2
    assert len(jobs_of(planned, "seeds")) == 2
    done = pipeline.snakemake("--dry-run", "--printshellcmds", "results/tiny/retab.md")
    cleaned = [line for line in done.stdout.splitlines() if "simformer seeds" in line and "seeds.pamr" in line]
    assert len(cleaned) == 1 and '"clean":"pamr"' in cleaned[0]
