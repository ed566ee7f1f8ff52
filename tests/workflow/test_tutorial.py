"""docs/tutorial.md: its commands as they are printed, on photographs, masks and tags made on the spot."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from simformer.cli import main
from simformer.config.sources import SceneSettings
from simformer.data.images import encode_label, encode_png, read_label
from simformer.data.scenes import CLASS_NAMES, render_scene
from simformer.models.torchvision_ops import torchvision
from simformer.study.catalogue import Catalogue
from simformer.study.runs import Runs
from tests.pipeline import NOVEL_NAMES, ROOT, Pipeline

PAGE = (ROOT / "docs/tutorial.md").read_text()
COMMANDS = [
    re.sub(r"\\\n\s*", "", text)
    for text in re.findall(r"^ {7}((?:make|export|simformer|snakemake) (?:.*\\\n)*.*)$", PAGE, re.M)
]
BASE_NAMES = [name for name in CLASS_NAMES if name not in NOVEL_NAMES]
NEW = 2


def typed(program: str) -> list[str]:
    """The words of the one command that begins so."""
    (command,) = [command for command in COMMANDS if command.startswith(program)]
    return shlex.split(command)


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def farm(folder: Path, images: int, size: int) -> None:
    """Write what the page asks for: masks of base classes alone, tags of the others, and photographs without either."""
    for piece in ("photos", "masks", "new"):
        (folder / piece).mkdir(parents=True)
    settings = SceneSettings(size=size)
    numbers = np.full(256, 255, np.uint8)
    numbers[[CLASS_NAMES.index(name) for name in BASE_NAMES]] = range(len(BASE_NAMES))
    rows = [["image", *NOVEL_NAMES]]
    for number in range(images):
        scene, name = render_scene(settings, 0, number), f"{number:04d}.png"
        shown = [int((scene.label == CLASS_NAMES.index(novel)).any()) for novel in NOVEL_NAMES]
        if number >= images - NEW:
            (folder / "new" / name).write_bytes(encode_png(scene.image))
            continue
        (folder / "photos" / name).write_bytes(encode_png(scene.image))
        (folder / "masks" / name).write_bytes(encode_label(numbers[scene.label]))
        rows.append([name, *(shown if number % 7 else [*shown[1:], ""])])
    (folder / "names.txt").write_text("\n".join(BASE_NAMES))
    with (folder / "tags.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_there_are_at_most_five_commands():
    assert [command.split()[0] for command in COMMANDS] == ["make", "export", "simformer", "snakemake", "simformer"]


def test_the_commands_fit_each_other(tmp_path, monkeypatch, capsys):
    """The import writes the study that Snakemake is given, and its network lies where the predictions look for it."""
    shutil.copytree(ROOT / "config", tmp_path / "clone/config")
    farm(tmp_path / "farm", 12, 32)
    monkeypatch.chdir(tmp_path / "clone")
    assert main(typed("simformer import")[1:]) == 0
    study = option(typed("snakemake"), "--configfile")
    assert f"    snakemake --configfile {study} --cores 2\n" in capsys.readouterr().out
    catalogue = Catalogue.read(Path(study))
    ((dataset, planned),) = catalogue.study.datasets.items()
    assert planned.splits[1].novel == NOVEL_NAMES
    run = {"dataset": dataset, "split": "split1", "method": "simformer", "seed": 0}
    assert tuple(run.values()) in catalogue.cells("first_look")
    path = Runs(catalogue).files.run("model.safetensors").format(**run)
    assert path == option(typed("simformer predict"), "--model")


@pytest.mark.slow
def test_from_photographs_to_predictions(tmp_path, monkeypatch):
    clone = Pipeline(tmp_path / "clone")
    farm(tmp_path / "farm", 42, 48)
    weights = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1
    file = tmp_path / "torch/hub/checkpoints" / Path(weights.url).name  # as if it had been downloaded
    file.parent.mkdir(parents=True)
    torch.save(torchvision.models.mobilenet_v2().state_dict(), file)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for command in COMMANDS[2:]:  # the packages are there
        done = clone.shell(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        if command.startswith("simformer import"):  # 300 steps would take minutes; the page tells where to change them
            settings = clone.folder / "config/datasets/farm.yaml"
            text = settings.read_text()
            assert text.count("steps: 300") == 1
            settings.write_text(text.replace("steps: 300", "steps: 10"))
    files = re.findall(r"^\| `([^`]+)` \|", PAGE, re.M)
    assert len(files) == 5 and all((clone.folder / file).exists() for file in files)
    predictions = tmp_path / "farm/predictions"
    told = json.loads((predictions / "predictions.json").read_text())
    assert {one["kind"] for one in told["classes"]} == {"base", "novel"} and len(told["images"]) == NEW
    for new in (tmp_path / "farm/new").iterdir():
        ids = read_label(predictions / new.name)
        assert ids.shape == (48, 48) and ids.max() < len(CLASS_NAMES)
        assert (predictions / "overlay" / new.name).exists()
    table = (clone.folder / "results/farm/first_look.md").read_text()
    row = next(line for line in table.splitlines() if line.startswith("| SimFormer "))
    novel, base, _ = (cell.strip(" *") for cell in row.split("|")[2:5])
    assert novel == "-" and 0 <= float(base) <= 100, table
