"""Pictures of Snakemake's report, taken with the browser that a reader would use."""

from __future__ import annotations

import shlex
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from simformer.analysis.site.browser import open_browser
from simformer.atomic import atomic_write_bytes
from simformer.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

SIZE: ViewportSize = {"width": 1440, "height": 900}
"""Of the page, pixels."""
CATEGORIES = {"tables": "Tables", "figures": "Figures"}
"""Name of each picture, and the report's category whose first entry it shows."""
SETTLED = 1500
"""Milliseconds until the report has drawn what was clicked; it has no sign for it."""


def report_screenshots(report: Path, folder: Path) -> None:
    """Write one PNG per category.

    Args:
        report: zip file of `snakemake --report`.
        folder: where the pictures go.
    Raises: UserError without a browser, for a file that is no report, or one without these categories.
    """
    with tempfile.TemporaryDirectory() as place, open_browser() as browser:
        try:
            with zipfile.ZipFile(report) as archive:
                archive.extractall(place)
            (page,) = Path(place).glob("*/report.html")
        except (zipfile.BadZipFile, ValueError):
            make = f"snakemake --report {shlex.quote(str(report))}"
            raise UserError(f"{report}: not a zipped report; make it with: {make}") from None
        for name, category in CATEGORIES.items():
            tab = browser.new_page(viewport=SIZE)
            tab.goto(page.as_uri())
            tab.wait_for_timeout(SETTLED)
            if not (entry := tab.get_by_text(category, exact=True)).count():
                raise UserError(f"{report}: no category '{category}' in it; run the whole study before the report")
            entry.first.click()
            tab.locator("a[iconname=eye]").first.click()
            tab.wait_for_timeout(SETTLED)
            tab.evaluate("() => document.querySelectorAll('*').forEach(part => part.scrollTop = 0)")
            atomic_write_bytes(folder / f"{name}.png", tab.screenshot(animations="disabled"))
            tab.close()
