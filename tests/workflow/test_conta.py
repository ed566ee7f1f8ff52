"""The DAG of CONTA: rounds on top of IRN, what they share, and what an edit makes run again."""

import copy

import pytest

from tests.workflow.test_baselines import BASELINES, QUICK, jobs_of

SEGMENTATION = QUICK | {"scales": [1.0, 1.0], "atrous": [1], "views": [1.0]}
MAPS = "results/tiny/scenes/full/maps"
TARGET = "results/tiny/scenes/split1/conta_retrained/seed0/mixed/labels.json"


@pytest.fixture
def study(tiny):
    """The tiny study with rounds of CONTA."""
    content = copy.deepcopy(tiny)
    content["datasets"]["scenes"]["baselines"] = BASELINES | {
        "conta": {"rounds": 2, "grid": 6},
        "segmentation": SEGMENTATION,
    }
    return content


def with_rounds(study, count):
    content = copy.deepcopy(study)
    content["datasets"]["scenes"]["baselines"]["conta"]["rounds"] = count
    return content


def responses(planned, rule):
    """The responses for which a rule is planned."""
    fields = [dict(pair.split("=") for pair in wildcards.split(", ")) for wildcards in jobs_of(planned, rule)]
    return [field["response"] for field in fields]


def test_every_round_is_made_once_and_round_0_is_the_plain_classifier(pipeline, study):
    study["datasets"]["scenes"]["splits"][2] = {"seed": 7}
    pipeline.study(study)
    planned = pipeline.planned(TARGET, TARGET.replace("split1", "split2"))
    assert len(jobs_of(planned, "classifier")) == 1 and len(jobs_of(planned, "mix")) == 2
    assert responses(planned, "conta") == responses(planned, "conta_cam") == ["conta1", "conta2"]
    for rule in ("round_masks", "segmentation", "predictions", "confounder"):
        assert responses(planned, rule) == ["classifier", "conta1"]
    for rule in ("affinity", "refine"):
        assert responses(planned, rule) == ["classifier", "conta1", "conta2"]


@pytest.mark.slow
def test_one_round_more_plans_its_own_jobs_alone(pipeline, study):
    plans = {}
    for count in (1, 2, 3):
        pipeline.study(with_rounds(study, count))
        plans[count] = {job for job in pipeline.planned(TARGET) if job[0] != "mix"}
    assert plans[1] < plans[2] < plans[3]
    added = plans[3] - plans[2]
    assert {rule for rule, wildcards in added if "response=conta3" in wildcards} == {
        "conta", "conta_cam", "gather_maps", "seeds", "affinity", "refine",
    }  # fmt: skip
    assert {rule for rule, wildcards in added if "response=conta2" in wildcards} == {
        "round_masks", "segmentation", "predictions", "gather_maps", "confounder",
    }  # fmt: skip
    assert all("conta3" in wildcards or "conta2" in wildcards for _, wildcards in added)


@pytest.mark.slow
def test_controls_share_round_0_and_read_masks_only_if_they_use_them(pipeline, study):
    pipeline.study(study)
    planned = pipeline.planned(*(f"{MAPS}/{name}2/seed0/irn/maps.json" for name in ("conta", "conta_shuffled")))
    assert responses(planned, "segmentation") == ["classifier", "conta1", "conta_shuffled1"]
    planned = pipeline.planned(f"{MAPS}/conta_zero2/seed0/irn/maps.json")
    assert responses(planned, "conta") == ["conta_zero2"] and not jobs_of(planned, "classifier")
    assert not jobs_of(planned, "segmentation")


def test_a_round_that_the_dataset_does_not_have_is_one_clear_error(pipeline, study):
    pipeline.study(study)
    done = pipeline.snakemake("--dry-run", f"{MAPS}/conta4/seed0/network.safetensors")
    assert done.returncode != 0
    assert "no response 'conta4'; it has classifier, conta1, conta2" in done.stdout + done.stderr


@pytest.mark.slow
def test_from_nothing_to_the_mixed_labels_of_one_round(pipeline, study):
    pipeline.study(with_rounds(study, 1))
    zero = f"{MAPS}/conta_zero1/seed0/cam/maps.json"
    done = pipeline.snakemake("--cores", "2", "--show-failed-logs", TARGET, zero)
    assert done.returncode == 0, done.stdout + done.stderr
    assert pipeline.planned(TARGET, zero) == set()
    pipeline.study(with_rounds(study, 2))
    again = pipeline.planned(TARGET)
    assert responses(again, "conta") == ["conta2"] and responses(again, "segmentation") == ["conta1"]
    assert not jobs_of(again, "classifier")
