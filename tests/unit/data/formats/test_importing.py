"""What all formats share: sources together, classes, test images, what is written and said; nothing is half made."""

import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest

from simformer.cli import main
from simformer.data.audit import audit
from simformer.data.folder import import_folder
from simformer.data.formats.photographs import Photographs
from simformer.data.formats.registry import FORMATS
from simformer.data.formats.text_files import open_source
from simformer.text.plain_yaml import load_plain
from tests.foreign import halves, imported, photograph, photographs, png, refused, text

TAGS = "image,cow,sky\na,1,1\nb,0,1\nc,1,0\nd,,1\n"


def mixed(tmp_path, *names, tags=TAGS):
    """Photographs a to d; masks of sky and sea for a and b; a table of tags for all."""
    photographs(tmp_path / "photos", *(f"{name}.jpg" for name in names or "abcd"))
    png(tmp_path / "maps/a.png", halves(0, 255))
    png(tmp_path / "maps/b.png", halves(1, 1))
    classes, table = text(tmp_path / "names.txt", "sky\nsea\n"), text(tmp_path / "tags.csv", tags)
    masks = ["--masks", "ids", tmp_path / "maps", "--names", classes]
    return ["--images", tmp_path / "photos", *masks, "--tags", "csv", table]


def test_masks_and_tags_together(tmp_path, capsys):
    made = imported(tmp_path, *mixed(tmp_path), "--test", text(tmp_path / "test.txt", "b.jpg\r\n"))
    assert made.classes == ["sky", "sea", "cow"] and made.tags_only == ["cow"]
    assert made.train == ["a", "c", "d"] and made.test == ["b"]
    assert made.tags == {
        "a": {"sky": "1", "sea": "0", "cow": "1"},
        "b": {"sky": "", "sea": "1", "cow": "0"},
        "c": {"sky": "0", "sea": "", "cow": "1"},
    }
    assert [np.unique(made.label(name)).tolist() for name in "abcd"] == [[0, 255], [1], [255], [255]]
    told = capsys.readouterr().out
    assert "out: 4 images (3 for training, 1 for testing), 3 classes\n" in told
    assert "images with masks: 2; with tags only: 2\n" in told
    assert "tags: 12, of which 5 are unknown\n" in told
    assert "without masks in training images: cow (present in 2 images, absent in 1, unknown in 1)" in told
    assert "'sky' is drawn in 1 training image (a), but not in 1 other image where tags say that it is: " in told
    assert "so it is unknown in them: 'sky' in 1 image (d)" in told


def test_the_yaml_can_be_put_into_a_study(tmp_path, capsys):
    imported(tmp_path, *mixed(tmp_path), "--rename", 'cow=cow, "spotted": no')
    blocks = re.split(r"config/[\w/]+\.yaml.*:\n", capsys.readouterr().out)[1:]
    dataset, study = map(load_plain, blocks)
    assert dataset["source"] == {"kind": "folder", "path": str((tmp_path / "out").resolve())}
    assert study["datasets"]["out"]["splits"] == {1: {"novel": ['cow, "spotted": no']}}


def test_photographs_with_tags_alone_stand_beside_those_with_masks(tmp_path, capsys):
    """Where nobody has drawn a class it is unknown, unless a tag says that it is absent; an audit reads it so."""
    made = imported(tmp_path, *mixed(tmp_path), "--test", text(tmp_path / "test.txt", "b\n"))
    import_folder(made.root, tmp_path / "data")
    index, _ = audit(tmp_path / "data", 1)
    sky, sea, cow = range(3)
    records = {record.name: record for record in index.train}
    assert records["a"].labels == (sky, cow) and records["a"].unknown == ()
    assert records["c"].labels == (cow,) and records["c"].unknown == (sea,)
    assert set(records) == {"a", "c"}, "of d nothing is known"


def test_the_result_is_a_dataset(tmp_path):
    """What masks alone give passes the audit and is imported like any folder."""
    for name in "ab":
        photograph(tmp_path / f"photos/{name}.jpg", 40, 50)
        png(tmp_path / f"maps/{name}.png", np.arange(2000, dtype=np.uint8).reshape(40, 50) % 2)
    names = text(tmp_path / "names.txt", "sky\nsea\n")
    made = imported(tmp_path, "--images", tmp_path / "photos", "--masks", "ids", tmp_path / "maps", "--names", names)
    import_folder(made.root, tmp_path / "data")
    index, _ = audit(tmp_path / "data", 1)
    assert index.classes == ("sky", "sea") and len(index.train) == len(index.test) == 1


def test_masks_of_novel_classes_in_test_images_alone(tmp_path):
    """They are for scoring: a class that no training mask shows has tags, and the test image's mask says more."""
    png(tmp_path / "maps/c.png", halves(0, 2))
    options = mixed(tmp_path)
    text(tmp_path / "names.txt", "sky\nsea\ncow\n")
    made = imported(tmp_path, *options, "--test", text(tmp_path / "test.txt", "c"), "--rename", "sky=Himmel")
    assert made.tags_only == ["cow"] and made.names("c") == ["Himmel", "cow"]
    assert made.tags["a"]["cow"] == "1" and made.tags["c"]["cow"] == "1"


def test_classes_can_be_chosen_ordered_and_joined(tmp_path):
    options = mixed(tmp_path, tags="image,cow,calf,sky\na,1,0,1\nb,0,0,1\nc,0,1,0\nd,,0,1\n")
    made = imported(tmp_path, *options, "--rename", "calf=cow", "--classes", "cow", "sea", "--test", "0.5")
    assert made.classes == ["cow", "sea"] and made.names("a") == [None, None] and made.names("b") == ["sea", "sea"]
    assert [made.tags[name]["cow"] for name in "abc"] == ["1", "0", "1"] and "d" not in made.tags


def test_two_sources_of_tags(tmp_path):
    """Each says what it knows; where they contradict each other, nothing is known."""
    options = mixed(tmp_path)
    more = text(tmp_path / "more.csv", "image,cow,pig\na,0,1\nd,1,0\n")
    made = imported(tmp_path, *options, "--tags", "csv", more, "--test", "0.5")
    assert {name: (states["cow"], states["pig"]) for name, states in made.tags.items()} == {
        "a": ("", "1"),
        "b": ("0", ""),
        "c": ("1", ""),
        "d": ("1", "0"),
    }


def test_sources_of_tags_that_contradict_each_other_are_noted(tmp_path, capsys):
    """The class is unknown, in whatever order the sources are given, and whatever a third one says."""
    options = mixed(tmp_path)
    one, two = (text(tmp_path / f"{k}.csv", f"image,cow,pig\na,{k},\nd,1,0\n") for k in (0, 1))
    for number, more in enumerate([(one, two), (two, one), (one, one)]):
        tags = [word for path in more for word in ("--tags", "csv", path)]
        made = imported(tmp_path / str(number), *options, *tags, "--test", "0.5")
        assert made.tags["a"]["cow"] == "" and made.tags["d"]["cow"] == "1"
        assert (
            "note: sources of tags contradict each other, so it is unknown: 'cow' in a.jpg\n" in capsys.readouterr().out
        )


def test_test_images_are_drawn_by_their_names(tmp_path):
    names = [f"{i:03d}" for i in range(40)]
    photographs(tmp_path / "photos", *(f"{name}.jpg" for name in names))
    for name in names:
        png(tmp_path / f"maps/{name}.png", halves(0, 1))
    classes = text(tmp_path / "names.txt", "sky\nsea\n")
    options = ["--images", tmp_path / "photos", "--masks", "ids", tmp_path / "maps", "--names", classes]
    first = imported(tmp_path / "1", *options)
    (tmp_path / "maps" / f"{first.train[0]}.png").unlink()
    assert len(first.test) == 8 and set(imported(tmp_path / "2", *options, "--test", "20%").test) == set(first.test)
    assert len(imported(tmp_path / "3", *options, "--test", "0.5", "--workers", "2").test) == 20


def test_files_are_copied_where_links_cannot_be_made(tmp_path, monkeypatch):
    def other_device(*_, **__):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_device)
    made = imported(tmp_path, *mixed(tmp_path))
    assert (made.root / "images/a.jpg").read_bytes() == (tmp_path / "photos/a.jpg").read_bytes()


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    options = mixed(tmp_path)
    before = sorted(os.listdir(tmp_path))

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("simformer.data.formats.write.write_lists", stop)
        assert main(["import", *map(str, options), "--output", str(tmp_path / "out")]) == 130
    assert sorted(os.listdir(tmp_path)) == before
    assert imported(tmp_path, *options).classes == ["sky", "sea", "cow"]


def test_a_folder_that_holds_files_is_left_alone(tmp_path, capsys):
    options = mixed(tmp_path)
    text(tmp_path / "out/thesis.txt", "years of work")
    line = refused(tmp_path, capsys, *options)
    assert "out: this folder holds files; name another --output, or remove it" in line
    assert (tmp_path / "out/thesis.txt").read_text() == "years of work"
    (tmp_path / "out/thesis.txt").unlink()
    assert imported(tmp_path, *options).train, "an empty folder is taken"


BAD = {
    "an unknown format": (["--tags", "vco", "photos"], "--tags vco: no such format of tags; did you mean 'voc'?"),
    "tags as masks": (["--masks", "csv", "tags.csv"], "--masks csv: no such format of masks; it has tags alone"),
    "no such source": (["--tags", "csv", "nowhere.csv"], "nowhere.csv: not found"),
    "a tar": (["--tags", "csv", "a.tar"], "a.tar: a tar archive; unpack it"),
    "an unknown class": (
        ["--classes", "skyy"],
        "--classes skyy: no such class; did you mean 'sky'? There are: cow, sea, sky",
    ),
    "an unknown old name": (["--rename", "ox=cow"], "--rename ox: no such class"),
    "no new name": (["--rename", "ox="], "--rename ox=: expected OLD=NEW"),
    "two names that differ in case": (["--rename", "cow=Sea"], "differ only in upper and lower case; if they are one"),
    "a share of all": (["--test", "0.0"], "--test 0.0: expected a share between 0 and 1"),
    "no list": (["--test", "t.txt"], "--test t.txt: no such file, and no share"),
    "a list of another image": (["--test", "tags.csv"], "'image,cow,sky': no photograph has this name"),
    "a list of all": (["--test", "all.txt"], "all.txt: it names 4 of 4 images; name some, and not all"),
    "two masks": (["--masks", "ids", "maps"], "photos/a.jpg: two masks, "),
    "output within": (["--output", "photos/out"], "source and destination"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(tmp_path, capsys, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    extra, message = BAD[case]
    options = mixed(tmp_path)
    text(tmp_path / "all.txt", "a\nb\nc\nd\n")
    os.system(f"tar cf {tmp_path}/a.tar -C {tmp_path} tags.csv")
    if extra[0] == "--output":
        assert main(["import", *map(str, options), *extra]) == 1
        assert message in capsys.readouterr().err
    else:
        assert message in refused(tmp_path, capsys, *options, *extra)


@pytest.mark.parametrize(("height", "width"), [(7, 8), (8, 1025)])
def test_a_photograph_that_the_audit_would_refuse_is_refused(tmp_path, capsys, height, width):
    options = mixed(tmp_path)
    photograph(tmp_path / "photos/c.jpg", height, width)
    assert f"photos/c.jpg: {width}x{height} pixels" in refused(tmp_path, capsys, *options)


def test_images_for_training_and_for_testing(tmp_path, capsys):
    options = mixed(tmp_path, "a", tags="image,cow\na,1\n")
    (tmp_path / "maps/b.png").unlink()
    for share in ([], ["--test", "0.5"]):
        line = refused(tmp_path, capsys, *options, *share)
        assert "photos: 1 image with masks or tags (a.jpg); at least 2 are needed, one for training and one for" in line
    options = mixed(tmp_path)
    (tmp_path / "maps/b.png").unlink()
    assert "photos/a.jpg: the only image with a mask; one is needed for training" in refused(tmp_path, capsys, *options)
    assert imported(tmp_path, *options, "--test", text(tmp_path / "t", "b")).train == ["a", "c", "d"]
    assert len(imported(tmp_path / "2", *mixed(tmp_path / "2"), "--test", "99%").test) == 1


def test_pictures_that_are_not_read_are_named(tmp_path, capsys):
    options = mixed(tmp_path)
    for name in ("photos/IMG_2.heic", "photos/x/IMG_3.HEIC", "photos/.x.heic", "maps/c.tif", "only/a.heic"):
        text(tmp_path / name, "")
    imported(tmp_path, *options)
    told = capsys.readouterr().out
    assert "photos: 2 pictures are not read: IMG_2.heic, x/IMG_3.HEIC; save them as JPEG\n" in told
    assert "maps: 1 picture is not read: c.tif; save it as PNG, which keeps ids and colours exactly\n" in told
    line = refused(tmp_path / "only", capsys, "--images", tmp_path / "only", *options[2:])
    assert "no photographs; expected files with the endings .jpg" in line and "1 picture is not read: a.heic" in line


def test_what_is_missing(tmp_path, capsys):
    options = mixed(tmp_path)
    assert "neither --masks nor --tags; give one of them" in refused(tmp_path, capsys, *options[:2])
    (tmp_path / "empty").mkdir()
    line = refused(tmp_path, capsys, "--images", tmp_path / "empty", *options[2:])
    assert "empty: no photographs; expected files with the endings .jpg" in line
    (tmp_path / "photos/d.jpg").unlink()
    line = refused(tmp_path, capsys, *options)
    assert "tags.csv: 1 of 4 images have no photograph in" in line and "--skip-missing leaves them out" in line
    (tmp_path / "photos/c.jpg").write_bytes(b"<html>")
    line = refused(tmp_path, capsys, *options, "--skip-missing")
    assert "photos/c.jpg: a web page or XML text instead of an image" in line
    photographs(tmp_path / "photos", "c.jpg")
    assert "d" not in imported(tmp_path, *options, "--skip-missing").train


@pytest.mark.parametrize(
    ("reference", "photograph_"),
    [
        ("a/1.jpg", "a/1.jpg"),
        (r"C:\data\b\1.jpg", "b/1.jpg"),
        ("1.jpg", None),
        ("2", "b/2.png"),
        ("2.jpg", "b/2.png"),
        ("https://x.org/p/b/2.png?key=1#x", "b/2.png"),
        ("/data/upload/9/01234567-2.png", "b/2.png"),
        ("/data/local-files/?d=p/a%20b/3%20%231.jpg", "a b/3 #1.jpg"),
        ("a b/3 #1.jpg", "a b/3 #1.jpg"),
        ("c\u0327a.v2", "\u00e7a.v2.jpg"),
        ("", ""),
        ("nothing", ""),
    ],
)
def test_references(tmp_path, reference, photograph_):
    photographs(tmp_path, "a/1.jpg", "b/1.jpg", "b/2.png", "a b/3 #1.jpg", "\u00e7a.v2.jpg", ".hidden.jpg")
    found = Photographs(open_source(tmp_path))
    if photograph_ is None:
        with pytest.raises(Exception, match="'1.jpg' may be a/1.jpg, b/1.jpg of"):
            found.find(reference)
    else:
        assert found.find(reference) == (photograph_ or None)


def test_the_documentation_has_every_format():
    page = (Path(__file__).resolve().parents[4] / "docs/formats.md").read_text()
    table = dict(re.findall(r"^\| `([a-z-]+)` \|.*\| (\w+|-) \|$", page, re.M))
    assert table.keys() == FORMATS.keys()
    for name, form in FORMATS.items():
        assert table[name] == ("-" if form.tags is None else "unknown" if form.unlisted is None else "absent"), name


def test_an_output_that_cannot_be_written_is_named_as_it_was_typed(tmp_path, capsys, monkeypatch):
    def refuse(**options):
        raise OSError(errno.EACCES, "Permission denied", str(tmp_path / ".out.x.part"))

    monkeypatch.setattr("simformer.data.formats.write.tempfile.mkdtemp", refuse)
    line = refused(tmp_path, capsys, *mixed(tmp_path))
    assert line == f"error: {tmp_path}: nothing can be written into this folder; name another one with --output\n"
