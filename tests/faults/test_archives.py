"""Archives and folders of datasets, packed, cut or built in every way that people and programs get them wrong."""

import bz2
import gzip
import lzma
import os
import shutil
import struct
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from simformer.cli import main
from simformer.data import archive_checks
from tests.conftest import contents
from tests.faults.harness import refused, write_dataset
from tests.faults.packing import arguments, special, tarred, zipped
from tests.published import write_ade20k

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The files of a small folder dataset by name."""
    return contents(write_dataset(tmp_path_factory.mktemp("archives") / "mine"))


EXTRA = {  # what is added to a good archive, and what is said
    "twice": ([("images/train0.png", b"other")], "member 'images/train0.png' is in it twice; pack it again with each"),
    "twice, once with a dot": ([("./images/train0.png", b"")], "member './images/train0.png' is in it twice"),
    "twice, once with a backslash": ([("images\\train0.png", b"")], "member 'images/train0.png' is in it twice"),
    "other case": ([("images/TRAIN0.png", b"")], "'images/TRAIN0.png' differ only in case"),
    "other accents": ([("images/\u00e4.png", b""), ("images/a\u0308.png", b"")], "in case or in the form of accents"),
    "above a file": ([("images/train0.png/a", b"")], "member 'images/train0.png' is both a file and a folder"),
    "far above a file": ([("train.txt/a/b/c", b"")], "member 'train.txt' is both a file and a folder; rename one"),
    "folder of a file's name": ([("train.txt/", b"")], "member 'train.txt' is both a file and a folder; rename one"),
    "absolute": ([("/etc/a", b"")], "member '/etc/a' would be written outside its folder; refused to unpack"),
    "above": ([("images/../../a", b"")], "member 'images/../../a' would be written outside its folder"),
    "above, from Windows": ([("images\\..\\..\\a", b"")], "would be written outside its folder; refused to unpack"),
    "a drive": ([("C:\\a", b"")], "member 'C:/a' would be written outside its folder"),
    "another machine": ([("\\\\host\\share\\a", b"")], "would be written outside its folder; refused to unpack"),
    "long name": ([("images/" + "a" * 300 + ".png", b"")], "of 311 characters; at most 255 bytes for a file or folder"),
    "long name in bytes": ([("images/" + "\u00e4" * 130, b"")], "has a name that no file can have"),
    "line break": ([("/a\nb", b"")], r"member '/a\nb' would be written outside its folder"),
}  # fmt: skip


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", EXTRA)
def test_a_member_that_cannot_be_trusted_is_named(name, pack, files, tmp_path, capsys):
    members, reason = EXTRA[name]
    if name == "folder of a file's name" and pack is tarred:
        members = [(special("train.txt", tarfile.DIRTYPE), b"")]
    path = pack(tmp_path / "mine.archive", [*files.items(), *members])
    refused(arguments(path), tmp_path, capsys, f"error: {path}: ", reason)


@pytest.mark.parametrize("name", ["twice", "other case", "above", "far above a file", "long name"])
def test_so_is_one_in_a_published_archive(name, tmp_path, capsys):
    write_ade20k(tmp_path / "good.zip", train=1, test=1)
    with zipfile.ZipFile(tmp_path / "good.zip") as pack:
        members = [(member, pack.read(member)) for member in pack.namelist() if not member.endswith("/")]
    (tmp_path / "good.zip").unlink()
    path = zipped(tmp_path / "ade.zip", [*members, ("images/train0.png", b""), ("train.txt", b""), *EXTRA[name][0]])
    refused(arguments(path, "ade20k"), tmp_path, capsys, f"error: {path}: member", EXTRA[name][1])


SPECIAL = {
    "link": special("images/a.png", tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": special("images/a.png", tarfile.LNKTYPE, linkname="images/train0.png"),
    "device": special("images/a.png", tarfile.CHRTYPE),
    "disk": special("images/a.png", tarfile.BLKTYPE),
    "pipe": special("images/a.png", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_a_tar_with_a_special_member_is_refused(name, files, tmp_path, capsys):
    path = tarred(tmp_path / "mine.tar", [*files.items(), (SPECIAL[name], b"")])
    refused(
        arguments(path), tmp_path, capsys, f"{path}: member 'images/a.png' is a link or device; expected plain files"
    )


def set_in_directory(offset, value):
    """Return how to overwrite 16 bits of the first entry of a zip's directory."""

    def change(data):
        place = data.index(b"PK\x01\x02") + offset
        return data[:place] + struct.pack("<H", value) + data[place + 2 :]

    return change


def set_at_end(offset, value):
    """Return how to overwrite 16 bits of the record at a zip's end."""

    def change(data):
        place = data.rindex(b"PK\x05\x06") + offset
        return data[:place] + struct.pack("<H", value) + data[place + 2 :]

    return change


ZIPS = {
    "encrypted": (set_in_directory(8, 1), "is encrypted; unpack it and name the folder"),
    "Deflate64": (set_in_directory(10, 9), "is packed by method 9, which cannot be read here; pack it again"),
    "zstd": (set_in_directory(10, 1000), "is packed by method 1000, which cannot be read here"),
    "part of several": (set_at_end(4, 3), "one part of a zip archive in several; join them (zip -s 0 IN.zip --out OUT"),
    "first part": (lambda data: b"PK\x07\x08" + data[: len(data) // 2], "or one part of several (join them)"),
    "cut": (lambda data: data[: len(data) // 2], "damaged or incomplete, or one part of several (join them)"),
    "cut at its end": (lambda data: data[:-10], "archive cannot be read"),
    "beginning lost": (lambda data: data[1000:], "archive cannot be read"),
    "damaged directory": (lambda data: data.replace(b"PK\x01\x02", b"PK\x01\x03"), "archive cannot be read"),
    "damaged content": (lambda data: data[:60] + bytes(200) + data[260:], "archive cannot be read"),
    "empty": (lambda data: b"", "neither a folder, a tar nor a zip archive, but an empty file"),
    "zeros": (lambda data: bytes(len(data)), "holds no files (0 members)"),
    "web page": (lambda data: b"\n<!DOCTYPE html><html>Sign in</html>", "archive, but a web page: a login, a notice"),
    "gzip of no tar": (lambda data: gzip.compress(b"text"), "a tar nor a zip archive, but a gzip file"),
    "bzip2 of no tar": (lambda data: bz2.compress(b"text"), "a tar nor a zip archive, but a bzip2 file"),
    "xz of no tar": (lambda data: lzma.compress(b"text"), "a tar nor a zip archive, but an xz file"),
    "7z": (lambda data: b"7z\xbc\xaf\x27\x1c" + data, "a tar nor a zip archive, but a 7z archive"),
    "RAR": (lambda data: b"Rar!\x1a\x07\x00" + bytes(100), "a tar nor a zip archive, but a RAR archive"),
    "pointer": (lambda data: b"version https://git-lfs.github.com/spec/v1\n", "archive, but the pointer of Git LFS"),
    "text": (lambda data: b"hello", "neither a folder, a tar nor a zip archive"),
}  # fmt: skip


@pytest.mark.parametrize("name", ZIPS)
def test_a_zip_that_cannot_be_read_is_refused(name, files, tmp_path, capsys):
    change, reason = ZIPS[name]
    path = zipped(tmp_path / "mine.zip", list(files.items()))
    path.write_bytes(change(path.read_bytes()))
    refused(arguments(path), tmp_path, capsys, f"error: {path}: ", reason)


@pytest.mark.parametrize("name", ZIPS)
def test_so_it_is_where_a_published_archive_should_be(name, files, tmp_path, capsys):
    path = zipped(tmp_path / "mine.zip", list(files.items()))
    path.write_bytes(ZIPS[name][0](path.read_bytes()))
    refused(arguments(path, "ade20k"), tmp_path, capsys, f"error: {path}: ")


TARS = {
    "cut in a file": lambda data: data[: len(data) // 2],
    "cut between two files": lambda data: data[: data.index(b"images/train1.png")],
    "damaged header": lambda data: data.replace(b"images/train3.png", b"images/train4.png", 1),
    "end lost": lambda data: data[: len(data.rstrip(b"\0")) // 512 * 512 + 512],
    "zeros": lambda data: bytes(10240),
}


@pytest.mark.parametrize("packed", ["", "gz", "bz2", "xz"])
@pytest.mark.parametrize("name", TARS)
def test_a_damaged_tar_is_refused(name, packed, files, tmp_path, capsys):
    path = tarred(tmp_path / f"mine.tar.{packed or 'x'}", list(files.items()))
    data = TARS[name](path.read_bytes())
    path.write_bytes({"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[packed](data))
    refused(arguments(path), tmp_path, capsys, f"error: {path}: ")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("left", [20, 2000])
def test_a_packed_tar_that_is_cut_is_refused(mode, left, files, tmp_path, capsys):
    path = tarred(tmp_path / "mine.tar", list(files.items()), mode)
    path.write_bytes(path.read_bytes()[:left])
    refused(arguments(path), tmp_path, capsys, f"error: {path}: ")


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("members", [[], [("images/", b"")]])
def test_an_archive_without_files_is_refused(pack, members, tmp_path, capsys):
    if pack is tarred:
        members = [(special("images", tarfile.DIRTYPE), b"") for _ in members]
    path = pack(tmp_path / "mine.archive", members)
    refused(arguments(path), tmp_path, capsys, f"{path}: holds no files ({len(members)} members); pack it again")


def test_a_tar_under_the_name_of_a_zip_is_told(tmp_path, capsys):
    path = tarred(tmp_path / "ade.zip", [("images/a", b"a")])
    refused(arguments(path, "ade20k"), tmp_path, capsys, f"{path}: a tar archive, not a zip archive; remove it and")


def test_a_tar_that_holds_a_zip_at_its_end_is_no_zip(files, tmp_path):
    """Looking for the end record of a zip alone would take the inner archive for the whole."""
    inner = zipped(tmp_path / "inner.zip", [("classes.json", b"{}")])
    path = tarred(tmp_path / "mine.tar", [*files.items(), ("extra/inner.zip", inner.read_bytes())])
    assert zipfile.is_zipfile(path)
    assert main(arguments(path)) == 0
    assert (tmp_path / "out/classes.json").read_bytes() == files["classes.json"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_bomb_by_number_is_refused(pack, files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(archive_checks, "MOST_MEMBERS", 10)
    path = pack(tmp_path / "mine.archive", list(files.items()))
    refused(arguments(path), tmp_path, capsys, f"{path}: more than 10 members; refused as a zip bomb")


def test_a_packed_tar_bomb_is_refused_before_all_of_it_is_listed(files, tmp_path, capsys):
    """Its second member claims more than any honest data; the third cannot be reached."""
    huge = special("images/b.png", tarfile.REGTYPE, size=2**42)
    data = b"".join(info.tobuf() for info in (special("images/a.png", tarfile.REGTYPE), huge))
    path = tmp_path / "mine.tar.gz"
    path.write_bytes(gzip.compress(data))
    refused(
        arguments(path), tmp_path, capsys, f"{path}: its ", "claim to expand to 4,398,046,511,104; refused as a zip"
    )


@pytest.mark.parametrize("kind", ["folder", "ade20k"])
def test_a_pipe_is_not_waited_for(kind, tmp_path, capsys):
    os.mkfifo(tmp_path / "mine.zip")
    ended = threading.Timer(20, os._exit, (99,))  # a test that hangs would say nothing
    ended.start()
    try:
        what = {"folder": "a named pipe; expected a folder, tar or zip", "ade20k": "a pipe, socket or device; expected"}
        says = f"{tmp_path}/mine.zip: {what[kind]}"
        refused(arguments(tmp_path / "mine.zip", kind), tmp_path, capsys, says)
    finally:
        ended.cancel()


def unpacked_ade(folder):
    """Write ADE20K as a folder; returns it."""
    write_ade20k(folder / "ade.zip", train=2, test=1)
    shutil.unpack_archive(folder / "ade.zip", folder / "ade")
    (folder / "ade.zip").unlink()
    return folder / "ade"


def test_a_pipe_among_the_files_is_not_waited_for(tmp_path, capsys):
    folder = unpacked_ade(tmp_path)
    photograph = sorted(folder.rglob("*.jpg"))[0]
    photograph.unlink()
    os.mkfifo(photograph)
    refused(arguments(folder, "ade20k"), tmp_path, capsys, f"{photograph}: a pipe, socket or device; expected a file")


@pytest.mark.parametrize("loops", [1, 2])
def test_a_folder_that_leads_to_itself_is_refused(loops, tmp_path, capsys):
    folder = unpacked_ade(tmp_path)
    for number in range(loops):
        (folder / f"loop{number}").symlink_to(folder)
    refused(arguments(folder, "ade20k"), tmp_path, capsys, f"{folder}/loop", "a link to a folder above it")


def test_a_link_that_leads_nowhere_is_named(tmp_path, capsys):
    folder = unpacked_ade(tmp_path)
    (folder / "lost.jpg").symlink_to("nowhere")
    refused(arguments(folder, "ade20k"), tmp_path, capsys, f"{folder}/lost.jpg: cannot be read (No such file or")


@pytest.mark.parametrize("kind", ["folder", "ade20k"])
def test_an_archive_that_may_not_be_read_is_named(kind, files, tmp_path, capsys, monkeypatch):
    """Root, whom some containers have, may read everything; so the refusal is played."""
    path = zipped(tmp_path / "mine.zip", list(files.items()))
    read = Path.open

    def open_(self, mode="r", *options, **more):
        if self == path:
            raise PermissionError(13, "Permission denied", str(path))
        return read(self, mode, *options, **more)

    monkeypatch.setattr(Path, "open", open_)
    assert main(arguments(path, kind)) == 1
    assert f"{path}: cannot be read (Permission denied)" in capsys.readouterr().err


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, capsys, monkeypatch):
    folder = unpacked_ade(tmp_path)
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("annotations"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert main(arguments(folder, "ade20k")) == 1
    assert "annotations: folder cannot be listed (Permission denied)" in capsys.readouterr().err


def renamed(files, change):
    """Return the members of a good dataset under other names."""
    return [(change(name), content) for name, content in files.items()]


def zip64(path, files):
    """Write a zip whose members have the long form of sizes, as those above 4 GB have."""
    with zipfile.ZipFile(path, "w") as pack:
        for name, content in files.items():
            with pack.open(name, "w", force_zip64=True) as stream:
                stream.write(content)
    return path


GOOD = {
    "backslashes": lambda path, files: zipped(path, renamed(files, lambda name: name.replace("/", "\\"))),
    "backslashes below a top folder": lambda path, files: zipped(
        path, [("mine\\images\\", b""), *renamed(files, lambda name: f"mine\\{name}".replace("/", "\\"))]
    ),
    "backslashes in a tar": lambda path, files: tarred(path, renamed(files, lambda name: name.replace("/", "\\"))),
    "folders listed twice": lambda path, files: zipped(path, [("images/", b""), ("images/", b""), *files.items()]),
    "what systems add": lambda path, files: zipped(
        path,
        [
            *renamed(files, lambda name: f"mine/{name}"),
            *renamed(files, lambda name: f"__MACOSX/mine/._{name}"),
            ("mine/Thumbs.db", b"x"),
            ("mine/images/.DS_Store", b"x"),
        ],
    ),
    "zip64": zip64,
    "bzip2": lambda path, files: zipped(path, files.items(), compression=zipfile.ZIP_BZIP2),
    "lzma": lambda path, files: zipped(path, files.items(), compression=zipfile.ZIP_LZMA),
    "from Windows": lambda path, files: zipped(path, files.items(), lambda info: setattr(info, "create_system", 0)),
    "dots": lambda path, files: tarred(path, renamed(files, lambda name: f"./{name}")),
    "tar.gz": lambda path, files: tarred(path, files.items(), "w:gz"),
    "tar.xz": lambda path, files: tarred(path, files.items(), "w:xz"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_odd_archives_that_are_not_broken_are_read(name, files, tmp_path):
    path = GOOD[name](tmp_path / "mine.archive", files)
    assert main(arguments(path)) == 0
    found = {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in (tmp_path / "out").rglob("[!.]*.*")}
    assert found == files


def test_a_published_archive_with_backslashes_is_read(tmp_path):
    write_ade20k(tmp_path / "good.zip", train=2, test=1)
    with zipfile.ZipFile(tmp_path / "good.zip") as pack:
        members = [(name.replace("/", "\\"), pack.read(name)) for name in pack.namelist()]
    path = zipped(tmp_path / "ade.zip", members)
    assert main(arguments(path, "ade20k")) == 0
    assert len(list((tmp_path / "out/labels").iterdir())) == 3


def test_a_folder_named_like_a_zip_is_a_folder(tmp_path):
    folder = unpacked_ade(tmp_path).rename(tmp_path / "ADEChallengeData2016.zip")
    assert main(arguments(folder, "ade20k")) == 0
    assert len(list((tmp_path / "out/labels").iterdir())) == 3
