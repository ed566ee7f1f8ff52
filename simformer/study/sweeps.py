"""The settings that a study's experiment sweeps, one at a time (Fig. 6)."""

from __future__ import annotations

from simformer.errors import UserError, did_you_mean
from simformer.study.catalogue import Catalogue

Panels = dict[str, dict[str, float]]
"""Setting -> method -> its value."""


def swept(catalogue: Catalogue, name: str, dataset: str, split: str) -> Panels:
    """Return the value that each method of an experiment has for the settings that it sweeps.

    The first method, which has the defaults, belongs to every setting.

    Args:
        catalogue: the study.
        name: of the experiment.
        dataset, split: where, since both may have settings of their own.
    Raises: UserError when a method differs from the first in anything but one of these settings, and for a value that
        is not a number, since the figure draws mean IoU over it.
    """
    path, table = catalogue.root / "experiments" / f"{name}.yaml", catalogue.experiment(name)
    if not table.sweep:
        return {}
    first, *others = [catalogue.run(dataset, split, method, 0).flat(complete=True) for method in table.methods]
    panels = {key: {table.methods[0]: first[key]} for key in table.sweep if key in first}
    if unknown := sorted(set(table.sweep) - set(panels)):
        hint = did_you_mean(unknown[0], first, "docs/configuration.md lists them")
        raise UserError(f"{path}: sweep: unknown setting {unknown[0]}{hint}")
    for method, flat in zip(table.methods[1:], others, strict=True):
        differing = [key for key in flat if key != "method" and flat[key] != first[key]]
        if len(differing) != 1 or differing[0] not in panels:
            raise UserError(
                f"{path}: '{method}' differs from '{table.methods[0]}' in {', '.join(differing) or 'nothing'}; "
                f"in a sweep it must differ in one of {', '.join(table.sweep)}"
            )
        panels[differing[0]][method] = flat[differing[0]]
    for key, values in panels.items():
        for method, value in values.items():
            if type(value) not in (int, float):
                raise UserError(
                    f"{path}: sweep: {key} is {value!r} for '{method}', but a sweep is drawn over numbers; "
                    f"take {key} out of `sweep`, and its methods into a table without one"
                )
    return panels
