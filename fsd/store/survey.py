"""What the replicas of a shard hold: it owns reading them, and decides nothing.

A footer is written together with the last group, and a power cut may keep one and not the other.
So a footer of a shard that the catalog does not know as sealed proves nothing by itself: it counts
when every group that it speaks of is whole on that replica.
"""

import errno
from collections.abc import Iterable
from dataclasses import dataclass, field

import xxhash

from base.errors import DrystoneError
from fsd.disk_io.reading.scan import Group, ScanResult
from fsd.disks.disks import Disk
from fsd.format.catalog import CatalogShard
from fsd.format.record import SHARD_HEADER_BYTES
from fsd.store.store import Store


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica that could be read."""

    disk: Disk
    scan: ScanResult

    @property
    def sealed(self) -> bool:
        """Return whether it ends in a footer, and is what the footer says, byte for byte."""
        footer, groups = self.scan.footer, self.scan.groups
        if footer is None or not groups or not all(group.intact for group in groups):
            return False
        digests = b"".join(group.digest for group in groups)
        return (
            footer.group_count == len(groups)
            and footer.groups_digest == xxhash.xxh3_128_digest(digests)
            and footer.data_end == groups[-1].offset + groups[-1].length_bytes
        )


@dataclass(frozen=True, slots=True)
class Survey:
    """The replicas that could be read, the disks that are here and have no file, what failed.

    A sector that cannot be read is in the replica, as damage; what failed is a disk or its process.
    """

    replicas: list[Replica]
    absent: list[Disk]
    failures: list[DrystoneError] = field(default_factory=list[DrystoneError])

    @property
    def count(self) -> int:
        """Return how many disks have answered."""
        return len(self.replicas) + len(self.absent)


def survey(store: Store, shard: CatalogShard) -> Survey:
    """Read every replica that is here, whole: its footer, if it has one, and its groups."""
    found = Survey([], [])
    # All disks at once: a start after a crash reads whole shards, and waits for nothing else.
    asked = [
        (disk, disk.request("scan", shard.shard_id, True))
        for disk in store.disks.readable(shard.disks)
    ]
    for disk, answer in asked:
        try:
            found.replicas.append(Replica(disk, answer.result()))
        except DrystoneError as error:
            if getattr(error, "errno", None) == errno.ENOENT:
                found.absent.append(disk)
            else:
                store.disks.note_error(disk, error)
                found.failures.append(error)
    return found


def footer_of(store: Store, shard: CatalogShard, priority: int = 1) -> ScanResult | None:
    """Return the structure of a sealed shard from a replica with a sound footer, or None."""
    for disk in store.replicas(shard.shard_id):
        try:
            scan = disk.call("scan", shard.shard_id, priority=priority)
        except DrystoneError as error:
            store.disks.note_error(disk, error)
            continue
        if scan.footer is not None:
            return scan
        store.mark_suspect(shard.shard_id, disk)
    return None


def union(scans: Iterable[list[Group]]) -> list[Group]:
    """Return the committed groups of all replicas by offset; intact ones win over damaged ones."""
    best: dict[int, Group] = {}
    for groups in scans:
        for group in groups:
            known = best.get(group.offset)
            better = known is None or (group.intact, len(group.entries)) > (
                known.intact,
                len(known.entries),
            )
            if better:
                best[group.offset] = group
    return [best[offset] for offset in sorted(best)]


def lacks_groups(
    store: Store, shard: CatalogShard, replicas: list[Replica], groups: list[Group]
) -> bool:
    """Return whether there were more groups than are found: a disk that is away may have them.

    A footer that its groups do not bear out says so, a gap between groups, and an index that knows
    of more. An index that was made anew has not seen them: then a replica must end with its last
    group, for bytes behind that may be one that was acknowledged, and is damaged here.
    """
    if any(replica.scan.footer is not None for replica in replicas):
        return True
    end = _end(groups)
    if end != SHARD_HEADER_BYTES + sum(group.length_bytes for group in groups):
        return True
    with store.index.read() as reader:
        number = reader.shard_number(shard.shard_id)
        known_bytes = 0 if number is None else reader.shard(number).length_bytes
    if known_bytes:
        return known_bytes > end
    return not any(one.scan.file_bytes <= _end(one.scan.groups) for one in replicas)


def _end(groups: list[Group]) -> int:
    return max((group.offset + group.length_bytes for group in groups), default=SHARD_HEADER_BYTES)
