"""Files that a batch lists and no disk gives: it owns finding them, by name, and why that is so.

What was damaged on all disks of a shard that was given up is in no shard any more, so no scrub and
no verification meets it, and a shard whose disks are all away is only a number; the listings still
know the names.
"""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from fsd.batch_part import parse_files
from fsd.errors import FsdError
from fsd.index import BatchRow, IndexReader, Location
from fsd.job import Job
from fsd.projection import HIDDEN_PREFIX
from fsd.purge_place import live_shard
from fsd.read import read_small
from fsd.store import Store
from fsd.tree import CorruptTreeError, Tree, open_verified

LOOKED_UP_AT_ONCE = 4096
LOST = "its content is lost; put it again"
DAMAGED = "its content is damaged on every disk that holds it; put it again"


@dataclass(frozen=True, slots=True)
class LostFile:
    """A file of a batch, its content's key in hex, and why no disk gives that."""

    path: str
    key: str
    reason: str


class Givers:
    """Who gives a content: each shard's disks are looked up once, as they are at that moment.

    Disks (by id) in `without` are taken for away. Keys (in hex) in `damaged` cannot be read where
    the index has them.
    """

    def __init__(
        self, store: Store, without: Collection[str] = (), damaged: Collection[str] = ()
    ) -> None:
        self._store = store
        self._without = without
        self._damaged = damaged
        self._reasons: dict[str, str] = {}

    def why_lost(self, reader: IndexReader, key: bytes) -> str:
        """Return why no disk gives a content, or nothing when one does."""
        place = reader.locate(key)
        places = [] if place is None else [place, *reader.spares(key)]
        reason = self._why_none(places)
        if not reason and key.hex() in self._damaged and self._why_none(places[1:]):
            return DAMAGED
        return reason

    def why_still(self, key: bytes) -> str:
        """Look again: it may have been moved since, or have a wrong place in the index."""
        place = self._store.index.locate(key)
        elsewhere = [] if place is None else self._store.find_again(key, place)
        if elsewhere and not self._why_none(elsewhere):
            return ""
        with self._store.index.read() as reader:
            return self.why_lost(reader, key)

    def _why_none(self, places: list[Location]) -> str:
        shards = [shard for one in places if (shard := live_shard(self._store, one))]
        reasons = [self._why_away(shard.shard_id) for shard in shards]
        return "" if "" in reasons else "; ".join(dict.fromkeys(reasons)) or LOST

    def _why_away(self, shard_id: str) -> str:
        if shard_id not in self._reasons:
            giving = [d for d in self._store.replicas(shard_id) if d.disk_id not in self._without]
            self._reasons[shard_id] = "" if giving else self._why(shard_id)
        return self._reasons[shard_id]

    def _why(self, shard_id: str) -> str:
        store = self._store
        with store.lock:
            shard = store.shards.state.shards.get(shard_id)
            holders = [] if shard is None else list(shard.disks)
            without_file = {disk for disk in holders if (shard_id, disk) in store.shards.lost}
        told: list[str] = []
        for disk_id in holders:
            disk = store.disks.disks.get(disk_id)
            if disk is None:
                told.append(f"{disk_id} (unknown)")
            elif disk_id in without_file:
                told.append(f"{disk.name} (has lost it)")
            else:
                told.append(disk.name if disk.readable else f"{disk.name} ({disk.shown_state})")
        return f"its content is only on {', '.join(told)}" if told else LOST


def lost_files(
    store: Store, row: BatchRow, givers: Givers, step: Callable[[int], None]
) -> Iterator[LostFile]:
    """Yield each file of a batch whose content no disk gives.

    By the batch's listing, or by its list of files in the store while it has none; a damaged
    listing is a CorruptTreeError. `step` is told now and then how many files were looked at.
    Hidden batches list what was let go of as well: whoever names a manifest misses it.
    """
    if row.name.startswith(HIDDEN_PREFIX):
        return
    for some in _listed(store, row):
        with store.index.read() as reader:
            lost = [one for one in some if givers.why_lost(reader, one[1])]
        for path, key in lost:
            if reason := givers.why_still(key):
                yield LostFile(_text(path()), key.hex(), reason)
        step(len(some))


def _listed(store: Store, row: BatchRow) -> Iterator[list[tuple[Callable[[], str], bytes]]]:
    """Yield some (path, key) at a time; a path is made when somebody wants it."""
    try:
        tree = open_verified(store.index.tree_path(row.tree_file)) if row.tree_file else None
    except OSError:
        tree = None
    if tree is None:
        yield from _in_parts(store, row)
        return
    with tree:
        for start in range(0, tree.node_count, LOOKED_UP_AT_ONCE):
            end = min(start + LOOKED_UP_AT_ONCE, tree.node_count)
            keys = ((node, tree.node(node).key) for node in range(start, end))
            yield [(partial(_path, tree, node), key) for node, key in keys if key is not None]


def _in_parts(store: Store, row: BatchRow) -> Iterator[list[tuple[Callable[[], str], bytes]]]:
    with store.index.read() as reader:
        parts = reader.batch_parts(row.name)
    for part in parts:
        try:
            files = parse_files(read_small(store, part))
        except FsdError:
            continue  # What is lost of the list itself is told as that.
        yield [(partial(str, file.path), bytes.fromhex(file.key)) for file in files]


def list_losses(store: Store, givers: Givers, job: Job) -> dict[str, Any]:
    """Report every file that no disk gives, and what of lists of files and manifests is lost so.

    One line each: batch or who names the manifest, path, key, reason. What cannot be looked at is
    a line too.
    """
    job.phase = "looking for what no disk gives"
    files = others = 0

    def tell(reason: str, **where: object) -> None:
        nonlocal others
        others += 1
        job.report({**where, "reason": reason})

    def step(looked_at: int) -> None:
        job.check()
        job.advance(looked_at, 0)

    with store.index.read() as reader:
        batches, views = list(reader.batches()), list(reader.views())
    for row in batches:
        job.check()
        job.expect(0 if row.name.startswith(HIDDEN_PREFIX) else row.files)
        with store.index.read() as reader:
            lost = [key for key in reader.batch_parts(row.name) if givers.why_lost(reader, key)]
        for key in lost:
            if reason := givers.why_still(key):
                tell(f"a part of its list of files: {reason}", batch=row.name, key=key.hex())
        try:
            for one in lost_files(store, row, givers, step):
                files += 1
                where = {"batch": row.name, "path": one.path, "key": one.key}
                job.report({**where, "reason": one.reason})
        except CorruptTreeError as error:
            tell(str(error), batch=row.name)
    named = {f"view {view.name}": view.manifest_key for view in views}
    with store.lock:
        named |= {f"pin {pin.name}": pin.manifest_key for pin in store.shards.state.pins.values()}
    for name, manifest in named.items():
        if reason := givers.why_still(bytes.fromhex(manifest)):
            tell(f"its manifest: {reason}", named_by=name, key=manifest)
    return {"files": files, "others": others, "incomplete": bool(files or others)}


def _text(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()


def _path(tree: Tree, node: int) -> str:
    names: list[bytes] = []
    while node:
        found = tree.node(node)
        names.append(found.name)
        node = found.parent
    return os.fsdecode(b"/".join(reversed(names)))
