"""A web server on this machine whose answers can fail in every way that a download meets."""

import io
import random
import ssl
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

PIECE = 2**14


def zipped(size: int = 300_000, seed: int = 0) -> bytes:
    """Return a zip archive of about `size` bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as pack:
        pack.writestr(zipfile.ZipInfo("noise"), random.Random(seed).randbytes(size))
    return buffer.getvalue()


@dataclass
class Fault:
    """What goes wrong with one request; without a status, the file is sent as far as `upto` (a share of its bytes)."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    upto: float = 1.0
    hang: bool = False
    """Do not close the connection after `upto`, but send nothing more."""


@dataclass
class Page:
    """A file of the server, how it is served, and the faults of the next requests for it, one each."""

    content: bytes
    etag: str | None = '"first"'
    modified: str | None = None
    kind: str = "application/zip"
    ranges: bool = True
    conditional: bool = True
    """Compare If-Range; a server that does not continues whatever it is asked for."""
    length: int | None = -1
    """Content-Length of a whole file: -1 the true one, None not told."""
    moved: str | None = None
    pause: float = 0.0
    """Seconds between two pieces."""
    faults: list[Fault] = field(default_factory=list)


@dataclass
class Request:
    """What was asked for, and how many bytes of the file were sent."""

    path: str
    range: str | None
    if_range: str | None
    sent: int = 0


class Web:
    """A running server: put pages into `pages` by path, read `requests`."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": self}))
        self._server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop serving; hanging connections end."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def serve(self, path: str, content: bytes, **how) -> str:
        """Put a page up and return its address."""
        self.pages[path] = Page(content, **how)
        return f"{self.url}{path}"

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of every request."""
        return [request.range for request in self.requests]

    @property
    def sent(self) -> int:
        """Bytes of files sent so far."""
        return sum(request.sent for request in self.requests)


class _Handler(BaseHTTPRequestHandler):
    web: Web
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path  # a proxy is asked for whole addresses
        request = Request(path, self.headers.get("Range"), self.headers.get("If-Range"))
        self.web.requests.append(request)
        page = self.web.pages.get(path)
        fault = page.faults.pop(0) if page and page.faults else Fault()
        if page is None or fault.status != 200:
            self._say(404 if page is None else fault.status, {"Content-Length": "0"} | fault.headers)
        elif page.moved:
            self._say(302, {"Location": page.moved, "Content-Length": "0"})
        else:
            self._send(page, fault, request)

    def _send(self, page: Page, fault: Fault, request: Request) -> None:
        start, size = 0, len(page.content)
        same = not page.conditional or request.if_range in (page.etag, page.modified)
        if page.ranges and request.range and same:
            start = int(request.range.removeprefix("bytes=").removesuffix("-"))
        headers = {"Content-Type": page.kind, "ETag": page.etag, "Last-Modified": page.modified} | fault.headers
        if start and start >= size:
            self._say(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
            return
        if start:
            headers |= {"Content-Range": f"bytes {start}-{size - 1}/{size}", "Content-Length": str(size - start)}
        elif page.length is not None:
            headers["Content-Length"] = str(size if page.length < 0 else page.length)
        self._say(206 if start else 200, {name: value for name, value in headers.items() if value})
        self._write(page, start, int(size * fault.upto), request)
        if fault.hang:
            self.web.closing.wait(10)
        self.close_connection = True

    def _write(self, page: Page, start: int, stop: int, request: Request) -> None:
        try:
            for begin in range(start, stop, PIECE):
                piece = page.content[begin : min(begin + PIECE, stop)]
                self.wfile.write(piece)
                request.sent += len(piece)
                time.sleep(page.pause)
        except OSError:
            pass  # the client has left

    def _say(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_) -> None:
        """Print nothing."""
