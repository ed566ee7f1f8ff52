"""One numbering of the paper: pages, settings, docstrings and configurations number a thing in the same way."""

import re
from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT

NUMBERS = {
    "L_cls": {"Eq. 1"},
    "L_mask": {"Eq. 2"},
    "L_sim": {"Sec. 3.4"},  # the paper does not number it
    "L_dist": {"Sec. 3.4", "Eq. 3"},
    "L_comp": {"Sec. 3.5", "Eq. 4"},
    "full loss": {"Eq. 5"},
    "F1 of SimNet": {"Sec. 4.3"},
    "SimNet": {"Sec. 3.4"},
    "R_hat": {"Sec. 3.4"},
    "pixel pairs": {"Sec. 3.4"},
    "reference image": {"Sec. 3.4"},
    "MaskFormer": {"Sec. 3.2"},
    "matching": {"Sec. 3.2"},
    "mixed labels": {"Sec. 4.2"},
    "re-training": {"Sec. 4.2"},
    "optimiser": {"Appendix A3"},
    "optimisation": {"Appendix A3"},
    "AdamW": {"Appendix A3"},
    "augmentation": {"Appendix A3"},
}
"""What the paper numbers, and all numbers that it has there (its equation, and the section of it)."""

NAME = "|".join(rf"\b{name}\b" for name in NUMBERS)
PLACE = r"(?:Eqs?\. ?\d|Sec\. ?\d\.\d|Appendix [A-Z]\d)(?:(?:, | and | to )\d\b(?!\.))*"
AFTER = re.compile(rf"({NAME})(?:(?!{NAME}|\.\s|[()|;]).){{0,120}}\(({PLACE}(?:[,;] {PLACE})*)", re.I)
"""The name, then the place between parentheses, with no other name between: L_mask of all base classes (Eq. 2)."""
OF = re.compile(rf"({NAME}) (?:of|in) ({PLACE})", re.I)
BEFORE = re.compile(rf"({PLACE})(?::| \|) [^|.;:(\n]*?({NAME})", re.I)
"""The place as a title, or as the cell before the name: Eq. 3: L_dist."""

TEXTS = [
    *PAGES,
    *sorted((ROOT / "config").rglob("*.yaml")),
    *(path for room in ("simformer", "tests") for path in (ROOT / room).rglob("*.py") if path != Path(__file__)),
]
MASKS = {"config/settings.py", "losses/focal_dice.py", "losses/mask.py", "losses/pixel_losses.py", "losses/total.py"}
"""Modules of the package that may speak of Eq. 2, the loss of masks."""


def claims(text: str) -> set[tuple[str, str]]:
    """Return every (name, place) that a text claims."""
    text = re.sub(r'"\n\s*f?"', "", text)  # a string that goes on in the next line
    text = re.sub(r"(?<![|\n])\n(?!\n)[# ]*(?!\|)", " ", text)  # a sentence that does
    found = [(name, places) for name, places in [*AFTER.findall(text), *OF.findall(text)]]
    found += [(name, places) for places, name in BEFORE.findall(text)]
    return {(name, place) for name, places in found for place in single(places)}


def single(places: str) -> list[str]:
    """'Eq. 1, 2; Sec. 3.4' -> ['Eq. 1', 'Eq. 2', 'Sec. 3.4']."""
    several = re.findall(r"(Eq|Sec|Appendix)s?\.? ?([A-Z]?\d(?:\.\d)?(?:(?:, | and | to )\d\b(?!\.))*)", places)
    point = {"Eq": "Eq. ", "Sec": "Sec. ", "Appendix": "Appendix "}
    return [point[kind] + number for kind, numbers in several for number in re.split(", | and | to ", numbers)]


def right(name: str) -> set[str]:
    return next(places for known, places in NUMBERS.items() if known.lower() == name.lower())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The mask loss L_mask of classes\n# with a mask (Eq. 2, second term).", {("L_mask", "Eq. 2")}),
        ("L_mask (Eq. 2) and of L_comp (Eq. 4)", {("L_mask", "Eq. 2"), ("L_comp", "Eq. 4")}),
        ('"L_sim and "\n    "L_dist (Eq. 2, 3)"', {("L_dist", "Eq. 2"), ("L_dist", "Eq. 3")}),
        ("| Eq. 2: L_sim, Eq. 3: L_dist |", {("L_sim", "Eq. 2"), ("L_dist", "Eq. 3")}),
        ("| Sec. 3.3 | SimNet |\n| Eq. 1 | L_cls |", {("SimNet", "Sec. 3.3"), ("L_cls", "Eq. 1")}),
        ("as R_hat of Eq. 2.", {("R_hat", "Eq. 2")}),
        ("SimNet learns. The cosine (Eq. 3)", set()),
    ],
)
def test_claims_are_found(text, found):
    assert claims(text) == found


def test_every_text_has_the_numbers_of_the_paper():
    wrong = [
        f"{path.relative_to(ROOT)}: {name} is {' and '.join(sorted(right(name)))}, not {place}"
        for path in TEXTS
        for name, place in sorted(claims(path.read_text()))
        if place not in right(name)
    ]
    assert not wrong, "\n".join(wrong)


def test_most_things_are_numbered_somewhere():
    found = {name.lower() for path in TEXTS for name, _ in claims(path.read_text())}
    assert {name.lower() for name in NUMBERS} <= found


def test_only_the_loss_of_masks_is_equation_two():
    package = ROOT / "simformer"
    naming = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any("Eq. 2" in single(places) for places in re.findall(PLACE, path.read_text()))
    }
    assert naming == MASKS


def test_a_section_of_the_method_has_the_number_of_what_it_defines():
    parts = (ROOT / "docs/method.md").read_text().split("\n## ")
    defined = {
        f"L_{name}".replace("L_full", "full loss"): set(single(part.partition("\n")[0]))
        for part in parts
        for name in re.findall(r"L_{\\mathrm{(\w+)}} = ", part)
    }
    assert defined.keys() == {"L_cls", "L_mask", "L_sim", "L_dist", "L_comp", "full loss"}
    assert not [name for name, places in defined.items() if not places or places - right(name)]
