"""Claims: it owns the answer to "is this content stored, on its way, or to be written now?".

Concurrent writers of one key share one write: the first claims it, the others wait for the
outcome. A hit counts only when the object has enough verified online replicas and, for a raw
file, lies in a raw shard; otherwise it is written again and the index is pointed at the new copy.
"""

import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Literal, TypeAlias

from fsd.store import Store

Decision: TypeAlias = Literal["existing", "claimed"] | Future[bool]


class Claims:
    """All keys that are being written by any job of this engine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._claimed: dict[bytes, Future[bool]] = {}

    def decide(self, keys: list[bytes], class_name: str) -> list[Decision]:
        """Return for each key `existing`, `claimed` (the caller must write it), or a future.

        The future tells whether another writer's group was committed. A key that occurs twice in
        one call is claimed once; the second one gets the future of the first.
        """
        decisions: list[Decision] = []
        with self._lock, self._store.index.read() as reader:
            for key in keys:
                if key in self._claimed:
                    decisions.append(self._claimed[key])
                    continue
                location = reader.locate(key)
                if location is not None and self._counts(location.shard_number, class_name):
                    decisions.append("existing")
                    continue
                self._claimed[key] = Future()
                decisions.append("claimed")
        return decisions

    def stored(self, key: bytes, class_name: str) -> bool:
        """Return whether a file of this class with this content needs no write (any more)."""
        location = self._store.index.locate(key)
        return location is not None and self._counts(location.shard_number, class_name)

    def settle(self, keys: Iterable[bytes], *, written: bool) -> None:
        """End claims: after the index commit, or when the write failed."""
        with self._lock:
            futures = [self._claimed.pop(key) for key in keys if key in self._claimed]
        for future in futures:
            future.set_result(written)

    def _counts(self, shard_number: int, class_name: str) -> bool:
        store = self._store
        with store.lock:
            shard = store.shards.state.shards.get(store.shards.ids.get(shard_number, ""))
        if shard is None or (class_name == "raw" and shard.class_name != "raw"):
            return False
        return store.sound_copies(shard.shard_id) >= store.ack_copies(class_name)
