"""A tiny dataset of scenes, its label sets, and a training of a few steps, for every folder of tests."""

import gc
import json
import signal
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import pytest
import torch

from simformer.config.layers import RunConfig
from simformer.config.settings import TrainSettings
from simformer.config.sources import SceneSettings
from simformer.data.audit import audit
from simformer.data.masking import mask_labels
from simformer.data.scenes import generate_scenes
from simformer.data.splits import make_split
from simformer.study import specification
from simformer.train import train
from simformer.training.job import Job, Runtime, TrainOutputs
from tests.pipeline import NOVEL_NAMES
from tests.specifications import SUFFIX
from tests.web import Web

hypothesis.settings.register_profile("busy machine", deadline=None)  # a test must not fail because others run beside it
hypothesis.settings.load_profile("busy machine")

TINY = {
    "model": {
        "backbone": "tiny",
        "weights": "none",
        "queries": 20,
        "dim": 32,
        "heads": 2,
        "feedforward_dim": 32,
        "decoder_layers": 2,
        "simnet_dim": 16,
    },
    "similarity": {"points": 20},
    "augment": {"crop": 48, "short_edges": [48, 56], "max_long_edge": 96},
    "optim": {
        "steps": 4,
        "batch_images": 4,
        "lr": 0.001,
        "backbone_lr_factor": 1.0,
        "clip_norm": 1.0,
        "precision": "fp32",
    },
}
SINGLE = {"loss": {"alpha": 0, "beta": 0, "sim": 0}, "pairing": {"mode": "none"}}
"""Changes that make a plain MaskFormer training of single images."""


gc.disable()  # thousands of tests are collected: searching them for garbage, again and again, takes a fifth of the time


def pytest_collection_finish():
    """Let the garbage collector begin; it leaves alone what has been imported and collected so far."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    """Begin with the folders whose files take minutes each: the processes that share the files end together then."""
    items.sort(key=lambda item: item.path.parent.name not in ("slurm", "smoke", "workflow"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_works():
    """A shell starts background jobs with Ctrl-C ignored, which tests that interrupt a child would pass on to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Scenes of 48 x 48 pixels: `data` (folder) and `index`, 24 for training and 8 for testing."""
    data = tmp_path_factory.mktemp("scenes") / "data"
    generate_scenes(data, SceneSettings(size=48, train=24, test=8, difficulty=0.2))
    return SimpleNamespace(data=data, index=audit(data, 1)[0])


@pytest.fixture(scope="session")
def split(scenes):
    """The demo's split: four novel classes."""
    return make_split(scenes.index.classes, {"novel": NOVEL_NAMES})


@pytest.fixture(scope="session")
def masked(scenes, split, tmp_path_factory):
    """Label set of the scenes with hidden novel pixels."""
    return mask_labels(scenes.data, scenes.index, split, tmp_path_factory.mktemp("masked"))


@pytest.fixture(scope="session")
def new_config():
    """Factory of tiny resolved runs: changes are nested sections, e.g. {"optim": {"steps": 8}}."""

    def make(*changes: dict, labels: str = "weak", seed: int = 0) -> RunConfig:
        sections = {name: dict(section) for name, section in TINY.items()}
        for name, section in ((n, s) for change in changes for n, s in change.items()):
            sections[name] = sections.get(name, {}) | section
        settings = TrainSettings.model_validate(sections)
        return RunConfig(dataset="scenes", split="split1", method="tiny", seed=seed, labels=labels, settings=settings)

    return make


@pytest.fixture
def any_hardware(monkeypatch):
    """Train in bf16 where the processor has no units for it, too: slowly, with the same results."""
    monkeypatch.setattr("simformer.machine.devices.has_bf16", lambda device: True)


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder with their bytes."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def job_in(folder: Path, data: Path, labels, **options) -> Job:
    """Return a training job whose files lie in a folder; options are those of Runtime."""
    outputs = TrainOutputs(folder / "model.safetensors", folder / "log.csv", folder / "train.json")
    return Job(data, labels, None, folder / "state", outputs, Runtime(**{"log_every": 2} | options))


@pytest.fixture(scope="session")
def run_training(scenes):
    """Run a training in a folder and return its outputs; options are those of Runtime."""

    def run(config: RunConfig, labels, folder: Path, **options) -> TrainOutputs:
        job = job_in(folder, scenes.data, labels, **{"checkpoint_every": 1000} | options)
        train(config, job)
        return job.outputs

    return run


@pytest.fixture(scope="session")
def train_arguments(scenes, masked):
    """Save a run's configuration in a folder and return the command that trains it there; options are added."""

    def make(config: RunConfig, folder: Path, **options: object) -> list[str]:
        config.save(folder / "config.yaml")
        files = {
            "config": folder / "config.yaml",
            "data": scenes.data,
            "labels": masked.root / "labels.json",
            "state": folder / "state",
            "model": folder / "model.safetensors",
            "log": folder / "log.csv",
            "facts": folder / "train.json",
        }
        given = {name.replace("_", "-"): value for name, value in (files | options).items()}
        return ["train", *(text for name, value in given.items() for text in (f"--{name}", str(value)))]

    return make


@pytest.fixture
def specified(monkeypatch):
    """Let every command that takes `--study` also take a file of `tests.specifications.study_of`."""
    read, derive = specification.read_runs, specification.specification

    def read_runs(files, *more):
        if files[0].suffix != SUFFIX:
            return read(files, *more)
        return SimpleNamespace(given=files[0], files=SimpleNamespace(table=Path("results").joinpath))

    def derived(runs, *more):
        return json.loads(runs.given.read_text()) if isinstance(runs, SimpleNamespace) else derive(runs, *more)

    monkeypatch.setattr(specification, "read_runs", read_runs)
    monkeypatch.setattr(specification, "specification", derived)


@pytest.fixture
def web(monkeypatch):
    """A web server on this machine, asked directly whatever proxy is set up here."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server = Web()
    yield server
    server.close()
