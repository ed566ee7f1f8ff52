"""The true labels by which claims are measured."""

import pytest

from simformer.data.masking import mask_labels
from simformer.data.splits import make_split


@pytest.fixture(scope="module")
def truth(scenes, tmp_path_factory):
    """The label set of the tiny scenes with all masks."""
    full = make_split(scenes.index.classes, {"full": True})
    return mask_labels(scenes.data, scenes.index, full, tmp_path_factory.mktemp("truth"))
