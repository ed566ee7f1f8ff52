"""Numbers in words."""

import pytest

from simformer.machine.terminal import counted, gigabytes


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_a_number_with_its_noun(number, text):
    assert counted(number, "file") == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "less than 0.1 GB"), (4.9e7, "less than 0.1 GB"), (5e7, "about 0.1 GB"), (1.44e9, "about 1.4 GB")],
)
def test_an_estimated_size(size, text):
    assert gigabytes(size) == text
