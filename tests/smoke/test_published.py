"""From the addresses of the published archives to a table, without a step by hand: a web server on this machine."""

import hashlib
import json

import pandas as pd
import pytest
import yaml

from tests.pipeline import TINY, Pipeline
from tests.published import write_ade20k, write_coco_stuff_10k
from tests.web import Fault, Page

SETTINGS = TINY["datasets"]["scenes"]["settings"]
TINY_MODEL = {
    **SETTINGS,
    "model": SETTINGS["model"] | {"backbone": "tiny", "weights": "none", "heads": 2},
    "augment": {"crop": 48, "short_edges": [48], "max_long_edge": 96},
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The two archives, tiny, as bytes."""
    folder = tmp_path_factory.mktemp("published")
    write_coco_stuff_10k(folder / "coco.zip", train=12, test=4, version="1.0")
    write_ade20k(folder / "ade.zip", train=12, test=4)
    return {path.stem: path.read_bytes() for path in folder.glob("*.zip")}


@pytest.mark.slow
def test_from_addresses_to_a_table(published, web, tmp_path):
    cut = Page(published["coco"], faults=[Fault(upto=0.6)])
    web.pages |= {"/coco.zip": cut, "/ade.zip": Page(published["ade"])}
    pipeline = Pipeline(tmp_path / "pipeline")
    title = {"title": "Two rows", "methods": ["simformer", "simformer_retrained"]}
    (pipeline.folder / "config/experiments/short.yaml").write_text(yaml.safe_dump(title))

    def dataset(novel, **archive):
        return {
            "splits": {1: {"novel": novel.split()}},  # of the few classes that these images show
            "source": {"archive": archive},
            "expect": {"train": 12, "test": 4},
            "inference": {"short_edge": 48, "max_long_edge": 96, "pseudo_short_edges": []},
            "settings": TINY_MODEL,
        }

    pipeline.study(
        {
            "results": "results/tiny",
            "experiments": ["short"],
            "datasets": {
                "coco_stuff_10k": dataset("skis broccoli rug", urls=[f"{web.url}/gone.zip", f"{web.url}/coco.zip"]),
                "ade20k": dataset(
                    "grass lamp towel",
                    urls=[f"{web.url}/ade.zip"],
                    checksum=f"sha1:{hashlib.sha1(published['ade']).hexdigest()}",
                ),
            },
        }
    )
    done = pipeline.snakemake("--cores", "2", "--show-failed-logs")
    assert done.returncode == 0, done.stdout + done.stderr

    log = (pipeline.folder / "results/tiny/logs/fetch/coco_stuff_10k.archive.log").read_text()
    assert "/gone.zip: HTTP 404 Not Found; giving up this address" in log and "trying again" in log
    sent = [request.range for request in web.requests if request.path == "/coco.zip"]
    assert len(sent) == 2 and sent[1].startswith("bytes="), "the cut download was continued"

    table = pd.read_csv(pipeline.folder / "results/tiny/short.csv")
    assert set(table["dataset"]) == {"coco_stuff_10k", "ade20k"}
    assert table["mean"].dropna().between(0, 100).all() and (table["n"] > 0).any()
    for name, classes, novel in (("coco_stuff_10k", 171, 3), ("ade20k", 150, 3)):
        page = json.loads((pipeline.folder / f"results/tiny/{name}/audit.json").read_text())
        assert len(page["classes"]) == classes
        assert page["subsets"]["train"]["listed"] == 12 and page["subsets"]["test"]["listed"] == 4
        assert page["splits"]["split1"]["novel_classes"] == novel

    again = pipeline.snakemake("--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr, again.stdout + again.stderr
