"""Valid configurations with one or two mistakes in them: told in lines of ours, or what is written is what resolves."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from simformer.config.layers import read_study, read_yaml
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.plan import make_plan

ROOT = Path(__file__).resolve().parents[2]
STUDY, DATASET, METHOD, TABLE = (
    "demo_modules.yaml", "datasets/scenes.yaml", "methods/simformer_pr_pi.yaml", "experiments/table2.yaml",
)  # fmt: skip
TREES = {name: yaml.safe_load((ROOT / "config" / name).read_text()) for name in (STUDY, DATASET, METHOD, TABLE)}
MEANS = {
    "0": 0, "1": 1, "3": 3, "-1": -1, "+5": 5, "0.5": 0.5, ".5": 0.5, "1.": 1.0, "1e-3": 0.001, "1E3": 1000.0, "64": 64,
    "2147483648": 2147483648, "true": True, "False": False, "null": None, "": None, "'010'": "010", '"1"': "1",
    "'yes'": "yes", "word": "word", "table1": "table1", "simformer": "simformer", "one two": "one two", "'a/b'": "a/b",
    "Ünï": "Ünï", "sea": "sea", "[]": [], "[1]": [1], "[1, 1]": [1, 1], "[64, 96]": [64, 96], "[a, b]": ["a", "b"],
    "{}": {}, "{a: 1}": {"a": 1}, "{optim: {steps: 7}}": {"optim": {"steps": 7}}, ".inf": float("inf"), "''": "",
    "1000000000000000000000": 10**21, '"a\\nb"': "a\nb", '"\\0"': "\0", "'{x}'": "{x}", "'<x>'": "<x>", "-.5": -0.5,
    "y": "y", "n": "n", "1.2.3": "1.2.3", "0.0": 0.0, "5_": "5_",
}  # fmt: skip
"""What stands in a file -> its only meaning."""
UNCLEAR = (
    "010", "08", "00", "-012", "0x8", "0b1", "0o7", "1_0", "1_000.5", "1:30", "12:30:45", "yes", "No", "ON", "off", "~",
    "2024-01-01", "2024-01-01 10:00:00", "!!int '3'", "!!python/name:os.system x", "&a [*a]", "*a", "{<<: {a: 1}}",
    "[", "{", "'", '"\\ud800"', "@x", "%x", "\tx", "{a: 1, a: 2}", "{true: 1}", "{1.5: 1}", "{[a]: 1}", "9" * 5000,
)  # fmt: skip
"""What is refused wherever it stands."""


def leaves(tree: Any, place: tuple = ()) -> list[tuple]:
    """Return the places of all values that are no mappings, and of all mappings but the whole."""
    if isinstance(tree, dict):
        inner = [below for key, value in tree.items() for below in leaves(value, (*place, key))]
        return [*([place] if place else []), *inner]
    return [place]


PLACES = [(name, place) for name, tree in TREES.items() for place in leaves(tree)]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(PLACES),
        st.sampled_from(("value", "value", "value", "misspelt", "doubled", "removed", "unclear")),
        st.sampled_from(sorted(MEANS)),
        st.sampled_from(UNCLEAR),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda change: change[0],
)


def changed(tree: dict, place: tuple, kind: str, mark: str) -> dict:
    """Return a copy with one change; `mark` is replaced once it is text. Without such a place nothing changes."""
    copy = yaml.safe_load(yaml.safe_dump(tree))
    node = copy
    for key in place[:-1]:
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, dict) or place[-1] not in node:
        return copy
    if kind == "removed":
        del node[place[-1]]
    elif kind == "misspelt":
        node[f"{mark}{place[-1]}"] = node.pop(place[-1])
    elif kind == "doubled":
        node[mark] = node[place[-1]]
    else:
        node[place[-1]] = mark
    return copy


def same(written: Any, found: Any) -> bool:
    """Tell whether what resolves is what was written: 1 may become 1.0, a list a tuple, and nothing else."""
    if isinstance(written, list):
        return isinstance(found, (list, tuple)) and [*map(same, written, found)] == [True] * len(written) == [
            True for _ in found
        ]
    if isinstance(written, dict):
        return isinstance(found, dict) and written == {key: found.get(key) for key in written}
    kinds = (int, float) if type(written) is int else (type(written),)
    return type(found) in kinds and written == found


def resolved(catalogue: Catalogue, name: str, place: tuple) -> Any:
    """Return what a place of a file has become."""
    if name == STUDY:
        tree: Any = catalogue.study.model_dump()
    elif name == TABLE:
        tree = catalogue.experiment("table2").model_dump()
    elif name == METHOD:
        tree = catalogue.method("simformer_pr_pi").model_dump()
    else:
        tree = catalogue.datasets["scenes"].model_dump()
    if place[0] == "settings" and len(place) == 3:
        method = "simformer_pr_pi" if name == METHOD else "simformer"
        return catalogue.run("scenes", "split1", method, 0).flat()[".".join(place[1:])]
    if place[0] == "baselines" and len(place) == 3:
        return getattr(getattr(catalogue.baselines("scenes"), place[1]), place[2])
    for key in place:
        tree = tree[key]
    return tree


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A copy of the configuration, of which every example writes four files."""
    return shutil.copytree(ROOT / "config", tmp_path_factory.mktemp("changed") / "config")


@pytest.mark.parametrize("place", [(TABLE, ("title",)), (METHOD, ("settings", "loss"))])
def test_what_the_study_leaves_out_is_not_read(root, place):
    left_out = ((STUDY, ("experiments",)), "removed", "", "")
    means_what_it_says(root, [left_out, (place, "value", "", "")])


@pytest.mark.parametrize("examples", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_a_changed_configuration_means_what_it_says_or_is_refused(root, examples):
    settings(max_examples=examples)(given(changes=CHANGES)(means_what_it_says))(root)


def means_what_it_says(root, changes):
    """Write the changed configuration and read it."""
    trees, raw = dict(TREES), {}
    for number, ((name, place), kind, text, unclear) in enumerate(changes):
        trees[name] = changed(trees[name], place, kind, f"MARK{number}")
        raw[f"MARK{number}"] = {"doubled": str(place[-1]), "misspelt": "x", "unclear": unclear}.get(kind, text)
    written = {name: yaml.safe_dump(tree, sort_keys=False, allow_unicode=True) for name, tree in trees.items()}
    done = [
        change for number, change in enumerate(changes) if any(f"MARK{number}" in text for text in written.values())
    ]
    for name, text in written.items():
        for mark, instead in raw.items():
            text = text.replace(mark, instead)
        (root / name).write_text(text)
    try:
        catalogue = Catalogue(read_study([root / STUDY]), str(root / STUDY), root)
        make_plan(catalogue)
    except UserError as error:
        lines = str(error).splitlines()
        assert all(line.startswith(str(root)) for line in lines), lines
        assert not any(word in str(error) for word in ("pydantic", "Traceback", "input_type", "yaml.org"))
        assert len(set(lines)) == len(lines)
        return
    assert not [change for change in done if change[1] in ("doubled", "misspelt", "unclear")]
    read = {STUDY, DATASET}
    if "table2" in catalogue.study.experiments:  # else nobody reads the table, and its method
        read |= {TABLE, METHOD}
    for (name, place), kind, text, _ in done:
        if kind == "value" and name in read:
            assert same(MEANS[text], resolved(catalogue, name, place)), (name, place, text)


def test_the_files_themselves_are_read_as_yaml_reads_them():
    for path in sorted((ROOT / "config").rglob("*.yaml")):
        assert read_yaml(path) == yaml.safe_load(path.read_text()), path
