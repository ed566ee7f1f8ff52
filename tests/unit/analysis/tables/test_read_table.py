"""Damaged tables are told in one line, whichever command reads them."""

import re

import pytest

from simformer.analysis.tables.read_table import read_results, read_table
from simformer.errors import UserError

HEAD = "dataset,split,method,label,metric,mean,std,n,missing,reported,delta\n"
ROWS = "".join(
    f"scenes,split1,{method},{method.upper()},{metric},50.5,,1,0,,\n"
    for method in ("a", "b")
    for metric in ("novel", "all")
)
FAULTS = {
    "cut within a line": ((HEAD + ROWS)[:-20], "cut off (its last line has no end)"),
    "cut after a line": (HEAD + "".join(ROWS.splitlines(keepends=True)[:3]), "no line for all of 'b' on scenes split1"),
    "a line twice": (HEAD + ROWS + ROWS.splitlines(keepends=True)[0], "2 lines for novel of 'a' on scenes split1"),
    "only the header": (HEAD, "a table without a row"),
    "nothing": ("", "not a table, or one that is cut off"),
    "words for numbers": (HEAD + ROWS.replace("50.5", "half", 1), "column 'mean' should hold numbers, found 'half'"),
    "truth for numbers": (HEAD + ROWS.replace("50.5", "True"), "column 'mean' should hold numbers, found 'True'"),
    "another metric": (HEAD + ROWS.replace("novel", "nvoel"), "unknown metric 'nvoel'"),
    "no column": (HEAD.replace("reported", "told") + ROWS, "it has no column 'reported'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_table_is_told_in_one_line(tmp_path, fault):
    text, says = FAULTS[fault]
    path = tmp_path / "table1.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(says)) as error:
        read_results(path, "label", "mean", "std", "n", "reported")
    assert str(error.value).startswith(f"{path}: ") and "run snakemake again" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_whole_table_is_read(tmp_path):
    path = tmp_path / "table1.csv"
    path.write_text(HEAD + ROWS)
    assert len(read_results(path, "label", "mean", "std", "n", "reported")) == 4
    path.write_bytes(b"a\n\xff\n")
    with pytest.raises(UserError, match="not a table"):
        read_table(path, "a")
