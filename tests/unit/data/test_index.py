"""The dataset index on disk."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simformer.data.index import DatasetIndex, ImageRecord
from simformer.errors import UserError

texts = st.text(max_size=8)
records = st.builds(
    ImageRecord,
    name=texts,
    image=texts,
    label=texts,
    height=st.integers(1, 9999),
    width=st.integers(1, 9999),
    labels=st.lists(st.integers(0, 254), unique=True, max_size=5).map(lambda ids: tuple(sorted(ids))),
    image_sha256=texts,
    label_sha256=texts,
)
subsets = st.lists(records, max_size=4).map(tuple)


@given(index=st.builds(DatasetIndex, classes=st.lists(texts, max_size=4).map(tuple), train=subsets, test=subsets))
def test_an_index_survives_saving_and_loading(tmp_path_factory, index):
    path = tmp_path_factory.getbasetemp() / "index.json"
    index.save(path)
    assert DatasetIndex.load(path) == index


def test_each_record_has_a_line_of_its_own(tmp_path):
    record = ImageRecord("a", "images/a.jpg", "labels/a.png", 2, 3, (0, 4), "x", "y")
    DatasetIndex(("sky",), (record, record), (record,)).save(tmp_path / "index.json")
    lines = [line for line in (tmp_path / "index.json").read_text().splitlines() if '"name"' in line]
    assert [json.loads(line.rstrip(","))["labels"] for line in lines] == [[0, 4]] * 3


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"seal": "0123456789abcdef",\n}',
        '{"classes": []}',
        '{"classes": [], "train": [{"name": "a", "labels": []}], "test": []}',
    ],
)
def test_what_is_no_index_is_refused(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(UserError, match=r"index\.json: .*dataset index.*run the audit"):
        DatasetIndex.load(tmp_path / "index.json")


def test_a_missing_index_says_which_stage_makes_it(tmp_path):
    with pytest.raises(UserError, match=r"no such dataset index; .* expected a prepared dataset, e.g. data/msrc21"):
        DatasetIndex.load(tmp_path / "index.json")
