"""All checks of a machine for one study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from simformer.doctor.caches import check_caches
from simformer.doctor.check import Check
from simformer.doctor.cluster import check_cluster
from simformer.doctor.hardware import check_hardware
from simformer.doctor.packages import INSTALL, check_packages
from simformer.errors import UserError
from simformer.machine.terminal import counted


def examine(study: Path) -> Iterator[Check]:
    """Check packages, caches, the study's files, hardware, disks, inputs and Slurm, in this order.

    A study that cannot be read is one problem of its own; the checks that need it are then left out.
    """
    yield from check_packages()
    yield from check_caches()
    try:
        yield from _examine_study(study)
    except UserError as error:
        yield Check("study", "problem", " ".join(str(error).split()), "correct the file, or name another: --study FILE")
        yield from check_hardware(set())
    except ImportError as error:
        yield Check("study", "problem", f"{study}: cannot be read without all packages ({error})", INSTALL)
        yield from check_hardware(set())
    yield from check_cluster()


def _examine_study(path: Path) -> Iterator[Check]:
    from simformer.doctor.inputs import check_inputs
    from simformer.doctor.storage import check_storage
    from simformer.study.catalogue import Catalogue  # here, since they need packages that may be missing
    from simformer.study.plan import make_plan
    from simformer.study.problems import split_problems
    from simformer.study.saved_states import what_to_do

    catalogue = Catalogue.read(path)
    if problems := split_problems(catalogue):
        for (dataset, number), problem in problems.items():
            yield Check(f"{dataset} split{number}", "problem", problem, f"correct the split in {path}")
        yield from check_hardware(set())
        return
    plan = make_plan(catalogue)
    changed = sum(training.status == "changed" for training in plan.trainings)
    more = f", {changed} of them since settings, novel classes or data have changed" if changed else ""
    count = counted(len(plan.trainings), "training")
    yield Check("study", "ok", f"{path}: {count}, {len(plan.missing)} still to be done{more}")
    for folder in plan.stale:
        found, _, fix = what_to_do(folder).partition("; ")
        yield Check("saved state", "problem", found, fix)
    yield from check_hardware({catalogue.run(*t.cell).settings.optim.precision for t in plan.missing})
    yield from check_storage(catalogue, plan)
    yield from check_inputs(catalogue, plan)
