"""Documents: it owns what a PDF says about itself. Its text and attachments stay inside."""

from __future__ import annotations

import logging
from typing import Any, BinaryIO

from pypdf import PdfReader

from adapters.records.folder import MIB
from adapters.records.times import parse_time
from adapters.records.values import as_text
from adapters.sources.plain_folder.findings import Findings
from adapters.sources.plain_folder.xmp import packet_of, read_xmp

DOCUMENT_BYTES_MAX = 64 * MIB

# It reports every repair; scraped documents need many.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def read_pdf(file: BinaryIO, size_bytes: int) -> Findings:
    """Return the document info; XMP fills what it leaves out."""
    found = Findings()
    if size_bytes > DOCUMENT_BYTES_MAX:
        return found
    file.seek(0)
    data = file.read()
    file.seek(0)
    try:
        reader = PdfReader(file, strict=False)
        found.columns["is_encrypted"] = reader.is_encrypted
        if not reader.is_encrypted:
            found.columns["page_count"] = len(reader.pages)
            info: dict[str, Any] = dict(reader.metadata or {})
            _info(
                found,
                {
                    name.strip("/"): as_text(str(info[name]).replace("\0", " "))
                    for name in list(info)[:200]
                },
            )
    except Exception:
        # Hostile bytes end in all kinds of errors; what was found until then is kept.
        found.written["damaged"] = ["document"]
    if packet := packet_of(data):
        found.fill(read_xmp(packet))
    # A document is written, not taken.
    found.columns.pop("taken_time", None)
    found.columns.pop("taken_offset", None)
    found.changed, found.taken = found.changed or found.taken, None
    return found


def _info(found: Findings, info: dict[str, str | None]) -> None:
    found.written["pdf"] = {name: value for name, value in info.items() if value}
    found.columns |= {
        "title": info.get("Title"),
        "artist": info.get("Author"),
        "subject": info.get("Subject"),
        "software": info.get("Creator"),
        "producer": info.get("Producer"),
    }
    if keywords := info.get("Keywords"):
        separator = ";" if ";" in keywords else ","
        words = [word.strip() for word in keywords.split(separator)]
        found.columns["keywords"] = [word for word in words if word][:200] or None
    found.changed = _pdf_time(info.get("ModDate")) or _pdf_time(info.get("CreationDate"))


def _pdf_time(text: str | None) -> Any:
    """Read `D:20220414213048+02'00'`."""
    digits = (text or "").removeprefix("D:").replace("'", "")
    if len(digits) < 8 or not digits[:8].isdigit():
        return None
    head, zone = digits[:14], digits[14:].replace("Z0000", "Z").strip()
    if not head.isdigit():
        return None
    head = head.ljust(14, "0")
    clock = f"{head[8:10]}:{head[10:12]}:{head[12:]}"
    zone = f"{zone[:3]}:{zone[3:5]}" if len(zone) >= 5 and zone[0] in "+-" else "Z"
    return parse_time(f"{head[:4]}-{head[4:6]}-{head[6:8]}T{clock}{zone}")
