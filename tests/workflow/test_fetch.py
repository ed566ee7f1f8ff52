"""From published archives to the prepared dataset: what is fetched, what is passed on, what triggers nothing."""

import os
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.pipeline import Pipeline
from tests.web import Fault, zipped

CONTENT = zipped(1_100_000)
"""More than the 1 MB up to which Snakemake compares checksums instead of dates."""
INDEX = "data/mine/index.json"
FETCHED = ("data/downloads/mine/labels", "data/downloads/mine/images1")
CONVERTER = """#!{python}
# The command line, but that `prepare` makes scenes of what it is given: here it matters only when it runs.
import sys
from pathlib import Path
from simformer.cli import main
from simformer.data.scenes import generate_scenes
from simformer.config.sources import SceneSettings
if sys.argv[1] != "prepare":
    sys.exit(main())
print(sys.argv)
generate_scenes(Path(sys.argv[sys.argv.index("--output") + 1]), SceneSettings(size=48, train=24, test=2))
"""


class Downloads(Pipeline):
    """A pipeline whose dataset comes from two downloads and one file of the user's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.study({"results": "results/tiny", "datasets": {"mine": {"splits": {1: {"seed": 1}}}}})
        script = folder / "bin/simformer"
        script.parent.mkdir()
        script.write_text(CONVERTER.format(python=sys.executable))
        script.chmod(0o755)
        self.path = os.pathsep.join([str(script.parent), str(Path(sys.executable).parent), os.environ["PATH"]])

    def dataset(self, *addresses: str, **published) -> None:
        """Describe the dataset: addresses of its label archive, and what is published about it."""
        images = [{"urls": [addresses[0].replace("labels", "images")]}, {"path": "/mine/val2017"}]
        source = {"kind": "coco_stuff_maps", "labels": {"urls": [*addresses], **published}, "images": images}
        content = {"title": "Mine", "source": source, "settings": {"model": {"backbone": "tiny", "weights": "none"}}}
        (self.folder / "config/datasets/mine.yaml").write_text(yaml.safe_dump(content))

    def run(self, *targets: str):
        return self.snakemake("--cores", "1", "--show-failed-logs", *targets, PATH=self.path)


@pytest.fixture
def downloads(tmp_path):
    return Downloads(tmp_path / "pipeline")


def test_plan_fetches_what_has_addresses_only(downloads):
    downloads.dataset("http://nowhere.invalid/labels.zip")
    assert downloads.planned(INDEX) == {
        ("fetch", "dataset=mine, archive=labels"),
        ("fetch", "dataset=mine, archive=images1"),
        ("prepare", "dataset=mine"),
        ("audit", "dataset=mine"),
    }
    assert {rule for rule, _ in downloads.planned("fetch_all")} == {"fetch", "fetch_all"}
    downloads.dataset("http://nowhere.invalid/labels.zip", path="/mine/labels.zip")
    assert ("fetch", "dataset=mine, archive=labels") not in downloads.planned(INDEX)


@pytest.mark.slow
def test_initial_weights_belong_to_what_is_fetched(pipeline):
    done = pipeline.snakemake("--dry-run", "fetch_all", study="config/config.yaml")
    assert "data/weights/ade20k.resnet50.safetensors" in done.stdout + done.stderr
    assert pipeline.planned("fetch_all") <= {("fetch_all", "")}


@pytest.mark.slow
def test_from_a_cut_download_to_the_dataset(downloads, web):
    labels = web.serve("/labels.zip", CONTENT, faults=[Fault(upto=0.6), Fault(404)])
    web.serve("/images.zip", CONTENT)
    downloads.dataset(labels)
    failed = downloads.run("fetch_all")
    text = failed.stdout + failed.stderr
    assert failed.returncode != 0 and f"{labels}: HTTP 404 Not Found" in text
    assert (downloads.folder / f"{FETCHED[0]}.part").stat().st_size == int(len(CONTENT) * 0.6)

    done = downloads.run("fetch_all", INDEX)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [r.range for r in web.requests if r.path == "/labels.zip"][2:] == [f"bytes={int(len(CONTENT) * 0.6)}-"]
    assert all((downloads.folder / path).read_bytes() == CONTENT for path in FETCHED)
    log = (downloads.folder / "results/tiny/logs/prepare/mine.log").read_text()
    assert f"'--archive', 'labels={FETCHED[0]}', '--archive', 'images1={FETCHED[1]}'" in log

    later = time.time() + 60
    os.utime(downloads.folder / FETCHED[0], (later, later))
    downloads.dataset("http://mirror.invalid/labels.zip", labels)
    assert downloads.planned(INDEX, *FETCHED) == set(), "touched, and another mirror"
    downloads.dataset(labels, bytes=len(CONTENT))
    assert {rule for rule, _ in downloads.planned(INDEX)} == {"prepare", "audit"}, "another file, which is checked"
    downloads.dataset(labels)
    (downloads.folder / FETCHED[0]).unlink()
    assert downloads.planned(INDEX) == set(), "deleted to save space"
