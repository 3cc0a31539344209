"""Single objects that were purged: it owns why a list of files names what the store has no more.

The lists of a batch are objects, and never written again: they name what was purged for ever. What
is stored again is there again, whoever names it.
"""

from collections.abc import Collection, Iterable
from typing import TypeAlias

from fsd.format.batch_part import PartFile
from fsd.format.purge_marks import pack_keys
from fsd.store.index import IndexReader
from fsd.store.purge_place import live_shard, places_of
from fsd.store.store import Store

Entries: TypeAlias = list[tuple[str, dict[str, object]]]
"""Of the catalog: kinds and what they say."""


def is_purged(store: Store, reader: IndexReader, key: bytes) -> bool:
    """Return whether an object is not stored because it was purged, or is being purged.

    What lies in a shard that no disk gives is lost, and not purged.
    """
    with store.lock:
        state = store.shards.state
        named = key in state.purged_keys
        named |= any(key in purge.keys for purge in state.purges.values())
    return named and not _lives(store, reader, key)


def purged_by_key(store: Store, keys: Iterable[str], batch: str | None = None) -> list[str]:
    """Return those of the keys (hexadecimal) that the catalog calls purged, in their order.

    One that is purged now, or in doubt, is not. With a `batch` only what it named at the purge.
    """
    with store.lock:
        purged = store.shards.state.purged_keys
        return [
            key
            for key in keys
            if (named_by := purged.get(bytes.fromhex(key))) is not None
            and (batch is None or batch in named_by)
        ]


def without_purged(store: Store, files: Iterable[PartFile]) -> list[PartFile]:
    """Return files of a batch but for those whose content was purged for good.

    A purge in doubt leaves them: it may be given up, and a list is made once.
    """
    listed = list(files)
    with store.lock:
        purged = store.shards.state.purged_keys
    if not purged:
        return listed
    named = {key for one in listed if (key := bytes.fromhex(one.key)) in purged}
    if named:
        with store.index.read() as reader:
            named = {key for key in named if not _lives(store, reader, key)}
    return [one for one in listed if bytes.fromhex(one.key) not in named] if named else listed


def stored_again(store: Store) -> Entries:
    """Return what the catalog is to be told of keys that it calls purged, and that live.

    They were stored while they were purged, or while that was in doubt: later seals tell of others.
    """
    with store.lock:
        purged, purges = list(store.shards.state.purged_keys), store.shards.state.purge_commits
    if not purged:
        return []
    with store.index.read() as reader:
        again = [key for key in purged if _lives(store, reader, key)]
    return entries_of_stored(again, purges)


def entries_of_stored(keys: Collection[bytes], purges: int) -> Entries:
    """Return what the catalog is told of keys that were purged and are stored again.

    `purges` had been committed when that was found: a key that is purged later stays purged.
    """
    return [("keys_stored", {"keys": pack_keys(keys), "purges": purges})] if keys else []


def _lives(store: Store, reader: IndexReader, key: bytes) -> bool:
    return any(live_shard(store, place) for place in places_of(reader, key))
