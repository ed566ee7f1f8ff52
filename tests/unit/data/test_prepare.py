"""From a source to its importer: where archives come from, and what a user sees when that fails."""

import json
import shutil

import pytest

from simformer.cli import main
from simformer.config.sources import SceneSettings, parse_source
from simformer.data.prepare import prepare
from simformer.data.scenes import generate_scenes
from simformer.errors import UserError
from tests.published import assert_equal, prepared, source, write_ade20k, write_coco_stuff_maps

ADE_WITHOUT_PATH = {"kind": "ade20k", "archive": {"urls": ["https://example.org/ade.zip"]}}


def test_scenes_and_folders_are_prepared_as_before(tmp_path):
    generate_scenes(tmp_path / "a", SceneSettings(size=32, train=3, test=2))
    prepared(source("scenes", size=32, train=3, test=2), tmp_path / "b")
    prepared(source("folder", path=str(tmp_path / "a")), tmp_path / "c")
    for name in ("images/train_00000.png", "labels/test_00001.png", "classes.json", "train.txt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


def test_a_downloaded_archive_is_used(tmp_path):
    write_ade20k(tmp_path / "ade.zip", train=2, test=1)
    prepare(parse_source(ADE_WITHOUT_PATH), {"archive": tmp_path / "ade.zip"}, tmp_path / "out", 1)
    assert (tmp_path / "out/train.txt").read_text().split() == ["ADE_train_00000001", "ADE_train_00000002"]


def test_the_copy_brought_along_wins(tmp_path):
    write_ade20k(tmp_path / "mine.zip", train=2, test=1)
    prepare(source("ade20k", archive=tmp_path / "mine.zip"), {"archive": tmp_path / "gone"}, tmp_path / "out", 1)
    assert (tmp_path / "out/labels/ADE_val_00000001.png").is_file()


def test_several_archives_come_by_their_names(tmp_path):
    truth = write_coco_stuff_maps(tmp_path, train=2, test=1)
    fetched = {"images2": tmp_path / "val2017.zip", "labels": tmp_path / "stuffthingmaps_trainval2017.zip"}
    download = {"urls": ["https://example.org/a.zip"]}
    mine = {"path": str(tmp_path / "train2017.zip")}
    dataset = {"kind": "coco_stuff_maps", "labels": download, "images": [mine, download], "subset": "164k"}
    prepare(parse_source(dataset), fetched, tmp_path / "out", 1)
    assert sorted(path.stem for path in (tmp_path / "out/labels").iterdir()) == sorted(truth)


def test_a_path_may_hold_variables(tmp_path, monkeypatch):
    truth = write_ade20k(tmp_path / "ade.zip", train=2, test=1)
    monkeypatch.setenv("DATASETS", str(tmp_path))
    assert_equal(prepared(source("ade20k", archive={"path": "$DATASETS/ade.zip"}), tmp_path / "out"), truth)
    monkeypatch.delenv("DATASETS")
    with pytest.raises(UserError, match=r"^source\.archive\.path needs environment variable DATASETS"):
        prepare(source("ade20k", archive={"path": "$DATASETS/ade.zip"}), {}, tmp_path / "out", 1)


def test_an_archive_that_is_nowhere(tmp_path):
    with pytest.raises(UserError) as error:
        prepare(parse_source(ADE_WITHOUT_PATH), {}, tmp_path / "out", 1)
    assert str(error.value) == (
        "archive 'archive': neither downloaded nor given; give it with --archive archive=FILE, or set its "
        "`path` in the dataset's file"
    )


@pytest.mark.parametrize("fault", ["missing", "web page", "truncated", "tar"])
def test_an_archive_that_is_none(tmp_path, capsys, fault):
    """Through the command line: one line, no traceback."""
    archive = tmp_path / "ade.zip"
    write_ade20k(archive, train=2, test=1)
    message = "not a zip archive; remove it and download it again"
    match fault:
        case "missing":
            archive.unlink()
            message = "not found; expected an archive or a folder with its content"
        case "web page":
            archive.write_text("<html>Sign in</html>")
        case "truncated":
            archive.write_bytes(archive.read_bytes()[:2000])
        case "tar":
            archive.unlink()
            shutil.make_archive(str(tmp_path / "ade"), "tar", tmp_path)
            archive = tmp_path / "ade.tar"
            message = "a tar archive; unpack it and name the folder, or pack it as zip"
    text = json.dumps({"kind": "ade20k", "archive": {"path": str(archive)}})
    assert main(["prepare", "--source", text, "--output", str(tmp_path / "out"), "--workers", "1"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"error: {archive}: ") and lines[0].endswith(message)
    assert not (tmp_path / "out").exists()
