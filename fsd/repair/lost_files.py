"""Files that somebody names and no disk gives: it owns finding them, and why that is so.

Batches name files, and views and pins name content that may be in no batch any more. What was
damaged on all disks of a shard that was given up is in no shard any more, so no scrub and no
verification meets it, and a shard whose disks are all away is only a number; the listings still
know the names.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from base.errors import DrystoneError
from fsd.format.batch_part import parse_files
from fsd.format.errors import CorruptError
from fsd.format.tree import CorruptTreeError, open_verified, path_of
from fsd.repair.projection import HIDDEN_PREFIX, MANIFESTS_BATCH
from fsd.store.availability import Availability
from fsd.store.index import BatchRow, ViewRow
from fsd.store.job import Job
from fsd.store.purged_keys import is_purged
from fsd.store.read import read_small
from fsd.store.store import Store

LOOKED_UP_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class LostFile:
    """A file of a batch, its content's key in hex, and why no disk gives that."""

    path: str
    key: str
    reason: str


Tell = Callable[..., None]
"""Takes a reason, and by name what it is about."""


def lost_files(
    store: Store, row: BatchRow, availability: Availability, step: Callable[[int], None], tell: Tell
) -> Iterator[LostFile]:
    """Yield each file of a batch whose content no disk gives.

    By the batch's listing, or by its list of files in the store where there is none that can be
    read. `step` is called now and then, with how many files were looked at; what cannot be looked
    at is told. Nothing is lost of a batch that is purged meanwhile, nor what was purged by itself.
    Hidden batches list what was let go of as well: whoever names a manifest misses it.
    """
    if row.name.startswith(HIDDEN_PREFIX):
        return
    for some in _files_of(store, row, tell):
        for found in _lost(store, some, availability, step):
            with store.index.read() as reader:
                now = reader.batch(row.name)
                purged = is_purged(store, reader, bytes.fromhex(found.key))
            if now is None or now.purges != row.purges:
                return
            if not purged:
                yield found


_Listed = list[tuple[Callable[[], str], bytes]]


def _lost(
    store: Store, some: _Listed, availability: Availability, step: Callable[[int], None]
) -> Iterator[LostFile]:
    with store.index.read() as reader:
        lost = [one for one in some if availability.why_lost(reader, one[1])]
    for path, key in lost:
        step(0)
        if reason := availability.why_still(key):
            yield LostFile(_text(path()), key.hex(), reason)
    step(len(some))


def _files_of(store: Store, row: BatchRow, tell: Tell) -> Iterator[_Listed]:
    if row.tree_file:
        try:
            yield from _in_tree(store, row.tree_file)
        except CorruptTreeError as error:
            tell(str(error), batch=row.name)
        except FileNotFoundError:
            pass  # It is made again soon.
        else:
            return
    try:
        with store.index.read() as reader:
            parts = reader.batch_parts(row.name)
    except CorruptError as error:
        tell(str(error), batch=row.name)
        return
    for part in parts:
        try:
            files = parse_files(read_small(store, part))
        except DrystoneError as error:
            tell(f"a part of its list of files: {error}", batch=row.name, key=part.hex())
            continue
        yield [(partial(str, file.path), bytes.fromhex(file.key)) for file in files]


def _in_tree(store: Store, tree_file: str) -> Iterator[_Listed]:
    """Yield some (path, key) at a time; a path is made when somebody wants it."""
    with open_verified(store.index.tree_path(tree_file)) as tree:
        for start in range(0, tree.node_count, LOOKED_UP_AT_ONCE):
            end = min(start + LOOKED_UP_AT_ONCE, tree.node_count)
            keys = ((node, tree.node(node).key) for node in range(start, end))
            yield [(partial(path_of, tree, node), key) for node, key in keys if key is not None]


def list_losses(
    store: Store, pinned: Callable[[str], Iterator[bytes]], availability: Availability, job: Job
) -> dict[str, Any]:
    """Report every file that no disk gives, of batches, views and pins, what of their lists, and
    manifests of copies.

    One line each: the batch, or who else names it, path, key, reason; a pin knows no paths. What
    cannot be looked at is a line too. `pinned` gives the keys that a manifest names.
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
        job.expect(0 if row.name.startswith(HIDDEN_PREFIX) else row.files)
    for row in batches:
        job.check()
        if row.tree_file:  # Else they are read one by one.
            _tell_lost_parts(store, row, availability, tell)
        for one in lost_files(store, row, availability, step, tell):
            files += 1
            where = {"batch": row.name, "path": one.path, "key": one.key}
            job.report({**where, "reason": one.reason})
    for view in (view for view in views if view.tree_file):
        others += _list_view(store, view, availability, job)
    with store.lock:
        pins = list(store.shards.state.pins.values())
    named = {f"pin {pin.name}": pin.manifest_key for pin in pins}
    named |= {f"view {view.name}": view.manifest_key for view in views if not view.tree_file}
    for name, manifest in named.items():
        try:
            for key in pinned(manifest):
                job.check()
                if reason := availability.why_still(key):
                    tell(reason, named_by=name, key=key.hex())
        except DrystoneError as error:
            tell(f"its manifest: {error}", named_by=name, key=manifest)
    views_of = {view.manifest_key for view in views}
    _tell_manifests(store, {*named.values(), *views_of}, availability, tell)
    for shard_id in availability.doubtful():
        tell("its copies here are damaged, and a scrub must say where", shard=shard_id)
    return {"files": files, "others": others, "incomplete": bool(files or others)}


def _tell_manifests(store: Store, told: set[str], availability: Availability, tell: Tell) -> None:
    """Tell the stored manifests that no disk gives, besides those of views and pins: of copies."""
    with store.index.read() as reader:
        row = reader.batch(MANIFESTS_BATCH)
    for some in () if row is None else _files_of(store, row, tell):
        with store.index.read() as reader:
            lost = [
                key
                for _, key in some
                # What was let go of has no place, and is not missed.
                if key.hex() not in told
                and reader.locate(key)
                and availability.why_lost(reader, key)
            ]
        for key in lost:
            if reason := availability.why_still(key):
                tell(f"a stored manifest: {reason}", key=key.hex())


def _tell_lost_parts(store: Store, row: BatchRow, availability: Availability, tell: Tell) -> None:
    try:
        with store.index.read() as reader:
            lost = [
                key for key in reader.batch_parts(row.name) if availability.why_lost(reader, key)
            ]
    except CorruptError as error:
        tell(str(error), batch=row.name)
        return
    for key in lost:
        if reason := availability.why_still(key):
            tell(f"a part of its list of files: {reason}", batch=row.name, key=key.hex())


def _list_view(store: Store, view: ViewRow, availability: Availability, job: Job) -> int:
    """Report what a view shows and no disk gives, and its manifest; returns how many lines."""
    lines: list[dict[str, str]] = []
    manifest = bytes.fromhex(view.manifest_key)
    if reason := availability.why_still(manifest):
        lines.append({"key": view.manifest_key, "reason": f"its manifest: {reason}"})
    count = 0

    def report() -> None:
        nonlocal count
        with store.index.read() as reader:
            now = reader.view(view.name)
        # Nothing is lost of one that was taken back meanwhile.
        if now is not None and now.manifest_key == view.manifest_key:
            count += len(lines)
            job.report(*({"named_by": f"view {view.name}", **line} for line in lines))
        lines.clear()

    try:
        for some in _in_tree(store, view.tree_file):
            for one in _lost(store, some, availability, lambda _files: job.check()):
                lines.append({"path": one.path, "key": one.key, "reason": one.reason})
            report()
    except (CorruptTreeError, FileNotFoundError) as error:
        lines.append({"key": view.manifest_key, "reason": str(error)})
    report()
    return count


def _text(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()
