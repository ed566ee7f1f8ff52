"""Several sources of masks and tags as one dataset: classes get ids, references find their photographs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from simformer.config.settings import IGNORE
from simformer.data.class_names import look, name_problem, normal
from simformer.data.coco_shapes import shown
from simformer.data.formats.annotations import Annotations, Blank, Mask, State, Subset, add_state
from simformer.data.formats.photographs import Photographs
from simformer.errors import UserError, describe_problems, did_you_mean, some
from simformer.machine.terminal import counted

SHOWN = 5
"""Names that a line spells out; the rest is counted."""


@dataclass(frozen=True)
class Source:
    """What one option --masks or --tags has brought.

    Attributes:
        kind: masks or tags.
        found: what its reader returned.
        unlisted: state of a class of which it says nothing in an image that it lists; where that is unknown, an image
            in which nothing is drawn has no mask.
    """

    kind: str
    found: Annotations
    unlisted: State


@dataclass
class Entry:
    """What is known of one photograph.

    Attributes:
        mask: its mask, with the number of the source; None if nobody says where its classes are.
        tags: states of the classes of which a source speaks.
        subset: as its source has it; that of masks comes first.
        within, between: classes of which one source, or two of them, say both present and absent.
    """

    mask: tuple[int, Mask] | None = None
    tags: dict[str, State] = field(default_factory=dict)
    subset: Subset | None = None
    within: set[str] = field(default_factory=set)
    between: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Dataset:
    """Photographs with what is known of them.

    Attributes:
        photographs: all that there are.
        classes: the K names in id order.
        ids: class ids by the names of the sources.
        entries: by file of the photograph.
        notes: what the user should know, one line each.
    """

    photographs: Photographs
    classes: tuple[str, ...]
    ids: Mapping[str, int]
    entries: Mapping[str, Entry]
    notes: tuple[str, ...]


def join(
    photographs: Photographs,
    sources: Sequence[Source],
    *,
    renamed: Mapping[str, str],
    chosen: Sequence[str] | None,
    skip_missing: bool,
) -> Dataset:
    """Bring sources and photographs together.

    Args:
        photographs: the photographs.
        sources: those of masks first.
        renamed: new names of classes by old ones, in Unicode's composed form.
        chosen: the classes to keep, in this order; None: all, in the order of the sources.
        skip_missing: pass over images without photograph, which are a problem otherwise.

    Raises:
        UserError: problems of the sources; classes that cannot be told apart, or are too many; images without
            photograph, or photographs that are meant twice.
    """
    problems = [line for source in sources for line in source.found.problems]
    if problems:
        raise UserError(describe_problems(", ".join(dict.fromkeys(s.found.where for s in sources)), problems))
    classes = _classes(sources, renamed, chosen)
    names = {name: _new(name, renamed) for source in sources for name in source.found.classes}
    entries: dict[str, Entry] = {}
    notes = [note for source in sources for note in source.found.notes]
    if photographs.unread:
        notes.append(photographs.unread)
    _merge(photographs, sources)
    within: dict[str, list[str]] = defaultdict(list)
    for number, source in enumerate(sources):
        files = _photographs(photographs, source, skip_missing, notes)
        for reference, file in files.items():
            entry = entries.setdefault(file, Entry())
            entry.subset = entry.subset or source.found.subsets.get(reference)
            if source.kind == "masks":
                blank = isinstance(source.found.masks[reference], Blank)
                if blank and (entry.mask is not None or source.unlisted is None):
                    continue
                if entry.mask is not None and not isinstance(entry.mask[1], Blank):
                    raise UserError(
                        f"{photographs.tree.where(file)}: two masks, {entry.mask[1].where} and "
                        f"{source.found.masks[reference].where}; give one of them"
                    )
                entry.mask = number, source.found.masks[reference]
                continue
            for name in _add_tags(entry, source, reference, names, classes):
                lines = source.found.lines.get(reference)
                places = f" (lines {', '.join(map(str, lines))})" if lines else ""
                within[f"{source.found.where}: lines"].append(f"{shown(name)} in {reference}{places}")
    if between := [f"{shown(name)} in {file}" for file, entry in entries.items() for name in sorted(entry.between)]:
        within["sources of tags"] = between
    notes += [f"{who} contradict each other, so it is unknown: {some(told, SHOWN)}" for who, told in within.items()]
    if not entries:
        raise UserError(f"{photographs.tree.path}: no photograph that the annotations name; is it the right folder?")
    others = [file for file in photographs.files if file not in entries]
    if others:
        left_out = counted(len(others), "photograph")
        notes.append(f"the import leaves out {left_out} without masks and tags: {some(others, SHOWN)}")
    ids = {name: classes.index(new) for name, new in names.items() if new in classes}
    return Dataset(photographs, classes, ids, dict(sorted(entries.items())), tuple(dict.fromkeys(notes)))


def _new(name: str, renamed: Mapping[str, str]) -> str:
    """Return what a class of a source is called here."""
    return renamed.get(normal(name), normal(name))


def _states(source: Source, reference: str, names: Mapping[str, str]) -> dict[str, State]:
    """Return the states of all classes of a source in an image; of classes that get one name, any that is present."""
    said = source.found.tags[reference]
    states: dict[str, State] = {}
    for name in source.found.classes:
        state = said.get(name, source.unlisted)
        before = states.get(names[name], False)
        states[names[name]] = True if before or state else None if before is None or state is None else False
    return states


def _add_tags(
    entry: Entry, source: Source, reference: str, names: Mapping[str, str], classes: Sequence[str]
) -> list[str]:
    """Add what a source of tags says of an image; returns the classes of which it says both present and absent."""
    states = _states(source, reference, names)
    both = sorted({names[name] for name in source.found.contradicted.get(reference, ())})
    both = [name for name in both if name in classes and states[name] is None]
    entry.within.update(both)
    for name, state in states.items():
        if name in classes:
            add_state(entry.tags, entry.between, name, state)
    entry.between -= entry.within
    entry.tags |= dict.fromkeys(entry.within)
    return both


def _classes(sources: Sequence[Source], renamed: Mapping[str, str], chosen: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the classes in id order."""
    origin: dict[str, str] = {}
    known = {normal(name) for source in sources for name in source.found.classes}
    for source in sources:
        for name in source.found.classes:
            origin.setdefault(_new(name, renamed), f"{source.kind} of {source.found.where}")
    for option, wanted, available in (("--rename", renamed, known), ("--classes", chosen or (), origin)):
        for name in wanted:
            if name not in available:
                hint = did_you_mean(name, available, f"There are: {some(sorted(available), 20)}")
                raise UserError(f"{option} {name}: no such class{hint}")
    names = list(chosen) if chosen else list(origin)
    if not names:
        raise UserError(f"{', '.join(s.found.where for s in sources)}: no classes; is it the right file and format?")
    if problem := name_problem(names):
        raise UserError(f"names of classes: {problem}; with --rename OLD=NEW, or in the source")
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(look(name).casefold(), name)
        if other != name:
            raise UserError(
                f"classes '{other}' ({origin[other]}) and '{name}' ({origin[name]}) differ only in upper and lower "
                f"case; if they are one class: --rename '{name}={other}'"
            )
    if len(names) > IGNORE:
        raise UserError(f"{len(names)} classes; at most {IGNORE} fit: name those that you want with --classes")
    return tuple(names)


def _merge(photographs: Photographs, sources: Sequence[Source]) -> None:
    """Take pictures for one photograph of which a source says that they are; names that fit several are left alone."""
    for source in sources:
        for copy, original in source.found.copies.items():
            try:
                files = photographs.find(copy), photographs.find(original)
            except UserError:
                continue
            if files[0] is not None and files[1] is not None:
                photographs.merge(files[0], files[1])


def _photographs(photographs: Photographs, source: Source, skip_missing: bool, notes: list[str]) -> dict[str, str]:
    """Return the photograph of every reference of a source."""
    found: dict[str, str] = {}
    missing, problems = [], []
    for reference in source.found.masks if source.kind == "masks" else source.found.tags:
        try:
            file = photographs.find(reference)
        except UserError as error:
            problems.append(f"{source.found.where}: {error}")
            continue
        if file is None:
            missing.append(reference)
        else:
            found[reference] = file
    if missing and not source.found.partial and not skip_missing:
        like = photographs.like(missing[0]) if source.kind == "masks" else None
        hint = f"; there is '{like}': give what follows in the name as --mask-suffix" if like else ""
        problems.append(
            f"{source.found.where}: {len(missing)} of {len(missing) + len(found)} images have no photograph in "
            f"{photographs.tree.path}: {some(missing, SHOWN)}{hint}; --skip-missing leaves them out"
        )
    elif missing:
        notes.append(f"{source.found.where}: the import leaves out {counted(len(missing), 'image')} without photograph")
    twice: dict[str, str] = {}
    for reference, file in found.items():
        if (other := twice.setdefault(file, reference)) != reference:
            differ = "but their contents differ; " if {other, reference} <= source.found.differ else ""
            remedy = "if they are one photograph, remove one of the two; if not, "
            problems.append(
                f"{source.found.where}: '{other}' and '{reference}' both mean {photographs.tree.where(file)}"
                f"{', ' + differ if differ else '; ' + remedy}give the folder above both with --images"
            )
    if problems:
        raise UserError(describe_problems(source.found.where, problems))
    return found
