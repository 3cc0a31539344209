"""One disk as the engine sees it: it owns what is known of it, and asks its process."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from fsd.disks.config import DiskConfig
from fsd.format.errors import DiskError
from fsd.planning.disk_health import DiskHealth
from fsd.process.process import Child
from fsd.process.slots import Slot

NOT_SEEN = "not looked at yet"
SMALL_DISK_BYTES = 20 << 30
RESERVE_SHARE = 20
"""Of a small disk at most a twentieth is kept free: `min_free_bytes` is made for large ones."""


@dataclass(slots=True)
class Counters:
    """What a disk did since the engine started."""

    read_bytes: int = 0
    written_bytes: int = 0
    errors: int = 0
    late_reads: int = 0
    read_errors_in_a_row: int = 0


@dataclass(slots=True, eq=False)
class Disk:
    """One disk; its `child` is None while it is missing.

    `found` are files of live shards that the catalog does not count here (see `trim`), `left_bytes`
    the lengths of those that were open when the disk was entered, by shard (see `waiting_shards`).
    `session` counts how often it was entered: what was open on it before may not be there now.
    `seen_at` is where one is that was declared gone, empty for nowhere (see `gone_disks`).
    """

    config: DiskConfig
    path: str
    state: str = "missing"
    reason: str = NOT_SEEN
    failure_domain: str = ""
    filesystem: str = ""
    size_bytes: int = 0
    free_bytes: int = 0
    quarantined_files: int = 0
    quarantined_bytes: int = 0
    since: float = 0.0
    draining: bool = False
    retired: bool = False
    seen_at: str = ""
    found: set[str] = field(default_factory=set[str])
    left_bytes: dict[str, int] = field(default_factory=dict[str, int])
    counters: Counters = field(default_factory=Counters)
    health: DiskHealth = field(default_factory=DiskHealth)
    last_error: str = ""
    child: Child | None = None
    burying: Child | None = None
    session: int = 0
    look_again_at: float = 0.0

    @property
    def disk_id(self) -> str:
        """Return the id from the identity file, 32 hex digits."""
        return self.config.disk_id

    @property
    def name(self) -> str:
        """Return the name a person gave it."""
        return self.config.name

    def room_bytes(self, min_free_bytes: int) -> int:
        """Return how much may be stored on it where the configuration says `min_free_bytes`."""
        # Of a small disk a share: what a large one keeps would be most of it.
        if self.size_bytes < SMALL_DISK_BYTES:
            min_free_bytes = min(min_free_bytes, self.size_bytes // RESERVE_SHARE)
        return max(0, self.free_bytes - min_free_bytes)

    @property
    def readable(self) -> bool:
        """Return whether replicas on it may be read."""
        return self.state in ("online", "readonly")

    @property
    def shown_state(self) -> str:
        """Return the state as a person sees it: `draining` and `retired` besides the others."""
        if self.state == "gone":
            return "retired" if self.retired else "gone"
        return "draining" if self.draining and self.state == "online" else self.state

    @property
    def takes_replicas(self) -> bool:
        """Return whether new replicas may be placed on it."""
        return self.state == "online" and not self.draining

    def request(
        self, operation: str, *arguments: Any, slots: tuple[Slot, ...] = (), priority: int = 1
    ) -> "Future[Any]":
        """Send a request to the disk's process; the future fails at once when it is missing."""
        child = self.child
        if child is None:
            future: Future[Any] = Future()
            future.set_exception(
                DiskError(f"disk {self.name} is missing: {self.reason}", self.name)
            )
            return future
        return child.request(operation, *arguments, slots=slots, priority=priority)

    def call(self, operation: str, *arguments: Any, priority: int = 1) -> Any:
        """Send a request and wait; a stalled disk ends the wait with DiskStalledError."""
        return self.request(operation, *arguments, priority=priority).result()
