"""Tags in tables: a plain CSV of both forms, Roboflow's `_classes.csv`; and folders per class."""

import zipfile

import pytest

from tests.foreign import halves, imported, photograph, photographs, png, refused, text


def options(tmp_path, table, form="csv", name="tags.csv", **kind):
    photographs(tmp_path / "photos", "a.jpg", "b.jpg", "Füße im Gras.jpg")
    return ["--images", tmp_path / "photos", "--tags", form, text(tmp_path / name, table, **kind)]


LISTS = {
    "commas in quotes": 'image,label\na.jpg,"cat, dog"\nb.jpg,cat\nFüße im Gras.jpg,\n',
    "a row per label": "image_path,label\na.jpg,cat\na.jpg,dog\nb.jpg,cat\nFüße im Gras.jpg,\n",
    "semicolons": 'Bild;tags\na.jpg;"cat;dog"\nb.jpg;cat\nFüße im Gras.jpg;\n',
    "tabs and bars": "file\tclasses\na\tcat|dog\nb\tcat\nFüße im Gras\t\n",
    "JSON": 'file,labels\na.jpg,"[""cat"", ""dog""]"\nb.jpg,"[""cat""]"\nFüße im Gras.jpg,[]\n',
    "Python": "file,labels\na.jpg,\"['cat', 'dog']\"\nb.jpg,['cat']\nFüße im Gras.jpg,[]\n",
    "JSON with a gap": 'file,labels\na.jpg,"[""cat"", null, ""dog""]"\nb.jpg,"[""cat""]"\nFüße im Gras.jpg,[null]\n',
    "Python with a gap": "file,labels\na.jpg,\"['cat', 'dog', None]\"\nb.jpg,['cat']\nFüße im Gras.jpg,[None]\n",
    "Windows": 'image,label\nC:\\p\\a.jpg,"cat,dog"\nC:\\p\\b.jpg,cat\nC:\\p\\Füße im Gras.jpg,\n',
    "a matrix": "image,cat,dog\na.jpg,1,1\nb.jpg,1,0\nFüße im Gras.jpg,0,0\n",
    "a matrix of words": "image, cat , dog\na.jpg,True,yes\nb.jpg,true,no\nFüße im Gras.jpg,False,0.0\n",
}


@pytest.mark.parametrize("case", LISTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_form(tmp_path, case, encoding):
    made = imported(tmp_path, *options(tmp_path, LISTS[case], encoding=encoding, newline="\r\n"))
    assert made.classes == made.tags_only == ["cat", "dog"]
    assert made.tags == {
        "a": {"cat": "1", "dog": "1"},
        "b": {"cat": "1", "dog": "0"},
        "Füße im Gras": {"cat": "0", "dog": "0"},
    }


def test_doubt_in_a_matrix(tmp_path):
    """An empty cell is unknown; an image of which nothing is known has no row; contradictions are unknown."""
    table = "image,cat,dog\na,,1\nb,,\nFüße im Gras,0,1\nFüße im Gras,1,\n"
    made = imported(tmp_path, *options(tmp_path, table))
    assert made.tags == {"a": {"cat": "", "dog": "1"}, "Füße im Gras": {"cat": "", "dog": "1"}}


def test_rows_that_contradict_each_other_are_noted(tmp_path, capsys):
    """The class is unknown, whatever a later row says."""
    table = "image,cat,dog\na,1,1\nb,1,0\na,0,1\nb,,0\na,1,\nFüße im Gras,0,1\n"
    made = imported(tmp_path, *options(tmp_path, table))
    assert made.tags["a"] == {"cat": "", "dog": "1"} and made.tags["b"] == {"cat": "1", "dog": "0"}
    note = "lines contradict each other, so it is unknown: 'cat' in a (lines 2, 4, 6)\n"
    assert f"note: {tmp_path / 'tags.csv'}: {note}" in capsys.readouterr().out


def test_unlisted_in_lists(tmp_path):
    made = imported(tmp_path, *options(tmp_path, LISTS["tabs and bars"]), "--unlisted", "unknown")
    assert made.tags == {"a": {"cat": "1", "dog": "1"}, "b": {"cat": "1", "dog": ""}}


def test_the_column_of_many(tmp_path):
    table = 'image,author,what\na,Ann,"cat,dog"\nb,Bob,cat\n'
    assert imported(tmp_path, *options(tmp_path, table), "--column", "what").tags["a"] == {"cat": "1", "dog": "1"}


BAD = {
    "no header": ("a.jpg,1,0\nb.jpg,0,1\n", "line 1 has no header: a.jpg is a photograph; write a line above it"),
    "no header, no ending": ("a,1,0\nb,0,1\n", "line 1 has no header: a is a photograph"),
    "no header, unknown states": ("a,1,\nb,0,1\n", "line 1 has no header: a is a photograph"),
    "no header of lists": ("a.jpg,cat\nb.jpg,dog\n", "line 1 has no header: a.jpg is a photograph"),
    "uncertain": ("image,cat,dog\na,-1,1\nb,1,-1.0\n", "2 cells are -1, the first in line 2; it means absent in some"),
    "empty": ("", "empty; expected `image,label`"),
    "no class": ("image\na\n", "its columns are image; expected `image,label`"),
    "two of one name": ("image,cat,cat\na,1,1\n", "tags.csv: column 'cat' is there twice; remove one, or rename it"),
    "no name": ("image,cat,,dog\na,1,1,0\n", "column 3 has no name; expected `image,label`"),
    "a very long cell": ("image,cat\na," + "x" * 900 + "\n", "is 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxx"),
    "many columns": ("image" + "".join(f",{i}" for i in range(99)) + ",\n", "column 101 has no name"),
    "no quotes": ("image,label\na.jpg,cat,dog\n", 'line 2 has 3 cells, the header 2; put lists in quotes: "cat,dog"'),
    "another value": ("image,cat,dog\na.jpg,1,maybe\n", "line 2: 'dog' is 'maybe'; expected 1 (present), 0 (absent)"),
    "an unknown photograph": ("image,label\nz.jpg,cat\na.jpg,cat\n", "1 of 2 images have no photograph in"),
    "one photograph twice": ("image,cat,dog\na.jpg,1,0\na,0,1\n", "'a.jpg' and 'a' both mean"),
    "open quotes": ('image,label\na.jpg,"cat\n', "line 2: unexpected end of data; do its quotes end?"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(tmp_path, capsys, case):
    table, message = BAD[case]
    assert message in refused(tmp_path, capsys, *options(tmp_path, table))


def test_bytes_and_columns_that_are_not_there(tmp_path, capsys):
    given = options(tmp_path, "image,label\nFüße im Gras.jpg,cat\n", encoding="latin-1")
    assert "cannot be read as UTF-8 text" in refused(tmp_path, capsys, *given)
    line = refused(tmp_path, capsys, *options(tmp_path, "image,label\na,cat\n"), "--column", "tag")
    assert "no column 'tag'; its columns are image, label; give one as --column" in line


@pytest.mark.parametrize("name", ["tags.xlsx", "tags.csv", "folder/tags.csv", "tags.zip"])
def test_a_file_of_a_spreadsheet_program(tmp_path, capsys, name):
    given = options(tmp_path, "", name=name)
    with zipfile.ZipFile(tmp_path / name, "w") as book:
        for member in ("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"):
            book.writestr(member, "<x/>")
    if "/" in name:
        given[-1] = tmp_path / "folder"
    line = refused(tmp_path, capsys, *given)
    assert f"{tmp_path / name}: an Excel file; save it as CSV UTF-8 and give that file" in line


def test_an_old_excel_file(tmp_path, capsys):
    given = options(tmp_path, "", name="tags.xls")
    given[-1].write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert "tags.xls: an Excel file; save it as CSV UTF-8" in refused(tmp_path, capsys, *given)


def test_an_archive_is_no_spreadsheet(tmp_path):
    given = options(tmp_path, "")
    given[-1] = tmp_path / "pixl.zip"
    with zipfile.ZipFile(given[-1], "w") as pack:
        pack.writestr("pixl/_rels/tags.csv", "image,cat\na,1\nb,0\n")
    assert imported(tmp_path, *given).tags == {"a": {"cat": "1"}, "b": {"cat": "0"}}


def test_a_first_column_that_is_called_like_a_photograph(tmp_path):
    photographs(tmp_path / "photos", "image.jpg")
    given = options(tmp_path, "image,cat,dog\na,1,0\nimage,0,1\n")
    assert imported(tmp_path, *given).tags["image"] == {"cat": "0", "dog": "1"}


def test_roboflow(tmp_path):
    root = tmp_path / "export"
    photographs(root, "train/a.rf.1a2b.jpg", "train/b.jpg", "valid/c.jpg", "test/d.jpg")
    text(root / "train/_classes.csv", "filename, Cat, Dog\na.rf.1a2b.jpg, 1, 0\nb.jpg, 1, 1\n")
    text(root / "valid/_classes.csv", "filename, Cat, Dog\nc.jpg, 0, 1\n")
    text(root / "test/_classes.csv", "filename, Cat, Dog\nd.jpg, 0, 0\n")
    made = imported(tmp_path, "--images", root, "--tags", "roboflow", root)
    assert made.classes == ["Cat", "Dog"] and made.tags["a.rf.1a2b"] == {"Cat": "1", "Dog": "0"}
    assert made.train == ["a.rf.1a2b", "b", "c"] and made.test == ["d"], "'valid' is for training if there is a 'test'"


def test_roboflow_refuses(tmp_path, capsys):
    given = options(tmp_path, "filename, cat\na.jpg, 2\n", "roboflow", "_classes.csv")
    assert "line 2: 'cat' is '2'; expected 1" in refused(tmp_path, capsys, *given)
    given[-1] = tmp_path / "photos"
    assert "no _classes.csv; expected an export 'Multi-Label Classification'" in refused(tmp_path, capsys, *given)


@pytest.mark.parametrize("subsets", [("", ""), ("train/", "val/")])
def test_folders(tmp_path, subsets):
    """Files of one name and different content are different photographs."""
    names = [f"{subsets[0]}cat/1.jpg", f"{subsets[0]}dog/1.jpg", f"{subsets[1]}dog/2.JPG"]
    root = photographs(tmp_path / "root", *names)
    photograph(root / names[1], 20, 20)
    made = imported(tmp_path, "--images", root, "--tags", "folders", root)
    one, other, two = ("__".join(name[:-4].split("/")) for name in names)
    assert made.tags == {one: {"cat": "1", "dog": "0"}, other: {"cat": "0", "dog": "1"}, "2": {"cat": "0", "dog": "1"}}
    assert two.endswith("2") and (not subsets[0] or made.test == ["2"])
    assert sorted(path.suffix for path in (made.root / "images").iterdir()) == [".JPG", ".jpg", ".jpg"]


@pytest.mark.parametrize("images", ["root", "photos"])
def test_a_photograph_in_two_class_folders_shows_both_classes(tmp_path, capsys, images):
    root = photographs(tmp_path / "root", "cat/1.jpg", "dog/1.jpg", "dog/2.jpg", "owl/3.jpg")
    photographs(tmp_path / "photos", "1.jpg", "2.jpg", "3.jpg")
    png(tmp_path / "maps/1.png", halves(0, 1))
    masks = ["--masks", "ids", tmp_path / "maps", "--names", text(tmp_path / "names.txt", "sky\nsea\n")]
    made = imported(
        tmp_path, "--images", tmp_path / images, *masks, "--tags", "folders", root, "--test", text(tmp_path / "t", "2")
    )
    told = capsys.readouterr().out
    assert {name: "".join(states[c] for c in ("cat", "dog", "owl")) for name, states in made.tags.items()} == {
        "1": "110", "2": "010", "3": "001"
    }  # fmt: skip
    assert "1 photographs lie in several class folders, and show all these classes: cat/1.jpg" in told
    assert "leaves out" not in told and made.names("1") == ["sky", "sea"]


def test_two_pictures_in_class_folders_that_mean_one_photograph(tmp_path, capsys):
    root = photographs(tmp_path / "root", "cat/1.jpg", "dog/1.jpg")
    photograph(root / "dog/1.jpg", 20, 20)
    given = ["--images", photographs(tmp_path / "photos", "1.jpg"), "--tags", "folders", root]
    line = refused(tmp_path, capsys, *given)
    assert "'cat/1.jpg' and 'dog/1.jpg' both mean" in line
    assert "but their contents differ; give the folder above both with --images" in line


def test_two_photographs_of_one_stem_in_a_folder(tmp_path, capsys):
    given = options(tmp_path, "image,cat\na,1\nb,0\n")
    photographs(tmp_path / "photos", "a.png")
    line = refused(tmp_path, capsys, *given)
    assert "'a' may be a.jpg, a.png of" in line and line.endswith("; remove or rename one of the two\n")


def test_folders_refuse(tmp_path, capsys):
    root = photographs(tmp_path / "root", "1.jpg")
    line = refused(tmp_path, capsys, "--images", root, "--tags", "folders", root)
    assert "no folders with images; expected <class>/<image>" in line
    photographs(root, "cat/1.jpg")
    assert "0 folders around this image" in refused(tmp_path, capsys, "--images", root, "--tags", "folders", root)
