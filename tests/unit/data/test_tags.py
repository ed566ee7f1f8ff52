"""Classes without masks: what tags.csv says, what is refused, and what the wall makes of it."""

import json
import re
from dataclasses import replace

import pytest

from simformer.config.sources import FolderSource, SceneSettings
from simformer.data.audit import audit
from simformer.data.finished import is_finished, is_of_another_source
from simformer.data.images import read_label, write_label
from simformer.data.index import DatasetIndex
from simformer.data.labels import LabelSet
from simformer.data.masking import image_labels, mask_labels
from simformer.data.prepare import prepare
from simformer.data.scenes import generate_scenes
from simformer.data.splits import make_split
from simformer.errors import UserError
from tests.tagged import delete_masks


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A small dataset with all masks."""
    root = tmp_path_factory.mktemp("drawn") / "data"
    generate_scenes(root, SceneSettings(size=48, train=8, test=3))
    return root


@pytest.fixture(scope="module")
def classes(drawn):
    return audit(drawn, 1)[0].classes


@pytest.fixture
def only(classes):
    """The two classes that lose their masks."""
    return classes[2], classes[5]


@pytest.fixture
def root(drawn, only, tmp_path):
    """The dataset with tags instead of their masks."""
    return delete_masks(drawn, tmp_path / "tagged", only)


def edit(root, change):
    path = root / "tags.csv"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def refused(root) -> str:
    with pytest.raises(UserError) as caught:
        audit(root, 1)
    return str(caught.value)


def declare(root, **keys):
    path = root / "classes.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def test_tags_take_the_place_of_masks_to_the_letter(drawn, root, only, classes, tmp_path):
    drawn_index, tagged_index = audit(drawn, 1)[0], audit(root, 1)[0]
    assert tagged_index.tags_only == tuple(sorted(map(classes.index, only)))
    assert tagged_index.hash == drawn_index.hash
    assert [r.labels for r in tagged_index.train] == [r.labels for r in drawn_index.train]
    split = make_split(classes, {"novel": list(only)})
    sets = [mask_labels(d, i, split, tmp_path / d.name) for d, i in ((drawn, drawn_index), (root, tagged_index))]
    assert sets[0].hash == sets[1].hash
    written = [(s.root / "labels.json").read_bytes() for s in sets]
    assert written[0] == written[1]
    assert image_labels(drawn_index, tmp_path / "a").hash == image_labels(tagged_index, tmp_path / "b").hash


def test_a_dataset_with_all_masks_writes_what_it_did_before(drawn, classes, tmp_path):
    index, _ = audit(drawn, 1)
    index.save(tmp_path / "index.json")
    masked = mask_labels(drawn, index, make_split(classes, {"novel": list(classes[1:3])}), tmp_path / "masked")
    for path in (tmp_path / "index.json", masked.root / "labels.json"):
        assert "unknown" not in path.read_text()
        assert "tags_only" not in path.read_text()


def test_an_empty_cell_and_a_missing_row_are_unknown_not_absent(drawn, only, classes, tmp_path):
    first, second = sorted(map(classes.index, only))
    root = delete_masks(drawn, tmp_path / "data", only, lambda image, name, shown: "" if image[-1] in "01" else "0")
    edit(root, lambda text: "".join(line for line in text.splitlines(True) if "00002," not in line))
    index, report = audit(root, 1)
    unknown = {record.name[-1]: record.unknown for record in index.train}
    assert unknown["0"] == unknown["1"] == unknown["2"] == (first, second)
    assert all(unknown[key] == () for key in unknown if key not in "012")
    assert not any({first, second} & set(record.labels) for record in index.train)
    assert f"'{classes[first]}' has no masks: present in 0, absent in 5, unknown in 3 training images" in report.notes
    index.save(tmp_path / "index.json")
    assert DatasetIndex.load(tmp_path / "index.json") == index
    labels = image_labels(index, tmp_path / "labels")
    assert [image.unknown for image in labels.images] == [record.unknown for record in index.train]
    assert LabelSet.load(tmp_path / "labels" / "labels.json") == labels


def test_a_drawn_class_with_a_column_is_unknown_where_nobody_has_drawn_it(drawn, root, only, classes):
    """Photographs with tags alone stand beside those with masks: an empty label map does not say 'absent' there."""
    name = next(name for k, name in enumerate(classes) if name not in only and 3 < audited(root).count(k) < 8)
    before = {record.name: record for record in audit(root, 1)[0].train}
    k = classes.index(name)

    def column(line, record):
        return f"{line},{name if record is None else '' if k in record.labels else '0'}\n"

    def known(text):
        lines = text.splitlines()
        return column(lines[0], None) + "".join(column(line, before.get(line.split(",")[0])) for line in lines[1:])

    edit(root, known)
    assert audit(root, 1)[0].hash == audit(drawn, 1)[0].hash, "0 where it is not drawn says what the label map says"
    lacks = next(record.name for record in before.values() if k not in record.labels)
    edit(root, lambda text: re.sub(f"^({lacks},.*,)0$", r"\1", text, flags=re.M))
    index, report = audit(root, 1)
    assert {record.name: record.unknown for record in index.train if record.unknown} == {lacks: (k,)}
    assert any(note.startswith(f"'{name}' is drawn in ") and "unknown in 1 " in note for note in report.notes)


def audited(root) -> list[int]:
    """Ids of all classes of all training images."""
    return [k for record in audit(root, 1)[0].train for k in record.labels]


def test_an_image_that_shows_nothing_but_tagged_classes_is_kept(root, only, classes):
    path = root / "labels" / "train_00003.png"
    write_label(path, read_label(path) * 0 + 255)
    edit(root, lambda text: re.sub("train_00003,.*", "train_00003,1,0", text))
    edit(root, lambda text: re.sub("train_00004,.*", "train_00004,0,", text))
    other = root / "labels" / "train_00004.png"
    write_label(other, read_label(other) * 0 + 255)
    index, report = audit(root, 1)
    assert {r.name: r.labels for r in index.train}["train_00003"] == (classes.index(only[0]),)
    assert report.train.dropped == ("train_00004",)


def test_quotes_byte_order_marks_blanks_and_windows_line_ends_are_read(root):
    before = audit(root, 1)[0]
    text = (root / "tags.csv").read_text()
    quoted = "\r\n".join(",".join(f'"{cell}" ' if cell else "" for cell in row.split(",")) for row in text.splitlines())
    (root / "tags.csv").write_bytes(b"\xef\xbb\xbf" + quoted.replace('" ', '"').encode() + b"\r\n \r\n")
    assert audit(root, 1)[0] == before


FAULTS = {
    "unknown class": (
        lambda text, only: text.replace(only[0], "kow", 1),
        "tags.csv: unknown class 'kow'; the classes are",
    ),
    "no header": (lambda text, only: text.split("\n", 1)[1], "begins with 'train_00000'; expected a line 'image,"),
    "empty": (lambda text, only: "", "tags.csv: is empty; expected a line"),
    "column twice": (lambda text, only: text.replace(only[1], only[0], 1), "two columns '"),
    "column missing": (
        lambda text, only: "\n".join(line.rsplit(",", 1)[0] for line in text.splitlines()),
        "which classes.json lists under tags_only; add one with 1",
    ),
    "unknown image": (lambda text, only: text + "x,1,0\n", "line 10: 'x' is in neither train.txt nor test.txt"),
    "ending": (
        lambda text, only: text.replace("train_00000", "train_00000.png"),
        "line 2: 'train_00000.png' is in neither train.txt nor test.txt; names have no ending: write 'train_00000'",
    ),
    "image twice": (lambda text, only: text + "train_00000,1,0\n", "line 10: 'train_00000' is in line 2 too"),
    "no state": (lambda text, only: text + "test_00000,maybe,0\n", "is 'maybe'; expected 1 (present), 0 (absent) or"),
    "cells": (lambda text, only: text + "test_00000,1\n", "line 10: 2 cells, but 3 columns"),
}


@pytest.mark.parametrize(("change", "message"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_table_is_refused(root, only, change, message):
    edit(root, lambda text: change(text, only))
    assert message in refused(root)


def test_a_faulty_declaration_is_refused(root, classes, only):
    declare(root, tags_only=["kow"])
    assert "classes.json: tags_only: unknown class 'kow'" in refused(root)
    declare(root, tags_only=[only[0], only[0]])
    assert f"tags_only: '{only[0]}' given twice" in refused(root)
    declare(root, tags_only="cow")
    assert "tags_only is no list of names" in refused(root)
    declare(root, tags_only=list(classes))
    assert "tags_only names every class" in refused(root)
    declare(root, tags_only=list(only))
    (root / "tags.csv").unlink()
    assert "tags.csv: not there, but classes.json says under tags_only that" in refused(root)


def test_masks_and_tags_must_agree(drawn, root, only, classes):
    novel = classes.index(only[0])
    shows = next(r for r in audit(drawn, 1)[0].train if novel in r.labels)
    kept = (root / shows.label).read_bytes()
    (root / shows.label).write_bytes((drawn / shows.label).read_bytes())
    assert f"{shows.name}.png: shows '{only[0]}', which classes.json lists under tags_only; write 255" in refused(root)
    (root / shows.label).write_bytes(kept)

    base = next(k for k in shows.labels if classes[k] not in only)
    absent = next(k for k in range(len(classes)) if k not in shows.labels and classes[k] not in only)
    text = (root / "tags.csv").read_text()
    for k, cell, message in ((base, "0", "shows '{}', but line"), (absent, "1", "does not show '{}', but line")):
        head, *rows = text.splitlines()
        more = [f"{head},{classes[k]}", *(f"{row},{cell if row.startswith(shows.name) else ''}" for row in rows)]
        (root / "tags.csv").write_text("\n".join(more))
        assert message.format(classes[k]) in refused(root)


def test_test_images_may_have_masks_of_these_classes_or_none_at_all(drawn, root, only, classes, tmp_path):
    report = audit(root, 1)[1]
    assert not any("no test image has a mask" in note for note in report.notes if "any mask" in note)
    some = delete_masks(drawn, tmp_path / "some", only, subsets=("train.txt", "test.txt"))
    index, report = audit(some, 1)
    assert any(note.startswith("no test image has a mask of '") for note in report.notes)
    assert len(index.test) == 3
    none = delete_masks(drawn, tmp_path / "none", only)
    for path in (none / "labels").glob("test_*.png"):
        write_label(path, read_label(path) * 0 + 255)
    index, report = audit(none, 1)
    assert [r.labels for r in index.test] == [(), (), ()]
    assert any("nothing can be scored" in note for note in report.notes)


def test_a_split_must_make_every_class_without_masks_novel(root, only, classes, tmp_path):
    index, _ = audit(root, 1)
    with pytest.raises(UserError, match=rf"split: '{only[1]}' would be base, but has no masks .* write novel: \["):
        mask_labels(root, index, make_split(classes, {"novel": [only[0]]}), tmp_path / "labels")
    with pytest.raises(UserError, match="all masks are needed, but there are none of .*FullyOracle"):
        mask_labels(root, index, make_split(classes, {"full": True}), tmp_path / "labels")
    more = next(k for k in index.train[0].labels if classes[k] not in only)
    mask_labels(root, index, make_split(classes, {"novel": [*only, classes[more]]}), tmp_path / "labels")
    nowhere = replace(index, train=tuple(replace(r, labels=r.labels[:1]) for r in index.train))
    with pytest.raises(UserError, match="no training image shows the novel class"):
        mask_labels(root, nowhere, make_split(classes, {"novel": list(only)}), tmp_path / "labels")


def test_an_import_brings_the_tags_along_and_a_later_one_without_removes_them(drawn, root, tmp_path):
    place = tmp_path / "prepared"
    source = FolderSource(kind="folder", path=str(root))
    prepare(source, {}, place, 1)
    assert (place / "tags.csv").read_bytes() == (root / "tags.csv").read_bytes()
    before = audit(place, 1)[0]
    edit(root, lambda text: re.sub(r"(train_00001),\d", r"\1,", text))
    prepare(source, {}, place, 1)
    assert audit(place, 1)[0] != before
    prepare(FolderSource(kind="folder", path=str(drawn)), {}, place, 1)
    assert not (place / "tags.csv").exists()
    assert audit(place, 1)[0] == audit(drawn, 1)[0]


def test_a_changed_table_makes_a_prepared_dataset_unfinished(root, tmp_path):
    place = tmp_path / "prepared"
    prepare(FolderSource(kind="folder", path=str(root)), {}, place, 1)
    origin = json.loads((place / ".prepared").read_text())["origin"]
    assert is_finished(place, origin)
    assert not is_of_another_source(place, FolderSource(kind="folder", path=str(root)))
    assert is_of_another_source(place, FolderSource(kind="folder", path=f"{root}/other"))
    edit(place, lambda text: text + "\n")
    assert not is_finished(place, origin)
