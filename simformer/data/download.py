"""One file over HTTP: streamed, continued by range where it was cut, repeated with growing pauses."""

from __future__ import annotations

import errno
import os
import re
import shutil
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from requests import Response, Session
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from simformer import __version__
from simformer.atomic import say
from simformer.data.part import Origin, Part
from simformer.errors import UserError
from simformer.machine.stop_signal import time_limit

CHUNK = 2**16
"""Bytes per read: what a killed process may lose."""
HEAD = 512
"""First bytes of a file, enough to tell a web page."""
PAGE = "a web page instead of the file: a login, a notice, or the file has moved"
HEADERS = {"User-Agent": f"simformer/{__version__}", "Accept-Encoding": "identity"}
"""Compressed on the way, a file could not be continued by range."""
TEMPORARY = (408, 425, 429)
"""Statuses below 500 that mean: later."""
BAD_ADDRESS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.TooManyRedirects,
)


@dataclass(frozen=True)
class Retry:
    """How patiently a download is repeated.

    Attributes:
        attempts: tries in a row without a new byte, after which an address is given up.
        pause: seconds before the second of them; doubled before each further one.
        longest_pause: bound of these pauses, and of those that a server may ask for (Retry-After).
        timeout: seconds without an answer, or without a byte, after which a connection counts as cut.
        slowest: seconds for a whole answer's head, or for the next 64 KiB, after which it counts as cut, too: a server
            that sends a byte now and then would never be done.
    """

    attempts: int = 6
    pause: float = 2.0
    longest_pause: float = 300.0
    timeout: float = 30.0
    slowest: float = 120.0


class Unavailable(Exception):
    """An address does not give the file; the message says why. Another one may."""


class _Interrupted(Exception):
    """A try failed in a way that may pass; `wait` is the pause in seconds that the server asks for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def download(url: str, part: Part, expected: int | None, retry: Retry, check_head: Callable[[bytes], None]) -> None:
    """Bring a part to its end.

    Args:
        url: address, http or https; redirects are followed, proxies and certificates are taken from the environment
            (HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE).
        part: what is there already, and what is written to.
        expected: size of the whole file in bytes, if it is known.
        retry: patience.
        check_head: called with the first bytes before any is written; raises Unavailable if they are wrong.

    Raises:
        Unavailable: the address does not give the file; what was there of the part is kept.
        UserError: the disk is full.
    """
    furthest, failures = part.size, 0
    with Session() as session:
        session.headers.update(HEADERS)
        while True:
            try:
                return _try(session, url, part, expected, retry, check_head)
            except _Interrupted as error:
                failures = failures + 1 if part.size <= furthest else 1
                furthest = max(furthest, part.size)
                pause = max(error.wait, min(retry.pause * 2 ** (failures - 1), retry.longest_pause))
                if pause > retry.longest_pause:
                    raise Unavailable(f"{error}; the server asks to wait {pause:.0f} s") from error
                if failures >= retry.attempts:
                    raise Unavailable(f"{error} ({failures} tries without a new byte)") from error
                say(f"{url}: {error}; trying again in {pause:g} s ({part.size:,} bytes so far)")
                time.sleep(pause)


def _try(
    session: Session, url: str, part: Part, expected: int | None, retry: Retry, check_head: Callable[[bytes], None]
) -> None:
    """Ask once for what is missing and write what comes."""
    old, have = part.origin, part.size
    if old and have and old.size == have:
        return  # all of it had arrived when an earlier run was killed
    headers = {}
    if old and have and old.url == url and old.validator:
        headers = {"Range": f"bytes={have}-", "If-Range": old.validator}
    try:
        with time_limit(retry.slowest, _Interrupted(f"no whole answer within {retry.slowest:g} s")):
            response = session.get(url, headers=headers, stream=True, timeout=retry.timeout)
        with response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                part.clear()
                raise _Interrupted(f"the file there does not have the {have:,} bytes that are here; starting over")
            _check_status(response)
            start, new = _version(response, url)
            if start:
                if start != have or old is None or new.differs(old):
                    part.clear()
                    raise _Interrupted("the file there has changed since the download began; starting over")
            elif have:
                say(f"{url}: does not continue the {have:,} bytes that are here; starting over")
            if expected and new.size and new.size != expected:
                raise Unavailable(f"{new.size:,} bytes, expected {expected:,} (`bytes` of the archive)")
            _write(response, part, start, new, expected, retry.slowest, check_head)
    except BAD_ADDRESS as error:
        raise Unavailable(f"this address does not work ({_reason(error)})") from error
    except (requests.RequestException, HTTPError) as error:
        if isinstance(_innermost(error), ssl.SSLCertVerificationError):
            raise Unavailable(f"{_reason(error)}; behind a proxy that inspects, set REQUESTS_CA_BUNDLE") from error
        raise _Interrupted(f"connection failed: {_reason(error)}") from error


def _check_status(response: Response) -> None:
    """Raise Unavailable or _Interrupted unless the answer holds (a part of) the file."""
    said = f"HTTP {response.status_code} {response.reason}".strip()
    if response.status_code in TEMPORARY or response.status_code >= 500:
        raise _Interrupted(said, _retry_after(response))
    if response.status_code not in (200, 206):
        raise Unavailable(said)
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise Unavailable(PAGE)


def _version(response: Response, url: str) -> tuple[int, Origin]:
    """Return the offset at which an answer's bytes begin, and what it says about the whole file."""
    start, size = 0, response.headers.get("Content-Length")
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not found:
            place = response.headers.get("Content-Range")
            raise Unavailable(f"a part that does not say where it belongs (Content-Range: {place})")
        start, size = int(found[1]), found[2]
    told = int(size) if size and size.isdecimal() else None
    return start, Origin(url, told, response.headers.get("ETag"), response.headers.get("Last-Modified"))


def _write(
    response: Response,
    part: Part,
    start: int,
    new: Origin,
    expected: int | None,
    slowest: float,
    check_head: Callable[[bytes], None],
) -> None:
    """Append an answer's bytes to the part, or replace it with them if they are the whole file."""
    chunks = response.raw.stream(CHUNK, decode_content=False)
    first = _next(chunks, slowest)
    if first and not start:
        check_head(first[:HEAD])
    goal = new.size or expected
    _check_disk(part, goal)
    try:
        with part.path.open("ab", buffering=0) as file:
            file.truncate(start)
            if not start:
                part.origin = new
            interval = 0.5 if sys.stderr.isatty() else 30
            with tqdm(
                total=goal, initial=start, unit="B", unit_scale=True, desc=part.path.stem, mininterval=interval
            ) as progress:
                while first:
                    data = memoryview(first)
                    while data:
                        data = data[file.write(data) :]
                    progress.update(len(first))
                    first = _next(chunks, slowest)
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"{part.path}: {error.strerror} after {part.size:,} bytes, which are kept; free some disk space and run "
            "the same command again: it continues"
        ) from error
    if goal and part.size < goal:
        raise _Interrupted(f"ended early, {goal - part.size:,} bytes are missing")


def _next(chunks: Iterator[bytes], slowest: float) -> bytes:
    """Return the next bytes of an answer, none at its end."""
    with time_limit(slowest, _Interrupted(f"fewer than {CHUNK:,} bytes within {slowest:g} s")):
        return next(chunks, b"")


def _check_disk(part: Part, goal: int | None) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if goal and goal - part.size > free:
        raise UserError(
            f"{part.path.parent}: {goal - part.size:,} bytes are to be downloaded, but only {free:,} are free; free "
            "some disk space, or set `data` of the study to a folder on a larger disk, and run the same command again"
        )


def _retry_after(response: Response) -> float:
    """Return the seconds that a server asks to wait; 0 if it does not."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _innermost(error: BaseException) -> BaseException:
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error


def _reason(error: BaseException) -> str:
    """Return what is at the bottom of a library's error, without its layers."""
    error = _innermost(error)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
