"""The catalog's history: it owns joining the logs of several disks, and checkpoints of them; pure.

A checkpoint is a log without the entries that say nothing any more, and the numbers of all that
its writer knew. Joined with other logs, an entry that it numbers and has not is left out, wherever
it turns up: so neither a shard that was dropped nor a view that was taken back returns with a disk
that was away through any number of checkpoints, and of two runs that saw different disks each keeps
what the other does not know (an observed-remove set with version vectors: Bieniusa et al., "An
optimized conflict-free replicated set", 2012). Joining is commutative, associative, idempotent.

What is left out is only what changes the state of no history that has it and the rest, whatever
else that may have, before or between.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import xxhash

from fsd.format.catalog import (
    CHECKPOINT_KIND,
    OWN_EPOCH_MIN,
    CatalogEntry,
    CatalogState,
    Identity,
    identify,
    pack_entries,
    pack_frame,
    pack_json,
    unpack_json,
    unpack_places,
)
from fsd.format.errors import FsdError

DROPS_KEPT = 10_000
"""Of so many shards it is known that their files may be deleted wherever they turn up; files of
those that were dropped before are set aside instead."""

Ranges = list[tuple[int, int]]
"""Sequence numbers, both ends of each range included: ascending, with gaps between them."""

_SHARD_KINDS = frozenset(
    {
        "shard_open",
        "shard_seal",
        "shard_abandon",
        "shard_vacate",
        "shard_revive",
        "shard_drop",
        "replica_add",
        "replica_drop",
    }
)
_ENDS = frozenset({"shard_abandon", "shard_drop"})
_NAMED_KINDS = {
    "view_publish": ("view_kind", "view", "layout"),
    "view_unpublish": ("view_kind", "view", "layout"),
    "manifest_pin": ("name",),
    "manifest_unpin": ("name",),
}
"""Entries of which, for one name, the latest says all."""


@dataclass(slots=True)
class History:
    """Entries by identity, and which others were there: those of `covered` by epoch.

    `dropped` are shards of whose entries none is left, the latest last: their files may be deleted
    wherever they turn up. `checkpoint_bytes` is how much of the log that it was read from is a
    checkpoint.
    """

    entries: dict[Identity, CatalogEntry] = field(default_factory=dict[Identity, CatalogEntry])
    covered: dict[int, Ranges] = field(default_factory=dict[int, Ranges])
    dropped: dict[str, None] = field(default_factory=dict[str, None])
    checkpoint_bytes: int = field(default=0, compare=False)

    def covers(self, identity: Identity) -> bool:
        """Return whether a checkpoint knew the entry."""
        epoch, sequence = _number(identity)
        return any(first <= sequence <= last for first, last in self.covered.get(epoch, ()))

    def knows(self, other: "History") -> bool:
        """Return whether it has, or had, all that another one has or left out."""
        numbered = _join_covered([self.covered, _numbers(self.entries)])
        if _join_covered([numbered, other.covered]) != numbered:
            return False
        return all(one in self.entries or self.covers(one) for one in other.entries)

    def lacks(self, other: "History") -> list[CatalogEntry]:
        """Return the entries that another one has and this one has not, in their order."""
        return [other.entries[one] for one in sorted(other.entries.keys() - self.entries.keys())]

    def add(self, entry: CatalogEntry) -> None:
        """Take an entry in that this run has written."""
        self.entries[identify(entry)] = entry

    def state(self) -> CatalogState:
        """Return what all of it says."""
        state = CatalogState.of([self.entries[one] for one in sorted(self.entries)])
        state.dropped.update(self.dropped)
        numbers = [last for ranges in self.covered.values() for _, last in ranges]
        state.sequence = max([state.sequence, *numbers])
        return state


def read_history(log: bytes, seen: dict[bytes, list[CatalogEntry]] | None = None) -> History:
    """Return what a log says; damaged or torn sectors are stepped over.

    A checkpoint counts only with all that lies before it: of an entry that cannot be read there it
    would say that it was left out. FsdError when another version wrote it.
    """
    history = History()
    for offset, entries in unpack_places(log, seen):
        for one in entries:
            if one.kind != CHECKPOINT_KIND:
                history.add(one)
            elif (found := _unpack_checkpoint(one, log, offset)) is not None:
                history.covered, history.dropped = found
                history.checkpoint_bytes = offset
    return history


def _unpack_checkpoint(
    checkpoint: CatalogEntry, log: bytes, offset: int
) -> tuple[dict[int, Ranges], dict[str, None]] | None:
    data = checkpoint.data
    if data.keys() != {"frames_xxh3_128", "covered", "dropped"}:
        raise FsdError("a checkpoint of the catalog is not understood by this version")
    if xxhash.xxh3_128_hexdigest(log[:offset]) != data["frames_xxh3_128"]:
        return None
    covered = {epoch: [(a, b) for a, b in some] for epoch, some in unpack_json(data["covered"])}
    return covered, dict.fromkeys(unpack_json(data["dropped"]))


def pack_checkpoint(history: History) -> bytes:
    """Return a log that says what a history does, to be put in the place of another one."""
    frames = pack_entries([history.entries[one] for one in sorted(history.entries)])
    data = {
        "frames_xxh3_128": xxhash.xxh3_128_hexdigest(frames),
        "covered": pack_json(sorted(history.covered.items())),
        "dropped": pack_json(list(history.dropped)),
    }
    return frames + pack_frame(CatalogEntry(0, 0, CHECKPOINT_KIND, data))


def join(histories: Iterable[History]) -> History:
    """Return the union: what any has, less what another one has left out."""
    several = list(histories)
    joined = History({}, _join_covered(one.covered for one in several))
    for history in several:
        joined.dropped |= history.dropped
        for identity, entry in history.entries.items():
            # Whoever numbers it has it, or found that it says nothing any more.
            if all(identity in one.entries or not one.covers(identity) for one in several):
                joined.entries[identity] = entry
    return joined


def condense(history: History, drops_kept: int = DROPS_KEPT) -> History:
    """Return a history that says the same without what says nothing any more.

    Entries of earlier versions stay: their numbers are not of one run alone.
    """
    own = [one for one in history.entries if one[0] >= OWN_EPOCH_MIN]
    numbered = _join_covered([history.covered, _numbers(own)])
    over, dropped = _ended_shards(history)
    gone = {*_entries_of(history, over), *_said_later(history)}
    kept = {k: v for k, v in history.entries.items() if k not in gone or k[0] < OWN_EPOCH_MIN}
    dropped = [*history.dropped, *dropped]
    return History(kept, numbered, dict.fromkeys(dropped[max(0, len(dropped) - drops_kept) :]))


def _ended_shards(history: History) -> tuple[set[str], list[str]]:
    """Return the shards that are opened and given up in this history, and those dropped of them.

    One that an earlier version opened is none: its entry stays, and so does the word that it ended.
    """
    opened: set[str] = set()
    over: dict[str, str] = {}
    for identity in sorted(history.entries):
        one = history.entries[identity]
        if one.kind == "shard_open" and identity[0] >= OWN_EPOCH_MIN:
            opened.add(one.data["shard"])
        elif one.kind in _ENDS and one.data["shard"] in opened:
            over.setdefault(one.data["shard"], one.kind)
    return set(over), [shard for shard, kind in over.items() if kind == "shard_drop"]


def _entries_of(history: History, over: set[str]) -> Iterator[Identity]:
    """Yield the entries that are about these shards and nothing else."""
    kinds = ("purge_commit", "purge_void")
    settled = {one.data["purge"] for one in history.entries.values() if one.kind in kinds}
    for identity, one in history.entries.items():
        if one.kind in _SHARD_KINDS and one.data["shard"] in over:
            yield identity
        if one.kind != "purge_mark" or one.data["purge"] not in settled:
            continue
        if one.data["shards"].keys() <= over:
            yield identity


def _said_later(history: History) -> Iterator[Identity]:
    """Yield the entries of a name of which a later one says all."""
    latest: dict[tuple[str, ...], Identity] = {}
    for identity in sorted(history.entries):
        one = history.entries[identity]
        if fields := _NAMED_KINDS.get(one.kind):
            name = (one.kind.split("_")[0], *(one.data[name] for name in fields))
            if name in latest:
                yield latest[name]
            latest[name] = identity


def _number(identity: Identity) -> tuple[int, int]:
    """Return epoch and sequence of an entry; of one of an earlier version an epoch of no entry."""
    epoch, sequence, run = identity
    return (epoch + int.from_bytes(run, "big"), sequence) if epoch >= OWN_EPOCH_MIN else (0, 0)


def _numbers(identities: Iterable[Identity]) -> dict[int, Ranges]:
    found: dict[int, list[int]] = {}
    for epoch, sequence in map(_number, identities):
        found.setdefault(epoch, []).append(sequence)
    return {e: _joined((n, n) for n in numbers) for e, numbers in found.items()}


def _join_covered(several: Iterable[dict[int, Ranges]]) -> dict[int, Ranges]:
    found: dict[int, Ranges] = {}
    for covered in several:
        for epoch, ranges in covered.items():
            found[epoch] = [*found.get(epoch, ()), *ranges]
    return {epoch: _joined(ranges) for epoch, ranges in found.items()}


def _joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    joined: Ranges = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return joined
