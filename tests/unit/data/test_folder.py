"""Import of a dataset from a folder or an archive."""

import errno
import io
import os
import stat
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simformer.config.sources import SceneSettings
from simformer.data import folder
from simformer.data.audit import audit
from simformer.data.folder import import_folder
from simformer.data.scenes import generate_scenes
from simformer.errors import UserError
from tests.conftest import contents


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A small dataset in the prepared layout."""
    root = tmp_path_factory.mktemp("source") / "mine"
    generate_scenes(root, SceneSettings(size=32, train=3, test=2))
    return root


def pack(source, archive, top):
    """Write a tar or zip of a folder, below a top folder or at the top."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(source.rglob("*")):
                file.write(path, os.path.join(top, path.relative_to(source)))
    else:
        with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as file:
            file.add(source, top or ".")
    return archive


def tar_with(path, *members):
    """Write a tar of members (name, type, link target)."""
    with tarfile.open(path, "w") as file:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            file.addfile(info, io.BytesIO(b""))
    return path


def assert_refused(source, destination, message):
    """The import fails with that message and leaves nothing."""
    with pytest.raises(UserError, match=message):
        import_folder(source, destination)
    assert not destination.exists()
    assert not [path for path in destination.parent.iterdir() if "staging" in path.name]


def test_a_folder_is_hard_linked(source, tmp_path):
    import_folder(source, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(source)
    for name in ("images/train_00000.png", "labels/test_00001.png"):
        assert (tmp_path / "out" / name).samefile(source / name)
    audit(tmp_path / "out", workers=1)


def test_files_are_copied_where_links_cannot_be_made(source, tmp_path, monkeypatch):
    def other_device(*_, **__):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_device)
    import_folder(source, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(source)
    assert not (tmp_path / "out/train.txt").samefile(source / "train.txt")


@pytest.mark.parametrize("top", ["", "msrc"])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_archives_are_unpacked(source, tmp_path, name, top):
    import_folder(pack(source, tmp_path / name, top), tmp_path / "deep" / "out")
    assert contents(tmp_path / "deep" / "out") == contents(source)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_other_files_are_left_behind(source, tmp_path):
    mine = tmp_path / "mine"
    import_folder(source, mine)
    (mine / "README").write_text("hello")
    (mine / "images" / "._train_00000.png").write_text("resource fork")
    (mine / "images" / "Thumbs.db").write_text("thumbs")
    import_folder(mine, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(source)


def test_a_rerun_replaces_the_earlier_import(source, tmp_path):
    import_folder(source, tmp_path / "out")
    (tmp_path / "out" / "images" / "stale.png").write_bytes(b"")
    import_folder(pack(source, tmp_path / "a.tar", ""), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(source)


@pytest.mark.parametrize("earlier", [False, True])
def test_an_interrupted_import_leaves_nothing_half_made(source, tmp_path, monkeypatch, earlier):
    out = tmp_path / "out"
    if earlier:
        import_folder(source, out)
    calls, link = [], folder.link

    def interrupt(*paths):
        calls.append(paths)
        if len(calls) == 7:
            raise KeyboardInterrupt
        link(*paths)

    monkeypatch.setattr(folder, "link", interrupt)
    with pytest.raises(KeyboardInterrupt):
        import_folder(source, out)
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if earlier else [])
    assert not earlier or contents(out) == contents(source)
    monkeypatch.undo()
    import_folder(source, out)
    assert contents(out) == contents(source)


def test_what_a_killed_run_left_is_cleared(source, tmp_path):
    half = tmp_path / ".out.staging" / "images" / "half.png"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"")
    import_folder(source, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(source)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_missing_source(tmp_path):
    assert_refused(tmp_path / "nothing", tmp_path / "out", "dataset source not found; expected a folder, tar or zip")


@pytest.mark.parametrize("piece", ["images", "labels", "classes.json", "train.txt", "test.txt"])
@pytest.mark.parametrize("top", ["", "mine"])
def test_a_missing_part(source, tmp_path, piece, top):
    broken = tmp_path / "broken"
    (broken / top).parent.mkdir(exist_ok=True)
    import_folder(source, broken / top)
    os.rename(broken / top / piece, tmp_path / "elsewhere")
    inside = r" \(in its folder mine/\)" if top else ""
    assert_refused(broken, tmp_path / "out", f"missing {piece}{inside}; expected images/, labels/, classes.json")


@pytest.mark.parametrize("top", ["", "VOCdevkit/VOC2012"])
def test_the_layout_of_pascal_voc_is_known(tmp_path, top):
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / "voc" / top / name).mkdir(parents=True)
    where = tmp_path / "voc" / top
    assert_refused(
        tmp_path / "voc", tmp_path / "out", f"{where} is laid out as PASCAL VOC; type: simformer import --images"
    )


def test_two_datasets_in_one_source(source, tmp_path):
    for name in ("one", "two"):
        import_folder(source, tmp_path / "both" / name)
    assert_refused(tmp_path / "both", tmp_path / "out", r"several datasets found \(one, two\)")


def test_the_destination_itself_is_no_source(source, tmp_path):
    import_folder(source, tmp_path / "out")
    with pytest.raises(UserError, match="same folder"):
        import_folder(tmp_path / "out", tmp_path / "out")
    assert contents(tmp_path / "out") == contents(source)


def test_a_file_that_is_no_archive(tmp_path):
    (tmp_path / "a.tar").write_text("hello")
    assert_refused(tmp_path / "a.tar", tmp_path / "out", "neither a folder, a tar nor a zip archive")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_a_damaged_archive(source, tmp_path, name):
    archive = pack(source, tmp_path / name, "")
    data = archive.read_bytes()
    start = len(data) // 2
    damaged = data[:start] + bytes(200) + data[start + 200 :] if name == "a.zip" else data[: start + 100]
    archive.write_bytes(damaged)
    assert_refused(archive, tmp_path / "out", r"a\.(tar|tar\.gz|zip): archive cannot be read")


@pytest.mark.parametrize("name", ["/etc/a", "../a", "images/../../a", "..", r"..\a", r"C:\a", r"\a"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_members_outside_the_folder_are_refused(tmp_path, name, kind):
    archive = tmp_path / f"a.{kind}"
    if kind == "tar":
        tar_with(archive, ("images/ok.jpg", tarfile.REGTYPE, ""), (name, tarfile.REGTYPE, ""))
    else:
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("images/ok.jpg", b"")
            file.writestr(name, b"")
    assert_refused(archive, tmp_path / "out", "would be written outside its folder")


@settings(max_examples=20, deadline=None)
@given(
    before=st.lists(st.sampled_from(["a", "b", "."]), max_size=3),
    after=st.lists(st.sampled_from(["a", "b", ".."]), max_size=3),
)
def test_any_parent_step_is_refused(tmp_path_factory, before, after):
    folder_ = tmp_path_factory.mktemp("steps")
    archive = tar_with(folder_ / "a.tar", ("/".join([*before, "..", *after]), tarfile.REGTYPE, ""))
    assert_refused(archive, folder_ / "out", "would be written outside its folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    archive = tar_with(tmp_path / "a.tar", ("images/x.jpg", kind, "../../secret"))
    assert_refused(archive, tmp_path / "out", "images/x.jpg' is a link or device")


def test_links_in_a_zip_are_refused(tmp_path):
    info = zipfile.ZipInfo("images/x.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "../../secret")
    assert_refused(tmp_path / "a.zip", tmp_path / "out", "images/x.jpg' is a link or device")
