"""A browser without a window, for pictures and tests of the gallery site."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from simformer.errors import UserError
from simformer.machine.stop_signal import time_limit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LONGEST = 600.0
"""Seconds that the work with a browser may take."""
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
    """Start Chromium, and end it with the block.

    Raises: UserError if there is none, if it fails (a page that does not load, an element that does not appear), or
        if all of it takes longer than LONGEST seconds.
    """
    program = find_chromium()
    from playwright.sync_api import Error, sync_playwright

    again = "run the same command again, on a machine with less load"
    late = UserError(f"{program}: not done after {LONGEST / 60:.0f} minutes; {again}")
    try:
        with time_limit(LONGEST, late), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program)
            yield browser
            browser.close()
    except Error as error:
        reason = next(iter(error.message.splitlines()), type(error).__name__)
        raise UserError(f"{program}: {reason}; {again}") from None
