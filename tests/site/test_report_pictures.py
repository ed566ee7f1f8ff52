"""Pictures of Snakemake's report, here of a page that behaves like it."""

import zipfile

import pytest

from simformer.analysis.pages.report_pictures import report_screenshots
from simformer.data.images import read_image
from simformer.errors import UserError

PAGE = """<body style="margin:0"><a href="#" onclick="mine.hidden = false">Tables</a>
<div id="mine" hidden><a href="#" iconname="eye" onclick="document.body.style.background = '#0000ff'">show</a></div>
%s</body>"""
FIGURES = """<a href="#" onclick="mine.hidden = false; document.body.style.color = 'red'">Figures</a>"""


def write_report(path, page):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("report/report.html", page)
    return path


@pytest.mark.slow
def test_the_first_entry_of_both_categories_is_opened(page_path, tmp_path):
    report_screenshots(write_report(tmp_path / "report.zip", PAGE % FIGURES), tmp_path / "out")
    pictures = {path.stem: read_image(path) for path in (tmp_path / "out").glob("*.png")}
    assert {name: picture[-1, -1].tolist() for name, picture in pictures.items()} == {
        "tables": [0, 0, 255],
        "figures": [0, 0, 255],
    }


@pytest.mark.slow
def test_what_is_no_whole_report_is_an_error_that_says_so(page_path, tmp_path):
    (tmp_path / "bad.zip").write_text("no zip")
    with pytest.raises(UserError, match="bad.zip: not a zipped report; make it with: snakemake --report"):
        report_screenshots(tmp_path / "bad.zip", tmp_path)
    report = write_report(tmp_path / "part.zip", PAGE % "")
    with pytest.raises(UserError, match="no category 'Figures' in it; run the whole study"):
        report_screenshots(report, tmp_path)
