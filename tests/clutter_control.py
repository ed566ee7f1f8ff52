"""What it costs to label pixels of no class as novel: two trainings that differ in nothing else.

    snakemake --configfile config/msrc21_plus.yaml --cores 2 \\
        results/msrc21/msrc21/split4/simformer_plus_retrained/seed0/metrics.json \\
        results/msrc21/msrc21/split4/oracle/seed0/metrics.json
    python -m tests.clutter_control --study results/msrc21 --data data/msrc21 --split split4 \\
        --weights data/weights/msrc21.mobilenet_v2.safetensors --output docs/results/msrc21/clutter

Nobody knows which pixels outside the base masks are novel and which belong to no class. Here both trainings have the
true masks of all classes. The first leaves pixels of no class unlabelled; this is FullyOracle, which the study has
trained. The second, which is trained here, gives those outside the base masks the nearest novel class, in images that
show one. No method does this; the best mixed labels that label every pixel of the not-base region look like it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from simformer.build import load_model
from simformer.config.layers import RunConfig
from simformer.config.settings import IGNORE
from simformer.data.checked import read_label_map
from simformer.data.derived_labels import derive_labels
from simformer.data.index import DatasetIndex
from simformer.data.labels import LabelSet
from simformer.data.splits import Split
from simformer.evaluate import evaluate
from simformer.metrics import save_metrics
from simformer.text.json_text import json_text
from simformer.train import train
from simformer.training.job import Job, Runtime, TrainOutputs

METHOD, ORACLE, CPU = "simformer_plus_retrained", "oracle", torch.device("cpu")
LEFT_OUT, FILLED = "pixels of no class stay unlabelled (FullyOracle)", "they are labelled as the nearest novel class"


def filled(true: np.ndarray, masked: np.ndarray, novel: tuple[int, ...]) -> np.ndarray:
    """Give pixels of no class outside the base masks the nearest novel class of the image, if it shows one.

    Args:
        true: class ids, IGNORE on pixels of no class, uint8 [H, W].
        masked: the same with IGNORE on novel pixels, uint8 [H, W].
        novel: ids of the novel classes.
    """
    shown = np.isin(true, novel)
    if not shown.any():
        return true
    nearest = ndimage.distance_transform_edt(~shown, return_distances=False, return_indices=True)
    return np.where(masked == IGNORE, true[tuple(nearest)], true)


def measure(study: Path, data: Path, split: str, seed: int, weights: Path | None) -> dict[str, Any]:
    """Return what FullyOracle of the study has reached, and what a training on filled labels reaches here and now."""
    folder = study / data.name
    config = RunConfig.load(folder / split / METHOD / f"seed{seed}/config.yaml")
    oracle = folder / "full" / ORACLE / f"seed{seed}/model.safetensors"
    masked, true = (LabelSet.load(folder / which / "masked/labels.json") for which in (split, "full"))
    inference = load_model(oracle, CPU).inference
    assert inference is not None, f"{oracle} does not say at which sizes it predicts"
    names = {image.name: image for image in true.images}
    images = [image for image in masked.images if masked.novel_labels(image)]
    region = [read_label_map(masked, image) == IGNORE for image in images]
    empty = [
        outside & (read_label_map(true, names[image.name]) == IGNORE)
        for image, outside in zip(images, region, strict=True)
    ]

    def maps() -> Iterator[tuple[int, np.ndarray]]:
        for position, image in enumerate(masked.images):
            own = read_label_map(true, names[image.name])
            yield position, filled(own, read_label_map(masked, image), masked.novel)

    with TemporaryDirectory() as temporary:
        state = Path(temporary)
        labels = derive_labels(masked, state / "labels", "pseudo", maps())
        outputs = TrainOutputs(state / "model.safetensors", state / "log.csv", state / "facts.json")
        train(config, Job(data, labels, weights, state / "state", outputs, Runtime(), inference))
        index, classes = DatasetIndex.load(data / "index.json"), Split.load(folder / split / "split.yaml")
        evaluation = evaluate(load_model(outputs.model, CPU), data, index, inference, CPU, state / "evaluation.npz")
        found = {FILLED: save_metrics(evaluation, classes, state / "metrics.json")}
    found[LEFT_OUT] = json.loads((folder / split / ORACLE / f"seed{seed}/metrics.json").read_text())
    rows = {name: {metric: found[name][metric] for metric in ("novel", "base", "all")} for name in (LEFT_OUT, FILLED)}
    share = sum(int(pixels.sum()) for pixels in empty) / sum(int(pixels.sum()) for pixels in region)
    return {"dataset": data.name, "split": split, "seed": seed, "share": share, "rows": rows}


def page(result: dict[str, Any]) -> str:
    """Return the page, Markdown."""
    lines = [
        "# What it costs to label pixels of no class as novel",
        "",
        "Generated by `python -m tests.clutter_control`; do not edit. Both trainings have the true masks of all",
        "classes and the same seed. They differ only in the pixels of no class that lie outside the base masks, in",
        f"images that show a novel class. These are {100 * result['share']:.0f} % of what lies outside the base masks "
        "there.",
        "",
        f"{result['dataset']}, {result['split']}, seed {result['seed']}; mean IoU on the test images, in percent.",
        "",
        "| labels | novel | base | all |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [f"| {n} | {r['novel']:.1f} | {r['base']:.1f} | {r['all']:.1f} |" for n, r in result["rows"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train on filled labels and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="folder of the study's results")
    parser.add_argument("--data", type=Path, required=True, help="folder of the prepared dataset")
    parser.add_argument("--split", required=True, help="split of the study")
    parser.add_argument("--seed", type=int, default=0, help="seed of the trainings")
    parser.add_argument("--weights", type=Path, help="initial weights of the backbone; default: random ones")
    parser.add_argument("--output", type=Path, required=True, help="page and numbers to write, without their endings")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = measure(arguments.study, arguments.data, arguments.split, arguments.seed, arguments.weights)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.with_suffix(".json").write_text(json_text(result, indent=2) + "\n")
    arguments.output.with_suffix(".md").write_text(page(json.loads(json_text(result))))


if __name__ == "__main__":
    main()
