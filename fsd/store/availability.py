"""Who gives a content: it owns the judgement why no disk does, by what is known at one moment.

It reads no content: a replica that nobody has found damaged counts.
"""

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from fsd.store.index import IndexReader, Location
from fsd.store.purge_place import live_shard
from fsd.store.store import Store

SOUGHT_MAX = 10_000
"""So many are looked for again where the index has nothing: each may cost reading footers."""
LOST = "its content is lost; put it again"
DAMAGED = "its content is damaged on every disk that gives its shard"


class Availability:
    """Who gives a content: each shard's disks are looked up once, as they are at that moment.

    Disks (by id) in `without` are taken for away. `damaged` are the keys (in hex) that a replica,
    (shard id, disk id), is known not to give.
    """

    def __init__(
        self,
        store: Store,
        without: Collection[str] = (),
        damaged: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType({}),
    ) -> None:
        self._store = store
        self._without = without
        self._damaged = damaged
        self._shards: dict[str, tuple[list[frozenset[str]], str]] = {}
        self._sought = 0

    def why_lost(self, reader: IndexReader, key: bytes) -> str:
        """Return why no disk gives a content, or nothing when one does."""
        place = reader.locate(key)
        return self._why_none(key, [] if place is None else [place, *reader.spares(key)])

    def why_still(self, key: bytes) -> str:
        """Look again: it may have been moved since, or have a wrong place in the index."""
        with self._store.index.read() as reader:
            reason = self.why_lost(reader, key)
            place = reader.locate(key)
        # A wrong place in a shard that lives is met by whoever reads it, and by a scrub.
        if reason != LOST or place is None or self._sought >= SOUGHT_MAX:
            return reason
        self._sought += 1
        return self._why_none(key, self._store.find_again(key, place))

    def doubtful(self) -> Iterator[str]:
        """Yield the shards that only replicas give of which it is not known what is damaged."""
        store = self._store
        with store.lock:
            shards = [s.shard_id for s in store.shards.state.shards.values() if not s.vacated]
            suspect = set(store.shards.suspect)
        for shard_id in shards:
            giving = [(shard_id, disk_id) for disk_id in self._giving(shard_id)]
            unjudged = [one for one in giving if one not in self._damaged]
            if unjudged and all(one in suspect for one in giving):
                yield shard_id

    def _why_none(self, key: bytes, places: list[Location]) -> str:
        reasons: list[str] = []
        for place in places:
            if (shard := live_shard(self._store, place)) is None:
                continue
            damaged, away = self._shard(shard.shard_id)
            if damaged and not all(key.hex() in keys for keys in damaged):
                return ""
            reasons.append(DAMAGED + away if damaged else away)
        return "; ".join(dict.fromkeys(reasons)) or LOST

    def _shard(self, shard_id: str) -> tuple[list[frozenset[str]], str]:
        """Return what each giving replica does not give, and in words who else has the shard."""
        if shard_id not in self._shards:
            giving = self._giving(shard_id)
            nothing = frozenset[str]()
            damaged = [self._damaged.get((shard_id, disk_id), nothing) for disk_id in giving]
            self._shards[shard_id] = damaged, self._where(shard_id, giving)
        return self._shards[shard_id]

    def _giving(self, shard_id: str) -> list[str]:
        replicas = (disk.disk_id for disk in self._store.replicas(shard_id))
        return [disk_id for disk_id in replicas if disk_id not in self._without]

    def _where(self, shard_id: str, giving: Collection[str]) -> str:
        store = self._store
        with store.lock:
            shard = store.shards.state.shards.get(shard_id)
            others = [d for d in (shard.disks if shard else ()) if d not in giving]
            without_file = {disk for disk in others if (shard_id, disk) in store.shards.lost}
        told: list[str] = []
        for disk_id in others:
            disk = store.disks.disks.get(disk_id)
            if disk is None:
                told.append(f"{disk_id} (unknown)")
            elif disk_id in without_file:
                told.append(f"{disk.name} (has lost it)")
            else:
                told.append(disk.name if disk.readable else f"{disk.name} ({disk.shown_state})")
        if giving:
            return f", but for {', '.join(told)}" if told else ""
        return f"its content is only on {', '.join(told)}" if told else LOST
