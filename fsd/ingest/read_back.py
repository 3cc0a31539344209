"""Proof that content is stored already: a copy of each record is read back from its disk.

The index says where a record is, and the shard table which replicas are not known to be damaged.
Neither knows of bits that rotted since the replica was last read; so before a put answers
`existing`, and a person deletes the source, one copy has been read as just now as one that was
written has been.
"""

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from base.errors import DrystoneError
from fsd.disks.disks import Disk
from fsd.store.index import Location
from fsd.store.read_errors import note_failures, note_read_error
from fsd.store.store import Store


def read_back(store: Store, keys: Iterable[bytes]) -> set[bytes]:
    """Return those of the keys of which one replica gave every byte as it was written.

    Disks read at the same time, each its records in the order of the shard. What a replica cannot
    give is noted against it as by any other read: whoever asks the index again, and counts the
    sound copies, then decides anew.
    """
    read_bytes: dict[str, int] = defaultdict(int)
    asked: list[tuple[Disk, str, list[tuple[Location, bytes]], Future[Any]]] = []
    for shard_id, items in _by_shard(store, keys).items():
        if disks := store.sound_replicas(shard_id):
            disk = min(disks, key=lambda one: read_bytes[one.disk_id])
            read_bytes[disk.disk_id] += sum(place.length_bytes for place, _ in items)
            plain = [(place.offset, place.length_bytes, key) for place, key in items]
            asked.append((disk, shard_id, items, disk.request("prove", shard_id, plain)))
    proven: set[bytes] = set()
    for disk, shard_id, items, answer in asked:
        try:
            size_bytes, failures = answer.result()
        except (DrystoneError, OSError) as error:
            note_read_error(store, disk, shard_id, error)
            continue
        failed = {failure.position for failure in failures}
        proven |= {key for position, (_, key) in enumerate(items) if position not in failed}
        if failures:
            note_failures(store, disk, shard_id, failures)
        else:
            store.disks.note_success(disk, read_bytes=size_bytes)
    return proven


def _by_shard(store: Store, keys: Iterable[bytes]) -> dict[str, list[tuple[Location, bytes]]]:
    found: dict[str, list[tuple[Location, bytes]]] = defaultdict(list)
    with store.index.read() as reader:
        for key in sorted(set(keys)):
            place = reader.locate(key)
            shard_id = None if place is None else store.shards.ids.get(place.shard_number)
            if place is not None and shard_id is not None:
                found[shard_id].append((place, key))
    for items in found.values():
        items.sort()
    return found
