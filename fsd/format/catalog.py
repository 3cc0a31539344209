"""The catalog: it owns the log format and what its entries mean, never a file.

Every disk carries the whole log. An entry is appended to all online disks before anything that
depends on it is acknowledged; reading takes the union over the disks by sequence number, so a
disk that missed some is brought up to date. A frame is padded to 4 KiB: a sector that holds an
acknowledged entry is never written again.

    frame = magic "DRYCAT01", sequence u64, epoch u64, payload length u32, zero u32,
            xxh3-64 of the 32 bytes before and the payload, payload (JSON), zero padding to 4 KiB

A frame of the kind `entries` carries many; one of the kind `checkpoint` says what all frames before
it in their file stand for (see `catalog_history`).
"""

import base64
import binascii
import json
import secrets
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import xxhash

from fsd.format.errors import FsdError
from fsd.format.index_rows import VACATED_MARK, BatchRow, ViewRow, view_name
from fsd.format.purge_marks import (
    EVERY_RECORD,
    DeadRecords,
    Purge,
    dead_records,
    unpack_keys,
)
from fsd.format.record import SECTOR_BYTES, align

MAGIC = b"DRYCAT01"
_HEADER = struct.Struct("<8sQQII")
_CHECKSUM = struct.Struct("<Q")
_PREFIX_BYTES = _HEADER.size + _CHECKSUM.size

assert _PREFIX_BYTES == 40

ENTRIES_KIND = "entries"
CHECKPOINT_KIND = "checkpoint"
ENTRIES_MAX = 1000
"""Entries of one frame: what one unreadable sector costs a disk until it is healed."""
OWN_EPOCH_MIN = 1 << 32
"""From here on the epoch of an entry is of one run alone: its upper 32 bits are that of the disks,
its lower ones are random, so that two runs that saw different disks number nothing alike. Those of
earlier versions are that of the disks."""


def own_epoch(epoch: int) -> int:
    """Return the epoch of a run's entries, given that of its disks."""
    return epoch << 32 | secrets.randbits(32)


def disks_epoch(epoch: int) -> int:
    """Return in which epoch of its disks an entry was written."""
    return epoch >> 32 or epoch


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One entry: `kind` says which fields `data` has (see `CatalogState.apply`).

    `digest` is the frame's (see `identify`), known already where the entry was read from one.
    """

    sequence: int
    epoch: int
    kind: str
    data: dict[str, Any]
    digest: bytes = field(default=b"", compare=False, repr=False)


def pack_frame(entry: CatalogEntry) -> bytes:
    """Return the frame of an entry, a multiple of 4 KiB."""
    payload = json.dumps({"kind": entry.kind, **entry.data}, separators=(",", ":")).encode()
    header = _HEADER.pack(MAGIC, entry.sequence, entry.epoch, len(payload), 0)
    checksum = _CHECKSUM.pack(xxhash.xxh3_64_intdigest(header + payload))
    frame = header + checksum + payload
    return frame.ljust(align(len(frame)), b"\0")


def pack_entries(entries: Sequence[CatalogEntry]) -> bytes:
    """Return frames that carry entries, as few as there may be."""
    frames: list[bytes] = []
    for start in range(0, len(entries), ENTRIES_MAX):
        some = entries[start : start + ENTRIES_MAX]
        packed = pack_json([[one.epoch, one.sequence, one.kind, one.data] for one in some])
        first = some[0]
        data = {"entries": packed}
        frames.append(pack_frame(CatalogEntry(first.sequence, first.epoch, ENTRIES_KIND, data)))
    return b"".join(frames)


def pack_json(value: Any) -> str:
    """Return a JSON value as base64 of what zlib makes of it, for a field of a frame."""
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(text, 6)).decode()


def unpack_json(packed: str) -> Any:
    """Return what `pack_json` was given; FsdError when it is no such text.

    It lies under a checksum that held: another version wrote it.
    """
    try:
        return json.loads(zlib.decompress(base64.b64decode(packed, validate=True)))
    except (ValueError, TypeError, binascii.Error, zlib.error) as error:
        raise FsdError(f"a frame of the catalog is not understood: {error}") from error


def unpack_frames(
    log: bytes, seen: dict[bytes, list[CatalogEntry]] | None = None
) -> Iterator[CatalogEntry]:
    """Yield the sound entries of a log; damaged or torn sectors are stepped over."""
    for _, entries in unpack_places(log, seen):
        yield from (one for one in entries if one.kind != CHECKPOINT_KIND)


def unpack_places(
    log: bytes, seen: dict[bytes, list[CatalogEntry]] | None = None
) -> Iterator[tuple[int, list[CatalogEntry]]]:
    """Yield where each sound frame begins, with its entries; a checkpoint comes as one.

    Logs of several disks say nearly the same: with one `seen` for all of them, a frame that is
    equal byte for byte to a sound one is not checked and decoded again.
    """
    known = {} if seen is None else seen
    view = memoryview(log)
    offset = 0
    while offset + _PREFIX_BYTES <= len(view):
        frame = _frame_at(view, offset)
        entries = known.get(frame) if frame else None
        if frame and entries is None and (entries := _unpack_frame(frame)) and seen is not None:
            seen[frame] = entries
        if not entries:
            offset += SECTOR_BYTES
            continue
        yield offset, entries
        offset += align(len(frame))


def _frame_at(view: memoryview, offset: int) -> bytes:
    """Return what may be a frame, without its padding; empty when there is none."""
    magic, _, _, length, _ = _HEADER.unpack_from(view, offset)
    end = offset + _PREFIX_BYTES + length
    return bytes(view[offset:end]) if magic == MAGIC and end <= len(view) else b""


def _unpack_frame(frame: bytes) -> list[CatalogEntry]:
    _, sequence, epoch, _, _ = _HEADER.unpack_from(frame)
    payload = frame[_PREFIX_BYTES:]
    (checksum,) = _CHECKSUM.unpack_from(frame, _HEADER.size)
    if xxhash.xxh3_64_intdigest(frame[: _HEADER.size] + payload) != checksum:
        return []
    data: dict[str, Any] = json.loads(payload)
    kind = data.pop("kind")
    if kind == ENTRIES_KIND and data.keys() == {"entries"}:
        return [CatalogEntry(n, e, k, d) for e, n, k, d in unpack_json(data["entries"])]
    return [CatalogEntry(sequence, epoch, kind, data, _digest(frame))]


def _digest(frame: bytes) -> bytes:
    return xxhash.xxh3_128_digest(frame.ljust(align(len(frame)), b"\0"))


def merge(logs: Iterable[Iterable[CatalogEntry]]) -> list[CatalogEntry]:
    """Return the union of the disks' entries, by epoch and sequence.

    Nothing is ever superseded: an engine that started with few of the disks did not know the last
    entries of the others, and numbered its own alike. Both were acknowledged, both are kept.
    """
    found = {identify(entry): entry for log in logs for entry in log}
    return [found[identity] for identity in sorted(found)]


Identity = tuple[int, int, bytes]


def identify(entry: CatalogEntry) -> Identity:
    """Return what tells an entry from every other one, and sorts it among them.

    By the epoch of the disks, then by sequence: of two runs in one epoch of the disks, one that has
    read the other's entries numbers on behind them. Epoch and sequence tell all apart, but where
    runs of earlier versions counted alike.
    """
    if entry.epoch >= OWN_EPOCH_MIN:
        run = entry.epoch & (OWN_EPOCH_MIN - 1)
        return entry.epoch - run, entry.sequence, run.to_bytes(4, "big")
    return entry.epoch, entry.sequence, entry.digest or _digest(pack_frame(entry))


@dataclass(slots=True)
class CatalogShard:
    """A shard as the catalog knows it; `disks` hold (or began) a replica.

    `marks` are the dead records by purge, `key_marks` keys by purge whose records are dead wherever
    they lie in it: nobody could look into it then. A `vacated` shard holds nothing that is wanted:
    it stays readable for those who are still reading it, and is dropped after the grace, unless it
    turns out to be wanted after all. `ended` says how many purges had been committed when nobody
    wrote it any more, None while somebody may.
    """

    shard_id: str
    class_name: str
    disks: list[str]
    large: bool = False
    sealed: bool = False
    length_bytes: int = 0
    sealed_ns: int = 0
    vacated: bool = False
    ended: int | None = None
    marks: dict[str, str] = field(default_factory=dict[str, str])
    key_marks: dict[str, frozenset[bytes]] = field(default_factory=dict[str, frozenset[bytes]])

    @property
    def mark(self) -> str:
        """Return what tells one set of dead records from another one of this shard."""
        purges = sorted({*self.marks, *(f"{purge}/keys" for purge in self.key_marks)})
        return (VACATED_MARK if self.vacated else "") + " ".join(purges)

    def purges(self) -> set[str]:
        """Return the purges that mark records of it."""
        return self.marks.keys() | self.key_marks.keys()

    def dead_records(self) -> DeadRecords:
        """Return which records are dead, those in doubt too."""
        return self._dead(self.vacated)

    def purged_records(self) -> DeadRecords:
        """Return which records purges have marked, whether or not the shard is vacated."""
        return self._dead(False)

    def _dead(self, all_dead: bool) -> DeadRecords:
        marks, keys = tuple(self.marks.values()), tuple(self.key_marks.values())
        return dead_records(marks, all_dead, keys)


@dataclass(frozen=True, slots=True)
class Pin:
    """A name that keeps a manifest and all it names."""

    name: str
    manifest_key: str
    created_ns: int


@dataclass(slots=True)
class CatalogState:
    """What all entries together say; the durable half of the store's knowledge.

    `draining` tells of a disk whether it is to be retired when it is empty. `purges` are those in
    doubt, `purged` the batches that were purged and not put again, `purge_counts` how often each
    was, `last_purges` which of all committed purges was its last (the first is 1), `dropped` the
    shards whose files may be deleted wherever they turn up, `voided` the purges that were given up.

    `purged_keys` are single objects that were purged and not stored again since, with the batches
    that named them: it says why these lack something, and kills nothing. `last_key_purges` says of
    each which of all committed purges was its last. `key_purges` counts by batch how often that
    changed.
    """

    sequence: int = 0
    disks: dict[str, str] = field(default_factory=dict[str, str])
    gone: set[str] = field(default_factory=set[str])
    retired: set[str] = field(default_factory=set[str])
    draining: dict[str, bool] = field(default_factory=dict[str, bool])
    shards: dict[str, CatalogShard] = field(default_factory=dict[str, CatalogShard])
    batches: dict[str, BatchRow] = field(default_factory=dict[str, BatchRow])
    views: dict[str, ViewRow] = field(default_factory=dict[str, ViewRow])
    pins: dict[str, Pin] = field(default_factory=dict[str, Pin])
    purges: dict[str, Purge] = field(default_factory=dict[str, Purge])
    purged: set[str] = field(default_factory=set[str])
    purge_counts: dict[str, int] = field(default_factory=dict[str, int])
    last_purges: dict[str, int] = field(default_factory=dict[str, int])
    purge_commits: int = 0
    purged_keys: dict[bytes, tuple[str, ...]] = field(
        default_factory=dict[bytes, "tuple[str, ...]"]
    )
    last_key_purges: dict[bytes, int] = field(default_factory=dict[bytes, int])
    key_purges: dict[str, int] = field(default_factory=dict[str, int])
    dropped: set[str] = field(default_factory=set[str])
    voided: set[str] = field(default_factory=set[str])

    @classmethod
    def of(cls, entries: Sequence[CatalogEntry]) -> "CatalogState":
        """Return what all entries say, in their order.

        That a purge was given up holds, though another entry says before that it was committed:
        its disk was declared gone by then, and what the purge marks counts as stored again since.
        """
        state = cls()
        state.voided = {str(one.data.get("purge")) for one in entries if one.kind == "purge_void"}
        for entry in entries:
            state.apply(entry)
        return state

    def hidden_batches(self) -> set[str]:
        """Return the batches that are not shown: purged, or being purged."""
        return self.purged | {purge.batch for purge in self.purges.values()}

    def joins(self, shard: CatalogShard, batch: str) -> bool:
        """Return whether a batch's parts in a shard count: it was not purged since the shard ended.

        One of the same name that was put after the purge is another batch.
        """
        return shard.ended is None or shard.ended >= self.last_purges.get(batch, 0)

    def apply(self, entry: CatalogEntry) -> None:
        """Take one entry in; entries of kinds this version does not know are refused loudly.

        What an entry says of a shard or batch that is not known (abandoned in another branch of
        the history) has no meaning any more.
        """
        take = getattr(self, f"_apply_{entry.kind}", None)
        where = f"the catalog's entry {entry.sequence} of epoch {entry.epoch} ({entry.kind!r})"
        if take is None:
            raise FsdError(f"{where} is not known to this version; use a newer one")
        try:
            take(**entry.data)
        except TypeError as error:
            raise FsdError(f"{where} is not understood by this version: {error}") from error
        self.sequence = max(self.sequence, entry.sequence)

    def _apply_disk_add(self, disk: str, name: str) -> None:
        self.disks[disk] = name

    def _apply_disk_return(self, disk: str, name: str) -> None:
        if disk not in self.retired:
            self.gone.discard(disk)
            self.disks[disk] = name

    def _apply_disk_gone(self, disk: str) -> None:
        self.disks.pop(disk, None)
        self.draining.pop(disk, None)
        self.gone.add(disk)
        for shard in self.shards.values():
            if disk in shard.disks:
                shard.disks.remove(disk)

    def _apply_disk_drain(self, disk: str, retire: bool = False) -> None:
        if disk in self.disks:
            self.draining[disk] = retire

    def _apply_disk_undrain(self, disk: str) -> None:
        self.draining.pop(disk, None)

    def _apply_disk_retire(self, disk: str) -> None:
        self._apply_disk_gone(disk)
        self.retired.add(disk)

    def _apply_shard_open(
        self, shard: str, class_name: str, disks: list[str], large: bool = False
    ) -> None:
        self.shards[shard] = CatalogShard(shard, class_name, self._not_gone(disks), large)

    def _apply_shard_seal(self, shard: str, length: int, disks: list[str], time_ns: int) -> None:
        if known := self.shards.get(shard):
            known.sealed, known.length_bytes, known.sealed_ns = True, length, time_ns
            known.disks = self._not_gone(disks)
            self._end(known)

    def _end(self, shard: CatalogShard) -> None:
        if shard.ended is None:
            shard.ended = self.purge_commits

    def _not_gone(self, disks: list[str]) -> list[str]:
        # A disk may be declared gone between the end of a shard and its entry.
        return [disk for disk in disks if disk not in self.gone]

    def _apply_shard_abandon(self, shard: str) -> None:
        if known := self.shards.pop(shard, None):
            for purge in self.purges.keys() & known.purges():
                shards = self.purges[purge].shards
                shards[:] = [one for one in shards if one != shard]

    def _apply_replica_add(self, shard: str, disk: str) -> None:
        if shard in self.shards and disk not in {*self.shards[shard].disks, *self.gone}:
            self.shards[shard].disks.append(disk)

    def _apply_replica_drop(self, shard: str, disk: str) -> None:
        if shard in self.shards and disk in self.shards[shard].disks:
            self.shards[shard].disks.remove(disk)

    def _apply_shard_vacate(self, shard: str) -> None:
        if shard in self.shards:
            self.shards[shard].vacated = True

    def _apply_shard_revive(self, shard: str) -> None:
        # Purged records stay dead: their marks hold, and of those alone no shard is revived.
        if shard in self.shards:
            self.shards[shard].vacated = False

    def _apply_shard_drop(self, shard: str) -> None:
        self._apply_shard_abandon(shard)
        self.dropped.add(shard)

    def _apply_batch_open(self, batch: str, class_name: str, time_ns: int) -> None:
        self.purged.discard(batch)
        row = BatchRow(batch, class_name, time_ns, purges=self.purge_counts.get(batch, 0))
        self.batches.setdefault(batch, row)

    def _apply_batch_seal(self, batch: str) -> None:
        if batch in self.batches:
            self.batches[batch].sealed = True

    def _apply_view_publish(
        self,
        view_kind: str,
        view: str,
        layout: str,
        manifest: str,
        time_ns: int,
        document: dict[str, Any],
    ) -> None:
        row = ViewRow(view_kind, view, layout, manifest, time_ns, document=document)
        self.views[row.name] = row

    def _apply_view_unpublish(self, view_kind: str, view: str, layout: str) -> None:
        self.views.pop(view_name(view_kind, view, layout), None)

    def _apply_manifest_pin(self, name: str, manifest: str, time_ns: int) -> None:
        self.pins[name] = Pin(name, manifest, time_ns)

    def _apply_manifest_unpin(self, name: str) -> None:
        self.pins.pop(name, None)

    def _apply_purge_begin(self, purge: str, batch: str) -> None:
        self.purges[purge] = Purge(batch)

    def _apply_purge_mark(self, purge: str, shards: dict[str, str]) -> None:
        if purge not in self.purges:
            return
        for shard_id, packed in shards.items():
            if shard := self.shards.get(shard_id):
                shard.marks[purge] = packed
                self.purges[purge].shards.append(shard_id)

    def _apply_purge_keys(
        self, purge: str, keys: str, batches: Sequence[str] = (), shards: Sequence[str] = ()
    ) -> None:
        if purge not in self.purges:
            return
        known, some = self.purges[purge], unpack_keys(keys)
        known.keys |= some
        known.named_by.update(batches)
        for shard_id in shards:
            if shard := self.shards.get(shard_id):
                shard.key_marks[purge] = shard.key_marks.get(purge, frozenset()) | some
                known.shards.append(shard_id)

    def _apply_keys_stored(self, keys: str, purges: int | None = None) -> None:
        batches: set[str] = set()
        for key in unpack_keys(keys):
            if purges is not None and self.last_key_purges.get(key, 0) > purges:
                continue  # Purged once more after it was found to be stored.
            self.last_key_purges.pop(key, None)
            batches.update(self.purged_keys.pop(key, ()))
        self._count_key_purges(batches)

    def _count_key_purges(self, batches: Iterable[str]) -> None:
        for batch in batches:
            self.key_purges[batch] = self.key_purges.get(batch, 0) + 1

    def _apply_purge_commit(self, purge: str, ended: Sequence[str] = ()) -> None:
        if purge in self.voided:
            return
        if known := self.purges.pop(purge, None):
            for shard_id in ended:
                if left_open := self.shards.get(shard_id):
                    self._end(left_open)
            self.purge_commits += 1
            self.last_purges[known.batch] = self.purge_commits
            self.purged.add(known.batch)
            self.purge_counts[known.batch] = self.purge_counts.get(known.batch, 0) + 1
            self.batches.pop(known.batch, None)
            for shard in self._marked(known):
                shard.vacated |= shard.marks.get(purge) == EVERY_RECORD
            named_by = tuple(sorted(known.named_by))
            self.purged_keys.update(dict.fromkeys(known.keys, named_by))
            self.last_key_purges.update(dict.fromkeys(known.keys, self.purge_commits))
            self._count_key_purges(named_by)

    def _apply_purge_void(self, purge: str) -> None:
        self.voided.add(purge)
        if known := self.purges.pop(purge, None):
            for shard in self._marked(known):
                shard.marks.pop(purge, None)
                shard.key_marks.pop(purge, None)

    def _marked(self, purge: Purge) -> list[CatalogShard]:
        return [self.shards[shard_id] for shard_id in purge.shards if shard_id in self.shards]
