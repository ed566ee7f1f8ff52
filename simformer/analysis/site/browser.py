"""A browser without a window, for pictures and tests of the gallery site."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from simformer.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
"""Programs that are looked for on the PATH, in this order."""


def find_chromium() -> str:
    """Return the path of Chromium; raises UserError if there is none, or no Playwright to drive it."""
    try:
        import playwright  # noqa: F401 (only whether it is there)
    except ImportError:
        raise UserError("a browser is driven by Playwright: pip install playwright") from None
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise UserError(f"no browser: none of {', '.join(NAMES)} is on the PATH; on Debian: apt install chromium")
    return found


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium, and end it with the block."""
    program = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()
