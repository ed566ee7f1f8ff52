"""What masks and tags say together of each class in each image, and where they do not agree.

Of the classes with masks the masks decide. A tag that does not agree changes no mask, but it is never passed over in
silence: every one is counted, and a class that a tag calls present where no mask shows it becomes unknown there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simformer.data.formats.annotations import State
from simformer.data.formats.dataset import Dataset
from simformer.data.splits import make_split
from simformer.errors import UserError, some

SHOWN_CLASSES = 10
SHOWN_IMAGES = 3
"""Names that a note spells out."""


@dataclass(frozen=True)
class Written:
    """What has been written.

    Attributes:
        train, test: names of the images.
        masked: names of those with a mask.
        tags_only: the classes that no label map of a training image shows and a tag speaks of.
        states: states by image and class, of the classes in `TAGS`.
        notes: tags that masks do not bear out, one line each.
        unseen: classes that no label map shows and no tag calls present.
        classes: all classes in id order.
        drawn: those that the mask of a training image shows.
        learnt: those, and what a tag calls present in a training image.
        scored: whether the mask of a test image shows any class.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    masked: frozenset[str]
    tags_only: tuple[str, ...]
    states: Mapping[str, Mapping[str, State]]
    notes: tuple[str, ...]
    unseen: tuple[str, ...]
    classes: tuple[str, ...]
    drawn: frozenset[str]
    learnt: frozenset[str]
    scored: bool

    def first_split(self) -> dict[str, Any]:
        """Return the split of a first study, as `make_split` takes it.

        The novel classes are those without masks. Without such classes they are drawn; if no training image shows one
        of these, or if there are too few classes to draw from, they are the last quarter of the classes with masks.

        Raises:
            UserError: a study of any split would be refused later, as `split` and `mask_labels` would do it.
        """
        if not self.drawn:
            raise UserError(
                "no training image has a mask, and a study needs masks of at least one class, its base class; add "
                "--masks FORMAT PATH"
            )
        if not self.scored and not self.tags_only:
            raise UserError(
                "no mask of a test image shows any of these classes, so nothing could be scored; name test images "
                "whose masks do: --test LIST"
            )
        if self.tags_only:
            spec: dict[str, Any] = {"novel": list(self.tags_only)}
            try:
                self._refuse(spec)
            except UserError as error:
                raise UserError(f"{error}; or leave such classes out of the import with --classes") from None
            return spec
        if len(self.drawn) == 1:
            (only,) = self.drawn
            raise UserError(
                f"masks of training images show one class alone, '{only}', and a study needs a base and a novel class; "
                "draw a second one, or add tags of it: --tags FORMAT PATH"
            )
        spec = {"seed": 0, "ratio": [3, 1]}
        try:
            self._refuse(spec)
        except UserError:
            ordered = [name for name in self.classes if name in self.drawn]
            spec = {"novel": ordered[-max(1, len(ordered) // 4) :]}
            self._refuse(spec)
        return spec

    def _refuse(self, spec: dict[str, Any]) -> None:
        """Raise UserError if a study of this split would be refused later."""
        split = make_split(self.classes, spec)
        split.refuse_maskless([self.classes.index(name) for name in self.tags_only])
        split.refuse_unseen([[self.classes.index(name) for name in self.learnt]])


def settle(
    dataset: Dataset, names: Mapping[str, str], test: frozenset[str], shown: Mapping[str, tuple[int, ...]]
) -> Written:
    """Return the lists, and the states of the classes that need tags.

    Classes that no training mask shows have their tags. Of the others masks tell. They get states if there is an image
    without masks, of which they are unknown, or one that a tag says shows them and its mask does not.

    Args:
        dataset: what is known of the photographs.
        names: of the photographs in the folder layout, by file.
        test: files of the test images.
        shown: ids that the label map of an image shows, by its name.
    """
    entries = {names[file]: entry for file, entry in dataset.entries.items()}
    in_test = {names[file] for file in test}
    masked = frozenset(name for name, entry in entries.items() if entry.mask is not None)
    train = tuple(name for name in entries if name not in in_test)
    visible = {name: {dataset.classes[k] for k in shown[name]} for name in entries}
    taught = {name for image in train for name in visible[image]}
    spoken = {name for entry in entries.values() for name in entry.tags}
    tags_only = tuple(name for name in dataset.classes if name not in taught and name in spoken)

    hidden: dict[str, list[str]] = defaultdict(list)
    denied: dict[str, list[str]] = defaultdict(list)
    unused: dict[str, list[str]] = defaultdict(list)
    for image, entry in entries.items():
        for name, said in entry.tags.items():
            if said is False and name in visible[image]:
                denied[name].append(image)
            elif said and name not in visible[image] and name not in tags_only:
                (hidden if image in masked else unused)[name].append(image)

    apart = len(masked) < len(entries)
    columns = [name for name in dataset.classes if name in tags_only or apart or name in hidden] if spoken else []
    states: dict[str, dict[str, State]] = {}
    for image, entry in entries.items() if columns else ():
        states[image] = {}
        for name in columns:
            said = entry.tags.get(name, False if image in masked and name not in tags_only else None)
            drawn_class = name not in tags_only
            states[image][name] = True if name in visible[image] else None if said and drawn_class else said
    present = {name for of in states.values() for name, state in of.items() if state}
    seen = present.union(*visible.values()) | hidden.keys()
    unseen = tuple(name for name in dataset.classes if name not in seen)
    both = [name for name in dataset.classes if name in taught and name in spoken]
    drawn = {name: [image for image in train if name in visible[image]] for name in both}
    notes = []
    if both:
        notes.append(
            "these classes have tags, but masks of training images show them, so they count as classes with masks, and "
            f"the masks decide: {_counted(drawn)}"
        )
    notes += [
        f"'{name}' is drawn in {_images(drawn[name], 'training ')} ({some(drawn[name], SHOWN_IMAGES)}), but not "
        f"in {_images(images, 'other ')} where tags say that it is: {some(images, SHOWN_IMAGES)}. "
        "It counts as a class with masks, and is unknown where it is not drawn. Draw it there or correct the tags; or, "
        "if it is to have tags alone, make every image whose mask shows it a test image: --test LIST"
        for name, images in hidden.items()
    ]
    if denied:
        notes.append(
            f"tags say absent, or do not list a class that the mask shows; the mask decides: {_counted(denied)}"
        )
    if unused:
        notes.append(
            "tags say that photographs without mask show a class that has masks in others; where it lies there is not "
            f"known, so it is unknown in them: {_counted(unused)}"
        )
    tests = tuple(name for name in entries if name in in_test)
    stated = {name for image in train for name, state in states.get(image, {}).items() if state}
    return Written(
        train,
        tests,
        masked,
        tags_only,
        states,
        tuple(notes),
        unseen,
        dataset.classes,
        drawn=frozenset(taught),
        learnt=frozenset(taught | stated),
        scored=any(visible[image] for image in tests),
    )


def _images(names: list[str], kind: str = "") -> str:
    return f"{len(names)} {kind}image{'s' * (len(names) != 1)}"


def _counted(images: Mapping[str, list[str]]) -> str:
    """Return classes with the number of their images and the first of them."""
    parts = [f"'{name}' in {_images(found)} ({some(found, SHOWN_IMAGES)})" for name, found in images.items()]
    return some(parts, SHOWN_CLASSES)
