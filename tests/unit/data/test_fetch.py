"""What is checked before a download takes its place, and where else it is looked for."""

import hashlib
import json

import pytest

from simformer.cli import main
from simformer.config.sources import Archive
from simformer.data.download import Retry
from simformer.data.fetch import fetch
from simformer.data.part import Part
from simformer.errors import UserError
from tests.web import Fault, zipped

CONTENT = zipped()
OTHER = zipped(seed=1)
QUICK = Retry(attempts=2, pause=0.01, timeout=0.4)
PAGE = b"\n <!DOCTYPE html><title>Please log in</title>"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "mine" / "archive"


def get(url: str, target, *more: str, **published) -> None:
    fetch(Archive(urls=(url, *more), **published), target, QUICK)


def digest(kind: str, content: bytes) -> str:
    return f"{kind}:{hashlib.new(kind, content).hexdigest()}"


@pytest.mark.parametrize("status", [403, 404, 410])
def test_next_address_is_taken_and_the_first_is_named(web, target, status, capsys):
    first = web.serve("/a.zip", b"", faults=[Fault(status)])
    get(first, target, web.serve("/b.zip", CONTENT))
    assert target.read_bytes() == CONTENT
    assert [request.path for request in web.requests] == ["/a.zip", "/b.zip"]
    assert f"{first}: HTTP {status} " in capsys.readouterr().err


def test_every_address_is_named_when_all_fail(web, target):
    page = web.serve("/page.zip", PAGE, kind="text/html; charset=utf-8")
    with pytest.raises(UserError) as caught:
        get(f"{web.url}/absent.zip", target, page, "http://127.0.0.1:1/c.zip", bytes=len(CONTENT))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{target}: no address gives this file:"
    assert lines[1] == f"  {web.url}/absent.zip: HTTP 404 Not Found"
    assert lines[2].startswith(f"  {page}: a web page instead of the file: a login, a notice, or the file has moved")
    assert lines[3] == "  http://127.0.0.1:1/c.zip: connection failed: Connection refused (2 tries without a new byte)"
    assert "`path: /path/to/your/copy`" in lines[4]
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (CONTENT, "text/html", "a web page instead of the file"),
        (PAGE, "application/zip", "a web page instead of the file"),
        (b'{"error": "quota exceeded"}', "application/json", 'not a zip archive, it begins with b\'{"error": "quota'),
    ],
)
def test_answer_that_is_no_archive_is_refused_and_spares_what_is_there(web, target, content, kind, reason):
    url = web.serve("/a.zip", CONTENT, faults=[Fault(upto=0.5), Fault(404)])
    with pytest.raises(UserError):
        get(url, target)
    web.serve("/a.zip", content, kind=kind, etag='"other"')
    with pytest.raises(UserError, match=reason):
        get(url, target)
    assert Part(target).path.read_bytes() == CONTENT[: len(CONTENT) // 2]


def test_name_without_zip_may_hold_anything_but_a_web_page(web, target):
    get(web.serve("/annotations.json", b"{}", kind="application/json"), target)
    assert target.read_bytes() == b"{}"
    with pytest.raises(UserError, match="a web page"):
        get(web.serve("/annotations.json", PAGE, kind="application/json"), target.with_name("b"))
    with pytest.raises(UserError, match="an empty file"):
        get(web.serve("/annotations.json", b"", kind="application/json"), target.with_name("c"))


def test_zip_without_its_end_is_refused(web, target):
    with pytest.raises(UserError, match=r"its 150,000 bytes are not a whole zip archive"):
        get(web.serve("/a.zip", CONTENT[:150_000]), target)
    assert list(target.parent.iterdir()) == []


def test_published_size_is_compared_before_the_first_byte(web, target):
    url = web.serve("/a.zip", CONTENT, faults=[Fault(upto=0.5), Fault(404)])
    with pytest.raises(UserError):
        get(url, target)
    have = Part(target).size
    with pytest.raises(UserError, match=rf"{len(CONTENT):,} bytes, expected 7 \(`bytes` of the archive\)"):
        get(url, target, bytes=7)
    assert Part(target).size == have
    get(url, target, bytes=len(CONTENT))
    assert target.read_bytes() == CONTENT


def test_published_size_is_compared_when_the_server_tells_none(web, target):
    with pytest.raises(UserError, match=rf"{len(CONTENT):,} bytes, expected 7,000 "):
        get(web.serve("/a.zip", CONTENT, length=None), target, bytes=7000)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
def test_published_checksum_is_compared(web, target, kind):
    url = web.serve("/a.zip", CONTENT)
    with pytest.raises(UserError) as caught:
        get(url, target, checksum=digest(kind, OTHER))
    found, expected = digest(kind, CONTENT).partition(":")[2], digest(kind, OTHER).partition(":")[2]
    assert f"{url}: {kind} {found}, expected {expected} (`checksum` of the archive)" in str(caught.value)
    assert list(target.parent.iterdir()) == []
    get(url, target, checksum=digest(kind, CONTENT))
    assert [path.name for path in target.parent.iterdir()] == ["archive"]


def test_address_with_the_right_content_is_found(web, target):
    wrong, right = web.serve("/a.zip", OTHER), web.serve("/b.zip", CONTENT)
    get(wrong, target, right, checksum=digest("sha1", CONTENT))
    assert target.read_bytes() == CONTENT


def test_without_a_checksum_the_first_download_is_the_measure(web, target):
    url = web.serve("/a.zip", CONTENT)
    get(url, target)
    record = target.with_name("archive.sha256")
    assert record.read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  archive\n"
    target.unlink()
    get(url, target)
    target.unlink()
    web.serve("/a.zip", OTHER)
    with pytest.raises(UserError) as caught:
        get(url, target)
    assert f"sha256 {hashlib.sha256(OTHER).hexdigest()}, but the first download had" in str(caught.value)
    assert f"if you trust the new one, delete {record}" in str(caught.value)
    assert not target.exists() and not Part(target).size
    record.unlink()
    get(url, target)
    assert target.read_bytes() == OTHER


def test_file_that_was_put_there_is_checked_and_kept(web, target):
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    url = f"{web.url}/a.zip"
    get(url, target, bytes=len(CONTENT), checksum=digest("md5", CONTENT))
    with pytest.raises(UserError, match=r"archive: md5 .*; remove it and run the same command again"):
        get(url, target, checksum=digest("md5", OTHER))
    assert target.read_bytes() == CONTENT and web.requests == []
    target.write_bytes(PAGE)
    with pytest.raises(UserError, match="a web page instead of the file"):
        get(url, target)


def test_command_line(web, target, capsys):
    archive = {"urls": [web.serve("/a.zip", CONTENT)], "bytes": len(CONTENT)}
    assert main(["fetch", "--archive", json.dumps(archive), "--output", str(target)]) == 0
    assert target.read_bytes() == CONTENT
    said = capsys.readouterr().err
    assert len(said.splitlines()) <= 3 and "archive: 100%" in said


def test_archive_is_checked_again_before_it_is_prepared(target, capsys):
    """One that was put in its place by hand has never been fetched."""
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    source = {"kind": "ade20k", "archive": {"urls": ["http://x/a.zip"], "checksum": digest("sha1", OTHER)}}
    given = ["--archive", f"archive={target}", "--output", str(target.with_name("out"))]
    assert main(["prepare", "--source", json.dumps(source), *given]) == 1
    assert f"error: {target}: sha1 {digest('sha1', CONTENT)[5:]}, expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        ("{", "error: --archive: cannot be read as JSON ("),
        ("{}", "error: --archive: neither `urls` nor `path`; give your own copy, e.g. {path: /data/images.zip}"),
        ('{"urls": [], "path": "/mine"}', "archive: nothing to fetch, the archive has no `urls`"),
        ('{"url": ["http://x/a.zip"]}', "error: --archive: unknown key 'url'; did you mean 'urls'?"),
    ],
)
def test_command_line_mistakes(target, capsys, archive, message):
    assert main(["fetch", "--archive", archive, "--output", str(target)]) == 1
    assert message in capsys.readouterr().err
