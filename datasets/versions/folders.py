"""Folders of chosen nodes: their files under the names with which they came in.

Which files, and what each is called, is decided here; the store makes the folder: sealed,
resumable, within its quota.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from base.errors import UsageError
from datasets.freeze.manifest import ManifestWriter
from fsd import Client, NotFoundError, check_relative_path, fold_path

if TYPE_CHECKING:
    from fsd import MaterialiseAnswer
    from sql import Database, NodeRow, Selector

FILES_MAX = 1_000_000
NAMED_MAX = 100_000
"""So many files get the names with which they came in; more are called by their keys."""
LISTED_MAX = 2_000_000
"""So many lines of batches are read for that; what is not found by then is called by its title."""
LAYOUT = "files"
STEM_LENGTH_MAX = 120
NUMBERED_BYTES_MAX = 240
"""So long is a name at most that gets a number: with it, a filesystem takes it still."""


class NamedFile(NamedTuple):
    """A file of a node, and what it is called in the folder."""

    name: str
    node_id: int
    key: str
    size_bytes: int


def names_as_they_came(
    client: Client,
    batches: Iterable[str],
    keys: Iterable[str],
    *,
    listed_max: int = LISTED_MAX,
) -> dict[str, str]:
    """Return what the files of some keys were called in ingest batches; not all may be found.

    So many lines of them are read at most. What a purge has taken meanwhile is passed over.
    """
    wanted, found, listed = set(keys), dict[str, str](), 0
    for batch in batches:
        if not wanted:
            break
        try:
            for file in client.batch_files(batch):
                listed += 1
                if file.key in wanted:
                    wanted.remove(file.key)
                    found[file.key] = os.path.basename(file.path)
                if not wanted or listed > listed_max:
                    return found
        except NotFoundError:
            continue
    return found


def named_files(database: Database, client: Client, selector: Selector) -> list[NamedFile]:
    """Return the files of a selector's nodes, each under a name that no other of them has.

    Nodes without bytes have no file. Raises UsageError for more than FILES_MAX files.
    """
    rows = _with_bytes(database.query_nodes(selector))
    came, titles = dict[str, str](), dict[str, str]()
    if len(rows) <= NAMED_MAX:
        batches = [one.value for one in database.explore.facets(selector).ingest_batch]
        came = names_as_they_came(client, batches, (row.key for row in rows))
        others = [row.node_id for row in rows if row.key not in came]
        titles = {one.key: one.title for one in database.explore.details(others)}
    names = FolderNames()
    files: list[NamedFile] = []
    for row in rows:
        wanted = came.get(row.key) or called(titles.get(row.key, ""), row.key, row.extension)
        sound = wanted if _is_sound(wanted) else called("", row.key, row.extension)
        name = names.free(sound)
        files.append(NamedFile(name, row.node_id, row.key, row.size_bytes or 0))
    return files


def called(title: str, key: str, extension: str | None) -> str:
    """Return a name for a file of which only its title is known, or nothing."""
    stem = "".join(one if one.isprintable() and one not in '/\\:*?"<>|' else "_" for one in title)
    name = stem.strip(" .")[:STEM_LENGTH_MAX] or key[:16]
    return f"{name}.{extension}" if extension else name


def make_folder(
    database: Database,
    client: Client,
    selector: Selector,
    folder_id: str,
    mode: Literal["copy", "view"],
) -> tuple[MaterialiseAnswer, list[NamedFile]]:
    """Let the store begin a folder of a selector's files; the same again does nothing.

    Raises UsageError without a file, QuotaError before a byte is copied.
    """
    files = named_files(database, client, selector)
    if not files:
        raise UsageError("none of these nodes has a file, so there is no folder to make")
    with tempfile.TemporaryDirectory(prefix="drystone-folder-") as scratch:
        writer = ManifestWriter(scratch)
        for file in files:
            writer.add_object(file.name, file.key, file.size_bytes, file.node_id)
        # The store has read the manifest, and keeps its own, before it answers.
        path = writer.finish(os.path.join(scratch, "manifest.jsonl")).path
        return client.export_to_3d(path, folder_id, LAYOUT, mode), files


def _with_bytes(rows: Iterator[NodeRow]) -> list[NodeRow]:
    found: list[Any] = []
    for row in rows:
        if row.size_bytes is None:
            continue
        if len(found) == FILES_MAX:
            raise UsageError(f"a folder has at most {FILES_MAX:,} files: choose fewer nodes")
        found.append(row)
    return found


def _is_sound(name: str) -> bool:
    return name.isprintable() and check_relative_path(name) is None


class FolderNames:
    """The names that a folder has, and which number the next like one of them gets."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        # Else ten thousand files of one name would each try all numbers before theirs.
        self._numbers: dict[str, int] = {}

    def free(self, name: str) -> str:
        """Return the name, or the first like it that nobody has: `a.jpg`, `a (2).jpg`."""
        stem, dot = os.path.splitext(name)
        short = os.fsencode(stem)[: max(NUMBERED_BYTES_MAX - len(os.fsencode(dot)), 1)]
        stem = short.decode(errors="ignore")
        like = fold_path(stem + dot)
        number, free = self._numbers.get(like, 1), name
        while fold_path(free) in self._taken:
            number += 1
            free = f"{stem} ({number}){dot}"
        self._numbers[like] = number
        self._taken.add(fold_path(free))
        return free
