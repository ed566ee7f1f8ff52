"""The table of claims: values, intervals over images and seeds, and what counts as shown."""

import math

import numpy as np
import pandas as pd
import pytest

from simformer.analysis.tables.statistics import paired_bootstrap
from simformer.claims.claim import Claim, save_claims
from simformer.claims.table import check_table, evaluate, write_check_table
from simformer.data.identity import Identity
from simformer.errors import UserError
from simformer.metrics import Evaluation


def claim(values, others, images=None, **changes) -> Claim:
    images = images or tuple(f"i{n:03}" for n in range(len(values)))
    content = {"check": "S1", "method": "seam", "statement": "more", "first": "seam", "second": "plain"}
    content |= {"statistic": "difference", "expected": "above", "bound": 0.0}
    return Claim(images=images, first_values=values, second_values=others, **content | changes)


def noisy(mean, n=60, seed=0):
    return np.random.default_rng(seed).normal(mean, 1.0, n)


def test_difference_of_means_and_its_interval():
    first, second = noisy(2.0), noisy(0.0, seed=1)
    found = evaluate([claim(first, second)])
    assert found["value"] == pytest.approx(first.mean() - second.mean())
    assert (found["first_value"], found["second_value"]) == pytest.approx((first.mean(), second.mean()))
    deviation = (first - second).std(ddof=1) / math.sqrt(60)
    assert found["low"] == pytest.approx(found["value"] - 1.96 * deviation, abs=0.15 * deviation)
    assert found["high"] == pytest.approx(found["value"] + 1.96 * deviation, abs=0.15 * deviation)
    assert (found["images"], found["seeds"], found["shown"], found["control"]) == (60, 1, "yes", "no")


def test_ratio_against_its_bound():
    first, second = np.full(30, 0.7) + noisy(0, 30) / 100, np.ones(30)
    found = evaluate([claim(first, second, statistic="ratio", expected="below", bound=0.75)])
    assert found["value"] == pytest.approx(first.mean()) and found["shown"] == "yes"
    assert evaluate([claim(first, second, statistic="ratio", expected="below", bound=0.6)])["shown"] == "no"
    assert evaluate([claim(second, first, statistic="ratio", expected="below", bound=0.75)])["shown"] == "opposite"
    assert evaluate([claim(second, 0 * second, statistic="ratio", expected="below", bound=1)])["shown"] == "-"


@pytest.mark.parametrize(
    ("gap", "expected", "bound", "shown"),
    [
        (2.0, "above", 0.0, "yes"),
        (2.0, "above", 5.0, "no"),
        (2.0, "below", 0.0, "opposite"),
        (2.0, "below", 5.0, "yes"),
        (-2.0, "above", 0.0, "opposite"),
        (-2.0, "above", -3.0, "yes"),
        (0.0, "above", 0.0, "no"),
        (0.0, "below", 0.0, "no"),
    ],
)
def test_verdicts(gap, expected, bound, shown):
    second = noisy(0.0)
    first = second + gap + noisy(0.0, seed=2) / 10 * (gap != 0)
    assert evaluate([claim(first, second, expected=expected, bound=bound)])["shown"] == shown


def test_mean_iou_has_the_interval_of_the_tables():
    rng = np.random.default_rng(3)
    truth = np.full((25, 3), 100)
    hits = [rng.binomial(truth, share) for share in (0.8, 0.6)]
    names = tuple(f"i{n:03}" for n in range(25))
    whose = Identity(("a", "b", "c"), "d", ())
    evaluations = [Evaluation(np.zeros((4, 4)), h, truth, truth, names, whose, "m", "t") for h in hits]
    counts = [np.stack([h, 2 * truth - h], axis=-1) for h in hits]
    found = evaluate([claim(*counts, statistic="iou")], draws=300)
    interval = paired_bootstrap([evaluations[0]], [evaluations[1]], [0, 1, 2], draws=300)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    means = [100 * np.mean(h.sum(axis=0) / (2 * truth - h).sum(axis=0)) for h in hits]
    assert (found["first_value"], found["second_value"]) == pytest.approx(tuple(means))


def test_a_class_that_neither_arm_holds_is_left_out_of_mean_iou():
    counts = np.zeros((4, 2, 2))
    counts[:, 0] = (1, 2)
    found = evaluate([claim(counts, counts, statistic="iou")])
    assert found["first_value"] == 50 and found["value"] == 0 and math.isnan(found["low"])


def test_pairs_of_one_image_are_drawn_together():
    """Ten equal pairs per image say no more than one: the interval must not shrink with the number of pairs."""
    first, second = noisy(0.5, 20), np.zeros(20)
    once = evaluate([claim(first, second)])
    names = tuple(f"i{n:03}" for n in range(20) for _ in range(10))
    often = evaluate([claim(np.repeat(first, 10), np.repeat(second, 10), names)])
    assert (often["low"], often["high"], often["images"]) == pytest.approx((once["low"], once["high"], 20))
    alone = evaluate([claim(np.repeat(first, 10), np.repeat(second, 10))])  # as if they were images of their own
    assert alone["high"] - alone["low"] < 0.5 * (once["high"] - once["low"])


def test_several_seeds_are_averaged_over_each_image():
    firsts, seconds = [noisy(1.0, seed=s) for s in range(3)], [noisy(0.0, seed=9 + s) for s in range(3)]
    found = evaluate([claim(a, b) for a, b in zip(firsts, seconds, strict=True)])
    averaged = evaluate([claim(np.mean(firsts, axis=0), np.mean(seconds, axis=0))])
    for name in ("value", "low", "high", "first_value"):
        assert found[name] == pytest.approx(averaged[name])
    assert found["seeds"] == 3 and found["seed_low"] < found["value"] < found["seed_high"]
    assert math.isnan(averaged["seed_low"])
    assert math.isnan(evaluate([claim(firsts[0], seconds[0]), claim(firsts[1], seconds[1])])["seed_low"])
    ratio = evaluate([claim(a + 9, b + 9, statistic="ratio") for a, b in zip(firsts, seconds, strict=True)])
    assert 1 < ratio["seed_low"] < ratio["value"] < ratio["seed_high"]


def test_claims_without_images_are_not_shown():
    for statistic in ("difference", "iou"):
        found = evaluate([claim([], [], statistic=statistic)])
        assert math.isnan(found["value"]) and found["shown"] == "-"
        assert (found["images"], found["seeds"]) == (0, 0)


def test_a_seed_without_images_takes_nothing_from_the_others():
    seeds = [claim(noisy(2.0, seed=s), noisy(0.0, seed=9 + s)) for s in range(3)]
    found = evaluate([*seeds, claim([], [])])
    assert found == evaluate(seeds) and (found["seeds"], found["shown"]) == (3, "yes")


def test_a_seed_without_a_class_in_common_takes_nothing_from_the_others():
    counts = np.tile([[[8, 10]], [[6, 10]]], (10, 1, 1))
    seeds = [claim(counts, counts // 2 * [1, 2], statistic="iou"), claim(0 * counts, counts, statistic="iou")]
    found = evaluate(seeds)
    assert (found["seeds"], found["value"], found["shown"]) == (1, 35.0, "yes")


def test_table_of_files(tmp_path):
    files = []
    for seed in range(2):
        better = claim(noisy(2.0, seed=seed), noisy(0.0, seed=8 + seed))
        control = claim(better.second_values, better.first_values, check="C5", first="independent", control=True)
        path = tmp_path / f"seam.seed{seed}.json"
        save_claims(path, [better, control])
        files.append({"dataset": "toys", "split": "split1", "seed": seed, "path": str(path)})
    write_check_table({"files": files}, tmp_path / "checks.csv")
    table = pd.read_csv(tmp_path / "checks.csv")
    assert table[["dataset", "split", "method", "check", "seeds", "images", "shown", "control"]].values.tolist() == [
        ["toys", "split1", "seam", "S1", 2, 60, "yes", "no"],
        ["toys", "split1", "seam", "C5", 2, 60, "opposite", "yes"],
    ]
    page = (tmp_path / "checks.md").read_text()
    assert "### seam, toys split1" in page and "more (control)" in page and "| opposite |" in page
    assert len({line.count("|") for line in page.splitlines() if line.startswith("|")}) == 1


def test_a_claim_that_occurs_twice_in_a_file(tmp_path):
    save_claims(tmp_path / "twice.json", [claim([1.0], [0.0])] * 2)
    file = {"dataset": "toys", "split": "split1", "seed": 0, "path": str(tmp_path / "twice.json")}
    with pytest.raises(UserError, match="occurs twice"):
        check_table({"files": [file]})
