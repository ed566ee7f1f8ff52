"""What a file belongs to: a dataset, and the classes whose masks were hidden. Files used together are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simformer.config.settings import Draw
from simformer.data.splits import Split
from simformer.errors import UserError

SHOWN = 4
"""Classes that a message names."""


class OtherRun(UserError):
    """A file of another run, or of another split, than the study's."""


@dataclass(frozen=True)
class Identity:
    """What labels, and all that is learnt or measured from them, belong to.

    Attributes:
        classes: K names in id order.
        dataset: hash of the dataset's classes and training images (`DatasetIndex.hash`); None if it is not known, as of
            an imported model.
        hidden: ids of the classes of which no true mask had a part in the file, ascending: the split's novel ones;
            none for what all masks were seen by; None if it is not known.
        where: the file, for messages.
    """

    classes: tuple[str, ...]
    dataset: str | None
    hidden: tuple[int, ...] | None
    where: str = field(default="", compare=False)

    def content(self) -> dict[str, Any]:
        """Return what a file holds of it, for JSON."""
        hidden = None if self.hidden is None else list(self.hidden)
        return {"classes": list(self.classes), "dataset": self.dataset, "hidden": hidden}

    @classmethod
    def parse(cls, content: Mapping[str, Any], where: object, remedy: str) -> Identity:
        """Return the identity that a file holds.

        Args:
            content: of the file.
            where: the file.
            remedy: what makes it again, the end of a message.
        Raises: UserError if the file is of a version without it, or was edited.
        """
        if not {"classes", "dataset", "hidden"} <= content.keys():
            raise UserError(f"{where}: of an older version, which did not say what it belongs to; {remedy}")
        classes, dataset, hidden = content["classes"], content["dataset"], content["hidden"]
        ids = [] if hidden is None else hidden
        sound = (
            isinstance(classes, list) and bool(classes) and all(isinstance(name, str) for name in classes)
            and isinstance(dataset, str | None) and isinstance(ids, list)
            and all(type(i) is int and 0 <= i < len(classes) for i in ids) and sorted(set(ids)) == ids
        )  # fmt: skip
        if not sound:
            raise UserError(
                f"{where}: edited or damaged, what it says of classes and dataset is not possible; {remedy}"
            )
        return cls(tuple(classes), dataset, None if hidden is None else tuple(hidden), str(where))


def require_dataset(first: Identity, second: Identity) -> None:
    """Raise UserError unless two files have the same classes and are of one audit of one dataset."""
    _require_classes(first.classes, first.where, second.classes, second.where)
    if first.dataset is not None and second.dataset is not None and first.dataset != second.dataset:
        raise UserError(
            f"{first.where} belongs to another dataset than {second.where}, or to another audit of it ({first.dataset} "
            f"and {second.dataset}); give files of one dataset, or delete the older one and run snakemake again"
        )


def require_split(first: Identity, second: Identity) -> None:
    """Raise UserError unless two files are of one dataset and one split: the same classes had their masks hidden."""
    require_dataset(first, second)
    if first.hidden is None or second.hidden is None:
        unknown = first if first.hidden is None else second
        raise UserError(
            f"{unknown.where}: it does not say which classes had no mask in its training, as it was imported; import "
            "it again with --labels, the label set that it was trained on"
        )
    if first.hidden != second.hidden:
        raise _other_split(first, second)


def require_blind(source: Identity, labels: Identity) -> None:
    """Raise UserError unless all classes that a label set hides were hidden from what is used to label its pixels."""
    require_dataset(source, labels)
    if source.hidden is None or not set(labels.hidden or ()) <= set(source.hidden):
        raise _other_split(source, labels)


def require_truth(truth: Identity, labels: Identity) -> None:
    """Raise UserError unless a label set has all masks of the images of another one."""
    require_dataset(truth, labels)
    if truth.hidden != ():
        raise UserError(
            f"{truth.where}: expected the label set with all masks, but those of {_names(truth, truth.hidden)} are "
            "hidden; give the one of the split 'full'"
        )


def require_groups(measured: Identity, split: Split) -> None:
    """Raise UserError unless a split is one whose novel classes had no mask in what was measured.

    What saw all masks (the FullyOracle), and an imported model, serve every split of the dataset.

    Args:
        measured: identity of a model or an evaluation.
        split: base and novel classes.
    """
    _require_classes(measured.classes, measured.where, split.classes, split.where)
    if measured.hidden and measured.hidden != split.novel:
        raise _other_split(measured, Identity(split.classes, None, split.novel, split.where))


def require_run(where: object, found: str, expected: str | None) -> None:
    """Raise UserError unless a file is of the run that it is used for.

    Args:
        where: a model, an evaluation or a file of numbers.
        found: hash of the settings (`RunConfig.hash`) of the run that it comes from.
        expected: hash of the run that it is used for; None if any will do.
    """
    if expected is not None and found != expected:
        raise OtherRun(
            f"{where}: of another run than this study's (settings {found}, here {expected}): settings have changed, or "
            "a file or folder was copied; delete it and run snakemake again, or restore the settings"
        )


def require_novel(found: Split, expected: str | Draw | None, split: str) -> None:
    """Raise UserError unless the novel classes of a file are those that the study names or draws.

    Args:
        found: classes and novel classes of the file.
        expected: what the study says of the split (`Catalogue.novel`); None if that is not known.
        split: its name.
    """
    if expected is not None and not found.has_novel(expected):
        names = _names(Identity(found.classes, None, found.novel), found.novel)
        raise OtherRun(
            f"{found.where}: of another split than {split} of this study, with the novel classes {names}; give the "
            "file of this split, or delete the folder of the split and run snakemake again"
        )


def _other_split(first: Identity, second: Identity) -> UserError:
    return UserError(
        f"{first.where} belongs to another split than {second.where}: the masks of {_names(first, first.hidden)} were "
        f"hidden from the one, those of {_names(second, second.hidden)} from the other; give files of one split"
    )


def _require_classes(first: tuple[str, ...], here: str, second: tuple[str, ...], there: str) -> None:
    if first == second:
        return
    if len(first) != len(second):
        difference = f"it has {len(first)} classes, the other {len(second)}"
    else:
        number = next(i for i, pair in enumerate(zip(first, second, strict=True)) if pair[0] != pair[1])
        difference = f"class {number} is '{first[number]}', in the other '{second[number]}'"
    raise UserError(f"{here} has other classes than {there} ({difference}); give files of one dataset")


def _names(identity: Identity, ids: tuple[int, ...] | None) -> str:
    if ids is None:
        return "classes that are not known"
    names = [f"'{identity.classes[i]}'" for i in ids[:SHOWN]]
    more = [f"{len(ids) - SHOWN} more"] if len(ids) > SHOWN else []
    return ", ".join(names + more) or "no class"
