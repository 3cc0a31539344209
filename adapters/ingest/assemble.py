"""From records to write-intents: it owns the rules that hold for every adapter.

Every file of the batch ends as exactly one of: a physical node, a quarantined file, or an archive
that records were read out of (a WARC, a tar). Rules that no adapter needs to know: what file_type
does not have is quarantined; so is an empty file, because all empty files are one
node and would tie strangers together; files that no record mentions are described by the
plain-folder adapter; every record is kept complete as an object.

The same folder gives the same intents in the same order, whoever runs it and how often.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.records.adapter import Adapter
from adapters.records.errors import AdapterError, RecordError
from adapters.records.folder import EXTRACTED_PREFIX, FileEntry, ScrapeFolder, extension_of
from adapters.records.items import (
    Link,
    MediaFile,
    NodeReference,
    Observation,
    Problem,
    Record,
)
from adapters.records.raw_excerpt import raw_excerpt
from adapters.records.relationships import FORMS_TREE
from adapters.sources.mixed import who_could
from base.errors import DrystoneError
from base.text import safe_text
from sql import (
    CommonMetadata,
    Edge,
    PhysicalNode,
    Relationship,
    SourceMetadata,
    VirtualNode,
    WriteIntent,
    key_of,
)


@dataclass(slots=True)
class Counts:
    """What a folder turned into."""

    files: int = 0
    records: int = 0
    nodes: int = 0
    virtual_nodes: dict[str, int] = field(default_factory=dict[str, int])
    physical_nodes: int = 0
    observations: int = 0
    """Rows of metadata: what is common to all sources, and the columns of one."""
    edges: dict[str, int] = field(default_factory=dict[str, int])
    unread: dict[str, int] = field(default_factory=dict[str, int])
    """Values of another type than their column, which are NULL, by `table.column`."""
    download_times: dict[str, int] = field(default_factory=dict[str, int])
    """Records by what told when they were scraped: `record` or `file`."""
    quarantined: int = 0


class Assembler:
    """Turns the records of one batch into intents of bounded size.

    `intents` is a generator: `problems` and `counts` are complete when it is exhausted. Files with
    an entry of known `key` become nodes under it; in a dry run, where no key is known, a hash of
    the path stands for it.
    """

    def __init__(
        self,
        folder: ScrapeFolder,
        adapter: Adapter,
        *,
        intent_prefix: str,
        ingest_batch: str,
        user: str | None,
        extensions: frozenset[str],
        intent_items: int,
        write_record: Callable[[str, bytes], None],
        fallback: Adapter | None,
    ) -> None:
        self._folder, self._adapter, self._fallback = folder, adapter, fallback
        self._prefix, self._batch, self._user = intent_prefix, ingest_batch, user
        self._extensions, self._items_max = extensions, intent_items
        self._write_record = write_record
        self._current = _Part()
        self._number = 0
        self._seen_files: set[str] = set()
        self._refused: set[str] = set()
        self._seen_nodes: set[bytes] = set()
        self._seen_observations: set[bytes] = set()
        self._seen_edges: set[bytes] = set()
        self._record_files: set[str] = set()
        self._declared_files: set[str] = set()
        self.problems: list[Problem] = []
        self.archives: list[str] = []
        self.counts = Counts(files=len(folder.files))

    def intents(self) -> Iterator[WriteIntent]:
        """Read the whole folder; yields intents of about `intent_items` rows."""
        yield from self._take(self._adapter.read(self._folder))
        if self._fallback is not None and self._fallback.name != self._adapter.name:
            left = [
                path
                for path in self._folder.paths
                if path not in self._seen_files and self._reason_against(path) is None
            ]
            rest = self._folder.part(left)
            # They stay files with nodes: what is listed is that somebody might say more of them,
            # where the adapter has not said why it cannot.
            told = {problem.path for problem in self.problems}
            for path in rest.paths:
                if path not in told and (reason := who_could(rest, path)) is not None:
                    self.problems.append(Problem(path, 0, reason))
            yield from self._take(self._fallback.read(rest))
        for path in self._folder.paths:
            if path in self._declared_files or path in self._refused:
                continue
            if path in self._record_files and self._reason_against(path) is not None:
                self.archives.append(path)
                continue
            self._file_key(path)
            if self._current.items >= self._items_max:
                yield self._finish()
        if self._current.items:
            yield self._finish()
        self.counts.quarantined = len(self.problems)

    def _take(self, items: Iterable[Record | Problem]) -> Iterator[WriteIntent]:
        """Enter the items; an adapter's own mistake becomes an error that names the place."""
        place = "its first record"
        try:
            for item in items:
                place = f"{safe_text(item.path)}, record {item.number}"
                self._enter(item)
                if self._current.items >= self._items_max:
                    yield self._finish()
        except (DrystoneError, OSError):
            raise
        except Exception as error:
            raise AdapterError(
                f"the adapter {self._adapter.name} failed after {place}: "
                f"{type(error).__name__}: {error}; this is the adapter's mistake: nothing is lost "
                "and nothing was described, report it and ingest again when it is repaired"
            ) from error

    def _enter(self, item: Record | Problem) -> None:
        if isinstance(item, Record):
            self._add(item)
            return
        self.problems.append(item)
        if item.number < 0:
            self._seen_files.add(item.path)
            self._refused.add(item.path)

    # ---- One record ------------------------------------------------------------------------------

    def _add(self, record: Record) -> None:
        self.counts.records += 1
        for column, count in record.unread:
            self.counts.unread[column] = self.counts.unread.get(column, 0) + count
        self._seen_files.add(record.path)
        self._record_files.add(record.path)
        subject = self._key(record.subject)
        if subject is None:
            return  # Its own file is quarantined, which is on the list already.
        value, complete_key = self._complete(record)
        download_time = self._download_time(record)
        excerpt = raw_excerpt(value)
        for observation in record.observations:
            self._observe(observation, download_time, excerpt)
        for link in record.links:
            self._link(link)
        if complete_key is not None and complete_key != subject:
            self._edge(subject, complete_key, "record", None)

    def _download_time(self, record: Record) -> datetime | None:
        """Return when a record was scraped: as it says itself, else when its file was written."""
        teller = "file" if record.scraped_time is None else "record"
        self.counts.download_times[teller] = self.counts.download_times.get(teller, 0) + 1
        return record.scraped_time or self._folder.download_time(record.path)

    def _complete(self, record: Record) -> tuple[Any, str | None]:
        """Return the record's value (for its excerpt) and the key of the object that keeps it."""
        if record.complete is None and record.excerpt is not None:
            # The subject holds the record; the file that it lay in may be packed, and no node.
            is_node = self._reason_against(record.path) is None
            return record.excerpt, self._file_key(record.path) if is_node else None
        if record.complete is None:
            return _value_of(self._folder, record.path), self._file_key(record.path)
        if isinstance(record.complete, str):
            data, extension = record.complete.encode("utf-8", "surrogatepass"), "txt"
        else:
            text = json.dumps(record.complete, ensure_ascii=False, default=str)
            data, extension = text.encode("utf-8", "surrogatepass"), "json"
        if not data:
            return None, None
        key = hashlib.sha256(data).hexdigest()
        if self._new_node(key):
            self._write_record(f"{key[:2]}/{key}.{extension}", data)
            self.counts.physical_nodes += 1
        self._current.physical[key] = PhysicalNode(
            key=key, size_bytes=len(data), extension=extension
        )
        return record.complete, key

    def _observe(
        self, observation: Observation, download_time: datetime | None, excerpt: str | None
    ) -> None:
        key = self._key(observation.node)
        if key is None:
            return
        if observation.author is not None:
            self._key(observation.author)
        if not self._new_observation(key, observation):
            return
        self.counts.observations += 1
        self._current.common.append(
            CommonMetadata(
                key=key,
                source=observation.source,
                is_raw=True,
                is_root=observation.is_root,
                title=observation.title,
                view=observation.view,
                update_time=observation.update_time,
                download_time=download_time,
                author_description=observation.author,
                user=self._user,
                raw_metadata=excerpt,
            )
        )
        values = {name: value for name, value in observation.meta.items() if value is not None}
        if values:
            self.counts.observations += 1
            self._current.source.append(
                SourceMetadata(
                    key=key, source=observation.source, download_time=download_time, values=values
                )
            )

    def _new_observation(self, key: str, observation: Observation) -> bool:
        """Tell whether this batch has not said the same of the node before.

        Every sidecar of a carousel repeats its post, written a second later.
        """
        said = (
            key,
            observation.source,
            observation.is_root,
            observation.title,
            observation.view,
            observation.update_time,
            observation.author,
            sorted((name, str(value)) for name, value in observation.meta.items()),
        )
        return _is_new(said, self._seen_observations)

    def _link(self, link: Link) -> None:
        parent, child = self._key(link.parent), self._key(link.child)
        if parent is not None and child is not None and parent != child:
            self._edge(parent, child, link.relationship, link.position)

    def _edge(self, parent: str, child: str, relationship: str, position: int | None) -> None:
        if _is_new((parent, child, relationship), self._seen_edges):
            self.counts.edges[relationship] = self.counts.edges.get(relationship, 0) + 1
        self._current.edges[parent, child, relationship] = Edge(
            parent=parent, child=child, relationship=relationship, position=position
        )

    # ---- Nodes -----------------------------------------------------------------------------------

    def _key(self, node: NodeReference) -> str | None:
        if isinstance(node, MediaFile):
            return self._file_key(node.path)
        key = key_of(node)
        self._current.virtual[key] = VirtualNode(description=node)
        if self._new_node(key):
            kind = ":".join(node.split(":", 2)[:2])
            self.counts.virtual_nodes[kind] = self.counts.virtual_nodes.get(kind, 0) + 1
        return key

    def _file_key(self, path: str) -> str | None:
        """Return the key of a file's node, or None when the file is quarantined."""
        self._seen_files.add(path)
        if path in self._refused:
            return None
        reason = self._reason_against(path)
        if reason is not None:
            self._refused.add(path)
            self.problems.append(Problem(path, -1, reason))
            return None
        entry = self._entry(path)
        key = entry.key or hashlib.sha256(os.fsencode(path)).hexdigest()
        self._declared_files.add(path)
        self._current.physical[key] = PhysicalNode(
            key=key, size_bytes=entry.size_bytes, extension=extension_of(path)
        )
        if self._new_node(key):
            self.counts.physical_nodes += 1
        return key

    def _reason_against(self, path: str) -> str | None:
        extension = extension_of(path)
        if extension not in self._extensions:
            shown = f"'.{extension}'" if extension else "a name without extension"
            return f"{shown} is of no type in file_type; its bytes are kept in the store"
        if self._entry(path).size_bytes == 0:
            return "the file is empty"
        return None

    def _entry(self, path: str) -> FileEntry:
        entries = self._folder.extracted if path.startswith(EXTRACTED_PREFIX) else None
        return (entries if entries and path in entries else self._folder.files)[path]

    def _new_node(self, key: str) -> bool:
        # Half of the hash: 16 bytes tell a billion nodes apart, and a batch may have millions.
        short = bytes.fromhex(key[:32])
        if short in self._seen_nodes:
            return False
        self._seen_nodes.add(short)
        self.counts.nodes += 1
        return True

    def _finish(self) -> WriteIntent:
        part, self._current = self._current, _Part()
        self._number += 1
        used = sorted({edge.relationship for edge in part.edges.values()})
        return WriteIntent(
            intent_id=f"{self._prefix}:{self._number:06d}",
            ingest_batch=self._batch,
            virtual_nodes=tuple(part.virtual.values()),
            physical_nodes=tuple(part.physical.values()),
            common_metadata=tuple(part.common),
            source_metadata=tuple(part.source),
            relationships=tuple(
                Relationship(description=name, forms_tree=FORMS_TREE[name]) for name in used
            ),
            edges=tuple(part.edges.values()),
        )


@dataclass(slots=True)
class _Part:
    virtual: dict[str, VirtualNode] = field(default_factory=dict[str, VirtualNode])
    physical: dict[str, PhysicalNode] = field(default_factory=dict[str, PhysicalNode])
    common: list[CommonMetadata] = field(default_factory=list[CommonMetadata])
    source: list[SourceMetadata] = field(default_factory=list[SourceMetadata])
    edges: dict[tuple[str, str, str], Edge] = field(default_factory=dict[Any, Edge])

    @property
    def items(self) -> int:
        return (
            len(self.virtual)
            + len(self.physical)
            + len(self.common)
            + len(self.source)
            + len(self.edges)
        )


def _is_new(said: tuple[Any, ...], seen: set[bytes]) -> bool:
    digest = hashlib.blake2b(repr(said).encode("utf-8", "replace"), digest_size=16).digest()
    if digest in seen:
        return False
    seen.add(digest)
    return True


def _value_of(folder: ScrapeFolder, path: str) -> Any:
    """Return what the excerpt of a one-record file is made of: its JSON, or nothing."""
    if path not in folder.files or not path.lower().endswith(".json"):
        return None
    try:
        return folder.read_json(path)
    except RecordError:
        return None


def describe_problem(problem: Problem) -> str:
    """Return a problem as one printable line."""
    place = safe_text(problem.path) + (f", record {problem.number}" if problem.number >= 0 else "")
    return f"{place}: {problem.reason}"
