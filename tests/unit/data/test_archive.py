"""Trees of files: what is found in them, and how a change of them is noticed."""

import os
import pickle
import shutil
import struct
import zipfile

import pytest

from simformer.data.archive import FolderTree, ZipTree, files_in, open_tree, unpack
from simformer.errors import UserError

FILES = (
    "top/images/training/a.jpg",
    "top/images/training/b.JPG",
    "top/images/training/b.png",
    "top/images/training/.hidden.jpg",
    "top/images/more_training/c.jpg",
    "top/images/training/deeper/d.jpg",
    "__MACOSX/top/images/training/._a.jpg",
    "__MACOSX/images/training/e.jpg",
)


@pytest.fixture(params=["folder", "zip"])
def tree(request, tmp_path):
    """The same files as a folder and as a zip archive."""
    for name in FILES:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    if request.param == "folder":
        return open_tree(tmp_path / "data")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as pack:
        for name in FILES:
            pack.write(tmp_path / "data" / name, name)
    return open_tree(tmp_path / "data.zip")


def test_files_are_found_by_the_end_of_their_path(tree):
    assert files_in(tree, "images/training", ".jpg") == {"a": FILES[0], "b": FILES[1]}
    assert files_in(tree, "training", ".png") == {"b": FILES[2]}
    assert sorted(files_in(tree, "", ".jpg")) == ["a", "b", "c", "d"]
    assert files_in(tree, "images", ".jpg") == {}


def test_two_files_of_one_name_are_refused(tree):
    with pytest.raises(UserError, match=r"a\.jpg and .*two files have one name"):
        files_in(open_two(tree), "", ".jpg")


def open_two(tree):
    """Return the tree with a second copy of one file."""
    if isinstance(tree, FolderTree):
        (tree.path / "copy").mkdir()
        shutil.copy(tree.path / FILES[0], tree.path / "copy/a.jpg")
    else:
        with zipfile.ZipFile(tree.path, "a") as pack:
            pack.writestr("copy/a.jpg", "a")
    return open_tree(tree.path)


def test_a_tree_works_in_another_process(tree):
    copy = pickle.loads(pickle.dumps(tree))
    assert copy.names() == tree.names() and copy.read(FILES[0]) == tree.read(FILES[0]) == FILES[0].encode()
    assert copy.where(FILES[0]) == f"{tree.path}/{FILES[0]}"


def test_a_file_is_placed(tree, tmp_path):
    tree.place(FILES[0], tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_text() == FILES[0]
    assert isinstance(tree, ZipTree) or (tmp_path / "a.jpg").samefile(tree.path / FILES[0])


def test_a_single_file_is_a_tree(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text("{}")
    tree = open_tree(tmp_path / "a.json")
    assert tree.names() == ["a.json"] and tree.read("a.json") == b"{}"


@pytest.mark.parametrize("change", ["content", "time", "removed", "added", "renamed"])
def test_a_changed_folder_has_another_fingerprint(tmp_path, change):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    before = open_tree(tmp_path).fingerprint()
    assert open_tree(tmp_path).fingerprint() == before
    match change:
        case "content":
            (tmp_path / "a").write_text("other")
        case "time":
            os.utime(tmp_path / "a", ns=(0, 1))
        case "removed":
            (tmp_path / "a").unlink()
        case "added":
            (tmp_path / "c").write_text("c")
        case "renamed":
            (tmp_path / "a").rename(tmp_path / "c")
    assert open_tree(tmp_path).fingerprint() != before


def test_a_zip_is_known_by_its_content(tmp_path):
    def write(path, **files):
        with zipfile.ZipFile(path, "w") as pack:
            for name, content in files.items():
                pack.writestr(name, content)
        return open_tree(path).fingerprint()

    first = write(tmp_path / "a.zip", x="1", y="2")
    assert write(tmp_path / "b.zip", x="1", y="2") == first
    assert len({first, write(tmp_path / "c.zip", x="1", y="3"), write(tmp_path / "c.zip", x="1", z="2")}) == 3


def claim(path, size: int) -> None:
    """Forge the size that a zip's directory claims for its first member."""
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(data)


@pytest.mark.parametrize("read", [open_tree, lambda path: unpack(path, path.with_name("unpacked"))])
def test_a_zip_bomb_is_refused_before_anything_is_expanded(tmp_path, read):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("images/a.jpg", bytes(1000))
    read(archive)
    shutil.rmtree(tmp_path / "unpacked", ignore_errors=True)
    claim(archive, 4_000_000_000)
    with pytest.raises(UserError, match=r"bomb\.zip: its \d+ bytes claim to expand to 4,000,000,000; refused as a zip"):
        read(archive)
    assert not list(tmp_path.rglob("*.jpg"))


@pytest.mark.parametrize("name", ["/etc/a", "../a", r"..\a", r"C:\a"])
def test_a_zip_with_a_member_outside_is_refused_when_it_is_opened(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as pack:
        pack.writestr(name, b"")
    with pytest.raises(UserError, match="would be written outside its folder"):
        open_tree(tmp_path / "a.zip")
