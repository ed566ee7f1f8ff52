"""Transfers that are cut, refused, moved or changed, against a web server that does all of it."""

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from simformer.config.sources import Archive
from simformer.data.download import Retry
from simformer.data.fetch import fetch
from simformer.data.part import Part
from simformer.errors import UserError
from simformer.machine import run_lock
from tests.web import PIECE, Fault, Web, zipped

CONTENT = zipped()
OTHER = zipped(seed=1)
QUICK = Retry(attempts=3, pause=0.01, longest_pause=2.0, timeout=0.4)
DATE = "Mon, 23 Nov 2026 03:00:00 GMT"


@pytest.fixture
def target(tmp_path):
    """Where the download goes: a folder that does not exist yet."""
    return tmp_path / "downloads" / "mine" / "archive"


def get(url: str, target: Path, **published) -> None:
    fetch(Archive(urls=(url,), **published), target, QUICK)


def begin(url: str, target: Path, page) -> int:
    """Download until a cut that ends the call, and return the size of the part."""
    page.faults = [Fault(upto=0.6), Fault(404)]
    with pytest.raises(UserError, match=r"bytes are kept and will be continued\):\n.*HTTP 404"):
        get(url, target)
    page.faults = []
    return Part(target).size


def test_whole_file_in_one_request(web, target):
    get(web.serve("/a.zip", CONTENT), target)
    assert target.read_bytes() == CONTENT
    assert web.ranges == [None]
    assert sorted(path.name for path in target.parent.iterdir()) == ["archive", "archive.sha256"]


@pytest.mark.parametrize(
    ("how", "validator"),
    [
        ({}, '"first"'),
        ({"etag": None, "modified": DATE}, DATE),
        ({"etag": 'W/"weak"', "modified": DATE}, DATE),
    ],
)
def test_cut_connection_is_continued_by_range_in_the_same_call(web, target, how, validator, capsys):
    url = web.serve("/a.zip", CONTENT, faults=[Fault(upto=0.6), Fault(upto=0.8)], **how)
    get(url, target)
    assert target.read_bytes() == CONTENT
    cut = [int(len(CONTENT) * share) for share in (0.6, 0.8)]
    assert web.ranges == [None, f"bytes={cut[0]}-", f"bytes={cut[1]}-"]
    assert [request.if_range for request in web.requests] == [None, validator, validator]
    assert web.sent == len(CONTENT)
    missing = len(CONTENT) - cut[0]
    reason = f"{url}: connection failed: IncompleteRead({cut[0]} bytes read, {missing} more expected); trying again in"
    assert reason in capsys.readouterr().err


def test_next_call_continues_what_the_last_one_left(web, target):
    url = web.serve("/a.zip", CONTENT)
    have = begin(url, target, web.pages["/a.zip"])
    assert have == int(len(CONTENT) * 0.6)
    get(url, target)
    assert web.ranges[-1] == f"bytes={have}-"
    assert target.read_bytes() == CONTENT and web.sent == len(CONTENT)


@pytest.mark.parametrize("how", [{"ranges": False}, {"etag": None}, {"etag": 'W/"weak"'}])
def test_server_that_cannot_continue_sends_it_all_again(web, target, how, capsys):
    get(web.serve("/a.zip", CONTENT, faults=[Fault(upto=0.6)], **how), target)
    assert target.read_bytes() == CONTENT
    assert "does not continue the 1" in capsys.readouterr().err


@pytest.mark.parametrize("conditional", [True, False])
def test_file_that_has_changed_since_is_not_mixed(web, target, conditional):
    url = web.serve("/a.zip", CONTENT)
    have = begin(url, target, web.pages["/a.zip"])
    web.serve("/a.zip", OTHER, etag='"second"', conditional=conditional)
    get(url, target)
    assert target.read_bytes() == OTHER
    assert web.ranges[-1] == (f"bytes={have}-" if conditional else None)


def test_file_that_has_shrunk_starts_over(web, target):
    url = web.serve("/a.zip", CONTENT)
    begin(url, target, web.pages["/a.zip"])
    web.serve("/a.zip", zipped(1000), conditional=False)
    get(url, target)
    assert target.read_bytes() == zipped(1000)


def test_part_of_another_address_is_not_continued(web, target):
    begin(web.serve("/a.zip", CONTENT), target, web.pages["/a.zip"])
    get(web.serve("/b.zip", OTHER), target)
    assert target.read_bytes() == OTHER and web.ranges[-1] is None


def test_part_of_unknown_origin_is_not_continued(web, target):
    url = web.serve("/a.zip", CONTENT)
    begin(url, target, web.pages["/a.zip"])
    Part(target).note.write_text("{")
    get(url, target)
    assert target.read_bytes() == CONTENT and web.ranges[-1] is None


def test_download_killed_just_before_its_end_asks_for_nothing(web, target):
    url = web.serve("/a.zip", CONTENT)
    begin(url, target, web.pages["/a.zip"])
    Part(target).path.write_bytes(CONTENT)
    asked = len(web.requests)
    get(url, target)
    assert target.read_bytes() == CONTENT and len(web.requests) == asked


def test_length_that_was_never_told_needs_the_published_size(web, target):
    url = web.serve("/a.zip", CONTENT, length=None, faults=[Fault(upto=0.6)])
    get(url, target, bytes=len(CONTENT))
    assert target.read_bytes() == CONTENT and web.sent == len(CONTENT)
    target.unlink()
    web.pages["/a.zip"].faults = [Fault(upto=0.6)]
    with pytest.raises(UserError, match="are not a whole zip archive"):
        get(url, target)
    assert not target.exists() and not Part(target).size


@pytest.mark.parametrize(("length", "reason"), [(10**6, "more expected"), (10**5, "not a whole zip archive")])
def test_length_that_is_a_lie(web, target, length, reason):
    with pytest.raises(UserError, match=reason):
        get(web.serve("/a.zip", CONTENT, length=length), target)
    assert not target.exists()


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_temporary_failure_is_tried_again(web, target, status, capsys):
    get(web.serve("/a.zip", CONTENT, faults=[Fault(status), Fault(status)]), target)
    assert target.read_bytes() == CONTENT and len(web.requests) == 3
    assert f"HTTP {status}" in capsys.readouterr().err


def test_lasting_failure_ends_after_the_attempts(web, target):
    with pytest.raises(UserError, match=r"HTTP 503 Service Unavailable \(3 tries without a new byte\)"):
        get(web.serve("/a.zip", CONTENT, faults=[Fault(503)] * 9), target)
    assert len(web.requests) == QUICK.attempts
    assert list(target.parent.iterdir()) == []


def test_progress_renews_the_attempts(web, target):
    cuts = [Fault(upto=0.1 * number) for number in range(1, 10)]
    get(web.serve("/a.zip", CONTENT, faults=cuts), target)
    assert target.read_bytes() == CONTENT and web.sent == len(CONTENT) and len(cuts) == 0


def test_waits_as_long_as_the_server_asks(web, target):
    url = web.serve("/a.zip", CONTENT, faults=[Fault(429, {"Retry-After": "1"})])
    before = time.monotonic()
    get(url, target)
    assert time.monotonic() - before >= 1


@pytest.mark.parametrize("later", ["3600", "Mon, 23 Nov 2099 03:00:00 GMT"])
def test_does_not_wait_for_ever(web, target, later):
    with pytest.raises(UserError, match=r"HTTP 503 Service Unavailable; the server asks to wait \d{4,} s"):
        get(web.serve("/a.zip", CONTENT, faults=[Fault(503, {"Retry-After": later})]), target)


def test_silence_counts_as_a_cut(web, target, capsys):
    get(web.serve("/a.zip", CONTENT, faults=[Fault(upto=0.5, hang=True)]), target)
    assert target.read_bytes() == CONTENT
    assert "timed out" in capsys.readouterr().err
    assert web.ranges[-1] is not None and int(web.ranges[-1][6:-1]) > len(CONTENT) * 0.5 - 2**16


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/a.zip", r"Connection refused \(3 tries"),
        ("http://nowhere.invalid/a.zip", r"(Name or service not known|name resolution|No address).* \(3 tries"),
        ("ftp://127.0.0.1/a.zip", "this address does not work .*ftp"),
        ("a.zip", "this address does not work .*Invalid URL"),
    ],
)
def test_address_that_does_not_answer(web, target, url, reason):
    with pytest.raises(UserError, match=reason):
        get(url, target)


def test_redirects_are_followed_and_continued(web, target):
    web.serve("/there.zip", CONTENT, faults=[Fault(upto=0.5)])
    get(web.serve("/a.zip", b"", moved="/there.zip"), target)
    assert target.read_bytes() == CONTENT and web.sent == len(CONTENT)
    with pytest.raises(UserError, match="Exceeded 30 redirects"):
        get(web.serve("/b.zip", b"", moved="/b.zip"), target.with_name("b"))


def test_https_and_a_certificate_that_is_not_trusted(web, target, tmp_path, monkeypatch):
    if not shutil.which("openssl"):
        pytest.skip("no openssl here to make a certificate with")
    pem = tmp_path / "server.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=here"
    extra = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(pem), "-out", f"{pem}.crt"]
    subprocess.run([*make.split(), *extra], check=True, capture_output=True)
    certificate = Path(f"{pem}.crt")
    pem.write_text(pem.read_text() + certificate.read_text())
    secure = Web(pem)
    try:
        url = web.serve("/a.zip", b"", moved=secure.serve("/a.zip", CONTENT))
        with pytest.raises(UserError, match="certificate verify failed.*set REQUESTS_CA_BUNDLE"):
            get(url, target)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        get(url, target)
    finally:
        secure.close()
    assert target.read_bytes() == CONTENT


def test_proxy_of_the_environment(web, target, monkeypatch):
    web.serve("/a.zip", CONTENT)
    monkeypatch.setenv("http_proxy", web.url)
    get("http://nowhere.invalid/a.zip", target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_download_is_continued(web, target, number):
    url = web.serve("/a.zip", CONTENT, pause=0.05)
    command = [sys.executable, "-m", "simformer.cli", "fetch", "--archive", json.dumps({"urls": [url]})]
    running = subprocess.Popen([*command, "--output", str(target)], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 20
    while Part(target).size < 2**17 and time.monotonic() < end:
        time.sleep(0.01)
    running.send_signal(number)
    _, said = running.communicate(timeout=20)
    assert running.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert "Traceback" not in said
    have = Part(target).size
    assert 2**17 <= have < len(CONTENT) and not target.exists()
    web.pages["/a.zip"].pause = 0
    get(url, target)
    assert target.read_bytes() == CONTENT
    assert web.ranges == [None, f"bytes={have}-"] and web.requests[1].sent == len(CONTENT) - have


def test_a_server_that_trickles_is_given_up_and_what_came_is_kept(web, target):
    url = web.serve("/a.zip", CONTENT, pause=0.2)
    began = time.monotonic()
    with pytest.raises(UserError, match=r"fewer than 65,536 bytes within 0.3 s \(3 tries without a new byte\)"):
        fetch(Archive(urls=(url,)), target, replace(QUICK, slowest=0.3))
    assert time.monotonic() - began < 10
    web.pages["/a.zip"].pause = 0
    get(url, target)
    assert target.read_bytes() == CONTENT


def test_the_second_download_of_a_file_waits_and_finds_it_done(web, target, monkeypatch, capsys):
    monkeypatch.setattr(run_lock, "POLL_SECONDS", 0.05)
    target.parent.mkdir(parents=True)
    with Part(target).locked():
        thread = threading.Thread(target=get, args=(web.serve("/a.zip", CONTENT), target))
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
        target.write_bytes(CONTENT)
    thread.join(10)
    assert not thread.is_alive() and not web.requests
    assert f"waiting: {target} is being downloaded by process {os.getpid()} on " in capsys.readouterr().err


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A folder on a disk of 128 KiB, and a function that makes room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "none", folder]
    if shutil.which("mount") and subprocess.run(mount, capture_output=True).returncode == 0:
        yield folder, lambda: subprocess.run(["mount", "-o", "remount,size=2m", folder], check=True)
        subprocess.run(["umount", folder], check=True)
        return
    limit = [2**17]

    class File(io.FileIO):
        def write(self, data):
            room = limit[0] - os.fstat(self.fileno()).st_size
            if room <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data[:room])

    usage = shutil.disk_usage(folder)
    opened = Path.open
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=limit[0]))
    monkeypatch.setattr(
        Path,
        "open",
        lambda path, *mode, **how: File(path, "ab") if mode == ("ab",) and how else opened(path, *mode, **how),
    )
    yield folder, lambda: limit.__setitem__(0, 2**21)


def test_file_that_does_not_fit_is_not_begun(web, small_disk):
    folder, _ = small_disk
    with pytest.raises(UserError, match=rf"{len(CONTENT):,} bytes are to be downloaded, but only 1.* are free"):
        get(web.serve("/a.zip", CONTENT), folder / "archive")
    assert list(folder.iterdir()) == []


def test_disk_that_fills_up_midway(web, small_disk):
    folder, make_room = small_disk
    target = folder / "archive"
    url = web.serve("/a.zip", CONTENT, length=None)
    with pytest.raises(UserError, match=r"archive\.part: No space left on device after .* which are kept; free some"):
        get(url, target)
    have = Part(target).size
    assert PIECE < have <= 2**17 and CONTENT.startswith(Part(target).path.read_bytes())
    make_room()
    get(url, target)
    assert target.read_bytes() == CONTENT
    assert web.ranges == [None, f"bytes={have}-"]
