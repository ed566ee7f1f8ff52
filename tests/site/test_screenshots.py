"""Pictures of the site."""

import numpy as np
import pytest

from simformer.analysis.site.screenshots import NARROW, PICTURES, WIDE, take_screenshots
from simformer.data.images import read_image


@pytest.mark.slow
def test_every_picture_is_taken_at_its_size_and_in_its_scheme(page_path, tmp_path):
    take_screenshots(page_path, tmp_path)
    pictures = {path.stem: read_image(path) for path in tmp_path.glob("*.png")}
    assert set(pictures) == {picture.name for picture in PICTURES}
    assert {picture.shape[1::-1] for picture in pictures.values()} == {WIDE, NARROW}
    corner = {name: picture[-1, -1].mean() for name, picture in pictures.items()}
    assert corner["dark"] < 60 < 200 < corner["compare"]
    assert not np.array_equal(pictures["compare"], pictures["similarity"])
