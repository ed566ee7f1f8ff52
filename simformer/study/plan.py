"""What a study would train, what of it is already there, and what the rest will cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simformer.config.fields import PUBLISHED
from simformer.config.sources import archives
from simformer.data.finished import is_of_another_source
from simformer.errors import UserError
from simformer.machine.terminal import counted, gigabytes
from simformer.study.catalogue import Catalogue, Cell
from simformer.study.cost import data_bytes, result_bytes, training_time
from simformer.study.initial_weights import absent_weights, initial_weights, weights_file
from simformer.study.label_recipes import has_other_labels, map_networks
from simformer.study.problems import absent_masks, split_problems, unwritable_folders
from simformer.study.runs import Runs
from simformer.study.saved_states import is_refused, what_to_do
from simformer.study.sources import absent_predictions, absent_sources
from simformer.study.speeds import Card, Measured, read_cards
from simformer.study.sweeps import swept
from simformer.text.visible import visible_lines
from simformer.training.record import belongs, read_record

SINGLE_LINES = 30
"""A plan of more trainings than this is summed up by dataset and method."""


@dataclass(frozen=True)
class Training:
    """One training of a plan.

    Attributes:
        cell: (dataset, split, method, seed).
        folder: its run directory.
        status: 'done', 'changed' (done with other settings, novel classes, labels or data, or begun and `stale`),
            'interrupted' or 'to do'.
        steps: optimiser steps.
        images: images seen, repetitions included.
        gpu, cpu: estimated time on one GPU and on CPUs; None where no speed was measured.
        stale: its saved state, if the next run refuses that (`saved_states.is_refused`).
    """

    cell: Cell
    folder: Path
    status: str
    steps: int
    images: int
    gpu: Measured | None
    cpu: Measured | None
    stale: Path | None = None


@dataclass(frozen=True)
class Plan:
    """Every training behind some experiments, each once.

    Attributes:
        title: study and experiments.
        trainings: in an order in which teachers come before their students.
        unshared: the trainings of the same grid if every cell of every table were trained by itself.
        disk: bytes that the missing results will take, about.
        downloads: archive or initial weights -> bytes (None: size not published) that are still to be fetched.
        map_networks: files of the networks behind class maps -> whether they are there; not in the estimates.
        absent: what is not there and the study needs: files of the user's own, folders that can be written; a line
            each.
    """

    title: str
    trainings: tuple[Training, ...]
    unshared: tuple[Training, ...]
    disk: float
    downloads: dict[str, int | None]
    map_networks: dict[Path, bool]
    absent: tuple[str, ...] = ()

    @property
    def missing(self) -> list[Training]:
        """Trainings that are not done."""
        return [training for training in self.trainings if training.status != "done"]

    @property
    def stale(self) -> list[Path]:
        """Saved states that the next run refuses."""
        return [training.stale for training in self.trainings if training.stale is not None]

    @property
    def problems(self) -> list[str]:
        """What the user must do before everything can run, a line each."""
        return [*map(what_to_do, self.stale), *self.absent]

    def text(self, gpu_here: bool) -> str:
        """Tell it in lines: counts, trainings (summed up if they are many), cost of what is missing."""
        missing, total = self.missing, len(self.trainings)
        lines = [f"{self.title}: {counted(total, 'training')}, {total - len(missing)} done, {len(missing)} to do"]
        single = [f"  {t.status:<12} {t.steps:>7} steps  {t.folder}" for t in self.trainings]
        lines += single if total <= SINGLE_LINES else self._summed()
        if self.map_networks:
            count, done = len(self.map_networks), sum(self.map_networks.values())
            lines.append(f"  besides: {counted(count, 'network')} for class maps, {done} done (not in the estimate)")
        if missing:
            lines += self._cost(gpu_here)
        lines += [f"  problem: {line}" for line in self.problems]
        return visible_lines("\n".join(lines))

    def _summed(self) -> list[str]:
        row = "  {:<16} {:<24} {:>5} {:>5} {:>8} {:>8} {:>9}"
        lines = [row.format("dataset", "method", "done", "to do", "steps", "images", "GPU-hours")]
        groups: dict[tuple[str, str], list[Training]] = {}
        for training in self.trainings:
            groups.setdefault((training.cell[0], training.cell[2]), []).append(training)
        for (dataset, method), group in groups.items():
            missing = [t for t in group if t.status != "done"]
            images = sum(t.images for t in missing) / 1e6
            known = [t.gpu.hours for t in missing if t.gpu is not None]
            hours = f"{sum(known):.1f}" if len(known) == len(missing) else "?"
            counts = len(group) - len(missing), len(missing), group[0].steps
            lines.append(row.format(dataset, method, *counts, f"{images:.1f} M", hours))
        unusual = [t for t in self.trainings if t.status in ("changed", "interrupted")]
        return lines + [f"  {t.status:<12} {t.folder}" for t in unusual]

    def _cost(self, gpu_here: bool) -> list[str]:
        missing = self.missing
        sizes = [size for size in self.downloads.values() if size is not None]
        unknown = len(self.downloads) - len(sizes)
        parts = [f"{sum(sizes) / 1e9:.1f} GB"] if sizes else []
        parts += [f"{counted(unknown, 'file')} of unknown size"] if unknown else []
        downloads = f"{' and '.join(parts) or 'nothing'} to download"
        shared, alone = ([t.gpu for t in some] for some in (self.trainings, self.unshared))
        lines = [
            f"  time on GPUs: {_told([t.gpu for t in missing], 'GPU-hours')}",
            f"  whole grid: {counted(len(shared), 'training')}{_hours(shared)}; without sharing between splits and "
            f"tables: {len(alone)}{_hours(alone)}",
            f"  disk: {gigabytes(self.disk)}; {downloads}",
        ]
        if not gpu_here:
            lines.append(f"  no GPU on this machine; time on its CPU: {_told([t.cpu for t in missing], 'hours')}")
        return lines


def make_plan(catalogue: Catalogue, experiments: Sequence[str] | None = None) -> Plan:
    """List the trainings behind some experiments, look for their results, and estimate the cost.

    Args:
        catalogue: the study.
        experiments: their names; default: the study's.
    Raises: UserError for a split that does not fit the classes of its prepared dataset, and for a sweep of other keys.
    """
    names = tuple(experiments or catalogue.study.experiments)
    if problems := split_problems(catalogue):
        raise UserError("\n".join(problems.values()))
    for name in names:
        for dataset, split in dict.fromkeys(cell[:2] for cell in catalogue.cells(name)):
            swept(catalogue, name, dataset, split)
    unshared = _unshared(catalogue, names)
    cells = list(dict.fromkeys(unshared))
    folders = {cell: Path(catalogue.study.results, *cell[:3], f"seed{cell[3]}") for cell in cells}
    records = {cell: folder / "train.json" for cell, folder in folders.items()}
    facts = {cell: read_record(path) if path.exists() else {} for cell, path in records.items()}
    cards = read_cards()
    found: dict[Cell, Training] = {}
    anew = _prepared_anew(catalogue)
    for cell, folder in folders.items():
        training = _training(catalogue, cell, folder, facts, cards)
        if training.status == "done" and cell[0] in anew:
            training = replace(training, status="changed")
        found[cell] = _after_teacher(catalogue, found, training)
    wanted = [training.cell for training in found.values() if training.status != "done"]
    datasets = {dataset for dataset, *_ in wanted}
    return Plan(
        f"{catalogue.source} ({', '.join(names)})",
        tuple(found.values()),
        tuple(found[cell] for cell in unshared),
        result_bytes(catalogue, wanted) + data_bytes(catalogue, datasets),
        _downloads(catalogue, datasets) | _weights(catalogue, wanted),
        {
            network.path: network.path.exists() and network.dataset not in anew and not network.changed(catalogue)
            for network in map_networks(catalogue, cells)
        },
        (
            *unwritable_folders(catalogue),
            *absent_masks(catalogue, names),
            *absent_sources(catalogue, sorted(datasets)),
            *absent_weights(catalogue, wanted),
            *absent_predictions(catalogue, names),
        ),
    )


def trainings(catalogue: Catalogue, experiments: Sequence[str]) -> list[Cell]:
    """List every training behind some experiments, each once: shared ones and teachers included."""
    return list(dict.fromkeys(_unshared(catalogue, experiments)))


def _unshared(catalogue: Catalogue, experiments: Sequence[str]) -> list[Cell]:
    """List the trainings behind every cell of some experiments, teachers first, as often as cells need them."""
    return [
        (dataset, catalogue.trained_split(split, needed), needed, seed)
        for name in experiments
        for dataset, split, method, seed in catalogue.cells(name)
        for needed in catalogue.training_chain(method)
    ]


def _training(
    catalogue: Catalogue, cell: Cell, folder: Path, facts: dict[Cell, dict[str, Any]], cards: Sequence[Card]
) -> Training:
    run = catalogue.run(*cell)
    like = [f for other, f in facts.items() if f and (other[0], other[2]) == (cell[0], cell[2])]
    mine = facts[cell]
    state = folder / "state"
    saved = (state / "state.pt").exists()
    stale = saved and is_refused(Runs(catalogue), cell, folder)
    if mine and (folder / "model.safetensors").exists():
        own = belongs(mine, folder, run.hash, catalogue.novel(*cell[:2]))
        status = "done" if own and not has_other_labels(catalogue, cell, folder, mine) else "changed"
    else:
        status = "changed" if stale else "interrupted" if saved else "to do"
    gpu, cpu = (training_time(run, like, cards, on_gpu) for on_gpu in (True, False))
    optim = run.settings.optim
    images = optim.steps * optim.batch_images
    return Training(cell, folder, status, optim.steps, images, gpu, cpu, state if stale and status != "done" else None)


def _prepared_anew(catalogue: Catalogue) -> set[str]:
    """Return the prepared datasets whose source has changed, so that all that comes from them is made again."""
    data = Path(catalogue.study.data)
    return {name for name, file in catalogue.datasets.items() if is_of_another_source(data / name, file.source)}


def _after_teacher(catalogue: Catalogue, found: Mapping[Cell, Training], training: Training) -> Training:
    """Return a training, 'changed' if its teacher is: from other predictions it is trained again."""
    dataset, split, method, seed = training.cell
    teacher = catalogue.method(method).teacher
    if teacher is None or training.status != "done":
        return training
    changed = found[dataset, catalogue.trained_split(split, teacher), teacher, seed].status == "changed"
    return replace(training, status="changed") if changed else training


def _downloads(catalogue: Catalogue, datasets: Iterable[str]) -> dict[str, int | None]:
    """Return the archives that are neither fetched nor the user's own, with their published sizes."""
    return {
        f"{dataset}/{name}": archive.size
        for dataset in sorted(datasets)
        for name, archive in archives(catalogue.datasets[dataset].source).items()
        if archive.path is None and not (Path(catalogue.study.data) / "downloads" / dataset / name).exists()
    }


def _weights(catalogue: Catalogue, cells: Iterable[Cell]) -> dict[str, int | None]:
    """Return the initial weights of some trainings that are published elsewhere, and not there yet."""
    return {
        f"weights/{dataset}.{backbone}": None
        for dataset, backbone, source in initial_weights(catalogue, cells)
        if source in PUBLISHED and not weights_file(catalogue, dataset, backbone).exists()
    }


def _told(times: Sequence[Measured | None], unit: str) -> str:
    """Return the sum of the times that are known, by what they are known, and for how many trainings they are not."""
    known = [time for time in times if time]
    unknown = len(times) - len(known)
    if not known:
        return "not measured; a finished training of the same method will show it"
    total = sum(time.hours for time in known)
    sources = [f"{count} {source}" for source, count in Counter(time.source for time in known).items()]
    more = [f"{unknown} not measured"] if unknown else []
    return f"{total:.{1 if total >= 1 else 2}f} {unit} (trainings: {'; '.join(sources + more)})"


def _hours(times: Sequence[Measured | None]) -> str:
    """Return the sum of some times, if all are known, else nothing."""
    return f", {sum(time.hours for time in times if time):.1f} GPU-hours" if all(times) else ""
