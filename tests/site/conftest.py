"""A synthetic site, and a reason to skip where no browser is there."""

import pytest

from simformer.analysis.site.browser import find_chromium
from simformer.errors import UserError
from tests.synthetic_site import make_site

COUNT = 40
"""Images of the site."""


@pytest.fixture(scope="session")
def page_path(tmp_path_factory):
    """The page of the site."""
    try:
        find_chromium()
    except UserError as error:
        pytest.skip(f"no browser test: {error}")
    return make_site(tmp_path_factory.mktemp("site") / "gallery", COUNT)
