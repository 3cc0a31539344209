"""The disks as the engine sees them: it owns their states and processes, never their bytes.

online    reads and writes
readonly  reads only (reason: read-only filesystem, write error, full)
missing   not there, dead or hung (reason); looked for again every few seconds
gone      declared gone by the user; its replicas count no more (see the catalog)

Beside its state a disk may be draining (see the catalog): it is read, and takes no new replica.
"""

import errno
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from fsd import disk_process
from fsd.config import Config, DiskConfig
from fsd.disk_health import DiskHealth, choose_steady, note_failure
from fsd.disk_names import find_disk
from fsd.errors import DiskError, DiskRefusedError, FsdError
from fsd.identity import mount_points
from fsd.placement import DiskSpace
from fsd.process import Child, Watchdog
from fsd.slots import Slot, SlotPool

POLL_S = 1.0
LOOK_AGAIN_S = 4.0
READ_ERRORS_MAX = 8
LAST_ERRORS_MAX = 20
NOT_SEEN = "not looked at yet"


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

    `found` are files of live shards that the catalog does not count here (see `trim`).
    `session` counts how often it was entered: what was open on it before may not be there now.
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
    found: set[str] = field(default_factory=set[str])
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


class DiskSet:
    """All disks of the store, their processes and the thread that watches them."""

    def __init__(self, config: Config, pool: SlotPool) -> None:
        self.config = config
        self.epoch = 0
        self.disks = {
            disk.disk_id: Disk(disk, disk.path, since=time.time()) for disk in config.disk
        }
        # Told a disk and whether it can be written.
        self.on_return: Callable[[Disk, bool], None] = lambda _disk, _writable: None
        self.on_change: Callable[[Disk], None] = lambda _disk: None
        self.last_errors: list[str] = []
        self._pool = pool
        self._lock = threading.RLock()
        self._extra: list[Child] = []
        self._stop = threading.Event()
        self._watchdog = Watchdog(self._children, config.store.stall_timeout_s)
        self._thread = threading.Thread(target=self._poll_forever, name="disks", daemon=True)

    def start(self) -> None:
        """Find all disks, agree on a new epoch and enter it; missing ones stay missing."""
        disks = list(self.disks.values())
        found = [(disk, self._spawn(disk)) for disk in disks]
        epochs = [0]
        for disk, child in found:
            try:
                disk.path = self._find(disk, child)
                epochs.append(child.call("epoch", disk.path))
            except (FsdError, OSError) as error:
                self.lose(disk, str(error))
        self.epoch = max(epochs) + 1
        for disk, child in found:
            if disk.child is child:
                self._enter(disk, child)

    def start_watching(self) -> None:
        """Begin to look after the disks: free space, vanished and returning ones."""
        self._thread.start()

    def stop(self) -> None:
        """Kill all children; nothing they hold is unacknowledged work of value."""
        self._stop.set()
        self._watchdog.stop()
        for child in self._children():
            child.kill()
            child.wait_dead()

    def watch(self, child: Child) -> None:
        """Let the watchdog look after another child too (packers, compilers)."""
        with self._lock:
            self._extra = [other for other in self._extra if other.alive]
            self._extra.append(child)

    def online(self) -> list[Disk]:
        """Return the disks that take writes."""
        return [disk for disk in self.disks.values() if disk.state == "online"]

    def readable(self, disk_ids: list[str]) -> list[Disk]:
        """Return those of the disks whose replicas can be read now."""
        known = (self.disks.get(disk_id) for disk_id in disk_ids)
        return [disk for disk in known if disk is not None and disk.readable]

    def by_name(self, name: str) -> Disk:
        """Return a disk by its name, id or path; UsageError lists the names otherwise."""
        return find_disk(self.disks.values(), name)

    def spaces(self, without: str = "") -> list[DiskSpace]:
        """Return the free space for placement, the reserve already taken off.

        As if the disk with the id `without` were not there: a suspect one may be needed then.
        Folders of one filesystem (a try-out) share its free space, so each counts with a part.
        """
        store = self.config.store
        reserve, copies = store.min_free_bytes, max(store.copies_raw, store.copies_generated)
        sharing = Counter(disk.filesystem for disk in self.disks.values() if disk.readable)
        spaces = [
            DiskSpace(
                disk.disk_id,
                max(0, disk.free_bytes - reserve) // max(1, sharing[disk.filesystem]),
                disk.failure_domain,
                disk.takes_replicas,
            )
            for disk in self.disks.values()
            if disk.state != "gone" and disk.disk_id != without
        ]
        steady = {disk.disk_id for disk in self.disks.values() if disk.health.rank == 0}
        same = store.allow_same_device
        return choose_steady(spaces, steady, copies, store.shard_size_bytes, allow_same_domain=same)

    def note_error(self, disk: Disk, error: BaseException, *, writing: bool = False) -> None:
        """Draw the consequences of a failed request for the disk's state."""
        number = getattr(error, "errno", None)
        disk.counters.errors += 1
        note_failure(disk.health, error, writing=writing)
        disk.last_error = str(error)
        self.remember(f"{disk.name}: {error}")
        child = disk.child
        if child is None:
            return
        if isinstance(error, DiskRefusedError) or not child.alive:
            self.lose(disk, str(error))
        elif isinstance(error, DiskError) and number is None:
            # Of a process that is dead by now and was replaced: no system call said this.
            return
        elif writing and number == errno.ENOSPC:
            disk.free_bytes = 0
            self._set_state(disk, "readonly", "full: the disk refused a write (no space left)")
        elif writing:
            # A failed write or sync is never retried on the same disk without a person's look.
            self._set_state(disk, "readonly", f"write error: {error}")
        elif number == errno.EIO:
            disk.counters.read_errors_in_a_row += 1
            if disk.counters.read_errors_in_a_row >= READ_ERRORS_MAX:
                self.lose(disk, f"{READ_ERRORS_MAX} read errors in a row: {error}")

    def note_success(self, disk: Disk, *, read_bytes: int = 0, written_bytes: int = 0) -> None:
        """Count what a disk did."""
        disk.counters.read_bytes += read_bytes
        disk.counters.written_bytes += written_bytes
        disk.counters.read_errors_in_a_row = 0

    def wait_buried(self, disk: Disk) -> None:
        """Wait a moment for the death of the process that a disk lost, if it lost one."""
        burying = disk.burying
        if burying is not None:
            burying.wait_dead()

    def add(self, config: DiskConfig) -> Disk:
        """Take a new disk in and enter the epoch; DiskRefusedError when it cannot be."""
        disk = Disk(config, config.path, since=time.time())
        self._join(disk)
        return disk

    def take_back(self, disk: Disk, path: str) -> None:
        """Enter a disk again that was declared gone; when it cannot be, it is a missing one."""
        # The last one so that the watcher does not look for it too, as in `_join`.
        disk.path, disk.burying, disk.look_again_at = path, None, float("inf")
        self._set_state(disk, "missing", "declared gone before")
        self._join(disk)

    def _join(self, disk: Disk) -> None:
        known = disk.disk_id in self.disks
        # Until it is entered the watcher must not look for it too, and fight over its lock.
        disk.look_again_at = float("inf")
        child = self._spawn(disk)
        self.disks[disk.disk_id] = disk
        entered = self._enter(disk, child)
        disk.look_again_at = 0.0
        if not entered:
            if not known:
                del self.disks[disk.disk_id]
            raise DiskRefusedError(disk.reason, disk.name)

    def declare_gone(self, disk: Disk) -> None:
        """Stop using a disk for good; its process is ended."""
        self.lose(disk, "declared gone")
        rebuilt = "declared gone; its replicas are rebuilt elsewhere"
        self._set_state(disk, "gone", "retired; never used again" if disk.retired else rebuilt)

    def _children(self) -> list[Child]:
        with self._lock:
            own = [disk.child for disk in self.disks.values() if disk.child is not None]
            return own + [child for child in self._extra if child.alive]

    def _spawn(self, disk: Disk) -> Child:
        child = Child("fsd.disk_process", disk.name, disk_process.LANES, self._pool)
        disk.child = child
        return child

    def _find(self, disk: Disk, child: Child) -> str:
        candidates = [disk.path, disk.config.path]
        candidates += [path for path in mount_points() if not path.startswith(("/proc", "/sys"))]
        path = child.call("find", disk.disk_id, candidates)
        if path is None:
            raise DiskRefusedError(f"disk {disk.name} is not at {disk.config.path}; is it mounted?")
        return path

    def _enter(self, disk: Disk, child: Child) -> bool:
        try:
            disk.failure_domain, disk.filesystem = child.call(
                "attach", disk.path, disk.disk_id, self.config.store.store_id, self.epoch
            )
            disk.session += 1
            child.on_trouble = lambda kind: disk.health.note(kind, time.time())
            measure = child.call("check", disk.disk_id, self.epoch)
            # Before it counts as online, its replicas are compared with the catalog.
            self.on_return(disk, not measure[2])
            self._take_measure(disk, measure)
        except (FsdError, OSError) as error:
            self.lose(disk, str(error))
            return False
        disk.counters.read_errors_in_a_row = 0
        return True

    def _take_measure(self, disk: Disk, measure: tuple[int, int, bool]) -> None:
        disk.size_bytes, disk.free_bytes, readonly = measure
        if readonly:
            self._set_state(disk, "readonly", "the filesystem is mounted read-only")
        elif disk.state == "missing":
            self._set_state(disk, "online", "")
        elif self._recovered(disk):
            # It may have refused catalog entries meanwhile, as a disk that was away did, and what
            # was to be removed.
            self.on_return(disk, True)
            self._set_state(disk, "online", "")

    def _recovered(self, disk: Disk) -> bool:
        """Return whether the reason to be read-only has passed (a write error's never does)."""
        store = self.config.store
        roomy = disk.free_bytes > store.min_free_bytes + store.shard_size_bytes
        return "mounted read-only" in disk.reason or (disk.reason.startswith("full") and roomy)

    def lose(self, disk: Disk, reason: str) -> None:
        """Take a disk as missing and end its process; it is looked for again by itself."""
        with self._lock:
            child, disk.child = disk.child, None
            if child is not None:
                disk.burying = child
        if child is not None:
            child.kill(DiskError(f"disk {disk.name} was lost: {reason}", disk.name))
        if disk.state != "gone":
            self._set_state(disk, "missing", reason)

    def _set_state(self, disk: Disk, state: str, reason: str) -> None:
        changed = (disk.state, disk.reason) != (state, reason)
        first_seen = disk.reason == NOT_SEEN
        if disk.state != state:
            disk.since = time.time()
        disk.state, disk.reason = state, reason
        if changed:
            if not (first_seen and state == "online"):
                self.remember(f"{disk.name} is {state}" + (f": {reason}" if reason else ""))
            self.on_change(disk)

    def remember(self, message: str) -> None:
        """Keep a message for `health`, the newest twenty."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        self.last_errors = [*self.last_errors[1 - LAST_ERRORS_MAX :], f"{stamp} {message}"]

    def _poll_forever(self) -> None:
        while not self._stop.wait(POLL_S):
            for disk in list(self.disks.values()):
                try:
                    self._poll(disk)
                except Exception as error:
                    # The watcher must outlive whatever one disk does; the error is shown.
                    self.remember(f"{disk.name}: {type(error).__name__}: {error}")

    def _poll(self, disk: Disk) -> None:
        if disk.readable and disk.child is not None:
            try:
                self._take_measure(disk, disk.call("check", disk.disk_id, self.epoch, priority=0))
            except (FsdError, OSError) as error:
                note_failure(disk.health, error)
                self.lose(disk, str(error))
        elif disk.state == "missing" and (disk.burying is None or disk.burying.wait_dead(0.01)):
            # While the old process still hangs in the kernel, a new one would hang beside it.
            disk.burying = None
            if time.monotonic() >= disk.look_again_at:
                disk.look_again_at = time.monotonic() + LOOK_AGAIN_S
                self._look_for(disk)

    def _look_for(self, disk: Disk) -> None:
        reason = disk.reason
        child = Child("fsd.disk_process", disk.name, disk_process.LANES, self._pool)
        self.watch(child)
        try:
            disk.path = self._find(disk, child)
        except (FsdError, OSError):
            child.kill()
            disk.reason = reason
            return
        disk.child = child
        self._enter(disk, child)
