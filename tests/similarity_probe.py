"""Whether embeddings keep novel classes apart, and whether similarity learnt on base pixels fits novel ones (Table 3).

    snakemake --configfile config/demo_development.yaml --cores 2 results/demo_development/table3.csv
    python -m tests.similarity_probe --study results/demo_development --split split2 --split split3 \\
        --output docs/results/demo_development/similarity

SimNet may miss novel pairs for two reasons: the embeddings do not tell novel classes apart, or they do, but what SimNet
has learnt on base pixels does not hold for them. To know which, new SimNets are trained on the embeddings of finished
trainings, which stay as they are: one on base pixels, one on novel pixels with their true labels. They are measured on
images that they have not seen. A page and its numbers are written. No method of the package may train on such labels.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from simformer.analysis.tables.numbers import number
from simformer.build import load_model
from simformer.config.settings import IGNORE
from simformer.data.labels import LabelSet
from simformer.models.simnet import SimNet
from simformer.simnet_f1 import PixelPairs, count_pairs, f1, sample_pixels
from tests.control_training import write_page

GROUPS, CPU = ("base", "novel"), torch.device("cpu")
OWN, OWN_TRAINING = "its own SimNet", "its own SimNet, train-mode batch norm"
ON = {group: f"a new SimNet, trained on {group} pixels" for group in GROUPS}
COSINE = {group: f"cosine, best threshold of {group} pixels" for group in GROUPS}
WIDTH, STEPS, RATE = 64, 600, 1e-3
Probe = dict[str, list[PixelPairs]]
Table = dict[str, dict[str, list[float | None]]]


@dataclass(frozen=True)
class Compared:
    """Pixel pairs of many image pairs: cosine of the embeddings, [P], and whether the classes are equal, bool [P]."""

    cosine: Tensor
    similar: Tensor

    @classmethod
    def of(cls, samples: Sequence[PixelPairs]) -> Compared:
        """Compare the pixels of each image pair; those with an IGNORE pixel are left out."""
        cosines, similar = [], []
        for sample in samples:
            first, second = sample.labels
            unit = F.normalize(sample.features, dim=-1)
            valid = (first != IGNORE)[:, None] & (second != IGNORE)
            cosines.append((unit[0] @ unit[1].T)[valid])
            similar.append((first[:, None] == second)[valid])
        return cls(torch.cat(cosines), torch.cat(similar))

    def f1_at(self, threshold: float) -> list[float | None]:
        """Return F1 of 'dissimilar' and 'similar' in percent if pairs of at least this cosine count as similar."""
        kinds = 2 * self.similar.long() + (self.cosine >= threshold).long()
        return f1(torch.bincount(kinds, minlength=4).view(2, 2).float())

    def best_threshold(self) -> float:
        """Return the threshold, in steps of 0.02, with the highest mean of both F1; one that is not there counts 0."""
        return max((t / 50 for t in range(-49, 50)), key=lambda t: sum(value or 0.0 for value in self.f1_at(t)))


def halves(run: Path, data: Path, weak: LabelSet, true: LabelSet, pairs: int) -> tuple[Probe, Probe, SimNet]:
    """Return pixels of two halves of the training images, and the SimNet of the run.

    Args:
        run: folder of a finished training.
        data: folder of the prepared dataset.
        weak: the label set that it was trained on.
        true: the same images with all masks.
        pairs: image pairs of each half.
    """
    trained = load_model(run / "model.safetensors", CPU)
    assert trained.simnet is not None, f"{run}: a method without SimNet"
    probes: list[Probe] = []
    for half in range(2):
        own_weak, own_true = (replace(labels, images=labels.images[half::2]) for labels in (weak, true))
        probe: Probe = {group: [] for group in GROUPS}
        with torch.no_grad():
            for group, sample in sample_pixels(trained, data, own_weak, own_true, CPU, pairs):
                probe[group].append(sample)
        probes.append(probe)
    return probes[0], probes[1], trained.simnet


def train_simnet(samples: Sequence[PixelPairs], steps: int = STEPS) -> SimNet:
    """Train a SimNet with layer norm on given pixels: similar and dissimilar pairs weigh the same."""
    torch.manual_seed(0)
    simnet = SimNet(samples[0].features.shape[-1], WIDTH, "layer")
    optimizer = torch.optim.AdamW(simnet.parameters(), RATE)
    for step in range(steps):
        sample = samples[step % len(samples)]
        known = sample.labels != IGNORE
        valid = known[:, :, None] & known.flip(0)[:, None]
        similar = sample.labels[:, :, None] == sample.labels.flip(0)[:, None]
        kinds = [kind for kind in (valid & similar, valid & ~similar) if kind.any()]
        if not kinds:
            continue
        probability = simnet(sample.features, sample.features.flip(0)).clamp(1e-6, 1 - 1e-6)
        entropy = F.binary_cross_entropy(probability, similar.float(), reduction="none")
        optimizer.zero_grad()
        torch.stack([entropy[kind].mean() for kind in kinds]).mean().backward()
        optimizer.step()
    return simnet.eval()


def rows(seen: Probe, unseen: Probe, own: SimNet, steps: int = STEPS) -> Table:
    """Return F1 of 'dissimilar' and 'similar' on pixels of unseen images, by what compares them and by group."""
    table: Table = {}
    networks = {OWN: own, OWN_TRAINING: own} | {ON[group]: train_simnet(seen[group], steps) for group in GROUPS}
    for name, simnet in networks.items():
        table[name] = {}
        for group in GROUPS:
            with torch.no_grad():
                counts = [count_pairs(sample, simnet, training=name == OWN_TRAINING) for sample in unseen[group]]
            table[name][group] = f1(torch.stack(counts).sum(0))
    for chosen in GROUPS:
        threshold = Compared.of(seen[chosen]).best_threshold()
        found = {group: Compared.of(unseen[group]).f1_at(threshold) for group in GROUPS}
        table[f"{COSINE[chosen]} ({threshold:.2f})"] = found
    return table


def measure(study: Path, data: Path, splits: Sequence[str], methods: Sequence[str], pairs: int) -> dict[str, Any]:
    """Return the rows of each split and method, seed 0."""
    dataset, tables = study / data.name, {}
    for split in splits:
        weak = LabelSet.load(dataset / split / "masked/labels.json")
        true = LabelSet.load(dataset / "full/masked/labels.json")
        for method in methods:
            seen, unseen, own = halves(dataset / split / method / "seed0", data, weak, true, pairs)
            tables[f"{split}, {method}"] = rows(seen, unseen, own)
    return {"dataset": data.name, "pairs": pairs, "steps": STEPS, "rows": tables}


def page(result: dict[str, Any]) -> str:
    """Return the page, Markdown."""
    lines = [
        "# Do embeddings keep novel classes apart, and does similarity transfer?",
        "",
        "Generated by `python -m tests.similarity_probe`; do not edit. This page asks why SimNet misses novel pairs",
        "([Table 3](table3.md)). New SimNets with layer norm are trained on the embeddings of finished trainings, for",
        f"{result['steps']} steps: one on base pixels, and one on novel pixels. The second sees true labels, which no",
        "method may do: it says what the embeddings hold. All are measured on the other half of the training images.",
        "",
        f"{result['dataset']}, seed 0, {result['pairs']} image pairs; F1 on dissimilar / similar pixel pairs, percent.",
        "",
        "| training | compared by | base | novel |",
        "| --- | --- | ---: | ---: |",
    ]
    for training, table in result["rows"].items():
        for name, found in table.items():
            values = " | ".join(" / ".join(number(value, ".1f") for value in found[group]) for group in GROUPS)
            lines.append(f"| {training} | {name} | {values} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train the new SimNets, measure all, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="folder of the study's results")
    parser.add_argument("--data", type=Path, default=Path("data/scenes"), help="folder of the prepared dataset")
    parser.add_argument("--split", action="append", required=True, help="split of the study; may be repeated")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["simformer", "simformer_pairs_paper", "simformer_plus"],
        help="methods with SimNet, trained with seed 0",
    )
    parser.add_argument("--pairs", type=int, default=100, help="image pairs of each half of the images")
    parser.add_argument("--output", type=Path, required=True, help="page and numbers to write, without their endings")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result = measure(arguments.study, arguments.data, arguments.split, arguments.methods, arguments.pairs)
    write_page(arguments.output, result, page)


if __name__ == "__main__":
    main()
