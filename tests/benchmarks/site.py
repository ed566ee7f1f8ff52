"""Gallery site with 1,000 synthetic images: how long it takes to open, and what memory the page needs.

    python tests/benchmarks/site.py [COUNT]

Timed from the start of the navigation, in a new browser profile each time: until the first image can be compared
(`ready`), until its pictures are drawn, and then one step to the next image. Memory is that of the page's JavaScript
and of the renderer process (resident), after a jump through the whole list.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from simformer.analysis.site.browser import open_browser
from simformer.analysis.site.screenshots import wait_until_drawn
from tests.synthetic_site import make_site

REPEATS = 7


def resident(kind: str) -> float:
    """Return the resident memory in MB of the largest Chromium process of a kind."""
    sizes = [0]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
            if f"--type={kind}" in command and "chrom" in command:
                sizes.append(int((folder / "statm").read_text().split()[1]) * 4096)
        except OSError:
            continue  # ended meanwhile
    return max(sizes) / 1e6


def milliseconds(action) -> float:
    """Return how long an action takes."""
    start = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - start)


def measure(page: Path) -> dict[str, float]:
    """Open the page in a new browser and return one of everything that is measured."""
    with open_browser() as browser:
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        ready = milliseconds(
            lambda: (tab.goto(page.as_uri()), tab.wait_for_function("document.documentElement.dataset.ready"))
        )
        drawn = ready + milliseconds(lambda: wait_until_drawn(tab))
        following = milliseconds(lambda: (tab.keyboard.press("j"), wait_until_drawn(tab)))
        sort = milliseconds(lambda: (tab.locator("#sort").select_option("worst"), wait_until_drawn(tab)))
        tab.locator(".item").first.focus()
        tab.keyboard.press("End")
        wait_until_drawn(tab)
        session = tab.context.new_cdp_session(tab)
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
        return {
            "ready ms": ready,
            "drawn ms": drawn,
            "next image ms": following,
            "sort ms": sort,
            "JavaScript MB": heap,
            "renderer MB": resident("renderer"),
        }


def main() -> None:
    """Print the median and the range of every measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        page = make_site(Path(folder) / "gallery", count, similar=1)
        runs = [measure(page) for _ in range(REPEATS)]
    print(f"{count} images, {REPEATS} new browsers: median (least to most)")
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name:14} {statistics.median(values):8.0f}   ({min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main()
