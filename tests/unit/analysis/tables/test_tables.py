"""Tables: aggregation over seeds, comparison with reported numbers, and how they are printed."""

import csv
import io
import json
import math

import pandas as pd
import pytest

from simformer.analysis.tables.table_text import pivot
from simformer.analysis.tables.tables import collect, write_table
from simformer.errors import UserError
from tests.latex import check_latex

VALUES = {
    ("split1", "b"): [{"novel": 30.0, "all": 50.0}, {"novel": 33.0, "all": 50.0}, {"novel": 36.0, "all": 50.0}],
    ("split1", "a_x"): [{"novel": 10.0, "all": 20.0}, {"novel": 11.0, "all": 22.0}, {"novel": 12.0, "all": 21.0}],
    ("split2", "b"): [{"novel": 1.0, "all": 2.0}, {"novel": None, "all": 2.0}, {"novel": 4.0, "all": 2.0}],
    ("split2", "a_x"): [{"novel": None, "all": 5.0}] * 3,
}


@pytest.fixture
def new_spec(tmp_path):
    """Write metrics of the first seeds of VALUES and return the table's specification."""

    def make(seeds=3, **changes):
        runs = []
        for (split, method), values in VALUES.items():
            for seed, content in enumerate(values[:seeds]):
                path = tmp_path / f"{split}.{method}.{seed}.json"
                path.write_text(json.dumps(content | {"base": 99.0, "iou": {}}))
                run = {"dataset": "toys", "split": split, "method": method, "seed": seed, "path": str(path)}
                runs.append(run)
        rows = [
            {"method": "b", "label": "Best*", "ranked": True},
            {"method": "a_x", "label": "A & B_x 50%", "ranked": True},
        ]
        reported = {"toys": {"split1": {"b": {"novel": 32.5}}, "split9": {"b": {"novel": 1.0}}}}
        spec = {"title": "Table 1: all_of_it", "rows": rows, "metrics": ["novel", "all"], "runs": runs}
        return spec | {"reported": reported, "command": "snakemake --configfile toys.yaml"} | changes

    return make


def line(table: pd.DataFrame, split, method, metric):
    (found,) = table[(table.split == split) & (table.method == method) & (table.metric == metric)].to_dict("records")
    return found


def test_mean_sample_deviation_count_and_difference_by_hand(new_spec):
    table = collect(new_spec())
    best = line(table, "split1", "b", "novel")
    assert (best["mean"], best["std"], best["n"], best["reported"], best["delta"]) == (33.0, 3.0, 3, 32.5, 0.5)
    assert best["label"] == "Best*"
    other = line(table, "split1", "a_x", "all")
    assert (other["mean"], other["std"], other["n"]) == (21.0, 1.0, 3)
    assert math.isnan(other["reported"]) and math.isnan(other["delta"])


def test_a_seed_without_a_value_is_not_counted(new_spec):
    table = collect(new_spec())
    two = line(table, "split2", "b", "novel")
    assert (two["mean"], two["n"]) == (2.5, 2)
    assert two["std"] == pytest.approx(math.sqrt(4.5))
    none = line(table, "split2", "a_x", "novel")
    assert none["n"] == 0 and math.isnan(none["mean"])


def test_one_seed_has_no_deviation(new_spec):
    table = collect(new_spec(seeds=1))
    assert table["std"].isna().all()
    assert line(table, "split1", "b", "novel")["n"] == 1
    assert pivot(table, new_spec(seeds=1)).loc["Best*", "toys split1 novel mIoU"] == "**30.0**"


def test_lines_keep_the_order_of_runs_rows_and_metrics(new_spec):
    table = collect(new_spec())
    assert [tuple(row) for row in table[["split", "method", "metric"]].values] == [
        (split, method, metric)
        for split in ("split1", "split2")
        for method in ("b", "a_x")
        for metric in ("novel", "all")
    ]


def test_printed_rows_and_columns_keep_their_order_with_reported_beside_measured(new_spec):
    wide = pivot(collect(new_spec()), new_spec())
    assert wide.index.tolist() == ["Best*", "A & B_x 50%"]
    assert wide.columns.tolist() == [
        "toys split1 novel mIoU",
        "toys split1 novel mIoU (reported)",
        "toys split1 novel mIoU (delta)",
        "toys split1 all mIoU",
        "toys split2 novel mIoU",
        "toys split2 all mIoU",
    ]
    assert wide.values.tolist() == [
        ["**33.0 ± 3.0**", "32.5", "+0.5", "**50.0 ± 0.0**", "2.5 ± 2.1 (n=2)", "2.0 ± 0.0"],
        ["11.0 ± 1.0", "-", "-", "21.0 ± 1.0", "-", "**5.0 ± 0.0**"],
    ]


def test_a_row_that_is_not_ranked_is_never_bold(new_spec):
    spec = new_spec()
    spec["rows"][0]["ranked"] = False
    wide = pivot(collect(spec), spec)
    assert not any("**" in cell for cell in wide.values.ravel())
    spec["rows"].append({"method": "c", "label": "C", "ranked": True})
    table = pd.concat([collect(spec), collect(spec).query("method == 'a_x'").assign(method="c", mean=11.04)])
    wide = pivot(table.reset_index(drop=True), spec)
    assert wide["toys split1 all mIoU"].tolist() == ["50.0 ± 0.0", "**21.0 ± 1.0**", "11.0 ± 1.0"]
    assert wide["toys split1 novel mIoU"].tolist() == ["33.0 ± 3.0", "11.0 ± 1.0", "11.0 ± 1.0"]  # equal as printed


@pytest.fixture
def column():
    """Print a column of a table from (mean, n, missing) of each row; return its cells."""

    def make(*rows):
        names = ["a", "b", "c"][: len(rows)]
        common = {"dataset": "toys", "split": "split1", "metric": "novel", "std": math.nan, "reported": math.nan}
        lines = [
            common | {"method": m, "mean": mean, "n": n, "missing": missing, "delta": math.nan}
            for m, (mean, n, missing) in zip(names, rows, strict=True)
        ]
        wide = pivot(pd.DataFrame(lines), {"rows": [{"method": m, "label": m, "ranked": True} for m in names]})
        return wide["toys split1 novel mIoU"].tolist()

    return make


@pytest.mark.parametrize(
    ("means", "cells"),
    [
        ((22.05, 22.1, 0.0), ["**22.1**", "**22.1**", "0.0"]),
        ((60.15, 60.17, 0.0), ["60.1", "**60.2**", "0.0"]),
        ((0.25, 0.3, 0.0), ["0.2", "**0.3**", "0.0"]),
    ],
)
def test_the_best_number_is_the_best_as_printed(column, means, cells):
    assert column(*((mean, 1, 0) for mean in means)) == cells


def test_one_seed_is_not_ranked_against_several(column):
    assert column((61.0, 1, 4), (60.0, 5, 0)) == ["61.0 (n=1)", "60.0"]
    assert column((math.nan, 0, 5), (60.0, 5, 0), (59.0, 5, 0)) == ["missing", "60.0", "59.0"]
    assert column((math.nan, 0, 0), (60.0, 5, 0), (59.0, 5, 0)) == ["-", "**60.0**", "59.0"]


def test_a_table_needs_its_runs_unless_it_is_partial(new_spec, tmp_path):
    spec = new_spec()
    for number in (0, 1, 2):
        (tmp_path / f"split2.b.{number}.json").unlink()
    (tmp_path / "split1.b.1.json").unlink()
    with pytest.raises(UserError, match="4 of 12 runs are missing, first .*b.1.json; `snakemake .*t.csv` makes them"):
        write_table(spec, tmp_path / "t.csv")
    assert not (tmp_path / "t.csv").exists()
    write_table(spec, tmp_path / "t.csv", partial=True)
    table = pd.read_csv(tmp_path / "t.csv")
    half = line(table, "split1", "b", "novel")
    assert (half["mean"], half["n"], half["missing"], half["delta"]) == (33.0, 2, 1, 0.5)
    assert half["std"] == pytest.approx(math.sqrt(18), abs=1e-4)
    gone = line(table, "split2", "b", "all")
    assert (gone["n"], gone["missing"]) == (0, 3) and math.isnan(gone["mean"])
    lines = (tmp_path / "t.md").read_text().splitlines()
    cells = [cell.strip() for cell in lines[4].split("|")[1:-1]]
    assert cells[:4] == ["Best*", "33.0 ± 4.2 (n=2)", "32.5", "+0.5"]
    assert cells[-2:] == ["missing", "missing"]
    assert "Missing: 4 runs, made by" in lines
    commands = [text.strip() for text in lines if text.startswith("    ")]
    assert commands == [
        f"snakemake --configfile toys.yaml {tmp_path}/{name}.json"
        for name in ("split1.b.1", *(f"split2.b.{i}" for i in range(3)))
    ]
    latex = check_latex((tmp_path / "t.tex").read_text())
    assert "missing" in latex.rows[1][-1]


def test_a_table_of_which_nothing_is_there(new_spec, tmp_path):
    spec = new_spec()
    for path in tmp_path.glob("split*.json"):
        path.unlink()
    write_table(spec, tmp_path / "t.csv", partial=True)
    table = pd.read_csv(tmp_path / "t.csv")
    assert (table["n"] == 0).all() and (table["missing"] == 3).all()
    assert (tmp_path / "t.md").read_text().count("| missing") + (tmp_path / "t.md").read_text().count(" missing |") >= 8


def test_rows_may_share_a_label(new_spec):
    rows = [{"method": name, "label": "same", "ranked": True} for name in ("b", "a_x")]
    wide = pivot(collect(new_spec(rows=rows)), new_spec(rows=rows))
    assert wide["toys split1 novel mIoU"].tolist() == ["**33.0 ± 3.0**", "11.0 ± 1.0"]


def test_the_three_files(new_spec, tmp_path):
    write_table(new_spec(), tmp_path / "out" / "table1.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "table1.csv").read_text())))
    assert rows[0] == {
        "dataset": "toys",
        "split": "split1",
        "method": "b",
        "label": "Best*",
        "metric": "novel",
        "mean": "33.0000",
        "std": "3.0000",
        "n": "3",
        "missing": "0",
        "reported": "32.5000",
        "delta": "0.5000",
    }
    assert (rows[6]["mean"], rows[6]["n"], rows[6]["reported"]) == ("", "0", "")

    markdown = (tmp_path / "out" / "table1.md").read_text().splitlines()
    assert markdown[0] == "**Table 1: all_of_it**"
    assert [cell.strip() for cell in markdown[2].split("|")[1:4]] == [
        "method",
        "toys split1 novel mIoU",
        "toys split1 novel mIoU (reported)",
    ]
    assert set(markdown[3]) == set("|-:")
    assert len({len(text) for text in markdown[2:6]}) == 1
    assert [cell.strip() for cell in markdown[4].split("|")[1:4]] == ["Best*", "**33.0 ± 3.0**", "32.5"]
    assert markdown[-1] == (
        "Percent; mean ± sample standard deviation over 3 seeds: 0, 1, 2. "
        "Reported: the paper's numbers; delta: measured - reported. -: there is no number, because no test image shows "
        "any of the classes, or because a run has no value."
    )


def test_a_dash_has_its_reason_below_the_table(new_spec, tmp_path):
    reason = "-: there is no number, because no test image shows any of the classes, or because a run has no value."
    write_table(new_spec(seeds=1), tmp_path / "all.csv")
    said = (tmp_path / "all.md").read_text().splitlines()[-1]
    assert said.startswith("Percent; one seed: 0. Reported") and said.endswith(reason)
    first = [run for run in new_spec()["runs"] if run["split"] == "split1"]
    write_table(new_spec(runs=first), tmp_path / "first.csv")
    assert reason not in (tmp_path / "first.md").read_text()


def test_latex_is_escaped_and_balanced(new_spec, tmp_path):
    labels = {"b": r"Best* {x} #1 ~ $5^2 \ ", "a_x": "A & B_x 50%"}
    rows = [{"method": name, "label": label, "ranked": True} for name, label in labels.items()]
    write_table(new_spec(rows=rows), tmp_path / "t.csv")
    text = (tmp_path / "t.tex").read_text()
    assert (
        r"\caption{Table 1: all\_of\_it. Percent; mean $\pm$ sample standard deviation over 3 seeds: 0, 1, 2." in text
    )
    assert r"\begin{tabular}{lrrrrrr}" in text.splitlines()
    rows = check_latex(text).rows
    assert rows[2] == [
        r"A \& B\_x 50\%",
        r"11.0 $\pm$ 1.0",
        "-",
        "-",
        r"21.0 $\pm$ 1.0",
        "-",
        r"\textbf{5.0 $\pm$ 0.0}",
    ]
    assert rows[1][0] == r"Best$^*$ \{x\} \#1 \textasciitilde{} \$5\textasciicircum{}2 \textbackslash{}"
    assert rows[1][1] == r"\textbf{33.0 $\pm$ 3.0}"
