"""Base/novel splits: by name, from a pinned file, from a seed."""

import pytest
import yaml

from simformer.data.splits import Split, make_split
from simformer.errors import UserError

CLASSES = ("cat", "dog", "person", "sky-other", "tree")


def error_of(classes, spec) -> str:
    with pytest.raises(UserError) as error:
        make_split(classes, spec)
    return str(error.value)


def random_split(count, seed=0, ratio=(3, 1)):
    return make_split(tuple(f"c{i}" for i in range(count)), {"seed": seed, "ratio": ratio})


def test_names_become_ascending_ids_and_the_rest_is_base():
    split = make_split(CLASSES, {"novel": ["tree", "dog"]})
    assert (split.novel, split.base) == ((1, 4), (0, 2, 3))
    assert make_split(CLASSES, {"novel": ["tree", "dog"], "base": ["cat", "person", "sky-other"]}) == split
    assert make_split(CLASSES, {"full": True}) == Split(CLASSES, ())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"novel": ["dgo"]}, "split: unknown class 'dgo' in novel; did you mean 'dog'? The dataset has: cat, dog"),
        ({"novel": ["xyzzy"]}, "split: unknown class 'xyzzy' in novel. The dataset has: cat, dog"),
        ({"novel": ["dog"], "base": ["cta"]}, "unknown class 'cta' in base; did you mean 'cat'?"),
        ({"novel": []}, "no novel class"),
        ({"novel": list(CLASSES)}, "every class is novel"),
        ({"novel": ["dog", "cat", "dog"]}, "novel names given twice: dog"),
        ({"novel": ["dog"], "base": ["cat"]}, "neither base nor novel: person, sky-other, tree"),
        ({"novel": ["dog"], "base": list(CLASSES)}, "both base and novel: dog"),
        ({"seed": 1, "ratio": (1, 100)}, "ratio 1:100 of 5 classes leaves one side empty"),
        ({"seed": 1, "ratio": (100, 1)}, "ratio 100:1 of 5 classes leaves one side empty"),
    ],
)
def test_impossible_splits_are_refused(spec, message):
    assert message in error_of(CLASSES, spec)


@pytest.mark.parametrize(
    ("count", "ratio", "novel"), [(171, (3, 1), 43), (150, (3, 1), 38), (16, (3, 1), 4), (10, (1, 1), 5)]
)
def test_a_random_split_has_the_size_of_its_ratio(count, ratio, novel):
    split = random_split(count, ratio=ratio)
    assert len(split.novel) == novel
    assert sorted(split.novel + split.base) == list(range(count))
    assert list(split.novel) == sorted(split.novel)


def test_a_random_split_is_a_function_of_its_seed():
    assert random_split(171, seed=3) == random_split(171, seed=3)
    assert len({random_split(171, seed=seed).novel for seed in range(5)}) == 5


def test_a_random_split_treats_all_classes_alike():
    hits = [sum(c in random_split(8, seed=seed).novel for seed in range(400)) for c in range(8)]
    assert all(70 <= hit <= 130 for hit in hits)  # 100 expected, deviation 8.7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"novel": {1: "cat"}}, "do not belong together in this dataset: 1: cat"),
        ({"novel": {9: "cat"}}, "do not belong together in this dataset: 9: cat"),
        ({"novel": {"dog": 1}}, "do not belong together in this dataset: dog: 1"),
        ({"novel": ["cat"]}, "expected 'novel:' with 'id: name' lines"),
        ({"base": {0: "cat"}}, "expected 'novel:' with 'id: name' lines"),
        ({"novel": {}}, "no novel class"),
    ],
)
def test_a_pinned_file_of_another_dataset_is_refused(tmp_path, content, message):
    path = tmp_path / "split.yaml"
    path.write_text(yaml.safe_dump(content))
    assert message in error_of(CLASSES, {"file": str(path)})


def test_a_pinned_file_gives_its_classes(tmp_path):
    path = tmp_path / "split.yaml"
    path.write_text("novel: {4: tree, 1: dog}\n")
    assert make_split(CLASSES, {"file": str(path)}).novel == (1, 4)
    assert "both base and novel: dog" in error_of(CLASSES, {"file": str(path), "base": ["cat", "dog", "person"]})


def test_a_split_survives_its_file_which_can_be_pinned_in_turn(tmp_path):
    split = make_split(CLASSES, {"novel": ["sky-other", "cat"]})
    split.save(tmp_path / "split.yaml")
    assert Split.load(tmp_path / "split.yaml") == split
    assert make_split(CLASSES, {"file": str(tmp_path / "split.yaml")}) == split
    assert yaml.safe_load((tmp_path / "split.yaml").read_text())["base"] == {1: "dog", 2: "person", 4: "tree"}
    full = make_split(CLASSES, {"full": True})
    full.save(tmp_path / "full.yaml")
    assert Split.load(tmp_path / "full.yaml") == full
