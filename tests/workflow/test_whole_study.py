"""The tiny study from nothing to all its tables, pages, pictures and the site; what its parts share."""

import csv
import json
import zipfile

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("restored")]
TARGETS: list[str] = []
"""What the copy of these tests has made: everything."""


def test_tables_have_every_row(finished):
    with (finished.folder / "results/tiny/spine.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    methods = ["fill_retrained", "simformer", "simformer_retrained", "oracle"]
    assert [r["method"] for r in rows if r["metric"] == "novel"] == methods
    assert all(r["n"] == "1" and 0 <= float(r["mean"]) <= 100 for r in rows)
    text = (finished.folder / "results/tiny/modules.md").read_text()
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows[-2:] == ["Pr + Pi", "SimFormer"], text
    assert r"\toprule" in (finished.folder / "results/tiny/modules.tex").read_text()
    pictures = "scenes/split1/gallery.spine", "scenes/split1/curves.spine", "figures/comparison.spine"
    for picture in pictures:
        assert (finished.folder / f"results/tiny/{picture}.png").stat().st_size > 10_000
    assert "sea" in (finished.folder / "results/tiny/per_class/spine.md").read_text()


def test_oracle_is_trained_once_and_shared(finished):
    assert (finished.folder / "results/tiny/scenes/full/oracle/seed0/model.safetensors").exists()
    assert not (finished.folder / "results/tiny/scenes/split1/oracle/seed0/model.safetensors").exists()
    assert (finished.folder / "results/tiny/scenes/split1/oracle/seed0/metrics.json").exists()


def test_diagnostics_of_every_row_train_nothing_more(finished):
    page = "results/tiny/diagnostics/spine.md"
    assert finished.planned(page) == {("diagnostics", "experiment=spine")}
    done = finished.snakemake("--cores", "2", "--show-failed-logs", page)
    assert done.returncode == 0, done.stdout + done.stderr
    assert finished.planned(page) == set()
    with (finished.folder / page).with_suffix(".csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["method"] for row in rows] == ["fill_retrained", "simformer", "simformer_retrained", "oracle"]
    assert all(0 <= float(row["own"]) <= 1 and 0 <= float(row["right"]) <= 100 for row in rows)
    assert (finished.folder / page).with_suffix(".png").stat().st_size > 10_000


def test_the_site_shows_the_first_experiment(finished):
    contents = (finished.folder / "results/tiny/gallery/contents.js").read_text()
    (view,) = json.loads(contents[len("receive(") : -3])["views"]
    methods = {entry["method"]: entry["folder"] for entry in view["methods"]}
    assert list(methods) == ["fill_retrained", "simformer", "simformer_retrained", "oracle"]
    assert methods["oracle"] == "scenes/full/oracle/seed0", "trained once, so written once"
    assert all(
        (finished.folder / f"results/tiny/gallery/{folder}/predictions.js").exists() for folder in methods.values()
    )


def test_a_method_added_to_the_site_adds_only_its_part(finished):
    path = finished.folder / "config/experiments/spine.yaml"
    path.write_text(path.read_text().replace("methods: [", "methods: [simformer_pr_pi, "))
    jobs = finished.planned("results/tiny/gallery/index.html")
    assert jobs == {
        ("site_predictions", "dataset=scenes, split=split1, method=simformer_pr_pi, seed=0"),
        ("site", ""),
    }


def test_the_report_is_made_without_network_and_captions_everything(finished):
    nowhere = "http://127.0.0.1:9"
    done = finished.snakemake("--report", "report.zip", http_proxy=nowhere, https_proxy=nowhere)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(finished.folder / "report.zip") as report:
        names = report.namelist()
        (page,) = (report.read(name).decode() for name in names if name.endswith("report.html"))
    for result in ("pages/spine.html", "pages/intervals_modules.html", "gallery.spine.png"):
        assert result in page, result
    assert "without the rows of class maps" in page and "names the rows" in page
    assert any(name.endswith("spine.html") for name in names)


def test_nothing_is_left_to_do(finished):
    assert finished.planned() == set()
    assert "5 trainings, 5 done, 0 to do" in finished.snakemake("--dry-run").stderr


def test_new_split_plans_exactly_its_jobs(finished, study_with, tiny):
    finished.study(study_with(datasets__scenes__splits={**tiny["datasets"]["scenes"]["splits"], 2: {"seed": 7}}))
    jobs = finished.planned()
    pages = {("table", f"experiment={name}") for name in ("spine", "modules")}
    pages |= {("statistics", f"about=intervals, experiment={name}") for name in ("spine", "modules")}
    pages |= {("statistics", "about=per_class, experiment=spine"), ("comparison", "experiment=spine")}
    pages |= {("audit_page", "dataset=scenes"), ("table_pages", ""), ("site", "")}
    assert pages <= jobs, "what shows all splits shows the new one"
    for rule, wildcards in jobs - pages:
        assert "split=split2" in wildcards, (rule, wildcards)
    trained = {wildcards for rule, wildcards in jobs if rule == "train"}
    assert len(trained) == 4  # all but the oracle, which is shared
    assert ("metrics", "dataset=scenes, split=split2, method=oracle, seed=0") in jobs


def test_more_shards_split_the_passes_and_train_nothing_but_the_retrained_model(finished, study_with):
    finished.study(study_with(datasets__scenes__shards={"train": 3, "test": 2}))
    jobs = finished.planned()
    (retrained,) = {wildcards for rule, wildcards in jobs if rule == "train"}
    assert "method=simformer_retrained" in retrained
    assert sum(rule == "evaluate" for rule, _ in jobs) == 2 * 5
    assert sum(rule == "pseudo_shard" for rule, _ in jobs) == 3


def test_inference_setting_trains_nothing_but_the_retrained_model(finished, study_with):
    finished.study(study_with(datasets__scenes__inference={"short_edge": 64}))
    jobs = finished.planned()
    assert {w for rule, w in jobs if rule == "train"} == {
        "dataset=scenes, split=split1, method=simformer_retrained, seed=0"
    }
    assert sum(rule == "evaluate" for rule, _ in jobs) == 5
