"""Faults of a dataset as a whole: ids counted from 1, photographs in both subsets, classes that nothing shows."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from simformer.analysis.pages.audit_page import write_audit_page
from simformer.cli import main
from simformer.data.audit import audit
from simformer.data.audit_report import AuditReport
from simformer.data.images import read_label, write_label
from simformer.data.index import DatasetIndex
from simformer.data.splits import make_split
from tests.faults.harness import TEST, TRAIN, audit_arguments, refused


def relabel(data, table, names=(*TRAIN, *TEST)):
    """Replace ids by a table {old: new} in the label maps of images."""
    lookup = np.arange(256, dtype=np.uint8)
    lookup[list(table)] = list(table.values())
    for name in names:
        path = data / f"labels/{name}.png"
        write_label(path, lookup[read_label(path)])


def name_classes(data, *names):
    (data / "classes.json").write_text(json.dumps({"names": names}))


def notes_of(data):
    return audit(data, 1)[1].notes


@pytest.mark.parametrize("note", [True, False])
def test_the_line_names_what_the_dataset_was_made_from(source, tmp_path, capsys, note):
    data = tmp_path / "made"
    option = json.dumps({"kind": "folder", "path": str(source)})
    assert main(["prepare", "--source", option, "--output", str(data)]) == 0
    (data / "labels/train0.png").unlink()
    if not note:
        (data / ".prepared").write_text('{"origin": "of an older version", "files": ""}')
    made_from = f" (made from {source})" if note else ""
    how = f"; correct it in {source}, then `rm -r {data}` and" if note else f"; correct it in {data}, then"
    says = f"{data}{made_from}: 1 problem found in this dataset: ", f"{how} type the same command"
    refused(audit_arguments(data), tmp_path, capsys, *says)


FROM_ONE = {i: i + 1 for i in range(5)}

WRONG_IDS = {
    "from 1": (
        FROM_ONE,
        ["do your ids count from 1? ids seen: 1 (2", "5 (1", "; 5 is in ", "subtract 1 from every id"],
    ),
    "from 1, some absent": (FROM_ONE | {1: 255}, ["do your ids count from 1? ids seen: 1 (2", "has 5 names, for 0..4"]),
    "0 as background": (
        {2: 5},
        ["one id too many, ids seen: 0 (2", "does 0 mean no class? Then write 255 there", "or add the missing name"],
    ),
}


@pytest.mark.parametrize("kind", WRONG_IDS)
def test_ids_that_are_counted_in_another_way_are_one_line(data, tmp_path, capsys, kind):
    table, says = WRONG_IDS[kind]
    relabel(data, table)
    refused(audit_arguments(data), tmp_path, capsys, f"{data}/labels: ", *says)


def test_one_wrong_id_in_one_file_is_named_with_its_file(data, tmp_path, capsys):
    relabel(data, {3: 77}, ["train4"])
    refused(
        audit_arguments(data), tmp_path, capsys, "labels/train4.png: label ids out of range: 77; expected 0..4, or 255"
    )


def test_ids_from_1_are_suspected_where_the_last_class_is_absent(data, capsys):
    relabel(data, {0: 1})
    assert main(audit_arguments(data)) == 0
    assert "note: id 0 ('sky') never occurs; do your ids count from 1? 1 (4" in capsys.readouterr().err


def test_masks_of_0_and_255_are_suspected(data, tmp_path, capsys):
    relabel(data, {1: 255, 2: 255, 3: 0, 4: 0})
    name_classes(data, "background", "cow")
    notes = notes_of(data)
    assert "nothing but 0 and 255, and 255 means no class; if it should be 'cow', write 1 instead" in notes[0]
    assert notes[1:] == ("no training image shows 'cow'", "no test image shows 'cow'")


@pytest.mark.parametrize(("novel", "says"), [("cow", "the novel class 'cow' (id 1)"), ("background", "a base class")])
def test_a_split_of_masks_of_0_and_255_is_refused(data, tmp_path, capsys, novel, says):
    relabel(data, {1: 255, 2: 255, 3: 0, 4: 0})
    name_classes(data, "background", "cow")
    refused(masking(data, tmp_path, {"novel": [novel]}), tmp_path, capsys, f"split: no training image shows {says}")


def masking(data, folder, spec):
    """Audit, make a split, and return the arguments that hide its labels."""
    for arguments in (
        audit_arguments(data, "index.json", "audit.json"),
        ["split", "--data", data, "--spec", json.dumps(spec), "--output", folder / "split.yaml"],
    ):
        assert main([str(part) for part in arguments]) == 0
    files = ["--index", data / "index.json", "--split", folder / "split.yaml"]
    return ["mask_labels", "--data", data, *files, "--output", folder / "masked"]


@pytest.mark.parametrize("how", ["all pixels ignored", "shown by test images alone"])
def test_a_novel_class_that_no_training_image_shows_is_refused(data, tmp_path, capsys, how):
    relabel(data, {2: 255, 3: 255}, (*TRAIN, *TEST) if how == "all pixels ignored" else TRAIN)
    refused(
        masking(data, tmp_path, {"novel": ["cow", "sheep"]}),
        tmp_path,
        capsys,
        "split: no training image shows the novel classes 'cow' (id 2), 'sheep' (id 3), so nothing can be learnt",
        "choose other novel classes, or add images that show it to train.txt",
    )


def test_the_released_codes_labels_are_refused_too(data, tmp_path, capsys):
    relabel(data, {2: 255}, TRAIN)
    masking(data, tmp_path, {"novel": ["cow"]})
    full = ["split", "--data", data, "--spec", '{"full": true}', "--output", tmp_path / "full.yaml"]
    hide = ["mask_labels", "--data", data, "--index", data / "index.json", "--split", tmp_path / "full.yaml"]
    for arguments in (full, [*hide, "--output", tmp_path / "full"]):
        assert main([str(part) for part in arguments]) == 0
    crop = ["crop_labels", "--labels", tmp_path / "full/labels.json", "--split", tmp_path / "split.yaml"]
    refused([*crop, "--output", tmp_path / "crop"], tmp_path, capsys, "the novel class 'cow' (id 2)")


def test_a_base_class_that_nothing_shows_is_noted(data):
    relabel(data, {4: 255}, TRAIN)
    assert notes_of(data) == ("no training image shows 'barn'",)


def same_photograph(data, first, second, ending=".png"):
    """Make one image show what another shows, in a file of its own."""
    (data / f"images/{second}.png").unlink()
    Image.open(data / f"images/{first}.png").save(data / f"images/{second}{ending}", compress_level=1)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif"])
def test_a_photograph_in_both_subsets_is_refused(data, tmp_path, capsys, ending):
    same_photograph(data, "train5", "test2", ending)
    refused(
        audit_arguments(data),
        tmp_path,
        capsys,
        f"images/train5.png (train.txt) and images/test2{ending} (test.txt) are the same photograph",
        "remove one name from its list",
    )


def test_every_pair_is_named(data, capsys):
    for number in range(3):
        same_photograph(data, f"train{number}", f"test{number}")
    assert main(audit_arguments(data)) == 1
    assert len(re.findall(r"images/train\d.png \(train.txt\) and images/test\d.png", capsys.readouterr().err)) == 3


def test_a_few_of_many_are_noted(data, capsys):
    names = [f"more{number}" for number in range(60)]
    rng = np.random.default_rng(0)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(data / f"images/{name}.png")
        shutil.copy(data / "labels/test0.png", data / f"labels/{name}.png")
    (data / "test.txt").write_text("\n".join([*TEST, *names]))
    same_photograph(data, "train5", "test2")
    (note,) = notes_of(data)
    assert note.startswith("images/train5.png (train.txt) and images/test2.png (test.txt) are the same photograph")


@pytest.mark.parametrize(
    ("names", "list_name"), [(("train1", "train6"), "train.txt"), (("test0", "test3"), "test.txt")]
)
def test_a_photograph_twice_in_a_subset_is_noted(data, names, list_name):
    same_photograph(data, *names)
    assert notes_of(data) == (f"{list_name}: {' and '.join(names)} are the same photograph",)


def test_images_that_no_list_names_are_noted(data):
    (data / "train.txt").write_text("\n".join(TRAIN[:-2]))
    (data / "images/.hidden.png").write_bytes(b"")
    assert notes_of(data) == ("images in neither list: train6.png, train7.png",)


def test_notes_are_on_the_audit_page_and_in_the_report(data, tmp_path):
    relabel(data, {4: 255}, TRAIN)
    index, report = audit(data, 1)
    report.save(tmp_path / "report.json")
    assert AuditReport.load(tmp_path / "report.json") == report
    split = make_split(index.classes, {"novel": ["cow"]})
    write_audit_page(report, index, {"split1": split}, data, tmp_path / "audit.json")
    assert "To look at:\n\n- no training image shows 'barn'\n" in (tmp_path / "audit.md").read_text()
    assert json.loads((tmp_path / "audit.json").read_text())["notes"] == ["no training image shows 'barn'"]


def test_a_report_from_before_there_were_notes_is_read(data):
    content = json.loads((data / "audit.json").read_text())
    del content["notes"]
    (data / "audit.json").write_text(json.dumps(content))
    assert AuditReport.load(data / "audit.json").notes == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"classes": []}', "null"])
def test_a_report_that_is_none(data, tmp_path, capsys, text):
    split = make_split(DatasetIndex.load(data / "index.json").classes, {"novel": ["cow"]})
    split.save(tmp_path / "split1/split.yaml")
    (data / "audit.json").write_text(text)
    options = ["--index", data / "index.json", "--report", data / "audit.json", "--splits"]
    page = ["audit_page", "--data", data, *options, tmp_path / "split1/split.yaml", "--output", tmp_path / "a.json"]
    refused(page, tmp_path, capsys, "audit.json: not a report of an audit", "run the audit of this dataset again")


@pytest.mark.parametrize("text", ["{}", "classes: [a]", "novel: {0: a}\nclasses: 5", "novel: 3\nclasses: [a]"])
def test_a_split_file_that_is_none(data, tmp_path, capsys, text):
    (tmp_path / "split.yaml").write_text(text)
    files = ["--index", data / "index.json", "--split", tmp_path / "split.yaml"]
    mask = ["mask_labels", "--data", data, *files, "--output", tmp_path / "masked"]
    refused(mask, tmp_path, capsys, "split.yaml: not a resolved split", "delete it and run snakemake again")


@pytest.mark.parametrize("names", [[f"class {i}" for i in range(171)], ["$a$ " + "long " * 12 + "name", "$$", "a|b"]])
def test_the_picture_of_any_class_names_is_drawn_without_a_warning(data, tmp_path, names, recwarn):
    relabel(data, {2: 1, 3: 1, 4: 1})
    name_classes(data, *names)
    index, report = audit(data, 1)
    split = make_split(index.classes, {"novel": [names[1]]})
    write_audit_page(report, index, {"split1": split}, data, tmp_path / "audit.json")
    assert (tmp_path / "audit.png").stat().st_size > 10_000
    assert not [str(warning.message) for warning in recwarn if "layout" in str(warning.message)]
