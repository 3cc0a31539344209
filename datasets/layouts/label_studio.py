"""Label Studio: `files/SPLIT/KEY.EXTENSION` and `tasks-SPLIT.json` to import there.

A task shows its file through Label Studio's local storage: set
LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT to the folder of the export, or write `url_prefix`. Labels
and boxes come along as annotations (`as: predictions` makes proposals of them), for a configuration
whose control is called `label` and whose object is called by the kind of the file: image, video,
audio or text. `label_config-SPLIT.xml` is such a configuration.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree

from pydantic import Field, StringConstraints

from datasets.definition.definition import Definition
from datasets.layout.face import Box, DatasetRow, InlineText, LayoutContext, LayoutEntry, data_path
from datasets.layout.options import (
    IndexFile,
    Options,
    by_split,
    facts,
    merged,
    option_problems,
    options_of,
    size_of,
)

_OBJECTS = {"image": "Image", "video": "Video", "sound": "Audio", "text": "Text"}
_NAMES = {"image": "image", "video": "video", "sound": "audio", "text": "text"}


class LabelStudioOptions(Options):
    """See the module."""

    url_prefix: Annotated[str, StringConstraints(max_length=500)] = "/data/local-files/?d="
    given_as: Literal["annotations", "predictions"] = Field(default="annotations", alias="as")


class LabelStudioLayout:
    """See the module."""

    layout_id = "label_studio"
    summary = "files/ and tasks-SPLIT.json to import into Label Studio"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse options that are none."""
        return option_problems(LabelStudioOptions, definition)

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield the files of each split, then its tasks and a configuration for them."""
        options = options_of(LabelStudioOptions, context)
        for split, members in by_split(rows):
            index = IndexFile(context, f"tasks-{split}.json")
            kinds: set[str] = set()
            with index as file:
                file.write("[")
                for number, row in enumerate(members):
                    path = f"files/{split}/{row.file_name}"
                    kinds.add(row.media_type)
                    task = _task(row, options.url_prefix + quote(path), options, context)
                    file.write((",\n" if number else "\n") + json.dumps(task))
                    yield data_path(row, path)
                file.write("\n]\n")
            yield index.entry
            yield InlineText(f"label_config-{split}.xml", _configuration(kinds, context))


def _task(
    row: DatasetRow, url: str, options: LabelStudioOptions, context: LayoutContext
) -> dict[str, Any]:
    own = {_NAMES[row.media_type]: url, **facts(row)}
    task: dict[str, Any] = {"data": merged(own, row.metadata)}
    result = [_box(box, row) for box in row.boxes]
    # Without boxes the label is about the whole file; with them they say it.
    if not result and row.labels and context.definition.boxes is None:
        result = [_choice(row)]
    if result:
        task[options.given_as] = [{"result": result}]
    return task


def _choice(row: DatasetRow) -> dict[str, Any]:
    value = {"choices": list(row.labels)}
    name = _NAMES[row.media_type]
    return {"from_name": "label", "to_name": name, "type": "choices", "value": value}


def _box(box: Box, row: DatasetRow) -> dict[str, Any]:
    width, height = size_of(row)
    value: dict[str, Any] = {
        "x": 100 * box.x / width,
        "y": 100 * box.y / height,
        "width": 100 * box.width / width,
        "height": 100 * box.height / height,
        "rotation": 0,
        "rectanglelabels": [box.label],
    }
    return {
        "from_name": "label",
        "to_name": _NAMES[row.media_type],
        "type": "rectanglelabels",
        "original_width": width,
        "original_height": height,
        "value": value,
    }


def _configuration(kinds: set[str], context: LayoutContext) -> str:
    """Return a labelling configuration for the first kind of file that there is."""
    kind = next(kind for kind in _NAMES if kind in kinds)
    view = ElementTree.Element("View")
    name = _NAMES[kind]
    ElementTree.SubElement(view, _OBJECTS[kind], name=name, value=f"${name}")
    boxes = context.definition.boxes is not None
    control = ElementTree.SubElement(
        view, "RectangleLabels" if boxes else "Choices", name="label", toName=name
    )
    for label in context.classes:
        ElementTree.SubElement(control, "Label" if boxes else "Choice", value=label)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


LAYOUT = LabelStudioLayout()
