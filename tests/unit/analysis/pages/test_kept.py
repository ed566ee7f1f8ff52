"""Copies of results that git keeps."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simformer.analysis.pages.kept import WIDTH, keep_results, page_picture
from simformer.data.palette import class_colours
from simformer.errors import UserError

ROOT = Path(__file__).resolve().parents[4]


def test_git_keeps_nothing_where_snakemake_would_take_it_for_made():
    """A table of a fresh clone would be up to date: its runs are missing, but nothing asks for them."""
    listed = subprocess.run(["git", "ls-files", "results"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git clone")
    assert listed.stdout.split() == ["results/README.md"]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.new("RGB", (8, 6), "red").save(path)
    else:
        path.write_text(text)


def test_a_picture_is_kept_as_wide_as_a_page_needs():
    buffer = io.BytesIO()
    Image.new("RGB", (2 * WIDTH, 300), "blue").save(buffer, "PNG")
    with Image.open(io.BytesIO(page_picture(buffer.getvalue()))) as small:
        assert small.size == (WIDTH, 150) and small.convert("RGB").getpixel((9, 9)) == (0, 0, 255)


def test_the_colours_of_classes_survive_beside_a_photograph():
    """Two similar colours of a small legend: among many others, one of them took the other's."""
    colours = class_colours(16)[:16]
    noise = np.random.default_rng(0).normal(0, 12, (300, 400, 3))
    pixels = (np.linspace([90, 60, 40], [220, 180, 140], 400) + noise).clip(0, 255)
    pixels[:6, :192] = np.repeat(colours, 12, axis=0)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    with Image.open(io.BytesIO(page_picture(buffer.getvalue()))) as small:
        seen = np.asarray(small.convert("RGB"))[2, 6:192:12].astype(int)
    assert np.abs(seen - colours.astype(int)).max() <= 8


def test_tables_and_pictures_are_copied_and_nothing_else(tmp_path):
    study, results, kept = tmp_path / "config/demo.yaml", tmp_path / "results/demo", tmp_path / "docs"
    names = ["table1.md", "table1.csv", "figures/fig3.png", "scenes/split1/maps.png"]
    names += ["intervals/table1.csv", "intervals/table1.md", "baseline_checks.csv", "baseline_checks.md"]
    others = ["table1.tex", "figures/fig3.pdf", "scenes/split1/simformer/seed0/metrics.json", "logs/train.log"]
    others += ["README.md", "stage_costs.csv", "stage_costs.md", "per_class/table1.csv", "figures/more.png"]
    for name in names + others:
        write(results / name, name)
    assert {str(p.relative_to(kept / "demo")) for p in keep_results(study, results, kept)} == set(names)
    assert {str(p.relative_to(kept / "demo")) for p in kept.rglob("*.*")} == set(names)
    write(results / "table1.md", "new")
    write(kept / "demo/table9.md", "of another day")
    assert keep_results(study, results, kept) == [kept / "demo/table1.md"]
    assert (kept / "demo/table1.md").read_text() == "new"
    assert (kept / "demo/table9.md").exists()


@pytest.mark.parametrize(
    ("study", "results", "name"),
    [
        ("config", "results", "config"),  # the default study: its folder holds those of the others
        ("demo", "results/demo", "demo"),
        ("demo_paper", "results/demo", "demo"),
        ("mystudy", "elsewhere/out", "mystudy"),
    ],
)
def test_a_study_is_kept_under_its_own_name_or_that_of_the_study_that_it_adds_to(tmp_path, study, results, name):
    for file in ("config", "demo", "demo_paper", "mystudy"):
        write(tmp_path / f"config/{file}.yaml", "")
    write(tmp_path / results / "table1.csv", "a")
    changed = keep_results(tmp_path / f"config/{study}.yaml", tmp_path / results, tmp_path / "docs")
    assert changed == [tmp_path / f"docs/{name}/table1.csv"]


def test_a_study_without_tables_is_an_error_that_says_what_to_type(tmp_path):
    write(tmp_path / "results/README.md", "no table")
    with pytest.raises(UserError, match=r"results: no tables to keep; make some first, e.g. `snakemake .*table1.csv"):
        keep_results(tmp_path / "config.yaml", tmp_path / "results", tmp_path / "docs")
