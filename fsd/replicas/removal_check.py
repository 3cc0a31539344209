"""May a disk go: it owns the judgement whether the others can hold, or hold already, what it has.

It only looks. `drain` and `retire` act on what is said here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote

from base.errors import UsageError
from base.text import count_text, size_text
from fsd.disks.disks import Disk
from fsd.documents.models import RemovalAnswer
from fsd.format.catalog import CatalogShard
from fsd.format.errors import QuotaError
from fsd.planning.placement import DiskSpace
from fsd.store.store import Store

LISTED_MAX = 100


@dataclass(frozen=True, slots=True)
class Homeless:
    """What a disk's removal asks of the others: bytes that move, and those without a place."""

    moved_bytes: int
    shards: int
    unplaced_bytes: int
    unplaced_shards: int


def find_places(
    needs: Iterable[tuple[int, int, Sequence[str]]],
    spaces: Sequence[DiskSpace],
    *,
    allow_same_domain: bool = False,
) -> Homeless:
    """Place replicas on the disks with the most room, the largest first; pure arithmetic.

    Each need is (copies, size_bytes, disks that hold the shard already and keep it).
    """
    free = {space.disk_id: space.free_bytes for space in spaces if space.eligible}
    domains = {
        space.disk_id: space.disk_id if allow_same_domain else space.failure_domain
        for space in spaces
    }
    moved = shards = unplaced = unplaced_shards = 0
    for copies, size, holders in sorted(needs, key=lambda need: -need[1]):
        taken = {domains[disk] for disk in holders if disk in domains}
        shards += 1
        for _ in range(copies):
            moved += size
            fitting = [d for d, room in free.items() if room >= size and domains[d] not in taken]
            if not fitting:
                unplaced, unplaced_shards = unplaced + size, unplaced_shards + 1
                continue
            chosen = max(fitting, key=lambda disk: free[disk])
            free[chosen] -= size
            taken.add(domains[chosen])
    return Homeless(moved, shards, unplaced, unplaced_shards)


def shards_on(store: Store, disk: Disk) -> list[CatalogShard]:
    """Return the shards of which the catalog counts a replica on the disk, and somebody wants."""
    with store.lock:
        shards = store.shards.state.shards.values()
        return [shard for shard in shards if disk.disk_id in shard.disks and not shard.vacated]


def staying(store: Store, shard_id: str, leaving: Disk) -> list[Disk]:
    """Return the disks with sound replicas that count when `leaving` is gone."""
    sound = store.sound_replicas(shard_id)
    return [disk for disk in sound if disk is not leaving and not disk.draining]


def check_no_loss(store: Store, disk: Disk) -> None:
    """Raise UsageError when a disk that can be read is the only one that gives some shards."""
    if not disk.readable:
        return
    sole = [
        shard
        for shard in shards_on(store, disk)
        if all(other is disk for other in store.sound_replicas(shard.shard_id))
    ]
    if sole:
        name = quote(disk.name)
        raise UsageError(
            f"{disk.name} is {disk.shown_state} and the only disk that gives {_shards(sole)}: "
            f"empty it first (drystone disk drain {name}), or give them up (drystone disk retire "
            f"--force {name})"
        )


def check_room(store: Store, disk: Disk) -> None:
    """Raise QuotaError, with the figures, when the others cannot take over what a disk holds.

    What still has to leave other draining disks needs its room too.
    """
    same = store.config.store.allow_same_device
    spaces = store.disks.spaces(without=disk.disk_id)
    names = {other.disk_id: other.name for other in store.disks.disks.values()}
    takers = [space for space in spaces if space.eligible]
    domains = {space.disk_id if same else space.failure_domain for space in takers}
    copies = max(store.config.copies("raw"), store.config.copies("generated"))
    listed = ", ".join(f"{names[s.disk_id]} {size_text(s.free_bytes)} free" for s in takers)
    missing = [d.name for d in store.disks.disks.values() if d.state == "missing" and d is not disk]
    back = f"bring {' and '.join(missing)} back, or " * bool(missing)
    if len(domains) < copies:
        raise QuotaError(
            f"{disk.name} cannot be drained: {copies} copies need {copies} independent disks that "
            f"take data, and without it there are {len(domains)} ({listed or 'none'}); "
            f"{back}add a disk first"
        )
    also = [
        other
        for other in store.disks.disks.values()
        if other is not disk and other.draining and other.readable and shards_on(store, other)
    ]
    leaving = {s.shard_id: s for one in (disk, *also) for s in shards_on(store, one)}
    needs: list[tuple[int, int, list[str]]] = []
    for shard in leaving.values():
        holders = [other.disk_id for other in staying(store, shard.shard_id, disk)]
        size = shard.length_bytes or store.config.store.shard_size_bytes
        wanted = store.config.copies(shard.class_name)
        needs.append((max(0, wanted - len(holders)), size, holders))
    found = find_places(needs, spaces, allow_same_domain=same)
    if found.unplaced_bytes:
        raise QuotaError(
            f"{disk.name} cannot be drained{_together(also)}: of {size_text(found.moved_bytes)} "
            f"({count_text(found.shards, 'shard')}) that must move, "
            f"{size_text(found.unplaced_bytes)} have no place on the others ({listed or 'none'}); "
            f"{back}add a disk, or free space"
        )


def _together(also: Sequence[Disk]) -> str:
    if not also:
        return ""
    verb = "is" if len(also) == 1 else "are"
    return f" together with {', '.join(disk.name for disk in also)}, which {verb} being emptied"


def may_be_removed(store: Store, disk: Disk) -> RemovalAnswer:
    """Tell whether the store is whole without a disk, and what only this disk has otherwise.

    Safe is a disk without which every shard has its wanted number of sound copies.
    """
    sole: list[CatalogShard] = []
    short: list[CatalogShard] = []
    written = 0
    for shard in shards_on(store, disk):
        copies = len(staying(store, shard.shard_id, disk))
        if not copies or not shard.sealed:
            sole.append(shard)
            written += shard.shard_id in store.shards.writing and copies > 0
        elif copies < store.config.copies(shard.class_name):
            short.append(shard)
    away = missing_holders(store, sole, disk)
    with store.index.read() as reader:
        objects = {row.shard_id: row.object_count for row in reader.shards()}
    return RemovalAnswer(
        disk_id=disk.disk_id,
        name=disk.name,
        state=disk.shown_state,
        safe=not sole and not short,
        sole_shards=len(sole),
        sole_bytes=_size(sole),
        sole_objects=sum(objects.get(shard.shard_id, 0) for shard in sole),
        sole_away=tuple(away),
        short_shards=len(short),
        short_bytes=_size(short),
        listed_shards=tuple(shard.shard_id for shard in [*sole, *short][:LISTED_MAX]),
        reason=_reason(disk, sole, short, written, away),
        advice=_advice(disk, sole, short, written, away),
    )


def _size(shards: Sequence[CatalogShard]) -> int:
    return sum(shard.length_bytes for shard in shards)


def missing_holders(store: Store, shards: Sequence[CatalogShard], leaving: Disk) -> list[str]:
    """Return the names of missing disks that the catalog counts a replica of these shards on.

    Whether they are whole there only shows when they are back.
    """
    found: set[str] = set()
    with store.lock:
        for shard in shards:
            lost = {disk_id for one, disk_id in store.shards.lost if one == shard.shard_id}
            found.update(disk_id for disk_id in shard.disks if disk_id not in lost)
    disks = (store.disks.disks.get(disk_id) for disk_id in found)
    away = (one for one in disks if one is not None and one is not leaving)
    return sorted(disk.name for disk in away if disk.state == "missing")


def _reason(
    disk: Disk,
    sole: Sequence[CatalogShard],
    short: Sequence[CatalogShard],
    written: int,
    away: Sequence[str],
) -> str:
    parts: list[str] = []
    if written:
        verb = "is" if written == 1 else "are"
        parts.append(f"{count_text(written, 'shard')} {verb} being written on it just now")
    if len(sole) > written:
        count = count_text(len(sole) - written, "shard")
        text = f"{count} ({size_text(_size(sole))}) without another verified copy would be lost"
        parts.append(text + f" ({_named(away)} may still have some of it)" * bool(away))
    if short:
        parts.append(f"{_shards(short)} would have fewer copies than wanted")
    return "; ".join(parts) or f"nothing needs {disk.name}: all copies are elsewhere"


def _named(away: Sequence[str]) -> str:
    return f"{' and '.join(away)}, missing now,"


def _shards(shards: Sequence[CatalogShard]) -> str:
    return f"{count_text(len(shards), 'shard')} ({size_text(_size(shards))})"


def _advice(
    disk: Disk,
    sole: Sequence[CatalogShard],
    short: Sequence[CatalogShard],
    written: int,
    away: Sequence[str],
) -> str:
    if not sole and not short:
        return "" if disk.state == "gone" else f"drystone disk retire {quote(disk.name)}"
    if written == len(sole) and not short:
        return "ask again when the put that runs is done (`drystone jobs`)"
    if disk.readable:
        first = f"bring {' and '.join(away)} back first, or " * bool(away)
        return f"{first}drystone disk drain {quote(disk.name)}"
    if away:
        return f"bring {disk.name} or {' or '.join(away)} back: no other disk has what it holds"
    if sole:
        return f"bring {disk.name} back: no other disk has what it holds"
    return f"drystone rebuild --disk {quote(disk.name)}"
