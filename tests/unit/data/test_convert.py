"""The engine of the importers: same files from any number of processes, all problems at once, and continuation."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import psutil
import pytest
from PIL import Image

from simformer.data import convert as engine
from simformer.data.archive import open_tree
from simformer.data.audit import audit
from simformer.data.convert import Conversion, Member, convert, pair
from simformer.data.images import decode_label, read_image
from simformer.data.layout import FINISHED
from simformer.data.prepare import prepare
from simformer.errors import UserError
from tests.conftest import contents
from tests.published import (
    HEIGHT,
    WIDTH,
    assert_equal,
    jpeg,
    png,
    prepared,
    refused,
    rewrite_zip,
    source,
    write_ade20k,
    write_zip,
)

FIRST, SECOND = "ADE_train_00000001", "ADE_train_00000002"


@pytest.fixture
def ade(tmp_path):
    """A zip of ADE20K, and the truth."""
    return tmp_path / "ade.zip", write_ade20k(tmp_path / "ade.zip")


def made(root):
    """Return the files of a dataset with their bytes, but for the note of what it was made from."""
    return {name: content for name, content in contents(root).items() if name != FINISHED}


def member(subset, name, kind="images"):
    """Return the name of a file in the archive."""
    return f"ADEChallengeData2016/{kind}/{subset}/{name}.{'jpg' if kind == 'images' else 'png'}"


def test_the_result_does_not_depend_on_the_number_of_processes(tmp_path):
    write_ade20k(tmp_path / "ade.zip", train=40, test=9)
    dataset = source("ade20k", archive=tmp_path / "ade.zip")
    for workers in (1, 2):
        prepare(dataset, {}, tmp_path / str(workers), workers)
    assert made(tmp_path / "1") == made(tmp_path / "2")
    assert len(made(tmp_path / "1")) == 2 * 49 + 3


def test_photographs_keep_their_bytes_whatever_their_colours(ade, tmp_path):
    archive, truth = ade
    gray, cmyk = (jpeg(truth[name], 5, mode) for name, mode in ((FIRST, "L"), (SECOND, "CMYK")))
    rewrite_zip(archive, {member("training", FIRST): gray, member("training", SECOND): cmyk})
    prepared(source("ade20k", archive=archive), tmp_path / "out")
    with zipfile.ZipFile(archive) as pack:
        for name in truth:
            subset = "training" if "train" in name else "validation"
            assert (tmp_path / f"out/images/{name}.jpg").read_bytes() == pack.read(member(subset, name))
    for name, mode in ((FIRST, "L"), (SECOND, "CMYK")):
        path = tmp_path / f"out/images/{name}.jpg"
        assert Image.open(path).mode == mode and read_image(path).shape == (HEIGHT, WIDTH, 3)
    audit(tmp_path / "out", workers=1)


def test_a_folder_gives_the_same_dataset_by_hard_links(ade, tmp_path):
    archive, _ = ade
    with zipfile.ZipFile(archive) as pack:
        pack.extractall(tmp_path / "unpacked")
    prepared(source("ade20k", archive=archive), tmp_path / "a")
    prepared(source("ade20k", archive=tmp_path / "unpacked"), tmp_path / "b")
    assert made(tmp_path / "a") == made(tmp_path / "b")
    assert (tmp_path / f"b/images/{FIRST}.jpg").samefile(tmp_path / "unpacked" / member("training", FIRST))


def test_a_photograph_that_was_linked_before_its_label_was_written(ade, tmp_path, monkeypatch):
    with zipfile.ZipFile(ade[0]) as pack:
        pack.extractall(tmp_path / "unpacked")
    dataset = source("ade20k", archive=tmp_path / "unpacked")

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine, "encode_label", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(dataset, {}, tmp_path / "out", 1)
    assert [path.name for path in (tmp_path / ".out.staging/images").iterdir()] == [f"{FIRST}.jpg"]
    assert_equal(prepared(dataset, tmp_path / "out"), ade[1])


def test_an_image_without_any_label_is_left_to_the_audit(ade, tmp_path):
    archive, _ = ade
    rewrite_zip(archive, {member("training", FIRST, "annotations"): png(np.zeros((HEIGHT, WIDTH)))})
    labels = prepared(source("ade20k", archive=archive), tmp_path / "out")
    assert (labels[FIRST] == 255).all()
    index, report = audit(tmp_path / "out", workers=1)
    assert report.train.dropped == (FIRST,) and FIRST not in {record.name for record in index.train}


def test_all_problems_are_listed_together(ade, tmp_path):
    archive, truth = ade
    names = [f"ADE_train_{i:08d}" for i in range(1, 8)]
    photographs = [member("training", name) for name in names]
    maps = [member("training", name, "annotations") for name in names]
    wrong = np.where(np.arange(WIDTH) < 9, 151, np.where(truth[names[5]] == 255, 0, truth[names[5]] + 1))
    rewrite_zip(
        archive,
        {
            photographs[0]: None,
            maps[1]: None,
            photographs[2]: jpeg(truth[names[2]], 0)[:900],
            maps[3]: png(truth[names[3]])[:300],
            maps[4]: png(np.ones((HEIGHT + 1, WIDTH))),
            maps[5]: png(wrong),
            photographs[6]: b"no image",
        },
    )
    lines = refused(source("ade20k", archive=archive), tmp_path / "out")
    again = "; copy or download it again"
    assert lines[0] == f"{archive}: 7 problems found in this dataset:"
    assert lines[1] == f"  training image {names[0]}: no photograph; expected {names[0]}.jpg in images/ of {archive}"
    assert lines[2] == f"  training image {names[1]}: no label; expected {names[1]}.png in annotations/ of {archive}"
    assert lines[3].startswith(f"  {archive}/{photographs[2]}: truncated or corrupt (image file is truncated")
    assert lines[4].startswith(f"  {archive}/{maps[3]}: truncated or corrupt (") and lines[4].endswith(again)
    assert lines[5] == (
        f"  {archive}/{photographs[4]} is {WIDTH}x{HEIGHT} (width x height, upright) but {archive}/{maps[4]} is "
        f"{WIDTH}x{HEIGHT + 1}; expected equal sizes"
    )
    assert lines[6] == (f"  {archive}/{maps[5]}: label ids out of range: 151; expected 1..150, or 0 for unlabelled")
    assert lines[7] == f"  {archive}/{photographs[6]}: not an image, or its header is corrupt{again}"
    assert len(lines) == 8


def test_braces_in_a_path_are_only_braces(tmp_path):
    archive = tmp_path / "{0}{name}{}" / "ade.zip"
    archive.parent.mkdir()
    write_ade20k(archive, train=2, test=1)
    rewrite_zip(archive, {member("training", FIRST): None})
    lines = refused(source("ade20k", archive=archive), tmp_path / "out")
    assert lines[1].startswith(
        f"  training image {FIRST}: no photograph; expected {FIRST}.jpg in images/ of {tmp_path}/{{0}}"
    )


def test_the_same_problems_are_found_by_several_processes(tmp_path):
    archive = tmp_path / "ade.zip"
    truth = write_ade20k(archive, train=40)
    rewrite_zip(archive, {member("training", name, "annotations"): b"x" for name in list(truth)[:40:3]})
    messages = []
    for workers in (1, 2):
        with pytest.raises(UserError) as error:
            prepare(source("ade20k", archive=archive), {}, tmp_path / "out", workers)
        messages.append(str(error.value))
    assert messages[0] == messages[1] and "14 problems found" in messages[0]


def test_a_damaged_member_is_named(ade, tmp_path):
    archive, _ = ade
    with zipfile.ZipFile(archive) as pack:
        info = pack.getinfo(member("training", FIRST))
    data = bytearray(archive.read_bytes())
    data[info.header_offset + 200] ^= 0xFF
    archive.write_bytes(data)
    lines = refused(source("ade20k", archive=archive), tmp_path / "out")
    assert lines[1].startswith(f"  {archive}/{info.filename}: cannot be read (BadZipFile: Bad CRC-32")
    assert lines[1].endswith("; copy or download it again")


def test_a_full_disk_keeps_what_was_done(ade, tmp_path, monkeypatch):
    archive, truth = ade
    calls, write = [], engine.atomic_write_bytes

    def fill_up(path, data, durable):
        calls.append(path.name)
        if len(calls) == 6:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, data, durable)

    monkeypatch.setattr(engine, "atomic_write_bytes", fill_up)
    dataset = source("ade20k", archive=archive)
    with pytest.raises(OSError, match="No space left"):
        prepare(dataset, {}, tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()
    prepare(dataset, {}, tmp_path / "out", 1)
    assert len(calls) == len(truth) + 1 and len(set(calls)) == len(truth)


def test_a_changed_source_is_converted_afresh(ade, tmp_path, monkeypatch):
    archive, truth = ade
    dataset = source("ade20k", archive=archive)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine, "write_lists", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare(dataset, {}, tmp_path / "out", 1)
    changed = np.where(truth[FIRST] == 255, 255, 149).astype(np.uint8)
    rewrite_zip(archive, {member("training", FIRST, "annotations"): png(np.where(changed == 255, 0, 150))})
    np.testing.assert_array_equal(prepared(dataset, tmp_path / "out")[FIRST], changed)


@pytest.mark.parametrize("place", ["data/ade", "data", "data/ade/images"])
def test_source_and_destination_must_not_contain_each_other(ade, tmp_path, place):
    with zipfile.ZipFile(ade[0]) as pack:
        pack.extractall(tmp_path / "data/ade")
    before = made(tmp_path / "data")
    with pytest.raises(UserError, match="source and destination .* overlap"):
        prepare(source("ade20k", archive=tmp_path / "data/ade"), {}, tmp_path / place, 1)
    assert made(tmp_path / "data") == before


def break_off(data, where):
    """Decode a label map; a broken one takes the whole process with it."""
    if data == b"end":
        os._exit(1)
    return decode_label(data, where)


def test_a_process_that_dies_is_no_traceback_and_loses_nothing(tmp_path):
    label = png(np.zeros((HEIGHT, WIDTH)))
    photograph = jpeg(np.zeros((HEIGHT, WIDTH), np.uint8), 0)
    names = [f"{i:02d}" for i in range(40)]
    files = {f"{name}.png": b"end" if name == "39" else label for name in names}
    write_zip(tmp_path / "a.zip", files | {f"{name}.jpg": photograph for name in names})
    members = [{name: Member(0, f"{name}.{suffix}") for name in names} for suffix in ("jpg", "png")]
    pairs = pair((names[:-1], names[-1:]), *members, ("{}", "{}"))
    conversion = Conversion("test", (open_tree(tmp_path / "a.zip"),), break_off, ("x",), *pairs)
    with pytest.raises(ChildProcessError, match="what is done is kept"):
        convert(conversion, tmp_path / "out", workers=2)
    assert (tmp_path / ".out.staging/labels/00.png").is_file()


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """ADE20K with 601 images, of which 13 differ."""
    archive = tmp_path_factory.mktemp("many") / "many.zip"
    write_ade20k(archive, train=12, test=1)
    with zipfile.ZipFile(archive) as pack:
        files = {name: pack.read(name) for name in pack.namelist() if not name.endswith("/")}
    for i in range(12, 600):
        for kind in ("images", "annotations"):
            first, copy = (member("training", f"ADE_train_{k + 1:08d}", kind) for k in (i % 12, i))
            files[copy] = files[first]
    return write_zip(archive, files)


@pytest.mark.slow
def test_a_killed_run_is_continued_not_repeated(many, tmp_path):
    """Killed with `kill -9` in the middle, the same command does only the rest, and the bytes are the same."""
    out, staging = tmp_path / "out", tmp_path / ".out.staging"
    dataset = json.dumps({"kind": "ade20k", "archive": {"path": str(many)}})
    command = [sys.executable, "-m", "simformer.cli", "prepare", "--source", dataset, "--output", str(out)]
    run = subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.DEVNULL)
    processes = psutil.Process(run.pid)
    while not (staging / "labels").is_dir() or len(os.listdir(staging / "labels")) < 20:
        assert run.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    workers = processes.children(recursive=True)
    run.send_signal(signal.SIGKILL)
    run.wait()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert len(gone) >= 2 and not alive, "converting processes outlive the one that started them"
    assert not out.exists()

    labels = sorted(staging.glob("labels/ADE*.png"))  # a label is written after its photograph
    assert 20 <= len(labels) < 601
    done = {path: path.stat() for label in labels for path in (label, staging / f"images/{label.stem}.jpg")}
    (staging / "labels/.half.png.xyz.part").write_bytes(b"half")
    again = subprocess.run([*command, "--workers", "2"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    for path, before in done.items():
        now = (out / path.relative_to(staging)).stat()
        assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    prepare(source("ade20k", archive=many), {}, tmp_path / "straight", 1)
    assert made(out) == made(tmp_path / "straight")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "straight"]
