"""Pictures of the gallery site, taken with the browser that a reader would use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from simformer.analysis.site.browser import open_browser
from simformer.atomic import atomic_write_bytes

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDE, NARROW = (1440, 1000), (420, 980)
"""Width and height of a desktop's and a telephone's page."""

COMPARE = "() => change({compare: data.view.methods.find(one => one.method !== state.method)?.method ?? ''})"
LEAD = "() => change({sort: 'gain'}).then(() => choose(shown[0]))"
CHOOSE_BASE = """() => {
  const {ids, width} = data.layers.a, sizes = new Map();
  for (const id of ids) sizes.set(id, (sizes.get(id) ?? 0) + (data.novel.has(id) ? 0 : 1));
  const largest = [...sizes].sort((a, b) => b[1] - a[1])[0][0];
  const points = [...ids.keys()].filter(i => ids[i] === largest).map(i => [i % width, Math.floor(i / width)]);
  const middle = [0, 1].map(k => points.reduce((sum, point) => sum + point[k], 0) / points.length);
  const far = ([x, y]) => (x - middle[0]) ** 2 + (y - middle[1]) ** 2;
  choosePixel(points.reduce((a, b) => far(b) < far(a) ? b : a));
}"""
"""Steps that a reader would take, in the page's own words; the pixel is one of the largest base class."""

DRAWN = "() => document.documentElement.dataset.ready && data.layers.a && data.layers.truth && !loading()"
"""Whether everything that was asked for is there."""


@dataclass(frozen=True)
class Picture:
    """One picture: file name, query of the address, steps after it has opened, size of the page, dark or light."""

    name: str
    query: str = ""
    steps: tuple[str, ...] = ()
    size: tuple[int, int] = WIDE
    scheme: Literal["light", "dark"] = "light"


PICTURES = (
    Picture("compare", "opacity=75", (COMPARE, LEAD)),
    Picture("similarity", "opacity=60", (COMPARE, LEAD, CHOOSE_BASE)),
    Picture("worst", "class=novel&sort=worst&side=errors&opacity=80"),
    Picture("dark", "opacity=60&class=novel&sort=worst", (COMPARE, CHOOSE_BASE), scheme="dark"),
    Picture("narrow", "opacity=70", (COMPARE, LEAD), size=NARROW),
)


def take_screenshots(page: Path, folder: Path) -> None:
    """Write one PNG per picture.

    Args:
        page: `index.html` of a site.
        folder: where the pictures go.
    Raises: UserError without a browser, or if the page does not become ready.
    """
    with open_browser() as browser:
        for picture in PICTURES:
            width, height = picture.size
            tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=picture.scheme)
            tab.goto(f"{page.resolve().as_uri()}#?{picture.query}")
            wait_until_drawn(tab)
            for step in picture.steps:
                tab.evaluate(step)
                wait_until_drawn(tab)
            tab.mouse.move(0, 0)
            atomic_write_bytes(folder / f"{picture.name}.png", tab.screenshot(animations="disabled"))
            tab.close()


def wait_until_drawn(tab: Page) -> None:
    """Wait until the page has drawn all that it was asked for."""
    tab.wait_for_function(DRAWN)
    tab.wait_for_function("() => [...document.images].every(i => i.complete || i.loading === 'lazy')")
    tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
