"""Pascal VOC: `JPEGImages/`, `Annotations/KEY.xml` and `ImageSets/Main/SPLIT.txt`.

Corners count from 1 and are whole pixels, as VOC has them. Every image has an annotation file, with
no object when nothing is on it. Images keep their own extension and format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from datasets.definition.definition import Definition
from datasets.layout.face import Box, DatasetRow, InlineText, LayoutContext, LayoutEntry, data_path
from datasets.layout.options import IndexFile, Options, by_split, option_problems, size_of


class VocLayout:
    """See the module."""

    layout_id = "voc"
    summary = "JPEGImages/, Annotations/ and ImageSets/ as Pascal VOC has them"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse a dataset without boxes."""
        problems = option_problems(Options, definition)
        if definition.boxes is None:
            problems.append("boxes: Pascal VOC is about boxes; say which results are some")
        return problems

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield each image with its annotation, then the list of each split."""
        for split, members in by_split(rows):
            index = IndexFile(context, f"ImageSets/Main/{split}.txt")
            with index as file:
                for row in members:
                    file.write(row.key + "\n")
                    yield data_path(row, f"JPEGImages/{row.file_name}")
                    yield InlineText(f"Annotations/{row.key}.xml", _xml(row), row.node_id)
            yield index.entry


def _xml(row: DatasetRow) -> str:
    width, height = size_of(row)
    root = ElementTree.Element("annotation")
    _add(root, "folder", "JPEGImages")
    _add(root, "filename", row.file_name)
    size = ElementTree.SubElement(root, "size")
    for name, value in (("width", width), ("height", height), ("depth", 3)):
        _add(size, name, str(value))
    _add(root, "segmented", "0")
    for box in row.boxes:
        _add_object(root, box, width, height)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_object(root: ElementTree.Element, box: Box, width: int, height: int) -> None:
    found = ElementTree.SubElement(root, "object")
    for name, text in (("name", box.label), ("pose", "Unspecified")):
        _add(found, name, text)
    for name in ("truncated", "difficult"):
        _add(found, name, "0")
    left, top = min(round(box.x) + 1, width), min(round(box.y) + 1, height)
    corners = {
        "xmin": left,
        "ymin": top,
        "xmax": max(left, min(round(box.x + box.width), width)),
        "ymax": max(top, min(round(box.y + box.height), height)),
    }
    corner_box = ElementTree.SubElement(found, "bndbox")
    for name, value in corners.items():
        _add(corner_box, name, str(value))


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text


LAYOUT = VocLayout()
