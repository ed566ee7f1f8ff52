"""Which photographs words mean, and how their predictions are called."""

import os

import pytest

from simformer.predict.sources import find_sources


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in (
        "in/a.jpg",
        "in/deep/er/b.PNG",
        "in/.hidden/c.jpg",
        "in/.d.jpg",
        "in/e.txt",
        "other/a.jpg",
        "in/out/x.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(folder, *words, output="out", overlay=False):
    """Names and problems."""
    sources, problems = find_sources(words, folder / output, overlay)
    return [(os.path.relpath(s.path, folder), s.name) for s in sources], problems


def test_a_file_keeps_its_name_and_a_folder_its_folders(folder):
    assert found(folder, "in/deep/er/b.PNG") == ([("in/deep/er/b.PNG", "b.PNG")], [])
    inside = [("in/a.jpg", "a.jpg"), ("in/deep/er/b.PNG", "deep/er/b.PNG")]
    assert found(folder, "in", output="in/out") == (inside, []), "neither hidden files nor earlier predictions"
    assert found(folder, str(folder / "in"), output="in/out") == (inside, [])


def test_a_pattern_keeps_the_folders_behind_its_fixed_part(folder):
    assert found(folder, "in/*.jpg") == ([("in/a.jpg", "a.jpg")], [])
    assert found(folder, "in/d*/**/*.PNG") == ([("in/deep/er/b.PNG", "deep/er/b.PNG")], [])
    assert found(folder, "*/a.jpg") == ([("in/a.jpg", "in/a.jpg"), ("other/a.jpg", "other/a.jpg")], [])
    assert "no photograph fits this pattern" in found(folder, "in/*.gif")[1][0]


def test_pictures_that_are_not_read_are_named(folder, capsys):
    (folder / "in/deep/IMG_2.HEIC").write_bytes(b"")
    (folder / "empty/a.avif").write_bytes(b"")
    assert len(found(folder, "in", output="in/out")[0]) == 2
    assert capsys.readouterr().err == "in: 1 picture is not read: deep/IMG_2.HEIC; save it as JPEG\n"
    assert len(found(folder, "in/**/*")[0]) == 3
    assert capsys.readouterr().err == "in/**/*: 1 picture is not read: in/deep/IMG_2.HEIC; save it as JPEG\n"
    assert found(folder, "empty")[1][0].endswith("); 1 picture is not read: a.avif; save it as JPEG")


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(folder):
    (folder / "in/[1].jpg").write_bytes(b"")
    assert found(folder, "in/[1].jpg")[0] == [("in/[1].jpg", "[1].jpg")]


def test_a_list_names_files_from_its_folder_on(folder):
    (folder / "in/list.txt").write_text(
        "\ufeffdeep/er/b.PNG\r\n\r\n  a.jpg  \r\n../other/a.jpg\nnone.jpg\n", encoding="utf-8"
    )
    names, problems = found(folder, "in/list.txt")
    assert names == [("in/deep/er/b.PNG", "deep/er/b.PNG"), ("in/a.jpg", "a.jpg")]
    assert len(problems) == 2
    assert "other/a.jpg: its prediction would replace that of in/a.jpg" in problems[0]
    assert problems[1] == "in/none.jpg: no such file or folder"
    (folder / "latin.txt").write_bytes(b"\xe4.jpg\n")
    (folder / "empty.txt").write_text("\n")
    assert all("expected a list in UTF-8" in found(folder, name)[1][0] for name in ("latin.txt", "empty.txt"))
    assert found(folder, "no.txt")[1] == ["no.txt: list of paths not found"]


def test_one_photograph_named_twice_is_predicted_once(folder):
    assert found(folder, "in/a.jpg", "in/*.jpg", "./in/a.jpg") == ([("in/a.jpg", "a.jpg")], [])


def test_two_photographs_do_not_get_one_prediction(folder):
    (folder / "in/a.png").write_bytes(b"")
    names, problems = found(folder, "in", output="in/out")
    assert [name for _, name in names] == ["a.jpg", "deep/er/b.PNG"]
    assert len(problems) == 1 and "a.png: its prediction would replace that of" in problems[0]
    assert len(found(folder, "in/a.jpg", "other/a.jpg")[1]) == 1
    (folder / "in/overlay").mkdir()
    (folder / "in/overlay/a.gif").write_bytes(b"")
    (folder / "in/a.png").unlink()
    assert found(folder, "in", output="in/out")[1] == []
    assert len(found(folder, "in", output="in/out", overlay=True)[1]) == 1


def test_nothing_that_is_read_is_overwritten(folder):
    assert "both the photographs' folder and --output" in found(folder, "in", output="in")[1][0]
    assert "its prediction would overwrite it" in found(folder, "in/out/x.png", output="in/out")[1][0]
    assert found(folder, "in/a.jpg", output="in") == ([("in/a.jpg", "a.jpg")], [])


def test_what_is_not_there_is_told_and_the_rest_goes_on(folder):
    (folder / "link.jpg").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.jpg")
    names, problems = found(folder, "none.jpg", "empty", "link.jpg", "pipe.jpg", "in/a.jpg")
    assert names == [("in/a.jpg", "a.jpg")]
    expected = ["no such file", "no photograph in this folder", "a link that leads nowhere", "a named pipe"]
    assert all(words in line for words, line in zip(expected, problems, strict=True))


def test_no_photograph_that_is_named_is_overwritten_by_the_prediction_of_another_one(folder):
    """Nor by its coloured picture, in whatever order they are named."""
    (folder / "in/a.png").write_bytes(b"")
    for words in (["in/a.jpg", "in/a.png"], ["in/a.png", "in/a.jpg"]):
        names, problems = found(folder, *words, output="in")
        assert names == [] and len(problems) == 2
        assert "in/a.jpg: its prediction would overwrite in/a.png, another photograph; give another" in "".join(
            problems
        )
        assert "in/a.png: its prediction would overwrite it; give another folder" in "".join(problems)
    (folder / "out/overlay").mkdir(parents=True)
    (folder / "out/overlay/x.png").write_bytes(b"")
    assert found(folder, "out/overlay/x.png") == ([("out/overlay/x.png", "x.png")], [])
    assert "its prediction would overwrite it" in found(folder, "out/overlay/x.png", overlay=True)[1][0]


def test_a_pattern_leaves_out_earlier_predictions_however_the_folder_is_written(folder):
    (folder / "link").symlink_to("in")
    for pattern in ("in/**/*.[pP]*", str(folder / "in/**/*.[pP]*"), "link/**/*.[pP]*"):
        names, problems = found(folder, pattern, output="in/out")
        assert [name for _, name in names] == ["deep/er/b.PNG"] and problems == []


def test_links_to_folders_are_followed_and_none_twice(folder):
    (folder / "in/link").symlink_to("../other")
    (folder / "in/deep/up").symlink_to("..")
    names, problems = found(folder, "in", output="in/out")
    assert [name for _, name in names] == ["a.jpg", "deep/er/b.PNG", "link/a.jpg"] and problems == []


def test_a_folder_that_cannot_be_listed_is_told(folder, monkeypatch):
    listed = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return listed(path)

    monkeypatch.setattr("os.scandir", scandir)
    names, problems = found(folder, "in", output="in/out")
    assert [name for _, name in names] == ["a.jpg"]
    assert problems == ["in/deep: folder cannot be listed (Permission denied)"]


def test_lines_of_a_list_end_where_a_text_file_has_ends(folder):
    (folder / "in/a\u2028b\x0c.jpg").write_bytes(b"")
    (folder / "list.txt").write_text("in/a\u2028b\x0c.jpg\n", encoding="utf-8")
    assert found(folder, "list.txt")[1] == []
