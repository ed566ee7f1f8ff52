"""Class files, lists of names, and which file a name stands for."""

import json
import os
import shutil
import unicodedata

import pytest
from PIL import Image

from simformer.cli import main
from simformer.data.audit import audit
from simformer.data.folder import import_folder
from simformer.data.layout import decode_names, read_classes
from simformer.data.splits import make_split
from tests.faults.harness import OTHER_KINDS, TRAIN, audit_arguments, prepare_arguments, refused

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Kühe-é") for form in ("NFC", "NFD"))


BAD_CLASS_FILES = {
    "key twice": ('{"names": ["a", "b"], "names": ["c"]}', "key 'names' is given twice in one object; keep one"),
    "key twice, deeper": ('{"names": ["a"], "more": {"x": 1, "x": 2}}', "key 'x' is given twice"),
    "NaN": ('{"names": ["a"], "weight": NaN}', "NaN is no number of JSON"),
    "Infinity": ('{"names": ["a"], "weight": -Infinity}', "-Infinity is no number of JSON"),
    "empty": ("", "cannot be read as JSON"),
    "no value": ('{"names": }', "cannot be read as JSON (Expecting value: line 1 column 11"),
    "cut off": ('{"names": ["a", "b"', "cannot be read as JSON"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "a list": ('["a", "b"]', "no list of class names under 'names'"),
    "no names": ('{"classes": ["a"]}', "no list of class names under 'names'; expected {"),
    "an object of names": ('{"names": {"0": "a"}}', "no list of class names"),
    "number": ('{"names": ["a", 5]}', "class 1 is 5, no text; put every name in quotes"),
    "boolean": ('{"names": ["a", true]}', "class 1 is true, no text"),
    "null": ('{"names": [null]}', "class 0 is null, no text"),
    "nested list": ('{"names": ["a", ["b", "c"]]}', "class 1 is ['b', 'c'], no text"),
    "object": ('{"names": [{"id": 0, "name": "a"}]}', "class 0 is {'id': 0, 'name': 'a'}, no text"),
    "empty name": ('{"names": ["a", ""]}', "class 1 is '', which is empty; name every class"),
    "blank name": ('{"names": ["a", "  "]}', "class 1 is '  ', which is empty"),
    "space before": ('{"names": ["cow", " cow"]}', "class 1 is ' cow', with white space around it; remove it"),
    "space after": ('{"names": ["cow "]}', "class 0 is 'cow ', with white space around it"),
    "hard space": ('{"names": ["a\\u00a0b", "a b"]}', "classes 0 and 1 look alike: 'a\\xa0b' and 'a b'"),
    "two spaces": ('{"names": ["a  b", "a b"]}', "classes 0 and 1 look alike"),
    "two forms": ('{"names": ["\\u00e9", "e\\u0301"]}', "classes 0 and 1 look alike: '\\xe9' and 'e\\u0301'"),
    "ligature": ('{"names": ["\\ufb01eld", "field"]}', "look alike"),
    "newline": ('{"names": ["a\\nb"]}', "class 0 is 'a\\nb', with the invisible character '\\n'; remove it"),
    "tab": ('{"names": ["a\\tb"]}', "invisible character '\\t'"),
    "bell": ('{"names": ["a\\u0007"]}', "invisible character '\\x07'"),
    "line separator": ('{"names": ["a\\u2028b"]}', "invisible character '\\u2028'"),
    "zero width": ('{"names": ["cow", "c\\u200bow"]}', "invisible character '\\u200b'"),
    "right to left": ('{"names": ["\\u202ewoc"]}', "invisible character '\\u202e'"),
    "half a character": ('{"names": ["\\ud800"]}', "invisible character '\\ud800'"),
    "twice": ('{"names": ["a", "b", "a"]}', "class name given more than once: a (ids 0 and 2)"),
    "too many": (json.dumps({"names": [f"c{i}" for i in range(256)]}), "256 classes; at most 255 fit"),
    "other ignore": ('{"names": ["a"], "ignore_label": 0}', "ignore_label is 0; expected 255"),
}


@pytest.mark.parametrize("kind", BAD_CLASS_FILES)
def test_a_class_file_is_refused_in_one_line(source, tmp_path, capsys, kind):
    text, reason = BAD_CLASS_FILES[kind]
    (source / "classes.json").write_text(text)
    split = ["split", "--data", source, "--spec", '{"novel": ["cow"]}', "--output", tmp_path / "split.yaml"]
    refused(split, tmp_path, capsys, f"{source}/classes.json: ", reason)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_class_file_in_any_unicode_encoding_is_read(source, encoding):
    (source / "classes.json").write_text('{"names": ["Kühe", "क्‍ष", "👩‍🌾 farmer", "Cow", "cow"]}', encoding=encoding)
    assert read_classes(source) == ("Kühe", "क्‍ष", "👩‍🌾 farmer", "Cow", "cow")


def test_a_class_file_in_latin_1_is_refused(source, tmp_path, capsys):
    (source / "classes.json").write_bytes('{"names": ["Kühe"]}'.encode("latin-1"))
    refused(audit_arguments(source), tmp_path, capsys, "classes.json: cannot be read as JSON (no UTF-8 text, ")


def test_class_names_are_in_one_form_of_unicode(source):
    (source / "classes.json").write_text(json.dumps({"names": [DECOMPOSED, "b"]}))
    assert read_classes(source) == (COMPOSED, "b")


NAMES = {
    b"a\r\nb\r\n": ["a", "b"],
    b"a\rb": ["a", "b"],
    b"\xef\xbb\xbfa\nb": ["a", "b"],
    b"\ta \n\n  \nb": ["a", "b"],
    "a\u2028b\nc\x0bd\ne\x85f".encode(): ["a\u2028b", "c\x0bd", "e\x85f"],
    DECOMPOSED.encode(): [COMPOSED],
    "-a\n#b\nc d\n👩‍🌾\n.e".encode(): ["-a", "#b", "c d", "👩‍🌾", ".e"],
}


@pytest.mark.parametrize("data", NAMES)
def test_a_list_has_a_name_on_every_line(data):
    assert decode_names(data, "train.txt") == NAMES[data]


def test_a_list_in_another_encoding_is_refused(data, tmp_path, capsys):
    (data / "train.txt").write_text("train0\n", encoding="utf-16")
    refused(audit_arguments(data), tmp_path, capsys, "train.txt: cannot be read as UTF-8 text", "save it as UTF-8")


BAD_ENTRIES = {
    "train3.png": "listed image not found; a list has names without ending: write 'train3'",
    "TRAIN3": "there is 'train3.png', which is spelt in another way (upper and lower case, white space, quotes)",
    "'train3'": "there is 'train3.png', which is spelt in another way",
    "train\u00a03": "there is 'train3.png', which is spelt in another way",
    "train3,": "a list has one name per line, without commas",
    "train3, train4": "a list has one name per line, without commas",
    "train3;1": "without semicolons",
    "train3  1": "it is the name 'train3' with a second column, as in PASCAL VOC's lists of one class",
    "train3 -1": "a list has only names: write those of the images that you want",
    "train3\t1": "is not a plain name: it holds the invisible character '\\t'",
    "train3\u200b": "is not a plain name: it holds the invisible character '\\u200b'",
    "# a comment": "a list has no comments: remove this line",
    "images/train3": "'images/train3' is not a plain name; expected a file of images/ without folder and extension",
    "..": "'..' is not a plain name",
    "C:\\train3": "is not a plain name",
    "elsewhere": "listed image not found; the folder has 12 entries, such as 'test0.png'",
    "é" * 126: "has 252 bytes; expected a name of at most 250",
}


@pytest.mark.parametrize("entry", BAD_ENTRIES)
def test_an_entry_that_is_no_name_is_explained(data, tmp_path, capsys, entry):
    (data / "labels" / f"{entry.replace('/', '_')[:100]}.png").write_bytes((data / "labels/train3.png").read_bytes())
    lines = [name for name in TRAIN if name != "train3"]
    (data / "train.txt").write_text("\n".join([*lines, entry]) + "\n")
    refused(audit_arguments(data), tmp_path, capsys, BAD_ENTRIES[entry])


def test_a_name_in_two_forms_of_unicode_is_listed_twice(data, tmp_path, capsys):
    (data / "train.txt").write_text("\n".join([*TRAIN, COMPOSED, DECOMPOSED]) + "\n")
    for folder in ("images", "labels"):
        shutil.copy(data / folder / "train0.png", data / folder / f"{COMPOSED}.png")
    refused(audit_arguments(data), tmp_path, capsys, f"'{COMPOSED}' listed 2 times; keep one line")


@pytest.mark.parametrize("ending", [".JPG", ".jpeg", ".PNG", ".webp", ".tif", ".TIFF", ".bmp", ".gif"])
def test_common_endings_are_read_in_any_case(source, tmp_path, ending):
    old = source / "images/train2.png"
    Image.open(old).save(
        tmp_path / f"a{ending.lower()}", **({"lossless": True} if ending == ".webp" else {"quality": 90})
    )
    old.unlink()
    os.rename(tmp_path / f"a{ending.lower()}", source / f"images/train2{ending}")
    os.rename(source / "labels/train2.png", source / "labels/train2.PNG")
    import_folder(source, tmp_path / "out")
    index, _ = audit(tmp_path / "out", 1)
    assert (index.train[2].image, index.train[2].label) == (f"images/train2{ending}", "labels/train2.PNG")


NAMES_THAT_WORK = ("-rf", "two words", "Kühe", "👩‍🌾", "v1.2.final", "#1", "a,b", "100%", "{x}", "l" * 245, ".hidden")


@pytest.mark.parametrize("name", NAMES_THAT_WORK)
def test_unusual_names_go_all_the_way(source, tmp_path, capsys, name):
    for folder in ("images", "labels"):
        os.rename(source / folder / "train2.png", source / folder / f"{name}.png")
    (source / "train.txt").write_text("\n".join(name if n == "train2" else n for n in TRAIN) + "\n")
    data, out = tmp_path / "data", tmp_path / "out"
    steps = [
        prepare_arguments(source, data),
        audit_arguments(data, "index.json", "audit.json"),
        ["split", "--data", data, "--spec", '{"novel": ["cow"]}', "--output", out / "split.yaml"],
        ["mask_labels", "--data", data, "--index", data / "index.json"],
    ]
    steps[-1] += ["--split", out / "split.yaml", "--output", out / "masked"]
    for step in steps:
        assert main([str(part) for part in step]) == 0, capsys.readouterr().err
    assert (out / f"masked/labels/{name}.png").is_file()


def test_a_decomposed_file_belongs_to_a_composed_name(source, tmp_path):
    os.rename(source / "images/train2.png", source / f"images/{DECOMPOSED}.png")
    os.rename(source / "labels/train2.png", source / f"labels/{DECOMPOSED}.png")
    (source / "train.txt").write_text("\n".join([COMPOSED, *(n for n in TRAIN if n != "train2")]) + "\n")
    import_folder(source, tmp_path / "out")
    index, _ = audit(tmp_path / "out", 1)
    assert index.train[0].name == COMPOSED and index.train[0].image == f"images/{DECOMPOSED}.png"


@pytest.mark.parametrize("folder", ["images", "labels"])
@pytest.mark.parametrize("says", OTHER_KINDS)
def test_what_stands_where_a_file_is_listed_is_named_by_the_import_and_the_audit(
    source, data, tmp_path, capsys, says, folder
):
    for root, arguments in ((source, prepare_arguments(source, tmp_path / "out")), (data, audit_arguments(data))):
        (root / folder / "train1.png").unlink()
        OTHER_KINDS[says](root / folder / "train1.png")
        refused(arguments, tmp_path, capsys, f"{root}/{folder}/train1.png: ", says)


@pytest.mark.parametrize("ending", [".heic", ".avif", ".txt", ""])
def test_an_ending_that_is_not_read_is_named(source, tmp_path, capsys, ending):
    os.rename(source / "images/train1.png", source / f"images/train1{ending}")
    import_folder(source, tmp_path / "out")
    refused(audit_arguments(tmp_path / "out"), tmp_path, capsys, f"there is 'train1{ending}', whose ending is not read")


def test_a_label_map_with_another_ending_is_named(source, tmp_path, capsys):
    os.rename(source / "labels/train1.png", source / "labels/train1.jpg")
    import_folder(source, tmp_path / "out")
    refused(
        audit_arguments(tmp_path / "out"),
        tmp_path,
        capsys,
        "labels/train1.png: listed label map not found; there is 'train1.jpg', whose ending is not read: convert it",
    )


def test_two_images_of_one_name_but_for_the_ending(source, tmp_path, capsys):
    shutil.copy(source / "images/train1.png", source / "images/train1.PNG")
    import_folder(source, tmp_path / "out")
    refused(
        audit_arguments(tmp_path / "out"), tmp_path, capsys, "train1.PNG and ", "two images have one name; remove one"
    )


@pytest.mark.parametrize("piece", ["classes.json", "train.txt", "images"])
def test_a_piece_of_another_kind_is_named(data, tmp_path, capsys, piece):
    path = data / piece
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    os.mkfifo(path)
    refused(audit_arguments(data), tmp_path, capsys, f"missing {piece} (found a named pipe)")


def test_a_pipe_as_source(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.tar")
    refused(prepare_arguments(tmp_path / "pipe.tar", tmp_path / "out"), tmp_path, capsys, "pipe.tar: a named pipe")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{}", "give exactly one of novel, file, seed"),
        ("[]", "expected a mapping of keys to values"),
        ("null", "expected a mapping of keys to values"),
        ('{"ratio": [3, 1]}', "give exactly one of novel, file, seed"),
        ('{"novel": null}', "give exactly one of novel, file, seed"),
    ],
)
def test_a_split_without_a_specification(data, tmp_path, capsys, spec, says):
    arguments = ["split", "--data", data, "--spec", spec, "--output", tmp_path / "s.yaml"]
    refused(arguments, tmp_path, capsys, "--spec: ", says)


def test_a_novel_class_is_found_in_either_form_of_unicode():
    assert make_split((COMPOSED, "b"), {"novel": [DECOMPOSED]}).novel == (0,)
