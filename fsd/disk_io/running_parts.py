"""Which parts are being written on one disk: it owns telling them from what was left of copies.

A disk's process knows of all parts that it writes, from before their file is made until they are
replicas or removed; the others were left by a process that is no more. Parts are made, finished and
removed by several lanes, and a disk's files are compared with the catalog while copies to it run.
"""

import threading
from collections.abc import Callable


class RunningParts:
    """The ids of the shards whose parts somebody writes; any thread may call its methods."""

    def __init__(self) -> None:
        # Guards the ids, also while a leftover goes: nobody begins its part meanwhile. Innermost.
        self._lock = threading.Lock()
        self._ids: set[str] = set()

    def begin(self, shard_id: str) -> None:
        """Note that a part is going to be made; waits for its leftover to be removed."""
        with self._lock:
            self._ids.add(shard_id)

    def end(self, shard_id: str) -> None:
        """Note that nobody goes on with a part: it is a replica, or its file is removed."""
        with self._lock:
            self._ids.discard(shard_id)

    def remove_leftover(self, shard_id: str, remove: Callable[[], None]) -> None:
        """Call `remove` unless somebody writes the part, and let nobody begin it meanwhile."""
        with self._lock:
            if shard_id not in self._ids:
                remove()
