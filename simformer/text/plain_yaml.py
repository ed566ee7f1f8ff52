"""YAML without surprises: the text of a file has one meaning, the one that its writer sees.

YAML 1.1 reads `010` as 8, `1:30` as 90, `no` as false and `2024-01-01` as a date. Merge keys, tags and keys that occur
twice hide or drop other content. All of these are refused; the message has the line and says what to write instead.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from simformer.errors import UserError

WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
"""How a whole number is written."""
REAL = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
"""How any other number is written; YAML 1.1 would take `1e-3` for a word."""
LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
ODD_NUMBER = re.compile(
    r"[-+]?(0[xXoObB][0-9a-fA-F_]+|[0-9.][0-9_.]*_[0-9_.]*([eE][-+]?[0-9]+)?|[0-9_]+(:[0-5]?[0-9])+(\.[0-9_]*)?)"
)
"""What some reader of YAML takes for a number: hexadecimal, octal, binary, with underscores, to the base of 60."""
DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")
TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
ODD_TRUTH = {"yes": "true", "on": "true", "no": "false", "off": "false"}
NOTHING = ("", "null", "Null", "NULL")
MAX_DIGITS = 40
MAX_VALUES = 100_000
"""Values of a file, those behind an alias counted as often as it is used."""
MAX_DEPTH = 50
"""Levels of lists and mappings."""


def load_plain(text: str) -> Any:
    """Read YAML text into mappings, lists, strings, numbers, booleans and None.

    Raises: UserError, with the line, for what could mean something else than it says; yaml.YAMLError for bad syntax.
    """
    loader = _Composer(text)
    try:
        node = loader.get_single_node()
    finally:
        loader.dispose()
    return None if node is None else _Values().of(node)


def dump_plain(content: Any, width: int = 80) -> str:
    """Return mappings, lists and values as YAML that `load_plain` reads as the same.

    PyYAML writes `12e45` and `0b37c0` without quotes, since YAML 1.1 takes them for words; `load_plain` does not.
    """
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=width)


class _Dumper(yaml.SafeDumper):
    """Quotes the text that a reader could take for something else."""


def _text(dumper: yaml.SafeDumper, text: str) -> ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if _is_plain(text) else "'")


def _is_plain(text: str) -> bool:
    """Return whether a text that is written without quotes is read as this text."""
    try:
        return _scalar(ScalarNode("", text, yaml.Mark("", 0, 0, 0, None, 0))) == text
    except UserError:
        return False


_Dumper.add_representer(str, _text)


class _Composer(yaml.SafeLoader):
    """Composes the nodes of a document; refuses tags and too many levels."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if tag := getattr(event, "tag", None):
            written = tag.replace("tag:yaml.org,2002:", "!!")
            raise UserError(f"{_line(event)}: the tag '{written}' is not read here; remove it")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UserError(f"{_line(event)}: more than {MAX_DEPTH} levels of lists and mappings; remove some brackets")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Values:
    """Turns nodes into values, and counts them, since a few aliases of aliases can stand for billions."""

    def __init__(self) -> None:
        self.count = 0
        self.around: list[Node] = []

    def of(self, node: Node) -> Any:
        """Return the value of a node."""
        self.count += 1
        if self.count > MAX_VALUES:
            raise UserError(f"{_line(node)}: more than {MAX_VALUES} values, aliases written out; use fewer aliases")
        if isinstance(node, ScalarNode):
            return _scalar(node)
        if any(node is outer for outer in self.around):
            raise UserError(f"{_line(node)}: an alias is inside the value that it repeats; write the value out")
        self.around.append(node)
        assert isinstance(node, (MappingNode, SequenceNode))
        value = self._mapping(node) if isinstance(node, MappingNode) else [self.of(item) for item in node.value]
        self.around.pop()
        return value

    def _mapping(self, node: MappingNode) -> dict[str | int, Any]:
        content: dict[str | int, Any] = {}
        written: set[str] = set()
        for key_node, value_node in node.value:
            key = _key(key_node)
            if str(key) in written:
                line = node.start_mark.line + 1
                raise UserError(f"key '{key}' is given twice in the mapping that starts at line {line}")
            written.add(str(key))
            content[key] = self.of(value_node)
        return content


def _key(node: Node) -> str | int:
    if not isinstance(node, ScalarNode):
        raise UserError(f"{_line(node)}: a list or mapping cannot be a key; keys are names or whole numbers")
    if node.style is None and node.value == "<<":
        raise UserError(f"{_line(node)}: merge keys ('<<') are not read here; write the merged keys out")
    key = _scalar(node)
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        raise UserError(f"{_line(node)}: '{node.value}' cannot be a key; keys are names or whole numbers, such as 1")
    return key


def _scalar(node: ScalarNode) -> str | int | float | bool | None:
    """Return what a scalar says; quoted ones are text."""
    text: str = node.value
    where = _line(node)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UserError(f"{where}: half of a surrogate pair (\\ud800 to \\udfff) is no character; remove it")
    if node.style is not None:
        return text
    if text in NOTHING:
        return None
    if text in TRUTH:
        return TRUTH[text]
    quotes = f"or '{text}' in quotes if it is a name"
    if meant := ODD_TRUTH.get(text.lower()):
        raise UserError(f"{where}: '{text}' means {meant} to some readers of YAML; write {meant}, {quotes}")
    if text == "~":
        raise UserError(f"{where}: '~' means null; write null, or '~/' in quotes for your home folder")
    if WHOLE.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise UserError(f"{where}: a number of {len(text)} digits; at most {MAX_DIGITS} are read")
        return int(text)
    if LEADING_ZERO.fullmatch(text):
        decimal = text.replace(text.lstrip("+-"), text.lstrip("+-0") or "0")
        raise UserError(f"{where}: '{text}' is octal to some readers of YAML; write {decimal}, {quotes}")
    if REAL.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if ODD_NUMBER.fullmatch(text):
        raise UserError(
            f"{where}: '{text}' is a number to some readers of YAML, and not the one that it seems; "
            f"write it with decimal digits alone, {quotes}"
        )
    if DATE.fullmatch(text):
        raise UserError(f"{where}: '{text}' is a date to some readers of YAML; write it in quotes")
    return text


def _line(place: Any) -> str:
    """Return the line of a node or event."""
    return f"line {place.start_mark.line + 1}"
