"""What layouts share: it owns reading their options, the folders of classes, and index files.

An index file grows line by line in the work folder while rows come, so that ten million of them
need no memory; it is yielded when its split ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from datasets.definition.definition import Definition
from datasets.definition.errors import RefusedError
from datasets.layout.face import UNLABELLED, DatasetRow, GeneratedFile, LayoutContext, component

OptionsType = TypeVar("OptionsType", bound="Options")


class Options(BaseModel):
    """Root of all options: unknown names are refused, values are frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def option_problems(kind: type[Options], definition: Definition) -> list[str]:
    """Return `place: reason` for every option that is wrong."""
    try:
        kind.model_validate(definition.layout.options)
    except ValidationError as error:
        return [
            ".".join(["layout.options", *map(str, item["loc"])]) + f": {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
    return []


def options_of(kind: type[OptionsType], context: LayoutContext) -> OptionsType:
    """Return the options of a dataset, which `check` has found right."""
    return kind.model_validate(dict(context.options))


def class_folders(context: LayoutContext) -> dict[str, str]:
    """Return the folder of each class; RefusedError when two classes would share one."""
    folders: dict[str, str] = {}
    owners = {UNLABELLED: ""}
    for name in context.classes:
        folder = component(name)
        other = owners.setdefault(folder.casefold(), name)
        if other != name:
            taken = f"class {other!a}" if other else "files without a label"
            raise RefusedError(
                f"classes: {name!a} would lie in the folder {folder!a}, as {taken} do; "
                "rename it with labels.map"
            )
        folders[name] = folder
    return folders


def by_split(rows: Iterable[DatasetRow]) -> Iterator[tuple[str, Iterator[DatasetRow]]]:
    """Yield each split with its rows, which come ordered by split."""
    return groupby(rows, key=lambda row: row.split)


def size_of(row: DatasetRow) -> tuple[int, int]:
    """Return width and height in pixels; RefusedError when they are unknown."""
    if not row.width or not row.height:
        raise RefusedError(
            f"node {row.node_id} has no known width and height, which boxes need; run the action "
            "that `image_size` names for it, or leave such nodes out with a filter"
        )
    return row.width, row.height


def facts(row: DatasetRow) -> dict[str, Any]:
    """Return what tables say of a row, in the order of their columns."""
    return {
        "node_id": row.node_id,
        "key": row.key,
        "size_bytes": row.size_bytes,
        "media_type": row.media_type,
        "split": row.split,
        "label": row.label,
        "width": row.width,
        "height": row.height,
    }


def metadata_names(definition: Definition) -> list[str]:
    """Return the names of the metadata that travel with the files."""
    return list(definition.metadata)


class IndexFile:
    """One generated text file, written piece by piece; use it as a context manager."""

    def __init__(self, context: LayoutContext, path: str) -> None:
        self.path = path
        self.local_path = os.path.join(context.work_folder, component(path))
        self._file: IO[str] | None = None

    def __enter__(self) -> IO[str]:
        # Without translation of line ends: the same bytes on every system.
        self._file = open(self.local_path, "w", encoding="utf-8", newline="")
        return self._file

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def entry(self) -> GeneratedFile:
        """What the layout yields when the file is complete."""
        return GeneratedFile(self.path, self.local_path)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return both; a name of metadata that the layout uses itself gets an underscore."""
    return {**first, **{name + "_" if name in first else name: second[name] for name in second}}
