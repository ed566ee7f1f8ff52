"""Recognises a file by its first bytes, for messages about a file that is not what it should be."""

from __future__ import annotations

WEB_PAGE = (b"<!doctype html", b"<html", b"<head", b"<?xml")
LFS_POINTER = b"version https://git-lfs"
TAR_MAGIC, TAR_OFFSET = b"ustar", 257
ZIP_NAME = 30
"""Offset of the first member's name in a zip archive."""
HEAD = 512
"""Bytes that tell enough."""

SIGNATURES = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive without members"),
    (b"PK", "a part of a zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89HDF", "an HDF5 file"),
    (b"MATLAB", "a MATLAB file"),
    (b"%PDF", "a PDF"),
    (LFS_POINTER, "the pointer of Git LFS, not the file itself"),
)


def describe_content(head: bytes) -> str | None:
    """Return what a file is, e.g. 'a gzip file'; None if its first bytes (`HEAD` of them) do not tell."""
    if not head:
        return "an empty file"
    if not head.strip(b"\0"):
        return "a file of zeros, as an interrupted copy leaves it"
    if is_web_page(head):
        return "a web page: a login, a notice, or the file has moved"
    if head[TAR_OFFSET : TAR_OFFSET + len(TAR_MAGIC)] == TAR_MAGIC:
        return "a tar archive"
    return next((kind for start, kind in SIGNATURES if head.startswith(start)), None)


def spreadsheet(head: bytes) -> str | None:
    """Return what a file of a spreadsheet program is, from its beginning; None for any other file."""
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return "an Excel file"
    if not head.startswith(b"PK\x03\x04"):
        return None
    first = head[ZIP_NAME:]
    if first.startswith(b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"):
        return "an OpenDocument spreadsheet"
    if first.startswith(b"Index/") and b".iwa" in first[:100]:
        return "a Numbers file"
    return "an Excel file" if first.startswith((b"[Content_Types].xml", b"_rels/.rels", b"xl/", b"docProps/")) else None


def is_web_page(head: bytes) -> bool:
    """Return whether a file begins like HTML, after any white space or byte order mark."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(WEB_PAGE)
