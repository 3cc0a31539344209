"""Captures as records: it owns the nodes and edges that one WARC or ARC file becomes.

A page is `web:page:<address>`; its payload, where the store knows the type, is extracted and
contained in it. Edges come only from what records state: redirects, referers, outlinks, captures
made together, revisits and conversions. HTML is not searched for pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO
from urllib.parse import urljoin

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.folder import MIB, ScrapeFolder, decode_text
from adapters.records.items import Link, MediaFile, Observation, Problem, Record
from adapters.records.times import parse_time
from adapters.records.values import as_integer, as_text, clean, text_of_html
from adapters.sources.warc.captures import Capture, Damage, captures
from adapters.sources.warc.media_types import extension_for
from adapters.sources.warc.payload import payload

SOURCE = "warc"
REMEMBERED_MAX = 1_000_000
OUTLINKS_MAX = 1_000
TEXT_BYTES_MAX = MIB
TITLE_BYTES = 1 << 16
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
# A header of a whole archive: it describes no page.
_OF_ARCHIVES = ("warcinfo",)
_WITH_TEXT = ("request", "metadata", "warcinfo")


class CaptureRecords:
    """The records of the archives of one folder; remembers what later records refer to."""

    def __init__(self, folder: ScrapeFolder) -> None:
        self._folder = folder
        self._files: dict[str, MediaFile] = {}
        self._pages: dict[str, str] = {}

    def read(self, path: str, file: BinaryIO, number: int = 0) -> Iterator[Record | Problem]:
        """Yield the records of one archive; `path` is the scraped file that it is or lies in."""
        for capture in captures(file, number):
            if isinstance(capture, Damage):
                yield Problem(path, capture.number, capture.reason)
                continue
            try:
                yield self._record(path, capture)
            except RecordError as error:
                yield Problem(path, capture.number, str(error))

    def _record(self, path: str, capture: Capture) -> Record:
        if capture.record_type in _OF_ARCHIVES:
            return _archive_record(path, capture)
        if capture.uri is None:
            raise RecordError(f"a record of type {capture.record_type[:40]!a} without target URI")
        page = describe("web", "page", capture.uri)
        http = capture.http_headers()
        meta = _record_meta(capture)
        links = self._links_of_headers(capture, page)
        text: str | None = None
        title: str | None = None
        observations: list[Observation] = []
        if http is not None:
            meta |= _http_meta(capture, http)
            links += _http_links(capture, http, page)
        if capture.record_type in _WITH_TEXT:
            text = _text(capture)
            links += _outlinks(capture, text, page)
        elif capture.record_type == "revisit":
            links += self._revisit_links(capture, page)
        else:
            file, title = self._extracted(path, capture, http, meta)
            if file is not None:
                links += self._file_links(capture, page, file)
                changed = _last_modified(http)
                observations.append(
                    Observation(file, SOURCE, True, title, None, changed, None, dict(meta))
                )
        changed = _last_modified(http)
        own = Observation(page, SOURCE, False, title, None, changed, None, meta)
        self._remember(self._pages, capture.header("WARC-Record-ID"), page)
        complete = _complete(capture, http, text)
        return Record(
            path,
            capture.number,
            page,
            (own, *observations),
            tuple(dict.fromkeys(links)),
            complete,
            scraped_time=_date(capture.header("WARC-Date")),
        )

    # ---- Payloads --------------------------------------------------------------------------------

    def _extracted(
        self, path: str, capture: Capture, http: Any, meta: dict[str, Any]
    ) -> tuple[MediaFile | None, str | None]:
        extension = extension_for(meta.get("content_type"), capture.uri or "")
        if extension is None or not capture.block.left:
            return None, None
        is_cut = capture.header("WARC-Truncated") is not None
        transfer = http.get_header("Transfer-Encoding") if http is not None else None
        encoding = http.get_header("Content-Encoding") if http is not None else None
        chunks = payload(capture.block, transfer, encoding, is_cut)
        first = next((chunk for chunk in chunks if chunk), b"")
        if not first:
            return None, None
        head = bytearray()

        def watched() -> Iterator[bytes]:
            head.extend(first[:TITLE_BYTES])
            yield first
            for chunk in chunks:
                if len(head) < TITLE_BYTES:
                    head.extend(chunk[:TITLE_BYTES])
                yield chunk

        file = self._folder.extract(path, f"payload.{extension}", watched())
        meta["payload_size_bytes"] = self._folder.extracted[file.path].size_bytes
        is_html = extension in ("html", "htm", "xhtml")
        return file, _html_title(bytes(head)) if is_html else None

    def _file_links(self, capture: Capture, page: str, file: MediaFile) -> list[Link]:
        links = [Link(page, file, "contains")]
        original = self._files.get(capture.header("WARC-Refers-To") or "")
        if capture.record_type == "conversion" and original not in (None, file):
            links.append(Link(original, file, "variant"))
        for name in ("WARC-Record-ID", "WARC-Payload-Digest"):
            self._remember(self._files, capture.header(name), file)
        return links

    def _revisit_links(self, capture: Capture, page: str) -> list[Link]:
        """Tie a revisit to the page, and where it was met already the file, that it repeats."""
        links: list[Link] = []
        uri = capture.header("WARC-Refers-To-Target-URI")
        original = (
            describe("web", "page", uri.strip("<> ").replace(" ", "%20"))
            if uri and uri.strip("<> ")
            else self._pages.get(capture.header("WARC-Refers-To") or "")
        )
        if original and original != page:
            links.append(Link(original, page, "alias"))
        for name in ("WARC-Refers-To", "WARC-Payload-Digest"):
            if file := self._files.get(capture.header(name) or ""):
                links.append(Link(page, file, "contains"))
                break
        return links

    def _links_of_headers(self, capture: Capture, page: str) -> list[Link]:
        other = self._pages.get(capture.header("WARC-Concurrent-To") or "")
        return [Link(other, page, "linked")] if other and other != page else []

    @staticmethod
    def _remember(memory: dict[str, Any], name: str | None, value: Any) -> None:
        if name and len(memory) < REMEMBERED_MAX:
            memory.setdefault(name, value)


def _archive_record(path: str, capture: Capture) -> Record:
    """A warcinfo or the header of an ARC file describes the archive, which is no page."""
    text = _text(capture)
    fields = dict(_fields(text))
    name = as_text(capture.header("WARC-Filename"))
    identity = None if capture.is_arc else capture.header("WARC-Record-ID")
    archive = describe("warc", "album", identity or name or path)
    meta = _record_meta(capture) | {
        "software": as_text(fields.get("software")),
        "archive_name": name,
    }
    title = as_text(fields.get("title") or fields.get("ispartof") or name)
    said = Observation(archive, SOURCE, False, title, meta=meta)
    complete = _complete(capture, None, text)
    time = _date(capture.header("WARC-Date"))
    return Record(path, capture.number, archive, (said,), (), complete, scraped_time=time)


# ---- What records say ----------------------------------------------------------------------------


def _record_meta(capture: Capture) -> dict[str, Any]:
    # warcio makes up ids for ARC records, which have none.
    record_id = None if capture.is_arc else as_text(capture.header("WARC-Record-ID"))
    return {
        "record_type": as_text(capture.record_type),
        "record_id": record_id,
        "target_uri": as_text(capture.uri),
        "warc_date": _date(capture.header("WARC-Date")),
        "ip_address": as_text(capture.header("WARC-IP-Address")),
        "content_type": None if capture.is_arc else as_text(capture.header("Content-Type")),
        "payload_digest": as_text(capture.header("WARC-Payload-Digest")),
        "block_digest": as_text(capture.header("WARC-Block-Digest")),
        "truncated": as_text(capture.header("WARC-Truncated")),
        "refers_to": as_text(capture.header("WARC-Refers-To")),
        "concurrent_to": as_text(capture.header("WARC-Concurrent-To")),
    }


def _date(text: str | None) -> datetime | None:
    return parse_time(text) if text and not text.startswith("-") else None


def _http_meta(capture: Capture, http: Any) -> dict[str, Any]:
    if capture.record_type == "request":
        method = as_text(http.protocol)
        return {"http_method": method, "referer": as_text(http.get_header("Referer"))}
    return {
        "http_status": as_integer(str(http.get_statuscode())),
        "content_type": as_text(http.get_header("Content-Type")),
        "content_encoding": as_text(http.get_header("Content-Encoding")),
        "location": as_text(http.get_header("Location")),
    }


def _http_links(capture: Capture, http: Any, page: str) -> list[Link]:
    """The page that asked for this one, and the page that it redirects to."""
    name = "Referer" if capture.record_type == "request" else "Location"
    other = _page(http.get_header(name), capture.uri or "")
    if other is None or other == page:
        return []
    return [Link(other, page, "linked") if name == "Referer" else Link(page, other, "linked")]


def _page(address: Any, base: str) -> str | None:
    if not isinstance(address, str) or not address.strip():
        return None
    try:
        absolute = urljoin(base, address.strip())
        return describe("web", "page", absolute) if absolute.lower().startswith("http") else None
    except (ValueError, RecordError):
        return None


def _outlinks(capture: Capture, text: str, page: str) -> list[Link]:
    """Heritrix lists where a page came from and what it links to."""
    if capture.record_type != "metadata" or "warc-fields" not in (
        capture.header("Content-Type") or ""
    ):
        return []
    links: list[Link] = []
    for name, value in _fields(text):
        other = _page(value.partition(" ")[0], capture.uri or "")
        if other is None or other == page or len(links) >= OUTLINKS_MAX:
            continue
        if name == "via":
            links.append(Link(other, page, "linked"))
        elif name == "outlink":
            links.append(Link(page, other, "linked"))
    return links


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def _text(capture: Capture) -> str:
    """Read the rest of a block of text; what is longer than the limit is left away."""
    parts: list[bytes] = []
    size = 0
    while size < TEXT_BYTES_MAX and (data := capture.block.read()):
        parts.append(data)
        size += len(data)
    return clean(decode_text(b"".join(parts)[:TEXT_BYTES_MAX]))


def _last_modified(http: Any) -> datetime | None:
    return parse_time(http.get_header("Last-Modified")) if http is not None else None


def _html_title(head: bytes) -> str | None:
    match = _TITLE.search(head)
    return text_of_html(" ".join(decode_text(match.group(1)).split())) if match else None


def _complete(capture: Capture, http: Any, text: str | None) -> dict[str, Any]:
    """The record without its payload, which is a file of its own."""
    headers = [list(pair) for pair in capture.headers.headers]
    if capture.is_arc:
        headers = [pair for pair in headers if pair[0] != "WARC-Record-ID"]
    complete: dict[str, Any] = {"record": headers}
    if http is not None:
        complete["http"] = {
            "status": " ".join(filter(None, (http.protocol, http.statusline))),
            "headers": [list(pair) for pair in http.headers],
        }
    if text:
        complete["block"] = text
    return complete
