"""The image folder: `SPLIT/CLASS/KEY.EXTENSION`, for torchvision and Hugging Face `imagefolder`.

`index: metadata.jsonl` (or `metadata.csv`) adds that file to every split, with `file_name` relative
to it, the label and the metadata of the definition: what Hugging Face reads beside the images. With
`class_folders: false` the images lie in their split alone, and the label is only in the index.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Literal

from datasets.definition.definition import Definition
from datasets.layout.face import UNLABELLED, DatasetRow, LayoutContext, LayoutEntry, data_path
from datasets.layout.options import (
    IndexFile,
    Options,
    by_split,
    class_folders,
    merged,
    metadata_names,
    option_problems,
    options_of,
)


class ImageFolderOptions(Options):
    """See the module."""

    index: Literal["none", "metadata.jsonl", "metadata.csv"] = "none"
    class_folders: bool = True


class ImageFolderLayout:
    """See the module."""

    layout_id = "imagefolder"
    summary = "SPLIT/CLASS/KEY.EXTENSION for torchvision and Hugging Face imagefolder"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse what a tree of class folders cannot say."""
        problems = option_problems(ImageFolderOptions, definition)
        if problems:
            return problems
        options = ImageFolderOptions.model_validate(definition.layout.options)
        if options.class_folders and definition.labels and definition.labels.multiple == "all":
            problems.append(
                "labels.multiple: a file lies in one class folder, so `all` needs "
                "layout.options.class_folders: false and an index"
            )
        if not options.class_folders and options.index == "none" and definition.labels:
            problems.append("layout.options.index: without class folders the labels need an index")
        return problems

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield the images of each split, then its index."""
        options = options_of(ImageFolderOptions, context)
        folders = class_folders(context) if options.class_folders else {}
        for split, members in by_split(rows):
            index = IndexFile(context, f"{split}/{options.index}")
            if options.index == "none":
                for row in members:
                    yield data_path(row, f"{split}/{_below(row, context, folders)}")
                continue
            with index as file:
                write = _writer(options.index, file, context.definition)
                for row in members:
                    below = _below(row, context, folders)
                    write(below, row)
                    yield data_path(row, f"{split}/{below}")
            yield index.entry


def _below(row: DatasetRow, context: LayoutContext, folders: dict[str, str]) -> str:
    if not folders or context.definition.labels is None:
        return row.file_name
    folder = UNLABELLED if row.label is None else folders[row.label]
    return f"{folder}/{row.file_name}"


def _writer(index: str, file: IO[str], definition: Definition) -> Callable[[str, DatasetRow], None]:
    names = metadata_names(definition)
    several = definition.labels is not None and definition.labels.multiple == "all"

    def line(path: str, row: DatasetRow) -> dict[str, Any]:
        label: Any = list(row.labels) if several else row.label
        own: dict[str, Any] = {"file_name": path}
        if definition.labels is not None:
            own["label"] = label
        return merged(own, {name: row.metadata.get(name) for name in names})

    if index == "metadata.jsonl":
        return lambda path, row: _write_json(file, line(path, row))
    table = csv.writer(file, lineterminator="\n")
    begun = False

    def write(path: str, row: DatasetRow) -> None:
        nonlocal begun
        values = line(path, row)
        if not begun:
            table.writerow(values)
            begun = True
        table.writerow("" if value is None else value for value in values.values())

    return write


def _write_json(file: IO[str], line: dict[str, Any]) -> None:
    file.write(json.dumps(line, ensure_ascii=False) + "\n")


LAYOUT = ImageFolderLayout()
