"""What is written as YAML is read as the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simformer.text.plain_yaml import dump_plain, load_plain

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029\ufeff")
SCALARS = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(LETTERS)


@pytest.mark.parametrize(
    "text",
    [
        "12345e67",
        "0b37c0afa37a3190",
        "0x1f",
        "0o17",
        "010",
        "1_000",
        "1:30",
        "2024-01-01",
        ".5e3",
        "-.inf",
        "no",
        "~",
        "",
    ],
)
def test_a_text_that_looks_like_something_else_stays_text(text):
    assert load_plain(dump_plain({"hash": text, "classes": [text]})) == {"hash": text, "classes": [text]}


@given(st.text("0123456789abcdef", min_size=16, max_size=16))
def test_every_hash_stays_text(text):
    assert load_plain(dump_plain({"hash": text})) == {"hash": text}


@given(SCALARS)
def test_every_value_is_read_as_it_was_written(value):
    assert load_plain(dump_plain([value])) == [value]
