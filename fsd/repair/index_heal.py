"""Wrong places in the index: it owns finding where an object really lies, and the row's repair.

LMDB has no checksums, so a flipped bit in it may name another place. Whatever is read is compared
with its key: a wrong place is met as a record that is not there, and the footers say where it is.
"""

from collections import defaultdict
from collections.abc import Container, Iterable
from itertools import groupby

from base.errors import DrystoneError
from fsd.disk_io.queue_rule import Kind
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CorruptError
from fsd.format.record import Entry, iterate_entries, pack_entry
from fsd.repair.care import not_known
from fsd.repair.recover import footer_of
from fsd.store.index import Location
from fsd.store.job import Job
from fsd.store.purge_place import live_shard
from fsd.store.read_errors import note_failures, note_read_error
from fsd.store.store import Store

FOREGROUND, BACKGROUND = 1, int(Kind.BACKGROUND)
NUMBER_BITS = 32
"""Of a shard's number in a row of the index."""
SOUGHT_MAX = 100_000
"""Lost objects that are remembered as such, of some 150 bytes each."""


def find_again(store: Store, key: bytes, tried: Location) -> list[Location]:
    """Return where else an object lies that could not be read at a place; its row is put right.

    The shard that the index names is looked at, the spares, and the shards whose number differs in
    one bit. Where none of these has it, all footers are looked through in a while.
    """
    entries = _entries_of(store, tried.shard_number, FOREGROUND)
    found = _places(store, entries or b"", key, tried.shard_number)
    is_right = entries is None or tried in found
    with store.index.read() as reader:
        found += reader.spares(key)
    others = _living(store, found, tried)
    if not is_right and not others:
        others = _living(store, _beside(store, key, tried.shard_number), tried)
    if not is_right:
        # Where one place is wrong others may be: a job looks at all of them.
        if key.hex() not in store.sought:
            store.misplaced.add(key.hex())
        if others and not store.is_unfinished:
            _put_right(store, key, tried, others[0])
    return others


def heal_place(store: Store, key: bytes) -> bool:
    """Put the row of one object right if it is wrong; True when it lies elsewhere since then.

    Where the row is right, its replicas are read: what the caller could not read is then known
    to be damaged, to the reconciler and to whoever puts that content again.
    """
    place = store.index.locate(key)
    if place is None:
        return False
    find_again(store, key, place)
    if store.index.locate(key) != place:
        return True
    if live_shard(store, place) is not None:
        _judge_replicas(store, key, place)
    return False


def _judge_replicas(store: Store, key: bytes, place: Location) -> None:
    shard_id = store.shard_of(place).shard_id
    item = (place.offset, place.length_bytes, key)
    asked = [
        (disk, disk.request("prove", shard_id, [item])) for disk in store.sound_replicas(shard_id)
    ]
    for disk, answer in asked:
        try:
            _, failures = answer.result()
        except (DrystoneError, OSError) as error:
            note_read_error(store, disk, shard_id, error)
            continue
        if failures:
            note_failures(store, disk, shard_id, failures)


def heal_places(store: Store, keys: Iterable[str], job: Job) -> bool:
    """Put the rows of objects (hex keys) right that could not be read; True when any was wrong.

    Once one is wrong all rows are compared with the footers, which takes as long as a look at every
    shard: whoever asks has a job.
    """
    places = [(place, key) for key in keys if (place := store.index.locate(bytes.fromhex(key)))]
    places.sort()
    for number, some in groupby(places, lambda one: one[0].shard_number):
        job.check()
        entries = _entries_of(store, number, FOREGROUND)
        if entries is None:
            continue  # Nobody can tell now.
        there = {
            Location(number, entry.offset, entry.length_bytes): entry.key.hex()
            for entry in iterate_entries(entries)
        }
        wrong = {k: at for at, k in some if there.get(at) != k and k not in store.sought}
        if wrong:
            store.misplaced.update(wrong)
            repair_index(store, job)
            # Perhaps by the job that looks at all of them, at the same time.
            return any(store.index.locate(bytes.fromhex(k)) != wrong[k] for k in wrong)
    return False


def impossible_places(store: Store, keys: Iterable[str]) -> list[str]:
    """Return those of the objects (hex keys) that would end behind their shard; reads no disk."""
    found: list[str] = []
    with store.index.read() as reader:
        ends = {row.number: row.length_bytes for row in reader.shards()}
        for key in keys:
            place = reader.locate(bytes.fromhex(key))
            if place is not None:
                end = place.offset + place.length_bytes
                if end > ends.get(place.shard_number, 0):
                    found.append(key)
    return found


def note_sought(store: Store, keys: Iterable[str]) -> int:
    """Remember which of the objects (hex keys) all shards were looked through for in vain.

    They are lost: nobody looks for them again before a disk comes back. Returns how many they are.
    """
    known = {key: store.index.locate(bytes.fromhex(key)) for key in keys}
    vain = {
        key
        for key, place in known.items()
        if place is not None and not _is_right(store, bytes.fromhex(key), place)
    }
    if len(store.sought) > SOUGHT_MAX:
        store.sought.clear()
    store.sought |= vain
    return len(vain)


def check_places(
    store: Store,
    keys: Iterable[bytes],
    job: Job,
    *,
    besides: Container[int] = (),
    counted: bool = False,
) -> None:
    """Put all places of objects right before anything is deleted, or left out, for what they say.

    The footers of the shards bear each of them out, but for those in the shards (by number)
    `besides`. What is found nowhere is looked for in all of them. CorruptError when a place is
    wrong and no shard says where the object is. Shards are `counted` as work of the job.
    """
    # Packed: there may be ten million, 48 bytes each instead of 300.
    found: defaultdict[int, bytearray] = defaultdict(bytearray)
    missing: list[str] = []
    with store.index.read() as reader:
        for key in keys:
            place = reader.locate(key)
            places = [*([] if place is None else [place]), *reader.spares(key)]
            living = [one for one in places if live_shard(store, one) is not None]
            if not living and key.hex() not in store.sought:
                missing.append(key.hex())
            for one in living:
                if one.shard_number not in besides:
                    found[one.shard_number] += pack_entry(Entry(key, *one[1:], 0))
    wrong: list[tuple[bytes, Location]] = []
    job.expect(len(found) if counted else 0)
    for number, some in found.items():
        job.check()
        wrong += _not_borne_out(store, number, some)
        job.advance(int(counted), 0)
    if not missing and not wrong:
        return
    with store.index.write() as writer:
        for key, place in wrong:
            writer.delete_spare(key, place)
    store.misplaced.update(key.hex() for key, _ in wrong)
    repair_index(store, job)
    note_sought(store, missing)
    for key, place in wrong:
        if store.index.locate(key) == place:
            raise CorruptError(
                f"the index has a wrong place for {key.hex()}, and no shard that can be read now "
                "says where it is; drystone reindex makes the index anew"
            )


def _not_borne_out(store: Store, number: int, some: bytearray) -> list[tuple[bytes, Location]]:
    """Return those of the places (packed entries) in one shard that its footer does not say."""
    entries = _entries_of(store, number, FOREGROUND)
    if entries is None:
        return []  # Nobody can tell now.
    there = {one[:3] for one in iterate_entries(entries)}
    wrong = (one for one in iterate_entries(some) if one[:3] not in there)
    return [(one.key, Location(number, one.offset, one.length_bytes)) for one in wrong]


def repair_index(store: Store, job: Job | None = None) -> int:
    """Put every row right that the footers do not bear out; returns how many there were.

    A shard of which no replica is here says nothing.
    """
    with store.lock:
        known = store.shards.state.shards.values()
        shards = [shard for shard in known if shard.sealed and not shard.vacated]
    repaired = 0
    if job is not None:
        job.phase = "comparing the index with the shards"
        job.expect(len(shards))
    for shard in shards:
        if job is not None:
            job.check()
            job.advance(1, 0)
        scan = footer_of(store, shard, BACKGROUND)
        if scan is None:
            continue
        with store.index.read() as reader:
            wrong = list(not_known(store, reader, shard, scan.entries))
        repaired += sum(_take_in(store, shard, entry) for entry in wrong)
    return repaired


def _take_in(store: Store, shard: CatalogShard, entry: Entry) -> bool:
    """Let the index know a record: as the object's place, or as a spare of the place it has."""
    number = store.shards.numbers.get(shard.shard_id)
    if number is None:
        return False  # The index does not know the shard yet: all of it comes with the next round.
    right = Location(number, entry.offset, entry.length_bytes)
    known = store.index.locate(entry.key)
    if known is not None and _is_right(store, entry.key, known):
        with store.index.write() as writer:
            writer.add_spare(entry.key, right)
        return True
    return _put_right(store, entry.key, known, right)


def _put_right(store: Store, key: bytes, wrong: Location | None, right: Location) -> bool:
    with store.index.write() as writer:
        # Purged, moved, or put right by somebody else meanwhile.
        if writer.locate(key) != wrong or live_shard(store, right) is None:
            return False
        writer.put_object(key, right)
        writer.delete_spare(key, right)
    return True


def _living(store: Store, places: list[Location], tried: Location) -> list[Location]:
    return [place for place in places if place != tried and live_shard(store, place) is not None]


def _beside(store: Store, key: bytes, number: int) -> list[Location]:
    """Return the object's places in a shard whose number is another's but for one flipped bit."""
    for bit in range(NUMBER_BITS):
        other = number ^ 1 << bit
        if store.shards.ids.get(other) is not None:
            entries = _entries_of(store, other, FOREGROUND)
            if found := _places(store, entries or b"", key, other):
                return found
    return []


def _is_right(store: Store, key: bytes, place: Location) -> bool:
    """Return whether a place of the index is one for certain, or nobody can tell now."""
    entries = _entries_of(store, place.shard_number, BACKGROUND)
    return entries is None or place in _places(store, entries, key, place.shard_number)


def _entries_of(store: Store, number: int, priority: int) -> bytes | None:
    """Return the entries of a shard, none for one that is no more; None when they are not known.

    So it is while a shard is open, or on disks that are away.
    """
    with store.lock:
        shard = store.shards.state.shards.get(store.shards.ids.get(number, ""))
    if shard is None:
        return b""
    scan = footer_of(store, shard, priority) if shard.sealed else None
    return None if scan is None else scan.entries


def _places(store: Store, entries: bytes, key: bytes, number: int) -> list[Location]:
    with store.lock:
        shard = store.shards.state.shards.get(store.shards.ids.get(number, ""))
        if shard is not None and key in shard.dead_records().keys:
            return []  # Purged by its key, wherever it lies there.
    return [
        Location(number, entry.offset, entry.length_bytes)
        for entry in iterate_entries(entries)
        if entry.key == key
    ]
