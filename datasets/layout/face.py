"""Between the core and the layouts: it owns what a layout gets, what it gives, and no layout.

A layout is a pure walk over rows: it takes the files of a dataset one by one and says where each
lies in the tree. The core does everything else: asks the database, checks paths and collisions,
stores what was generated, sorts and stores the manifest, and exports.

A layout
- yields entries as the rows come and keeps no list of them: there may be ten million;
- gives the same entries for the same rows, byte by byte: no time, no random number, no path of the
  work folder may get into what it makes;
- builds every path with `component` from what came from outside, and never opens what it did not
  make itself below `context.work_folder`;
- refuses options that make no sense in `check`, before anything is asked.

Rows come ordered by split, and within a split by key, which is a random order that is always the
same. A file that is generated (an index, a shard) is written below the work folder, yielded when
it is complete, and taken away by the core before the next row is asked for.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from datasets.definition.definition import Definition
    from sql import Geometry

COMPONENT_BYTES_MAX = 150
"""Of a name made of a text from outside; a name may have 255 bytes with what is added to it."""
UNLABELLED = "unlabelled"
"""The folder of files without a label where a layout has one folder per class."""


class Box(NamedTuple):
    """A labelled box in pixels: its left upper corner and its size, within the image.

    `geometry` is what the label has beside the box, `number` the id that it had where it came from.
    """

    label: str
    x: float
    y: float
    width: float
    height: float
    confidence: float | None = None
    geometry: Geometry | None = None
    number: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for sidecars, without what is unknown."""
        found = self._asdict() | {"geometry": None}
        if self.geometry is not None:
            found["geometry"] = self.geometry.model_dump(mode="json", exclude_none=True)
        known = ("label", "x", "y", "width", "height", "confidence")
        return {n: value for n, value in found.items() if value is not None or n in known}


class DatasetRow(NamedTuple):
    """One file of a dataset.

    `number` counts from 0 over the whole dataset. `extension` has no dot. `labels` is empty for an
    unlabelled file and has more than one only where the definition says `multiple: all`; they are
    in the order of the classes. `metadata` has the names of the definition whose value is known:
    str, int, float or bool, times as text. `width` and `height` are pixels, None when unknown.
    """

    number: int
    node_id: int
    key: str
    size_bytes: int
    extension: str
    media_type: str
    split: str
    labels: tuple[str, ...]
    component: int
    metadata: Mapping[str, Any] = {}
    boxes: tuple[Box, ...] = ()
    width: int | None = None
    height: int | None = None

    @property
    def label(self) -> str | None:
        """The first label, or None."""
        return self.labels[0] if self.labels else None

    @property
    def file_name(self) -> str:
        """A name that is unique in any folder: KEY.EXTENSION."""
        return f"{self.key}.{self.extension}"


class StoredFile(NamedTuple):
    """The bytes of a row at a path of the tree; `data_path(row, path)` makes one."""

    path: str
    key: str
    size_bytes: int
    node_id: int


class InlineText(NamedTuple):
    """A small text file at a path of the tree, at most 1 MiB of UTF-8; larger ones are generated.

    With the node that it is about, so that its lineage is known.
    """

    path: str
    text: str
    node_id: int | None = None


class GeneratedFile(NamedTuple):
    """A file that the layout wrote below the work folder, complete and closed.

    The core stores it as an object, refers to it at `path`, and removes it from the work folder.
    """

    path: str
    local_path: str


LayoutEntry = StoredFile | InlineText | GeneratedFile

Staged = Callable[[Sequence[DatasetRow]], AbstractContextManager[Callable[[DatasetRow], str]]]
"""Makes the bytes of rows readable meanwhile: `with context.staged(rows) as path_of:`, then
`open(path_of(row), "rb")`. Ask for as many at once as a generated file needs, not one by one: the
disks read them in one planned go, into the stage area, which must have room for them."""


class LayoutContext(NamedTuple):
    """What a layout knows beside the rows.

    `classes` are in the order of their numbers, `splits` in the order of the definition, only those
    that have files. `options` are those of the definition, checked. `work_folder` is empty and the
    layout's own. `counts` has the files of each split.
    """

    definition: Definition
    name: str
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    counts: Mapping[str, int]
    options: Mapping[str, Any]
    work_folder: str
    staged: Staged
    class_numbers: Mapping[str, int]
    """The place of each class, from 0."""


class Layout(Protocol):
    """One way to lay a dataset out; each module of `datasets.layouts` has one as `LAYOUT`."""

    @property
    def layout_id(self) -> str:
        """The name in definitions, which is the name of the folder below the export too."""
        ...

    @property
    def summary(self) -> str:
        """One line for `dataset layouts`: what reads it."""
        ...

    @property
    def reads_bytes(self) -> bool:
        """Whether it copies the files' bytes into generated files, as shards do.

        Such a dataset needs their room once more in the store.
        """
        ...

    def check(self, definition: Definition) -> list[str]:
        """Return `place: reason` for each thing that does not fit this layout."""
        ...

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield where everything lies, as the rows come."""
        ...


def data_path(row: DatasetRow, path: str) -> StoredFile:
    """Return the entry for the bytes of a row."""
    return StoredFile(path, row.key, row.size_bytes, row.node_id)


def component(text: str) -> str:
    """Return a text from outside as one name of a folder or a file: never empty, `.` or `..`.

    Separators, controls and what other systems refuse become `_`; a name that is too long is cut.
    Two texts may become the same name: put the key or the node id into it where that matters.
    """
    normal = unicodedata.normalize("NFC", text)
    name = "".join(
        "_" if character in '/\\:*?"<>|' or not character.isprintable() else character
        for character in normal
    )
    name = name.encode("utf-8", "replace")[:COMPONENT_BYTES_MAX].decode("utf-8", "ignore")
    name = name.strip(" ").rstrip(".")
    return "_" + name[1:] if name.startswith(".") else name or "_"
