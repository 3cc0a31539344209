"""Reading single objects: it owns the choice of a replica and the way around a bad one."""

import contextlib
import errno
import os
import time
from collections.abc import Callable
from typing import TypeVar

from fsd.disks import Disk
from fsd.errors import CorruptError, DiskError, FsdError, NoReplicaError, NotFoundError
from fsd.extract import Failure, Item, check_record
from fsd.index import Location
from fsd.models import ObjectHead
from fsd.record import SECTOR_BYTES, align, record_bytes
from fsd.store import Store

READ_ROUNDS_MAX = 2
READ_AGAIN_S = 2.5
Answer = TypeVar("Answer")


def locate(store: Store, key: bytes) -> Location:
    """Return where an object lies; NotFoundError when the store has no such object."""
    location = store.index.locate(key)
    if location is None:
        raise NotFoundError(f"there is no object {key.hex()} in this store")
    return location


def head(store: Store, key: bytes) -> ObjectHead:
    """Return what is known of an object without reading it."""
    location = locate(store, key)
    shard = store.shard_of(location)
    disks = store.replicas(shard.shard_id)
    return ObjectHead(
        key=key.hex(),
        size_bytes=location.length_bytes,
        class_name="raw" if shard.class_name == "raw" else "generated",
        shard_id=shard.shard_id,
        offset=location.offset,
        copies=len(disks),
        copies_target=store.config.copies(shard.class_name),
        disks=tuple(disk.name for disk in disks),
    )


def read_small(store: Store, key: bytes) -> bytes:
    """Return an object that fits a transfer slot, verified; tries every replica."""
    return _following(store, key, lambda location: read_record(store, location, key))


def _following(store: Store, key: bytes, read: Callable[[Location], Answer]) -> Answer:
    """Read an object where it lies; once more when it has been moved meanwhile."""
    location = locate(store, key)
    try:
        return read(location)
    except NoReplicaError:
        moved = locate(store, key)
        if moved == location:
            raise
        return read(moved)


def read_record(store: Store, location: Location, key: bytes) -> bytes:
    """Return the payload of the record at `location`; see `read_small`."""
    shard = store.shard_of(location)
    reasons: list[str] = []
    for round_number in range(READ_ROUNDS_MAX):
        reasons = []
        passing = False
        for disk in store.replicas(shard.shard_id):
            try:
                return _read_from(store, disk, shard.shard_id, location, key)
            except (FsdError, OSError) as error:
                reasons.append(f"{disk.name}: {error}")
                passing |= isinstance(error, DiskError) and error.errno is None
                note_read_error(store, disk, shard.shard_id, error)
        if not passing or round_number + 1 == READ_ROUNDS_MAX:
            break
        # No system call failed: a disk's process was ended, and a new one takes its place.
        time.sleep(READ_AGAIN_S)
    raise NoReplicaError(
        f"no replica of {key.hex()} can be read ({'; '.join(reasons) or 'all disks missing'})",
        [key.hex()],
    )


def _read_from(store: Store, disk: Disk, shard_id: str, location: Location, key: bytes) -> bytes:
    start = location.offset // SECTOR_BYTES * SECTOR_BYTES
    length = align(location.offset + record_bytes(location.length_bytes) - start)
    slot = store.pool.acquire()
    try:
        if length > slot.size_bytes:
            raise FsdError(f"{key.hex()} is too large for one buffer; read it to a file")
        request = disk.request(
            "read_window", shard_id, start, slot.number, 0, length, slots=(slot,), priority=0
        )
        count = request.result()
        item = Item(location.offset, location.length_bytes, key, ())
        view = slot.view[:count]
        payload = check_record(view, location.offset - start, bytes.fromhex(shard_id), item)
        store.disks.note_success(disk, read_bytes=count)
        return bytes(payload)
    finally:
        store.pool.release(slot)


def read_to_file(store: Store, key: bytes, output_path: str) -> None:
    """Write an object, verified, to a new file; UsageError-like OSError when it exists."""
    folder, name = os.path.split(os.path.abspath(output_path))
    if os.path.lexists(output_path):
        raise FsdError(f"{output_path} exists; nothing is overwritten")
    if not os.path.isdir(folder):
        raise FsdError(f"the folder {folder} does not exist")
    _following(store, key, lambda found: _extract_to(store, found, key, folder, name, output_path))


def _extract_to(
    store: Store, location: Location, key: bytes, folder: str, name: str, output_path: str
) -> None:
    shard = store.shard_of(location)
    item = (location.offset, location.length_bytes, key, (os.fsencode(name),))
    reasons: list[str] = []
    for disk in store.replicas(shard.shard_id):
        try:
            _, _, failures = disk.call("extract", shard.shard_id, [item], folder, priority=0)
        except FsdError as error:
            reasons.append(f"{disk.name}: {error}")
            if isinstance(error, DiskError):
                note_read_error(store, disk, shard.shard_id, error)
            # Whoever began to write the file is dead now, or has answered.
            store.disks.wait_buried(disk)
            _unlink_if_there(output_path)
            if not isinstance(error, DiskError):
                raise
            continue
        if not failures:
            store.disks.note_success(disk, read_bytes=location.length_bytes)
            return
        reasons.append(f"{disk.name}: {failures[0].reason}")
        note_failures(store, disk, shard.shard_id, failures)
    raise NoReplicaError(
        f"no replica of {key.hex()} can be read ({'; '.join(reasons) or 'all disks missing'})",
        [key.hex()],
    )


def _unlink_if_there(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def note_failures(store: Store, disk: Disk, shard_id: str, failures: list[Failure]) -> None:
    """Draw the consequences of items a disk could not give: count, and re-copy the replica."""
    note_read_error(
        store, disk, shard_id, CorruptError(failures[0].reason, f"{disk.name} {shard_id}")
    )


def note_read_error(store: Store, disk: Disk, shard_id: str, error: BaseException) -> None:
    """Draw the consequences of a failed read for the disk and for the replica."""
    number = getattr(error, "errno", None)
    with store.lock:
        shard = store.shards.state.shards.get(shard_id)
        moved = shard is None or disk.disk_id not in shard.disks
    if moved and number == errno.ENOENT:
        return  # The replica was given up meanwhile; nothing is wrong.
    store.disks.note_error(disk, error)
    if number == errno.ENOENT:
        store.mark_lost(shard_id, disk)
    elif isinstance(error, CorruptError) or number == errno.EIO:
        store.mark_suspect(shard_id, disk)
