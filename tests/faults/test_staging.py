"""Preparing into a place that is unusual, taken, or left by a killed run: nothing is lost, nothing is a mixture."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from simformer.cli import main
from simformer.data.layout import FINISHED, LABELS, PIECES, missing_pieces, write_lists
from simformer.data.staging import staged_layout
from tests.faults.harness import listing, prepare_arguments, refused, write_dataset
from tests.pipeline import TINY, Pipeline

OTHER = {"kind": "scenes", "size": 32, "train": 2, "test": 1}
"""A source that differs from the dataset that is there before."""


def start(*arguments) -> subprocess.Popen:
    """Start a subcommand in another process."""
    return subprocess.Popen([sys.executable, "-m", "simformer.cli", *arguments], stderr=subprocess.PIPE, text=True)


def stopped_amid_preparing(source, data) -> subprocess.Popen:
    """Start to prepare a dataset in another process, and stop it (SIGSTOP) while it holds the lock."""
    process = start(*prepare_arguments(source, data))
    while not data.with_name(f".{data.name}.staging").joinpath("images").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)
    return process


def pieces(folder) -> dict[str, str]:
    """What a dataset's folder holds, hidden files aside."""
    return {name: content for name, content in listing(folder).items() if "/." not in f"/{name}"}


@pytest.fixture
def elsewhere(tmp_path):
    """A folder on another disk."""
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second disk here")
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def linked(data, elsewhere):
    """`data/mydata` as a link to another disk, where an older dataset lies."""
    shutil.move(data, elsewhere / "there")
    data.symlink_to(elsewhere / "there")
    return data


def test_the_dataset_lies_on_another_disk(linked, elsewhere):
    before = pieces(linked)
    assert main(prepare_arguments(OTHER, linked)) == 0
    assert linked.is_symlink() and not missing_pieces(linked)
    assert pieces(linked) != before and len(os.listdir(linked / LABELS)) == 3
    assert [path.name for path in elsewhere.iterdir()] == ["there"]
    assert [path.name for path in linked.parent.iterdir()] == ["mydata"]


def test_a_bad_source_leaves_a_dataset_on_another_disk_as_it_was(linked, elsewhere, source, tmp_path, capsys):
    (source / "train.txt").unlink()
    before = listing(elsewhere)
    refused(prepare_arguments(source, linked), tmp_path, capsys, "missing train.txt")
    assert listing(elsewhere) == before


@pytest.mark.parametrize("names", [("images",), ("labels",), ("images", "labels", "classes.json")])
def test_a_piece_is_a_link_to_another_disk(data, elsewhere, names, capsys):
    for name in names:
        shutil.move(data / name, elsewhere / name)
        (data / name).symlink_to(elsewhere / name)
    before = listing(elsewhere)
    assert main(prepare_arguments(OTHER, data)) == 0
    assert not missing_pieces(data) and not any((data / name).is_symlink() for name in names)
    assert listing(elsewhere) == before, "what the link led to is not ours"
    assert f"{names[0]}: this link to {elsewhere}/{names[0]} becomes a folder" in capsys.readouterr().err


def test_the_destination_is_a_disk_of_its_own(data, monkeypatch):
    """As with `docker run -v /disk:/repository/data/mydata`: nothing can be renamed into it from beside it."""
    rename = os.replace

    def replace(source, target):
        inside = [Path(path).is_relative_to(data) for path in (source, target)]
        if inside[0] != inside[1]:
            raise OSError(18, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    before = pieces(data)
    assert main(prepare_arguments(OTHER, data)) == 0
    assert not missing_pieces(data) and pieces(data) != before
    assert sorted(os.listdir(data)) == sorted((FINISHED, *PIECES))
    assert os.listdir(data.parent) == ["mydata"]


def dangling(data):
    data.symlink_to(data.parent / "unmounted/mydata")
    return f"{data}: a link to {data.parent}/unmounted/mydata, which is not there", "mount its disk", "mkdir -p "


def dangling_above(data):
    data.parent.rmdir()
    data.parent.symlink_to(data.parent.parent / "unmounted")
    return f"{data.parent}: a link to {data.parent.parent}/unmounted, which is not there", "mount its disk"


def loop(data):
    data.symlink_to(data)
    return f"{data}: a link that leads to itself", "rm "


def file(data):
    data.write_text("notes")
    return f"{data}: not a folder", "move it away"


def file_above(data):
    data.parent.rmdir()
    data.parent.write_text("notes")
    return f"{data.parent}: not a folder", "move it away"


@pytest.mark.parametrize("place", [dangling, dangling_above, loop, file, file_above])
@pytest.mark.parametrize("kind", ["folder", "scenes"])
def test_no_place_for_a_dataset(place, kind, source, tmp_path, capsys):
    data = tmp_path / "data/mydata"
    data.parent.mkdir()
    refused(prepare_arguments(source if kind == "folder" else OTHER, data), tmp_path, capsys, *place(data))


def test_a_disk_that_is_read_only(data, source, tmp_path, capsys, monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", read_only)
    monkeypatch.setattr(Path, "touch", read_only)
    says = f"{data}: no dataset can be written there", "Read-only", "`data`"
    refused(prepare_arguments(OTHER, data), tmp_path, capsys, *says)


def test_an_error_amid_the_exchange_brings_the_old_dataset_back(data, tmp_path, capsys, monkeypatch):
    rename, before = os.replace, listing(data)

    def replace(source, target):
        if Path(target) == data / "train.txt" and ".staging" in str(source) and "/old/" not in str(source):
            raise OSError(16, "Device or resource busy", str(target))
        rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    says = "cannot be put in place", "Device or resource busy"
    line = refused(prepare_arguments(OTHER, data), tmp_path, capsys, *says)
    assert "what was there before is there again" in line
    assert listing(data) == before


def exchange_and_die(data, last, tags=False):
    """Replace a dataset in another process that dies at the rename of number `last`; returns whether it did."""
    child = os.fork()
    if not child:
        calls, rename = [], os.replace

        def replace(source, target):
            calls.append(source)
            if len(calls) == last:
                os._exit(9)
            rename(source, target)

        with staged_layout(data, "new") as staging:
            (staging / LABELS / "new.png").write_bytes(b"new")
            write_lists(staging, ["new"], ["new"], [])
            if tags:
                (staging / "tags.csv").write_text("new")
            os.replace = replace
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def state(data):
    """'old', 'new' or 'incomplete': what a dataset's folder looks like."""
    found = listing(data)
    kinds = {"new" if (data / "classes.json").exists() and "new" in (data / "classes.json").read_text() else "old"}
    kinds |= {"new" if "labels/new.png" in found else "old"}
    return "incomplete" if missing_pieces(data) else "mixture" if len(kinds) > 1 else kinds.pop()


def test_killed_at_any_rename_the_next_run_repairs(data, tmp_path, source):
    copy = shutil.copytree(data, tmp_path / "copy")
    found = []
    for last in range(1, 100):
        if not exchange_and_die(data, last):
            break
        found.append(state(data))
        with pytest.raises(KeyboardInterrupt), staged_layout(data, "third"):
            found.append(state(data))
            raise KeyboardInterrupt
        assert found[-1] == "new" or listing(data) == listing(copy)
        shutil.rmtree(data)
        shutil.copytree(copy, data)
    assert len(found) > 20
    assert set(found[::2]) <= {"old", "new", "incomplete"}, "never a mixture"
    assert set(found[1::2]) == {"old", "new"}, "whole again, one or the other"
    assert state(data) == "new" and os.listdir(data.parent) == ["mydata"]


@pytest.mark.parametrize("tags", ["old", "new", "both"])
def test_killed_at_any_rename_tags_belong_to_what_is_there(data, tmp_path, tags):
    if tags != "new":
        (data / "tags.csv").write_text("old")
    copy = shutil.copytree(data, tmp_path / "copy")
    ours = {"old": "old" if tags != "new" else None, "new": "new" if tags != "old" else None}
    for last in range(1, 100):
        if not exchange_and_die(data, last, tags != "old"):
            break
        with pytest.raises(KeyboardInterrupt), staged_layout(data, "third"):
            raise KeyboardInterrupt
        found = (data / "tags.csv").read_text() if (data / "tags.csv").exists() else None
        assert found == ours[state(data)]
        shutil.rmtree(data)
        shutil.copytree(copy, data)
    assert last > 12
    assert ((data / "tags.csv").exists(), state(data)) == (tags != "old", "new")


def test_two_processes_prepare_one_dataset(tmp_path):
    """Two clones with one absolute folder of data: the second waits, says for whom, and finds it done."""
    size = {"kind": "scenes", "size": 96, "train": 40, "test": 2}
    first = stopped_amid_preparing(size, tmp_path / "data/scenes")
    second = start(*prepare_arguments(size, tmp_path / "data/scenes"))
    waiting = second.stderr.readline()
    first.send_signal(signal.SIGCONT)
    assert first.communicate(timeout=120)[1] == "" and first.returncode == 0
    told = second.communicate(timeout=120)[1]
    assert waiting.startswith(f"waiting: {tmp_path}/data/scenes is being prepared by process {first.pid}")
    assert told.endswith("already prepared from this source; nothing to do\n") and second.returncode == 0
    assert os.listdir(tmp_path / "data") == ["scenes"]
    assert main(prepare_arguments(size, tmp_path / "alone")) == 0
    assert listing(tmp_path / "data/scenes") == listing(tmp_path / "alone")


def test_a_killed_one_frees_the_lock(tmp_path):
    size = {"kind": "scenes", "size": 96, "train": 40, "test": 2}
    first = stopped_amid_preparing(size, tmp_path / "data/scenes")
    second = start(*prepare_arguments(size, tmp_path / "data/scenes"))
    assert "is being prepared by process" in second.stderr.readline()
    first.send_signal(signal.SIGKILL)
    assert second.communicate(timeout=120)[1] == "" and second.returncode == 0
    assert first.wait() == -signal.SIGKILL
    assert os.listdir(tmp_path / "data") == ["scenes"] and not missing_pieces(tmp_path / "data/scenes")
    first.stderr.close()


def add(data):
    (data / "labels/more.png").write_bytes(b"more")


def remove(data):
    next((data / "images").iterdir()).unlink()


def edit(data):
    label = next((data / "labels").iterdir())
    label.write_bytes(bytes(reversed(label.read_bytes())))


def edit_list(data):
    (data / "train.txt").write_text((data / "train.txt").read_text().swapcase())


def test_a_second_dataset_of_one_source_does_not_make_the_first_an_old_one(tmp_path, capsys):
    """Pictures are hard links to the source: another link to them, or Snakemake's touch of the lists, is no change."""
    source = write_dataset(tmp_path / "source")
    first, second = (prepare_arguments(source, tmp_path / name) for name in ("first", "second"))
    assert main(first) == 0
    for piece in ("classes.json", "train.txt", "test.txt"):
        os.utime(tmp_path / "first" / piece)
    assert main(second) == 0
    before = listing(tmp_path)
    capsys.readouterr()
    assert main(first) == 0
    assert "already prepared from this source; nothing to do" in capsys.readouterr().err
    assert listing(tmp_path) == before


@pytest.mark.parametrize("change", [add, remove, edit, edit_list])
def test_what_was_changed_since_is_prepared_anew(tmp_path, change, capsys):
    data = tmp_path / "data"
    assert main(prepare_arguments(OTHER, data)) == 0
    before = listing(data)
    assert main(prepare_arguments(OTHER, data)) == 0
    assert "already prepared from this source; nothing to do" in capsys.readouterr().err
    change(data)
    assert listing(data) != before
    assert main(prepare_arguments(OTHER, data)) == 0
    assert listing(data) == before
    assert "already prepared" not in capsys.readouterr().err


def test_a_changed_source_is_imported_anew(source, tmp_path):
    data = tmp_path / "data"
    assert main(prepare_arguments(source, data)) == 0
    (source / "test.txt").write_text("test0\ntest1\n")
    assert main(prepare_arguments(source, data)) == 0
    assert (data / "test.txt").read_text() == "test0\ntest1\n"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 2, 4, 6])
def test_two_clones_share_one_folder_of_data(tmp_path, seconds):
    """Two Snakemakes, started at once or one after the other: both succeed, and nothing that is there ever goes."""
    clones = [Pipeline(tmp_path / name) for name in ("one", "two")]
    target = "results/tiny/scenes/split1/masked/labels.json"
    runs, logs = [], [tmp_path / "one.log", tmp_path / "two.log"]
    for clone, log in zip(clones, logs, strict=True):
        clone.study(TINY | {"data": str(tmp_path / "data")})
        runs.append(clone.start("--cores", "1", target, log=log))
        time.sleep(0 if len(runs) == 2 else seconds)
    seen, lost = set(), set()
    while any(run.poll() is None for run in runs):
        now = {name for name in (*PIECES, "index.json", "audit.json") if (tmp_path / "data/scenes" / name).exists()}
        lost |= seen - now
        seen |= now
        time.sleep(0.002)
    assert [run.returncode for run in runs] == [0, 0], [log.read_text() for log in logs]
    assert not lost and len(seen) == 7
    labels = [listing((clone.folder / target).parent) for clone in clones]
    assert labels[0] == labels[1]
    for clone in clones:
        assert "Nothing to be done" in clone.snakemake("--cores", "1", target).stderr
