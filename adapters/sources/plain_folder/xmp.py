"""XMP: it owns reading its properties, out of a sidecar or the packet inside a file.

Parsed by defusedxml: no entities, no documents from elsewhere.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree as SafeTree
from defusedxml import DefusedXmlException

from adapters.records.folder import MIB
from adapters.records.values import as_integer, as_number, as_text
from adapters.sources.plain_folder.findings import Findings, first_text, moment

XMP_BYTES_MAX = 8 * MIB
PROPERTIES_MAX = 500
MEMBERS_MAX = 1_000
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/pdf/1.3/": "pdf",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://ns.adobe.com/xap/1.0/rights/": "xmpRights",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": "Iptc4xmpCore",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://www.digikam.org/ns/1.0/": "digiKam",
}


def read_xmp(data: bytes) -> Findings:
    """Return what XMP says; empty findings when it is none."""
    found = Findings()
    properties = _properties(data)
    if not properties:
        return found
    found.written["xmp"] = properties
    for names in (
        ("exif:DateTimeOriginal",),
        ("photoshop:DateCreated",),
        ("xmp:CreateDate", "exif:DateTimeDigitized"),
    ):
        found.taken, zone = moment(first_text(properties, *names))
        if found.taken:
            found.columns |= {"taken_time": found.taken, "taken_offset": zone}
            break
    found.changed = moment(first_text(properties, "xmp:ModifyDate"))[0]
    found.columns |= {
        "title": first_text(properties, "dc:title", "photoshop:Headline"),
        "description": first_text(properties, "dc:description"),
        "artist": first_text(properties, "dc:creator", "tiff:Artist"),
        "rights": first_text(properties, "dc:rights", "xmpRights:UsageTerms"),
        "keywords": _keywords(properties),
        "rating": as_integer(first_text(properties, "xmp:Rating")),
        "city": first_text(properties, "photoshop:City"),
        "country": first_text(properties, "photoshop:Country"),
        "camera_make": first_text(properties, "tiff:Make"),
        "camera_model": first_text(properties, "tiff:Model"),
        "lens": first_text(properties, "exifEX:LensModel", "aux:Lens"),
        "software": first_text(properties, "xmp:CreatorTool"),
        "producer": first_text(properties, "pdf:Producer"),
        "orientation": _orientation(first_text(properties, "tiff:Orientation")),
        "latitude": degrees(first_text(properties, "exif:GPSLatitude"), 90),
        "longitude": degrees(first_text(properties, "exif:GPSLongitude"), 180),
    }
    return found


def packet_of(data: bytes) -> bytes | None:
    """Return the first XMP packet inside bytes."""
    begin = data.find(b"<x:xmpmeta")
    end = data.find(b"</x:xmpmeta>", begin)
    return data[begin : end + 12] if begin >= 0 and end >= 0 else None


def degrees(text: str | None, limit: float) -> float | None:
    """Return degrees from XMP's '43,28.0469N' or '43,28,2.8N'."""
    if not text or text[-1].upper() not in "NSEW":
        return None
    parts = [as_number(part) for part in text[:-1].split(",")]
    if not 1 <= len(parts) <= 3:
        return None
    total = 0.0
    for part, unit in zip(parts, (1, 60, 3600), strict=False):
        if part is None or part < 0:
            return None
        total += part / unit
    return None if total > limit else -total if text[-1].upper() in "SW" else total


def _orientation(text: str | None) -> int | None:
    number = as_integer(text)
    return number if number is not None and 1 <= number <= 8 else None


def _keywords(properties: dict[str, Any]) -> list[str] | None:
    value = properties.get("dc:subject")
    members = value if isinstance(value, list) else [value]
    return [text for text in map(as_text, members) if text] or None


def _properties(data: bytes) -> dict[str, Any]:
    if len(data) > XMP_BYTES_MAX:
        return {}
    try:
        root = SafeTree.fromstring(data if data[:2] in _UTF16_MARKS else data.rstrip(b"\0 \r\n\t"))
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError):
        return {}
    found: dict[str, Any] = {}
    for description in root.iter(f"{_RDF}Description"):
        for name, text in description.attrib.items():
            if (short := _short(name)) and len(found) < PROPERTIES_MAX:
                found.setdefault(short, as_text(text))
        for child in description:
            if (short := _short(child.tag)) and len(found) < PROPERTIES_MAX:
                found.setdefault(short, _value(child))
    return {name: value for name, value in found.items() if value}


def _short(name: Any) -> str | None:
    if not isinstance(name, str) or not name.startswith("{"):
        return None
    space, _, local = name[1:].partition("}")
    return f"{_PREFIXES[space]}:{local}" if space in _PREFIXES else None


def _value(element: Element) -> Any:
    members = [as_text(li.text) for li in element.iter(f"{_RDF}li")][:MEMBERS_MAX]
    if not members:
        return as_text(element.text)
    texts = [text for text in members if text]
    return texts if len(texts) != 1 else texts[0]
