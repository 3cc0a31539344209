"""Claims: it owns the answer to "is this content stored, on its way, or to be written now?".

Concurrent writers of one key share one write: the first claims it, the others wait for the
outcome. A hit counts only when the object has enough verified online replicas and, for a raw
file, lies in a raw shard; otherwise it is written again and the index is pointed at the new copy.

From that answer until the batch's part is durable, the key is held for the batch: a purge spares
it. A key that a purge has doomed is not stored for anybody who asks from then on.
"""

import threading
from collections import Counter
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Literal, TypeAlias

from fsd.store.index import IndexReader, Location
from fsd.store.purge_place import live_shard
from fsd.store.store import Store

Decision: TypeAlias = Literal["existing", "claimed"] | Future[bool]


class Claims:
    """All keys that are being written, or referred to, by any job of this engine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Guards all below. A snapshot of the index is opened with it held, and `Store.lock` taken.
        self._lock = threading.Lock()
        # A claim gets its future when somebody first waits for it: hardly any ever does.
        self._claimed: dict[bytes, Future[bool] | None] = {}
        self._held: dict[object, Counter[bytes]] = {}
        self._doomed: dict[bytes, int] = {}

    def decide(self, keys: list[bytes], class_name: str, batch: object) -> list[Decision]:
        """Return for each key `existing`, `claimed` (the caller must write it), or a future.

        The future tells whether another writer's group was committed. A key that occurs twice in
        one call is claimed once; the second one gets the future of the first. Existing and claimed
        ones are held for the batch until `release`.
        """
        decisions: list[Decision] = []
        with self._lock, self._store.index.read() as reader:
            held = self._held.setdefault(batch, Counter())
            for key in keys:
                if key in self._claimed:
                    decisions.append(self._outcome(key))
                    continue
                held[key] += 1
                if self._is_stored(reader, key, class_name):
                    decisions.append("existing")
                    continue
                self._claimed[key] = None
                decisions.append("claimed")
        return decisions

    def _outcome(self, key: bytes) -> Future[bool]:
        future = self._claimed[key]
        if future is None:
            future = self._claimed[key] = Future()
        return future

    def stored(self, key: bytes, class_name: str) -> bool:
        """Return whether a file of this class with this content needs no write (any more)."""
        with self._lock, self._store.index.read() as reader:
            return self._is_stored(reader, key, class_name)

    def refer(self, key: bytes, class_name: str, batch: object) -> bool:
        """Hold a key that another writer has stored for this batch; False when it is not stored."""
        with self._lock, self._store.index.read() as reader:
            if not self._is_stored(reader, key, class_name):
                return False
            self._held.setdefault(batch, Counter())[key] += 1
            return True

    def release(self, batch: object, keys: Iterable[bytes]) -> None:
        """End holds: the part that names the keys is in the index, or there will be none."""
        with self._lock:
            held = self._held.get(batch)
            if held is None:
                return
            for key in keys:
                held[key] -= 1
                if held[key] <= 0:
                    del held[key]

    def forget(self, batch: object) -> None:
        """End whatever a batch still holds, when its job ends."""
        with self._lock:
            self._held.pop(batch, None)

    def settle(self, keys: Iterable[bytes], *, written: bool) -> None:
        """End claims: after the index commit, or when the write failed."""
        with self._lock:
            futures = [self._claimed.pop(key, None) for key in keys]
        for future in futures:
            if future is not None:
                future.set_result(written)

    @contextmanager
    def doom(self, keys: dict[bytes, int]) -> Generator[IndexReader]:
        """Let keys count as not stored until `pardon`; yields the index of this very moment.

        Keys that are held are taken out of `keys`. Whatever was released before is in the index
        that is yielded: no reference falls between the two.
        """
        with self._lock:
            for held in self._held.values():
                for key in held:
                    keys.pop(key, None)
            self._doomed = keys
            # Opened under the lock: what is stored anew from now on is not seen, and not doomed.
            snapshot = self._store.index.read()
            reader = snapshot.__enter__()
        try:
            yield reader
        finally:
            snapshot.__exit__(None, None, None)

    def held_among(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return those of the keys that some running job holds now."""
        with self._lock:
            return {key for key in keys if any(key in held for held in self._held.values())}

    def pardon(self) -> None:
        """Let every key count by what the index says again."""
        with self._lock:
            self._doomed = {}

    def _is_stored(self, reader: IndexReader, key: bytes, class_name: str) -> bool:
        location = reader.locate(key)
        if location is None or key in self._doomed:
            return False
        return self._counts(location, class_name)

    def _counts(self, location: Location, class_name: str) -> bool:
        store = self._store
        # The index may not have followed a purge yet: what the catalog calls dead is not stored.
        shard = live_shard(store, location)
        with store.lock:
            writing = shard is not None and shard.shard_id in store.shards.writing
            unread = shard is not None and shard.shard_id in store.shards.unread
        if shard is None or (class_name == "raw" and shard.class_name != "raw"):
            return False
        if not (shard.sealed or writing or (unread and store.config.store.read_back)):
            return False  # It was left, and its recovery waits: some of it may be lost.
        return store.sound_copies(shard.shard_id) >= store.ack_copies(class_name)
