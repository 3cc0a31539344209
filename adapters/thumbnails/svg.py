"""Pictures of SVG files, drawn without scripts and without anything that lies outside the file.

The renderer would read any file whose path stands in a drawing, so references to anything but the
drawing itself and to data in it are taken out first. It knows no scripts and no network.
"""

from __future__ import annotations

import gzip
import io
import math
import re
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SIZE_BYTES_MAX = 50_000_000
"""Of a drawing, unpacked."""
SIDE_PX_MAX = 1_000_000
DPI = 96.0
_GZIP = b"\x1f\x8b"
_MARKUP = re.compile(rb"^(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff|\s|\0)*<")
_LENGTH = re.compile(r"\s*\+?(\d+(?:\.\d*)?|\.\d+)\s*(px|pt|pc|mm|cm|in|)\s*")
_PX = {"": 1.0, "px": 1.0, "pt": 96 / 72, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}


def drawn(path: str, edge_px: int) -> tuple[Image.Image, tuple[int, int]] | None:
    """Return an SVG (or .svgz) as a picture of at most `edge_px`, and its own size in pixels.

    None when the file is no SVG. Raises ValueError and ParseError for one that cannot be drawn.
    """
    content = _content(path)
    if not _MARKUP.match(content[:1_000]):
        return None
    from defusedxml import ElementTree

    # Entities are what Illustrator names its namespaces by; expat itself stops those that explode.
    root = ElementTree.fromstring(content, forbid_entities=False)
    if _local(root.tag) != "svg":
        return None
    for element in root.iter():
        _keep_inside(element)
    import resvg_py

    plain = ElementTree.tostring(root, encoding="unicode")
    png = resvg_py.svg_to_bytes(svg_string=plain, width=edge_px, height=edge_px, dpi=DPI)
    with Image.open(io.BytesIO(png)) as picture:
        picture.load()
        return picture, _size_px(root) or picture.size


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        content = file.read(SIZE_BYTES_MAX + 1)
    if content.startswith(_GZIP):
        with gzip.open(io.BytesIO(content)) as unpacked:
            content = unpacked.read(SIZE_BYTES_MAX + 1)
    if len(content) > SIZE_BYTES_MAX and _MARKUP.match(content[:1_000]):
        raise ValueError(f"too large for a drawing (more than {SIZE_BYTES_MAX:,} bytes)")
    return content


def _keep_inside(element: Element) -> None:
    """Take out of an element what refers to anything outside the file."""
    for name, value in list(element.attrib.items()):
        is_inside = value.lstrip().startswith("#") or value.lstrip()[:11].lower() == "data:image/"
        if _local(name) == "href" and not is_inside:
            del element.attrib[name]


def _local(name: object) -> str:
    """Return a tag's or attribute's name without its namespace; nothing for a comment."""
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def _size_px(root: Element) -> tuple[int, int] | None:
    """Return the size that a drawing says it has; None when it says none."""
    sides = [_px(root.get(name, "")) for name in ("width", "height")]
    if None in sides:
        box = re.split(r"[\s,]+", root.get("viewBox", "").strip())
        sides = [_px(side) for side in box[2:4]] if len(box) == 4 else []
    sizes = [math.ceil(side) for side in sides if side is not None and 0 < side <= SIDE_PX_MAX]
    return (sizes[0], sizes[1]) if len(sizes) == 2 else None


def _px(length: str) -> float | None:
    found = _LENGTH.fullmatch(length)
    return float(found[1]) * _PX[found[2]] if found else None
