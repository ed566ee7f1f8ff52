"""No piece of work takes more, or less, than it did, unless someone has said why (tests/gate/counts.py)."""

import json

import pytest

from tests.gate import counts
from tests.gate.counts import PAPER, QUICK, TOLERANCE, changes, counted, entries, key, read_kept, table, write
from tests.gate.tasks import CASES, count

KEPT = read_kept()
of_this_torch = pytest.mark.skipif(
    KEPT["torch"] != counts.torch_version(),
    reason=f"counts are kept of PyTorch {KEPT['torch']}; this is {counts.torch_version()}, whose operators may differ",
)


def assert_kept(entry):
    rows = changes(key(*entry), KEPT["counts"].get(key(*entry)), counted(*entry).numbers)
    assert not rows, table(rows)


@of_this_torch
@pytest.mark.parametrize("entry", entries(QUICK), ids=lambda entry: key(*entry))
def test_counts_are_those_that_are_kept(entry):
    assert_kept(entry)


@of_this_torch
@pytest.mark.slow
@pytest.mark.parametrize("entry", entries(PAPER), ids=lambda entry: key(*entry))
def test_counts_at_the_papers_size(entry):
    assert_kept(entry)


def test_nothing_else_is_kept():
    assert set(KEPT["counts"]) == {key(*entry) for entry in entries(QUICK | PAPER)}


@pytest.mark.parametrize("task", ["simformer bf16", "pseudo-labels"])
def test_counts_do_not_vary(task):
    entry = ("tiny", "cpu", task)
    assert vars(count(task, CASES["tiny"], "cpu").counts) == counted(*entry).numbers


def test_a_change_is_told_with_what_to_type():
    kept = {"operators": 1000, "flops": 0, "waits": 1}
    assert changes("work", kept, kept | {"operators": int(1000 * (1 + TOLERANCE))}) == []
    rows = changes("work", kept, {"operators": 970, "flops": 5, "waits": 2})
    assert rows == [("work: operators", 1000, 970), ("work: flops", 0, 5), ("work: waits", 1, 2)]
    text = table(rows).splitlines()
    assert text[1].split() == ["what", "kept", "now", "change"]
    assert text[2].split() == ["work:", "operators", "1,000", "970", "-3.0", "%"]
    assert 'python -m tests.gate.counts --write --reason "..."' in text[-1]
    assert "not compared" in table(changes("new work", None, kept))


def test_reasons_are_kept(tmp_path):
    path = tmp_path / "counts.json"
    write("the first", {"work": {"operators": 1}}, path)
    write("a better way", {"work": {"operators": 2}}, path)
    content = json.loads(path.read_text())
    assert [item["reason"] for item in content["reasons"]] == ["the first", "a better way"]
    assert content["counts"] == {"work": {"operators": 2}}


@pytest.mark.parametrize("arguments", [["--write"], ["--reason", "why"], ["--write", "--reason", " "]])
def test_nothing_is_written_without_a_reason(arguments, capsys):
    with pytest.raises(SystemExit) as ending:
        counts.main(arguments)
    assert ending.value.code == 2
    assert "--write and --reason go together" in capsys.readouterr().err
