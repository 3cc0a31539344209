"""The disks as the engine sees them: it owns their states and processes, never their bytes.

online    reads and writes
readonly  reads only (reason: read-only filesystem, write error, full)
missing   not there, dead or hung (reason); looked for again every few seconds
gone      declared gone by the user; its replicas count no more (see the catalog). It is looked for
          too, now and then, and stays gone: `warnings` says that it is here

Beside its state a disk may be draining (see the catalog): it is read, and takes no new replica.

A state changes with the set's lock held. Whatever a process told counts only while it still is the
disk's: the disk may have been lost, declared gone or taken back meanwhile.
"""

import errno
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from base.config import CONFIG_NAME
from base.errors import DrystoneError
from base.logging.ids import about
from base.logging.recent import RecentMessages
from fsd.disk_io import disk_process
from fsd.disk_io.place.disk_place import Place, why_missing
from fsd.disk_io.place.identity import mount_points
from fsd.disks.config import Config, DiskConfig
from fsd.disks.config_disks import read_paths
from fsd.disks.disk import NOT_SEEN, Disk
from fsd.disks.disk_names import find_disk
from fsd.format.errors import DiskError, DiskRefusedError
from fsd.planning.disk_health import choose_steady, note_failure
from fsd.planning.placement import DiskSpace
from fsd.process.process import Child, Watchdog
from fsd.process.slots import SlotPool

POLL_S = 1.0
LOOK_AGAIN_S = 4.0
LOOK_FOR_GONE_S = 30.0
LOOK_NOW_S_MAX = 10.0
READ_ERRORS_MAX = 8
LAST_ERRORS_MAX = 20


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
        self._recent = RecentMessages(LAST_ERRORS_MAX)
        self.log = logging.getLogger(f"fsd.store.{config.store.store_id}")
        """Of this store: what is logged here `health` shows, too."""
        self.log.setLevel(logging.INFO)
        self.log.addHandler(self._recent)
        self._pool = pool
        # Guards state, path and process of every disk, never held while a process is asked. After
        # `Store.lock`, before the locks of `Child`.
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
                disk.path = self.find(disk, child)
                epochs.append(child.call("epoch", disk.path))
            except (DrystoneError, OSError) as error:
                self.lose(disk, str(error))
        self.epoch = max(epochs) + 1
        for disk, child in found:
            if disk.child is child:
                self._enter(disk, child)

    def outdo(self, epoch: int) -> None:
        """Enter an epoch behind this one, which a catalog knows: so what follows is read behind it.

        Only after the epoch of every disk that is here was damaged, or not written.
        """
        if epoch < self.epoch:
            return
        self.epoch = epoch + 1
        for disk in self.online():
            try:
                disk.call("heal_metadata", self.epoch)
            except (DrystoneError, OSError) as error:
                self.note_error(disk, error, writing=True)

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
        self.log.removeHandler(self._recent)

    @property
    def last_errors(self) -> list[str]:
        """The newest messages of the store's log."""
        return self._recent.lines

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
        copies = max(store.copies_raw, store.copies_generated)
        sharing = Counter(disk.filesystem for disk in self.disks.values() if disk.readable)
        spaces = [
            DiskSpace(
                disk.disk_id,
                disk.room_bytes(store.min_free_bytes) // max(1, sharing[disk.filesystem]),
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
        self.log.warning("%s: %s", disk.name, error, extra=about("disk.error", disk=disk.name))
        with self._lock:
            self._draw_state(disk, error, number, writing=writing)

    def _draw_state(
        self, disk: Disk, error: BaseException, number: int | None, *, writing: bool
    ) -> None:
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

    def ask(self, label: str, operation: str, *arguments: Any) -> Any:
        """Ask a process of its own about a path, which may hang, and be no disk of the store."""
        child = self.new_child(label)
        try:
            return child.call(operation, *arguments)
        finally:
            child.kill()

    def look_at(self, path: str) -> Place:
        """Return what there is at a path; DiskStalledError when it hangs."""
        return self.ask(path, "look", path)

    def look_now(self, disk: Disk) -> None:
        """Let the watcher look for a missing disk at once, and wait for that, but not for long."""
        with self._lock:
            disk.look_again_at = 0.0
        deadline = time.monotonic() + LOOK_NOW_S_MAX
        while disk.state == "missing" and time.monotonic() < deadline:
            time.sleep(POLL_S / 20)

    def take_back(self, disk: Disk, path: str) -> None:
        """Enter a disk again that was declared gone; when it cannot be, it is a missing one."""
        # The last one so that the watcher does not look for it too, as in `_join`.
        disk.path, disk.burying, disk.look_again_at = path, None, float("inf")
        with self._lock:
            self._set_state(disk, "missing", "declared gone before")
        self._join(disk)

    def _join(self, disk: Disk) -> None:
        known = disk.disk_id in self.disks
        # Until it is entered the watcher must not look for it too, and fight over its lock.
        disk.look_again_at = float("inf")
        entered = False
        try:
            child = self._spawn(disk)
            # A new dictionary each time: whoever goes through the disks now is not disturbed.
            self.disks = {**self.disks, disk.disk_id: disk}
            entered = self._enter(disk, child)
        finally:
            if entered or known:
                disk.look_again_at = 0.0
            else:
                # The watcher may hold it yet, and must go on not looking for it.
                others = (one for one in self.disks.values() if one is not disk)
                self.disks = {one.disk_id: one for one in others}
        if not entered:
            raise DiskRefusedError(disk.reason, disk.name)

    def declare_gone(self, disk: Disk) -> None:
        """Stop using a disk for good; its process is ended."""
        rebuilt = "declared gone; its replicas are rebuilt elsewhere"
        with self._lock:  # Between the two the watcher would find it again.
            self.lose(disk, "declared gone")
            self._set_state(disk, "gone", "retired; never used again" if disk.retired else rebuilt)

    def _children(self) -> list[Child]:
        with self._lock:
            own = [disk.child for disk in self.disks.values() if disk.child is not None]
            return own + [child for child in self._extra if child.alive]

    def new_child(self, label: str) -> Child:
        """Return a process that is no disk's yet; whoever asked for it ends it."""
        child = Child("fsd.disk_io.disk_process", label, disk_process.LANES, self._pool)
        self.watch(child)
        return child

    def _spawn(self, disk: Disk) -> Child:
        child = Child("fsd.disk_io.disk_process", disk.name, disk_process.LANES, self._pool)
        disk.child = child
        return child

    def find(self, disk: Disk, child: Child) -> str:
        """Return where a disk is now, by its child; see `find_path`."""
        return find_path(self.config, self.disks, disk, child)

    def _enter(self, disk: Disk, child: Child) -> bool:
        try:
            disk.failure_domain, disk.filesystem, damage = child.call(
                "attach", disk.path, disk.disk_id, self.config.store.store_id, self.epoch
            )
            for reason in damage:
                told = about("disk.metadata_rewritten", disk=disk.name)
                self.log.warning("%s: %s; written again", disk.name, reason, extra=told)
            disk.session += 1
            child.on_trouble = lambda kind: disk.health.note(kind, time.time())
            measure = child.call("check", disk.disk_id, self.epoch)
            # Before it counts as online, its replicas are compared with the catalog.
            self.on_return(disk, not measure[2])
            self._take_measure(disk, child, measure)
        except (DrystoneError, OSError) as error:
            self._lose_child(disk, child, str(error))
            return False
        except BaseException as error:
            # Alive it would keep the disk's lock, and no other process could enter it.
            self._lose_child(disk, child, f"{type(error).__name__}: {error}")
            raise
        disk.counters.read_errors_in_a_row = 0
        return True

    def _take_measure(self, disk: Disk, child: Child, measure: tuple[int, int, bool]) -> None:
        with self._lock:
            if disk.child is not child:
                return
            disk.size_bytes, disk.free_bytes, readonly = measure
            if readonly:
                self._set_state(disk, "readonly", "the filesystem is mounted read-only")
            elif disk.state == "missing":
                self._set_state(disk, "online", "")
            recovered = not readonly and disk.state == "readonly" and self._recovered(disk)
        if recovered:
            # It may have refused catalog entries meanwhile, as a disk that was away did, and what
            # was to be removed.
            self.on_return(disk, True)
            with self._lock:
                if disk.child is child:
                    self._set_state(disk, "online", "")

    def _recovered(self, disk: Disk) -> bool:
        """Return whether the reason to be read-only has passed (a write error's never does)."""
        store = self.config.store
        roomy = disk.room_bytes(store.min_free_bytes) > store.shard_size_bytes
        return "mounted read-only" in disk.reason or (disk.reason.startswith("full") and roomy)

    def lose(self, disk: Disk, reason: str) -> None:
        """Take a disk as missing and end its process; it is looked for again by itself."""
        with self._lock:
            child, disk.child = disk.child, None
            if child is not None:
                disk.burying = child
                child.kill(DiskError(f"disk {disk.name} was lost: {reason}", disk.name))
            if disk.state != "gone":
                self._set_state(disk, "missing", reason)

    def _lose_child(self, disk: Disk, child: Child, reason: str) -> None:
        """Lose a disk whose process failed; of one that it has no more only the process ends."""
        with self._lock:
            if disk.child is child:
                self.lose(disk, reason)
        child.kill()

    def _set_state(self, disk: Disk, state: str, reason: str) -> None:
        changed = (disk.state, disk.reason) != (state, reason)
        first_seen = disk.reason == NOT_SEEN
        if disk.state != state:
            disk.since = time.time()
        disk.state, disk.reason = state, reason
        if changed:
            if not (first_seen and state == "online"):
                level = logging.INFO if state == "online" else logging.WARNING
                why = f": {reason}" if reason else ""
                told = about(f"disk.{state}", disk=disk.name, disk_id=disk.disk_id)
                self.log.log(level, "%s is %s%s", disk.name, state, why, extra=told)
            self.on_change(disk)

    def _poll_forever(self) -> None:
        while not self._stop.wait(POLL_S):
            for disk in list(self.disks.values()):
                try:
                    self._poll(disk)
                except Exception as error:
                    # The watcher must outlive whatever one disk does; the error is shown.
                    told = about("disk.watch_failed", disk=disk.name)
                    name = type(error).__name__
                    self.log.exception("%s: %s: %s", disk.name, name, error, extra=told)

    def _poll(self, disk: Disk) -> None:
        child = disk.child
        if disk.readable and child is not None:
            try:
                measure = child.call("check", disk.disk_id, self.epoch, priority=0)
                self._take_measure(disk, child, measure)
            except (DrystoneError, OSError) as error:
                note_failure(disk.health, error)
                self._lose_child(disk, child, str(error))
        elif disk.state == "missing" or (disk.state == "gone" and not disk.retired):
            # While the old process still hangs in the kernel, a new one would hang beside it.
            if disk.burying is not None and not disk.burying.wait_dead(0.01):
                return
            disk.burying = None
            if time.monotonic() >= disk.look_again_at:
                is_gone = disk.state == "gone"
                pause_s = LOOK_FOR_GONE_S if is_gone else LOOK_AGAIN_S
                disk.look_again_at = time.monotonic() + pause_s
                (self._look_for_gone if is_gone else self._look_for)(disk)

    def _look_for_gone(self, disk: Disk) -> None:
        child = disk.burying = self.new_child(disk.name)
        try:
            disk.seen_at = self.find(disk, child)
        except (DrystoneError, OSError):
            disk.seen_at = ""
        finally:
            child.kill()

    def _look_for(self, disk: Disk) -> None:
        due = disk.look_again_at
        child = self.new_child(disk.name)
        try:
            path = self.find(disk, child)
        except (DrystoneError, OSError) as error:
            child.kill()
            with self._lock:
                if disk.state == "missing" and disk.look_again_at == due:
                    self._set_state(disk, "missing", str(error))
            return
        except BaseException:
            child.kill()
            raise
        with self._lock:
            # It may have been declared gone, and even taken back, while it was looked for.
            if disk.state != "missing" or disk.look_again_at != due:
                child.kill()
                return
            disk.path, disk.child = path, child
        self._enter(disk, child)


# ---- Where a disk is -----------------------------------------------------------------------------
# Where a disk of the store is now: it owns which places its process looks at, in what order.


def find_path(config: Config, disks: Mapping[str, Disk], disk: Disk, child: Child) -> str:
    """Return where a disk is now, by its child; DiskRefusedError says what is there instead."""
    candidates = _candidates(config, disks, disk)
    found = child.call("find", disk.disk_id, candidates)
    if found is not None:
        return found
    place = child.call("look", candidates[0])
    names = {one.disk_id: one.name for one in disks.values()}
    raise DiskRefusedError(why_missing(place, disk.name, config.store.store_id, names), disk.name)


def _candidates(config: Config, disks: Mapping[str, Disk], disk: Disk) -> list[str]:
    """Where drystone.toml says now that it is, where it was, and then everywhere else."""
    listed = read_paths(os.path.join(config.root, CONFIG_NAME))
    said = listed.get(disk.disk_id, disk.config.path)
    mounted = [path for path in mount_points() if not path.startswith(("/proc", "/sys"))]
    others = [one.config.path for one in disks.values()]  # Two may have been swapped.
    # Whoever looks where another disk hangs hangs too, and would find nothing ever.
    hung = {one.path for one in disks.values() if one is not disk and _hangs(one)}
    everywhere = dict.fromkeys([said, disk.path, disk.config.path, *mounted, *others])
    return [path for path in everywhere if path == said or path not in hung]


def _hangs(disk: Disk) -> bool:
    burying = disk.burying
    return burying is not None and not burying.wait_dead(0)
