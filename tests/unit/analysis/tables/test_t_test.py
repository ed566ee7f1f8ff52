"""Tests of methods over seeds, split by split (Table 7)."""

import json

import pandas as pd
import pytest

from simformer.analysis.tables.statistics import hedges_g, welch
from simformer.analysis.tables.t_test import write_t_tests
from tests.latex import check_latex

VALUES = {
    "split1": {"good": [31.0, 31.5, 30.8, 31.2, 30.9], "poor": [27.5, 27.0, 28.1, 27.4, 27.6]},
    "split2": {"good": [26.0, 24.0, 28.0, 26.5, 25.5], "poor": [25.0, 24.5, 25.5, 25.2, 24.8]},
    "split3": {"good": [20.0, 20.1, 19.9, 20.2, 19.8], "poor": [20.1, 19.9, 20.2, 19.8, 20.1]},
}


@pytest.fixture
def new_spec(tmp_path):
    """Metrics of two methods on three splits, and the specification of their tests."""

    def make(seeds=5, **changes):
        runs = []
        for split, methods in VALUES.items():
            for method, values in methods.items():
                for seed, value in enumerate(values[:seeds]):
                    path = tmp_path / f"{split}.{method}.{seed}.json"
                    path.write_text(json.dumps({"novel": value, "all": value + 20}))
                    run = {"dataset": "toys", "split": split, "method": method, "seed": seed, "path": str(path)}
                    runs.append(run)
        rows = [{"method": name, "label": f"{name.title()}*", "ranked": True} for name in ("poor", "good")]
        spec = {"title": "Table 7: toys", "rows": rows, "compare": [["good", "poor"]], "metrics": ["novel", "all"]}
        published = {
            "reported": {"toys": {"split2": {"poor": {"novel": 25.6}}}},
            "published_std": {"toys": {"split2": {"poor": 0.89}}},
            "published_p": {"toys": {"split2": {"good": {"poor": 5.29e-5}}}},
        }
        return spec | published | {"runs": runs} | changes

    return make


def test_every_line_is_the_test_of_its_raw_seeds(new_spec, tmp_path):
    write_t_tests(new_spec(), tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert list(zip(table.metric, table.split, strict=True)) == [(m, s) for m in ("novel", "all") for s in VALUES]
    for line in table.to_dict("records"):
        a, b = VALUES[line["split"]]["good"], VALUES[line["split"]]["poor"]
        test = welch(a, b)
        assert line["p"] == pytest.approx(test.p, rel=1e-4)
        assert line["t"] == pytest.approx(test.t, rel=1e-4, abs=1e-9)
        assert (line["low"], line["high"]) == pytest.approx((test.interval.low, test.interval.high), abs=1e-4)
        assert line["g"] == pytest.approx(hedges_g(a, b), rel=1e-4, abs=1e-9)
        assert (line["n"], line["baseline_n"]) == (5, 5)
    first = table.iloc[0]
    assert (first["mean"], first["baseline_mean"], first["difference"]) == pytest.approx((31.08, 27.52, 3.56))


def test_the_correction_is_over_the_splits_of_one_pair_and_metric(new_spec, tmp_path):
    write_t_tests(new_spec(), tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    p = table["p"].tolist()[:3]
    assert p[0] < p[1] < p[2]
    assert table["p_holm"].tolist()[:3] == pytest.approx([3 * p[0], 2 * p[1], max(2 * p[1], p[2])], rel=1e-4)
    assert table["p_holm"].tolist()[3:] == pytest.approx(table["p_holm"].tolist()[:3], rel=1e-4)


def test_the_published_p_belongs_to_the_pair_that_the_paper_compares(new_spec, tmp_path):
    write_t_tests(new_spec(compare=[["good", "poor"], ["poor", "good"]]), tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv").dropna(subset="p_published")
    assert table[["method", "baseline", "split", "metric"]].values.tolist() == [["good", "poor", "split2", "novel"]]


def test_the_published_value_stands_beside_with_its_note(new_spec, tmp_path):
    write_t_tests(new_spec(), tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["p_published"].dropna().tolist() == [5.29e-5]
    text = (tmp_path / "out.md").read_text()
    assert "| Good* - Poor* |" in text and "do not follow from its own means" in text
    cells = [cell.strip() for cell in text.splitlines()[4].split("|")[1:-1]]
    assert cells[1:6] == ["toys split1", "novel mIoU", "31.1 ± 0.28 (5)", "27.5 ± 0.40 (5)", "-; -"]
    second = [cell.strip() for cell in text.splitlines()[5].split("|")[1:-1]]
    assert (second[5], second[6], second[-1]) == ("-; 25.6 ± 0.89", "+1.0", "5.29e-05")
    assert table.loc[1, "baseline_published_mean"] == 25.6 and table["baseline_published_mean"].notna().sum() == 1
    assert len(check_latex((tmp_path / "out.tex").read_text()).rows) == 7
    write_t_tests(new_spec(reported={}, published_std={}, published_p={}), tmp_path / "out.csv")
    text = (tmp_path / "out.md").read_text()
    assert "published" not in text and "p (Holm)" in text


def test_one_seed_gives_no_test(new_spec, tmp_path):
    spec = new_spec(seeds=1)
    write_t_tests(spec, tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv")
    assert table[["p", "p_holm", "g", "low"]].isna().all(axis=None)
    assert table["difference"].iloc[0] == pytest.approx(3.5)
