"""Markdown tables as pages."""

from html.parser import HTMLParser

from simformer.analysis.pages.table_page import table_page

TABLE = """**A title**

| method | mIoU |
|--------|-----:|
| A & B  | **1.0 ± 0.1** |
| <C>    | 2.0 |

Percent; see `x.md`.
"""


class Cells(HTMLParser):
    """The rows of a page's tables, with whether a cell is bold."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.bold, self.open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.open = ""
        if tag == "strong" and self.open is not None:
            self.bold.append(len(self.rows) - 1)

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append(self.open)
            self.open = None

    def handle_data(self, data):
        if self.open is not None:
            self.open += data


def test_every_cell_is_there_in_its_place_and_best_is_bold():
    cells = Cells(table_page(TABLE, "t"))
    assert cells.rows == [["method", "mIoU"], ["A & B", "1.0 ± 0.1"], ["<C>", "2.0"]]
    assert cells.bold == [1]


def test_text_around_the_table_stays_and_nothing_is_fetched():
    page = table_page(TABLE, "t<")
    assert "<p><strong>A title</strong></p>" in page and "<p>Percent; see <code>x.md</code>.</p>" in page
    assert "<title>t&lt;</title>" in page
    assert "http" not in page and "<C>" not in page
