"""Evil names through every writer of pages: each table keeps its cells, whatever a name is."""

import dataclasses
import math
import re
import warnings
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml

from simformer.analysis.figures.comparison import comparison_figure, with_bars
from simformer.analysis.figures.map_gallery import _legend
from simformer.analysis.figures.sweeps import sweeps_figure
from simformer.analysis.pages.audit_page import write_audit_page
from simformer.analysis.pages.results_page import results_page
from simformer.analysis.pages.splits_page import write_splits_page
from simformer.analysis.pages.table_page import write_table_page
from simformer.analysis.site.assets import write_label_script, write_script
from simformer.analysis.site.browser import find_chromium, open_browser
from simformer.analysis.site.join import write_site
from simformer.analysis.tables.intervals import write_intervals
from simformer.analysis.tables.per_class import write_per_class
from simformer.analysis.tables.read_table import read_table
from simformer.analysis.tables.stage_costs import write_stage_costs
from simformer.analysis.tables.t_test import write_t_tests
from simformer.analysis.tables.tables import write_table
from simformer.claims.claim import Claim, save_claims
from simformer.claims.table import write_check_table
from simformer.data.audit import AuditReport
from simformer.data.index import DatasetIndex
from simformer.data.palette import class_colours
from simformer.data.splits import Split
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.progress import Progress
from simformer.study.status import FailedJob, Status, TrainingStatus
from simformer.study.status_text import status_text
from tests.faults.runs import Runs, written
from tests.faults.test_text import PARSER, Page, cells_of, shown
from tests.latex import check_latex

EVIL = (
    "a|b", "**a**\n| x | y |", "<script>alert(1)</script>", r"`a\\`", "$a_b^{$", "[a](b)&lt;", "=1+1", "\x1b\u202e牛🐄",
)  # fmt: skip
VALUES = {"good": [30.0, 31.0, 33.0], "poor": [12.5, 13.0, 12.0]}
NAMES = pytest.mark.parametrize("name", EVIL)


def rows_with(texts: list[str], name: str) -> int:
    """Count the cells that are a name; fails unless all rows of a table have as many cells."""
    found = 0
    for text in texts:
        tables = [part for part in re.split(r"\n\n", text) if part.startswith("|")]
        for table in tables:
            rows = cells_of(table)
            assert len({len(row) for row in rows}) == 1
            found += sum(shown(name) in cell for row in rows for cell in row)
    return found


@NAMES
def test_tables_of_runs(name, tmp_path):
    runs = Runs(tmp_path, VALUES, (f"{name}1", f"{name}2", f"{name}3"), name)
    spec = runs.spec(title=name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_table(spec, tmp_path / "table.csv")
        write_t_tests(spec, tmp_path / "t_test.csv")
        write_intervals(spec, tmp_path / "intervals.csv")
        write_per_class(spec, tmp_path / "per_class.csv")
    written(tmp_path)
    for table, cells in {"table": 2, "t_test": 3, "intervals": 3, "per_class": 5}.items():
        text = (tmp_path / f"{table}.md").read_text()
        assert rows_with([text], name) == cells
        blocks = [token.type for token in PARSER.parse(text)]
        assert not {"heading_open", "html_block", "code_block", "fence", "hr", "bullet_list_open"} & set(blocks)
        write_table_page(tmp_path / f"{table}.md", tmp_path / "page.html")
        page = Page((tmp_path / "page.html").read_text())
        assert "script" not in page.tags and len({len(row) for row in page.rows}) == 1
        assert sum(shown(name) in cell for row in page.rows for cell in row) == cells
    for table in ("table", "t_test"):
        check_latex((tmp_path / f"{table}.tex").read_text())
    figure = comparison_figure(with_bars(read_table(tmp_path / "table.csv"), []))
    figure.canvas.draw()
    plt.close("all")


@NAMES
def test_claims(name, tmp_path):
    values = np.arange(3.0)
    save_claims(
        tmp_path / "input/c.json",
        [Claim(name, name, name, name, name, (name, "b", "c"), values, values / 2, "difference", "above", 0)],
    )
    file = {"dataset": "toys", "split": "s", "seed": 0, "path": str(tmp_path / "input/c.json")}
    write_check_table({"files": [file]}, tmp_path / "checks.csv")
    text = (tmp_path / "checks.md").read_text()
    assert rows_with([text], name) == 4
    (heading,) = [token for token in PARSER.parse(text) if token.type == "heading_open"]
    assert heading.tag == "h3"


def test_costs_of_a_stage_without_numbers(tmp_path):
    folder = tmp_path / "input/scenes/split1/simformer/seed0"
    folder.mkdir(parents=True)
    (folder / "train.benchmark.tsv").write_text("s\tmax_rss\nNaN\t-\n")
    (folder / "train.json").write_text('{"hash": "0", "device": "cpu", "seconds": null, "memory_mb": null}')
    write_stage_costs(Catalogue.read(Path("config/demo.yaml")), tmp_path / "input", tmp_path / "costs.csv")
    written(tmp_path)
    assert cells_of((tmp_path / "costs.md").read_text())[1][:3] == ["scenes", "split1", "simformer"]


def test_results_page_of_strange_files(tmp_path):
    folder = tmp_path / "results" / "my [study]"
    (folder / "figures").mkdir(parents=True)
    (folder / "figures/fig3.png").write_bytes(b"")
    (folder / "t|1.md").write_text("| a |\n|---|\n| 1 |\n")
    study = tmp_path / "my [study].yaml"
    study.write_text("# ```\n# <b>\nresults: x\n")
    tokens = PARSER.parse(results_page([study], tmp_path / "results", tmp_path))
    inline = [child for token in tokens if token.type == "inline" for child in token.children]
    (image,) = [child for child in inline if child.type == "image"]
    assert image.attrs["src"] == "results/my%20%5Bstudy%5D/figures/fig3.png"
    links = [child.attrs["href"] for child in inline if child.type == "link_open"]
    assert links == ["#my%20%5Bstudy%5D", "results/my%20%5Bstudy%5D/t%7C1.md"]
    assert len([token for token in tokens if token.type == "fence"]) == 1


@NAMES
def test_splits(name, tmp_path):
    path = tmp_path / "toys/split1.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"novel": {1: name}}))
    write_splits_page([path], {"toys": 2}, tmp_path / "splits.md")
    last = [token for token in PARSER.parse((tmp_path / "splits.md").read_text()) if token.type == "inline"][-1]
    assert {child.type for child in last.children} == {"text", "strong_open", "strong_close"}
    assert shown(name) in "".join(child.content for child in last.children)


@NAMES
def test_audit(name, data, tmp_path):
    classes = tuple(f"{name}{k}" for k in range(5))
    index = dataclasses.replace(DatasetIndex.load(data / "index.json"), classes=classes)
    index = dataclasses.replace(index, train=tuple(dataclasses.replace(r, name=name) for r in index.train))
    report = AuditReport.load(data / "audit.json")
    dropped = dataclasses.replace(report.test, dropped=(name,), pixels_per_class=(0,) * 5)
    report = dataclasses.replace(report, classes=classes, test=dropped)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "constrained_layout not applied")  # long names leave no room for pictures
        write_audit_page(report, index, {name: Split(classes, (1,))}, data, tmp_path / "page/audit.json")
    written(tmp_path / "page")
    assert rows_with([(tmp_path / "page/audit.md").read_text()], name) == 7


@NAMES
def test_legend_of_maps(name):
    figure = plt.figure()
    labels = SimpleNamespace(classes=(name, f"_{name}"), novel=(1,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _legend(figure, labels, [0, 1], class_colours(2))
        figure.canvas.draw()
    assert len(figure.legends[0].get_texts()) == 3
    plt.close(figure)


@NAMES
def test_sweeps(name):
    lines = [{"dataset": name, "split": name, "method": m, "metric": "all", "mean": 1.0, "std": math.nan} for m in "ab"]
    panels = {name: {name: {name: {"a": 1.0, "b": 2.0}}}}
    figure = sweeps_figure(pd.DataFrame(lines).assign(n=1), {"reference": "a", "panels": panels})
    figure.canvas.draw()
    drawn = [line for axes in figure.axes for line in axes.get_lines()]
    assert drawn and all(len(line.get_xdata()) == 2 for line in drawn)
    plt.close(figure)


@NAMES
def test_status(name):
    text = f"error: {name}: no"
    training = TrainingStatus(
        ("toys", "split1", "weak", 0), "failed", 10, Progress(), 1.0, text, Path(name), (), (), Path(name)
    )
    jobs = (FailedJob("fetch/toys", text, Path(name)),)
    page = status_text(Status(name, (training,), {}, jobs, "GPU", 1.0, 1, 1.0), datetime(2026, 1, 1), colour=False)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)


def test_the_gallery_site_shows_names_as_text(tmp_path):
    """Every name through a browser: as text of an option, a button, a heading; none of them becomes an element."""
    pytest.importorskip("playwright")
    try:
        find_chromium()
    except UserError as error:
        pytest.skip(str(error))
    Split(EVIL, novel=(1,)).save(tmp_path / "input/split.yaml")
    title = "</script><img src=x onerror=alert(1)>"
    methods = [{"method": f"m{k}", "label": name, "folder": f"toys/m{k}"} for k, name in enumerate(EVIL)]
    view = {"dataset": "toys", "title": title, "split": "split1", "groups": str(tmp_path / "input/split.yaml")}
    write_site(title, [view | {"methods": methods}], tmp_path / "site/index.html")
    held = tuple(range(len(EVIL)))
    label = np.arange(64, dtype=np.uint8).reshape(8, 8) % len(EVIL)
    colours = class_colours(len(EVIL))
    image = "a b#c?d&e"
    content = {"classes": EVIL, "colours": colours[: len(EVIL)].tolist(), "images": [[image, 8, 8, held]]}
    write_script(tmp_path / "site/toys/images.js", content)
    write_label_script(tmp_path / f"site/toys/truth/{image}.js", label, colours)
    for method in methods:
        folder = tmp_path / "site" / method["folder"]
        scores = {"similarity": False, "classes": [math.nan] * len(EVIL), "images": [[None, *[50.0] * (len(EVIL) - 1)]]}
        write_script(folder / "predictions.js", scores)
        write_label_script(folder / f"maps/{image}.js", label, colours)
    with open_browser() as browser:
        tab = browser.new_page()
        tab.goto((tmp_path / "site/index.html").resolve().as_uri())
        tab.wait_for_function("() => document.documentElement.dataset.ready")
        assert tab.inner_text("#title") == title and tab.inner_text("#name") == image
        cards = tab.eval_on_selector_all(".card .label", "all => all.map(one => one.lastChild.textContent)")
        assert cards == [f" {name}" for name in EVIL]
        buttons = tab.eval_on_selector_all("#classes button", "all => all.map(one => one.dataset.class)")
        assert sorted(buttons) == sorted(EVIL)
        assert tab.locator("main script, main b, #problem:visible").count() == 0
        assert not re.search(r"nan|null|undefined", tab.inner_text("body"), re.IGNORECASE)
