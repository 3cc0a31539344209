"""Takes the text out of PDF, HTML and plain text, a JSON line each. Knows folders only."""

from __future__ import annotations

import argparse
import os
import resource
import sys
from typing import Any

from bs4 import BeautifulSoup
from pypdf import PdfReader

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from each_input import append, each_input  # pyright: ignore[reportMissingImports]

INPUT_BYTES_MAX = 200 << 20
TEXT_LENGTH_MAX = 1_000_000
PAGES_MAX = 5_000
MARKUP_BYTES_MAX = 20 << 20
MEMORY_BYTES = 2 << 30
INPUT_S = 120
INVISIBLE = ("script", "style", "noscript", "template")


def extract(path: str) -> dict[str, Any]:
    """Return the text of one document and what is known of it. Raises what its reader raises."""
    size_bytes = os.path.getsize(path)
    if not 0 < size_bytes <= INPUT_BYTES_MAX:
        raise ValueError(f"{size_bytes} bytes: between 1 and {INPUT_BYTES_MAX} can be read")
    with open(path, "rb") as file:
        head = file.read(1024)
    # What the bytes are counts, not what the name says.
    if b"%PDF-" in head:
        kind, title, pages, text = "pdf", *_pdf(path)
    elif path.lower().endswith((".html", ".htm", ".xhtml")) or _is_markup(head):
        kind, title, pages, text = "html", *_html(path)
    else:
        kind, title, pages, text = "text", None, None, _plain(path)
    text = _clean(text)
    return {
        "file": os.path.basename(path),
        "kind": kind,
        "title": _clean(title)[:500] if title else None,
        "pages": pages,
        "characters": len(text),
        "truncated": len(text) > TEXT_LENGTH_MAX,
        "text": text[:TEXT_LENGTH_MAX],
    }


def _is_markup(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html"))


def _pdf(path: str) -> tuple[str | None, int, str]:
    reader = PdfReader(path)
    pages: list[str] = []
    length = 0
    for page in reader.pages[:PAGES_MAX]:
        pages.append(page.extract_text())
        length += len(pages[-1])
        if length > TEXT_LENGTH_MAX:
            break
    title = reader.metadata.title if reader.metadata else None
    return title, len(reader.pages), "\n\n".join(pages)


def _html(path: str) -> tuple[str | None, None, str]:
    with open(path, "rb") as file:
        soup = BeautifulSoup(file.read(MARKUP_BYTES_MAX), "html.parser")
    for element in soup(list(INVISIBLE)):
        element.decompose()
    title = soup.title.get_text(" ", strip=True) if soup.title else None
    return title, None, (soup.body or soup).get_text("\n", strip=True)


def _plain(path: str) -> str:
    with open(path, "rb") as file:
        # A character has at most 4 bytes; one more than the limit shows that there are more.
        data = file.read(4 * TEXT_LENGTH_MAX + 4)
    for encoding in (
        ("utf-16", "utf-8-sig") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",)
    ):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    if b"\0" in data:
        raise ValueError("these bytes are no text")
    return data.decode("cp1252", errors="replace")


def _clean(text: str) -> str:
    """Return it without NUL, lone surrogates and other control characters."""
    text = text.replace("\r\n", "\n").encode("utf-8", "replace").decode()
    return "".join(c for c in text if c >= " " or c in "\n\t").strip()


def main() -> int:
    """Extract from every document; returns 3 when some could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    # A small PDF can unpack into a large one: then it fails alone, with MemoryError.
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    results = os.path.join(arguments.output, "texts.jsonl")
    return each_input(
        arguments.input,
        arguments.output,
        lambda path: append(results, extract(path)),
        seconds=INPUT_S,
    )


if __name__ == "__main__":
    sys.exit(main())
