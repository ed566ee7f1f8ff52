"""A user's text passes every border: Markdown, HTML, LaTeX, CSV, JSON, JavaScript, figures, terminals."""

import csv
import io
import json
import re
import subprocess
import warnings
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from simformer.analysis import markup
from simformer.analysis.figures.curves import PANELS, curves_figure
from simformer.analysis.figures.style import figure_style, figure_text, write_figure
from simformer.analysis.pages.table_page import table_page
from simformer.analysis.site.assets import write_script
from simformer.analysis.tables.read_table import read_table
from simformer.analysis.tables.table_text import csv_text, latex, markdown
from simformer.cli import main
from simformer.doctor.check import Check, checks_text
from simformer.text.visible import LONGEST, visible, visible_lines
from simformer.training.log import COLUMNS
from tests.latex import check_latex

NAMES = {
    "pipe": "cow|sheep", "pipes around": "|cow|", "escaped pipe": r"cow\|sheep", "backslashes": r"a\\",
    "one at the end": "a\\", "newline": "cow\nsheep", "carriage return": "cow\rsheep",
    "blank line": "cow\n\n# head", "tab": "cow\tsheep", "bold": "**cow**", "bold inside": "a **b** c",
    "bold end": "a** b", "stars": "***", "italic": "*cow*", "star": "cow*", "italic inside": "a *b* c",
    "star between": "a * b", "underscore": "_cow_", "underscores": "__init__", "inside a word": "a_b_c",
    "before a sign": "(_cow_)", "strike": "~~cow~~", "code": "`cow`", "codes": "``a`b``", "one backtick": "a`b",
    "script": "<script>alert(1)</script>", "tag": "<b>cow</b>", "comment": "<!-- cow -->",
    "autolink": "<https://example.org>", "entity": "&lt;cow&gt;", "number entity": "&#124;", "ampersand": "A & B",
    "link": "[cow](javascript:alert(1))", "image": "![cow](x.png)", "reference": "[cow]", "double quote": 'a"b"',
    "quote": "cow's", "dollars": "$5^2$", "one dollar": "5 $", "broken formula": r"$\frac{$",
    "per cent": "100 % cow", "hash": "#cow", "braces": "{x}{", "caret": "a^b~c", "latex": r"\input{/etc/passwd}",
    "latex end": r"\end{table}", "equals": "=1+1", "plus": "+1", "minus": "-1", "at": "@SUM(A1)",
    "formula": '=HYPERLINK("http://x";"y")', "umlaut": "Kühe", "decomposed": "Ku\u0308he", "chinese": "牛",
    "emoji": "🐄", "joined": "👩‍🌾", "arabic": "بقرة", "right to left": "\u202ewoc", "mark": "cow\u200f",
    "isolate": "\u2066cow", "null": "a\x00b", "escape": "\x1b[31mred", "bell": "\x07",
    "separator": "a\u2028b\u2029c", "next line": "a\x85b", "half": "a\udcffb", "long": "x" * 5000,
    "long words": "very long name " * 40, "close script": "</script><img src=x>", "nan": "nan", "NA": "NA",
    "none": "None", "true": "True", "digits": "007", "dash": "-", "empty": "", "blank": " cow ", "bracket": "[2em]",
    "heading": "# cow", "list": "1. cow", "quotation": "> cow", "ruler": "---", "hidden": "_nolegend_",
    "template": "{{ x }} %s {0}", "sharp": "groß",
}  # fmt: skip
EVIL = pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
any_text = st.text(st.characters(codec=None) | st.sampled_from("|\\*_`<>[]$&#~{}^%\"'\n\r- !()\x1b\u202e"), max_size=12)
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(name: str) -> str:
    """What a reader must see of a name in a cell."""
    return visible(name).strip()


def cells_of(text: str) -> list[list[str]]:
    """Cells of all tables in Markdown; fails for a cell that holds anything but text, or a number in bold type."""
    rows: list[list[str]] = []
    inside = False
    for token in PARSER.parse(text):
        inside = (inside or token.type == "table_open") and token.type != "table_close"
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline" and inside:
            content = "".join(child.content for child in token.children)
            kinds = {child.type for child in token.children} - {"text"}
            assert not kinds or (kinds == {"strong_open", "strong_close"} and content[0].isdigit()), kinds
            rows[-1].append(content)
    return rows


class Page(HTMLParser):
    """Rows of a page's tables, and every tag that occurs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] += data


def table_of(name: str) -> pd.DataFrame:
    """A table in which a name is everywhere, in two rows and two columns."""
    return pd.DataFrame([[name, "-0.5"], ["1.0", name]], columns=[name, "x"]).set_axis([name, "other"])


def check_markdown(name: str) -> None:
    text = markdown(table_of(name), "first")
    word = shown(name)
    rows = [["first", word, "x"], [word, word, "-0.5"], ["other", "1.0", word]]
    assert [[cell.strip() for cell in row] for row in cells_of(text)] == rows
    page = Page(table_page(f"{markup.strong(name)}\n\n{text}\n\nNote.\n", name))
    assert [[cell.strip() for cell in row] for row in page.rows] == rows
    assert page.tags <= {
        "html",
        "meta",
        "title",
        "style",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "p",
        "strong",
    }


@EVIL
def test_tables_in_markdown_and_html(name):
    check_markdown(name)


@given(any_text)
@settings(max_examples=500)
def test_any_text_is_one_cell(name):
    check_markdown(name)


@EVIL
def test_titles_and_lines(name):
    word = " ".join(shown(name).split())
    for text, kinds in ((markup.strong(f"{name}: x"), ["strong"]), (markup.line(name), [])):
        tokens = PARSER.parse(text)
        blocks = [token.type for token in tokens]
        if not word and not kinds:
            assert blocks == []
            continue
        assert blocks == ["paragraph_open", "inline", "paragraph_close"], blocks
        children = tokens[1].children
        assert {child.type.split("_")[0] for child in children} <= {"text", *kinds}
        read = "".join(child.content for child in children)
        assert " ".join(read.split()).removesuffix(": x").strip() == word.removesuffix(": x").strip()


@given(any_text)
@settings(max_examples=300)
def test_any_text_in_bold_and_as_code(name):
    (paragraph,) = [token for token in PARSER.parse(markup.strong(f"a{name}z")) if token.type == "inline"]
    assert [c.type for c in paragraph.children if c.type != "text"] == ["strong_open", "strong_close"]
    (paragraph,) = [token for token in PARSER.parse(markup.code(f"a{name}`")) if token.type == "inline"]
    assert [child.type for child in paragraph.children] == ["code_inline"]
    assert paragraph.children[0].content.strip() == f"{visible('a' + name + '`')}".strip()


@pytest.mark.parametrize("path", ["a b.png", "a(b).png", "a[b]|c.png", "ü.png", 'a"b.png', "a>b<c.png", "a#b?c.png"])
def test_targets_of_links(path):
    (paragraph,) = [t for t in PARSER.parse(f"![{markup.name(path)}]({markup.target(path)})") if t.type == "inline"]
    (image,) = paragraph.children
    assert image.type == "image" and image.content.replace("\\", "") == path
    assert re.fullmatch(r"[\w.%/~-]+", image.attrs["src"], re.ASCII)


def test_latex():
    """All names in one table, since each is compiled where LaTeX is installed."""
    names = list(NAMES.values())
    wide = pd.DataFrame([[name, "-0.5"] for name in names], columns=["**[2em] & $", "x"]).set_axis(names)
    text = latex(wide, "first", "".join(names), " ".join(names), names)
    rows = check_latex(text).rows
    assert len(rows) == len(names) + 1 and {len(row) for row in rows} == {3}
    comments, code = text.splitlines()[: len(names)], "\n".join(text.splitlines()[len(names) :])
    assert all(comment.startswith("% ") for comment in comments)
    assert code.isascii() and "\n\n" not in code and not re.search(r"\\\\\s*\n\[", code) and r"\input" not in code


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Kühe", r'K\"{u}he'), ("Ku\u0308he", r'K\"{u}he'), ("groß", r"gro\ss{}"), ("Ångström", r'\r{A}ngstr\"{o}m'),
        ("牛", "U+725B"), ("a|b", r"a\textbar{}b"), ("[x]", "{[}x{]}"), ("±", r"$\pm$"), (r"\x", r"\textbackslash{}x"),
    ],
)  # fmt: skip
def test_latex_letters(name, text):
    assert markup.latex(name) == text


@EVIL
def test_csv_keeps_names(name, tmp_path):
    table = pd.DataFrame({"label": [name, "b"], "mean": [1.5, float("nan")], "n": [1, 2]})
    text = csv_text(table, "%.4f")
    name = name.replace("\r", "\n").replace("\udcff", "?")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows == [["label", "mean", "n"], [name, "1.5000", "1"], ["b", "", "2"]]
    (tmp_path / "t.csv").write_bytes(text.encode())
    found = read_table(tmp_path / "t.csv")
    assert found["label"].tolist() == [name, "b"] and found["mean"].isna().tolist() == [False, True]


@EVIL
def test_scripts_of_the_gallery(name, tmp_path):
    write_script(tmp_path / "x.js", {"classes": [name], name: float("nan")})
    text = (tmp_path / "x.js").read_bytes().decode("ascii")
    content = json.loads(text.removeprefix("receive(").removesuffix(");\n"))
    assert content["classes"] == [name] and content[name] is None
    assert "</" not in text and "NaN" not in text and text.count("\n") == 1


def test_figures(tmp_path):
    log = pd.DataFrame({"step": [1, 2], **{column: [2.0, 1.0] for column in COLUMNS[1:]}})
    log.to_csv(tmp_path / "log.csv", index=False)
    methods = [f"m{k}" for k in range(len(NAMES))]
    runs = [{"method": method, "seed": 0, "path": str(tmp_path / "log.csv")} for method in methods]
    rows = [{"method": method, "label": name} for method, name in zip(methods, NAMES.values(), strict=True)]
    with warnings.catch_warnings(), figure_style():
        warnings.simplefilter("error")
        figure = curves_figure({"title": "x", "rows": rows, "runs": runs})
        for text in figure.legends[0].get_texts():
            text.get_window_extent()  # fails for a formula that is none, warns of a character that the font lacks
    assert len(figure.legends[0].legend_handles) == len(NAMES) and len(figure.axes) == len(PANELS)
    plt.close("all")


@EVIL
def test_names_in_figures(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = plt.figure(figsize=(8, 1))
        text = figure.text(0, 0, figure_text(name), fontsize=7)
        assert text.get_window_extent().width < figure.bbox.width
        assert not text.get_text().startswith("_") and "\n" not in text.get_text()
    plt.close(figure)


def test_titles_are_stored_in_figures(tmp_path):
    for name in ("\x00\udcff牛$", "a\nb"):
        write_figure(plt.figure(), tmp_path / "x.pdf", name)
        assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


def test_what_figures_show():
    assert figure_text("5 $ and $6") == r"5 \$ and \$6" and figure_text("_x") == " _x"
    assert figure_text("牛🐄 Kühe") == "□□ Kühe" and len(figure_text("x" * 99)) == 48
    figure, axis = plt.subplots()
    assert axis.set_title(figure_text(r"$\frac{$")).get_text().startswith(r"\$")
    figure.canvas.draw()
    plt.close(figure)


@EVIL
def test_terminals(name):
    page = checks_text([Check("study", "problem", f"{name} is wrong", name), Check("x", "ok", name)], colour=False)
    page.encode("utf-8")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\udcff]", visible_lines(name))


def test_error_messages_do_not_colour_the_terminal(tmp_path, capsys):
    assert main(["show", str(tmp_path / "\x1b[31m.md")]) == 1
    assert "\x1b" not in capsys.readouterr().err


def test_names_are_cut_and_kept_whole_where_they_are_data():
    assert len(visible("x" * 5000)) == LONGEST and visible("x" * 5000, None) == "x" * 5000


@pytest.mark.skipif(not __import__("shutil").which("node"), reason="needs node")
def test_scripts_run(tmp_path):
    write_script(tmp_path / "x.js", list(NAMES.values()))
    program = "function receive(c) { console.log(c.length) }\n" + (tmp_path / "x.js").read_text()
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True)
    assert done.stdout.strip() == str(len(NAMES))
