"""Hugging Face's ImageFolder: metadata in three forms, label maps, lists and numbers of classes, unsafe paths."""

import json

import pytest

from tests.foreign import halves, imported, photographs, png, refused, text

ROWS = [
    {"file_name": "a.jpg", "mask_file_name": "masks/a.png", "labels": ["Kuh", "Gras"]},
    {"file_name": "sub/b.jpg", "mask_file_name": "masks/b.png", "labels": []},
    {"file_name": "c.jpg", "mask_file_name": None, "labels": ["Kuh"]},
    {"file_name": "d.jpg", "mask_file_name": None, "labels": None},
]


def write(path, rows, ending):
    """Write a table as the library reads it."""
    if ending == "jsonl":
        return text(path / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows), "utf-8-sig")
    if ending == "csv":
        cells = [[json.dumps(v) if isinstance(v, list) else v or "" for v in row.values()] for row in rows]
        lines = [",".join('"' + str(cell).replace('"', '""') + '"' for cell in row) for row in cells]
        return text(path / "metadata.csv", "\n".join([",".join(rows[0]), *lines]))
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path / "metadata.parquet")
    return path / "metadata.parquet"


def folder(tmp_path, rows=ROWS, ending="jsonl"):
    root = tmp_path / "data"
    photographs(root, "a.jpg", "sub/b.jpg", "c.jpg", "d.jpg")
    png(root / "masks/a.png", halves(0, 1))
    png(root / "masks/b.png", halves(1, 1))
    write(root, rows, ending)
    return ["--images", root]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_masks_and_labels(tmp_path, ending):
    given = folder(tmp_path, ending=ending)
    names = text(tmp_path / "id2label.json", {"0": "Gras", "1": "Himmel"})
    root = given[-1]
    made = imported(
        tmp_path,
        *given,
        "--masks",
        "hugging-face",
        root,
        "--names",
        names,
        "--tags",
        "hugging-face",
        root,
    )
    assert made.classes == ["Gras", "Himmel", "Kuh"] and made.tags_only == ["Kuh"]
    assert made.names("a") == ["Gras", "Himmel"] and made.names("c") == [None, None]
    assert {name: states["Kuh"] for name, states in made.tags.items()} == {"a": "1", "b": "0", "c": "1"}
    assert sorted(made.train + made.test) == ["a", "b", "c"], "of d, nothing is known"


@pytest.mark.parametrize(("ending", "labels"), [("jsonl", (1, 0)), ("csv", ("1", "0")), ("csv", ("dog", "cat"))])
def test_one_class_as_text_or_number_in_folders_of_subsets(tmp_path, ending, labels):
    """A table of CSV has no numbers: what looks like an id is one."""
    root = photographs(tmp_path / "data", "train/1.jpg", "test/1.jpg")
    for subset, label in zip(("train", "test"), labels, strict=True):
        write(root / subset, [{"file_name": "1.jpg", "label": label}], ending)
    names = text(tmp_path / "names.txt", "cat\ndog\n")
    made = imported(tmp_path, "--images", root, "--tags", "hugging-face", root, "--names", names)
    assert made.train == ["train__1"] and made.test == ["test__1"]
    assert made.tags == {"test__1": {"dog": "0", "cat": "1"}, "train__1": {"dog": "1", "cat": "0"}}


@pytest.mark.parametrize("path", ["/etc/a.jpg", "../a.jpg", "x/../../a.jpg", r"C:\a.jpg", r"..\a.jpg"])
@pytest.mark.parametrize("kind", ["file_name", "mask_file_name"])
def test_paths_that_lead_out_of_the_folder(tmp_path, capsys, path, kind):
    given = folder(tmp_path, [{"file_name": "a.jpg", "mask_file_name": "masks/a.png"} | {kind: path}])
    names = text(tmp_path / "names.txt", "cat\ndog\n")
    line = refused(tmp_path, capsys, *given, "--masks", "hugging-face", given[-1], "--names", names)
    assert "metadata.jsonl: line 1: path" in line and "expected one below the folder of the table" in line


BAD = {
    "no JSON": ("{", "metadata.jsonl: line 1: cannot be read as JSON"),
    "a list": ("[1]\n", "line 1 is [1]; expected an object with `file_name`"),
    "no file name": ('{"labels": []}', "expected an object with `file_name`"),
    "no labels": ('{"file_name": "a.jpg", "text": "a cow"}', "no `labels` in text; give the key of the classes"),
    "numbers without names": ('{"file_name": "a.jpg", "label": 3}', "class 3; expected a name, or an id with --names"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(tmp_path, capsys, case):
    content, message = BAD[case]
    given = folder(tmp_path)
    text(given[-1] / "metadata.jsonl", content)
    assert message in refused(tmp_path, capsys, *given, "--tags", "hugging-face", given[-1])


def test_masks_that_are_not_there(tmp_path, capsys):
    given = folder(tmp_path, [{"file_name": "a.jpg", "mask_file_name": "masks/z.png"}])
    given += ["--masks", "hugging-face", given[-1], "--names", text(tmp_path / "names.txt", "cat\ndog\n")]
    assert "masks/z.png, the `mask_file_name`; add it" in refused(tmp_path, capsys, *given)
    text(given[1] / "metadata.jsonl", '{"file_name": "a.jpg"}')
    assert "no value of `mask_file_name`" in refused(tmp_path, capsys, *given)
    (given[1] / "metadata.jsonl").unlink()
    assert "no metadata; expected metadata.jsonl, .csv or .parquet" in refused(tmp_path, capsys, *given)


def test_parquet_says_what_it_needs(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    given = folder(tmp_path)
    (given[-1] / "metadata.jsonl").rename(given[-1] / "metadata.parquet")
    line = refused(tmp_path, capsys, *given, "--tags", "hugging-face", given[-1])
    assert "metadata.parquet: parquet needs pyarrow; type: pip install -c envs/constraints.txt -e '.[parquet]'" in line


def test_two_columns_of_one_name(tmp_path, capsys):
    photographs(tmp_path / "photos", "a.jpg")
    table = text(tmp_path / "metadata.csv", "file_name,label,label\na.jpg,cat,dog\n")
    line = refused(tmp_path, capsys, "--images", tmp_path / "photos", "--tags", "hugging-face", table)
    assert "metadata.csv: column 'label' is there twice; remove one, or rename it" in line
