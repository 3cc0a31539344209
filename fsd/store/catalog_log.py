"""The catalog of an open store: it owns which disk has which entries, and what all say together.

Entries are appended to the log of every disk in use. From time to time each log is replaced by a
checkpoint (see `catalog_history`), one disk after the other:

    checkpoint  what it says is compared with what is known
    replace     beside -> sync -> read back -> rename, in the disk's process
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from base.errors import DrystoneError
from base.logging.ids import about
from fsd.disks.disks import Disk, DiskSet
from fsd.format.catalog import (
    CatalogEntry,
    CatalogState,
    disks_epoch,
    own_epoch,
    pack_entries,
)
from fsd.format.catalog_history import History, condense, join, pack_checkpoint, read_history
from fsd.format.errors import DiskError, FsdError
from fsd.process.process import Child
from fsd.store.shard_table import ShardTable

ACK_COPIES_MAX = 2
PATIENCE_S = 5.0
PATIENCE_CHECK_S = 0.1
NO_ROOM = (errno.EROFS, errno.ENOSPC)
CHECKPOINT_BYTES = 1 << 20
"""So much is appended, and as much as the last checkpoint has, before there is another one."""


@dataclass(slots=True, eq=False)
class _Append:
    """Entries that wait for being written, with whoever came at the same moment."""

    items: tuple[tuple[str, Mapping[str, object]], ...]
    everywhere: bool
    error: DiskError | None = None
    done: threading.Event = field(default_factory=threading.Event)


class CatalogLog:
    """Appends entries to every online disk; the state is what the disks' logs say together."""

    def __init__(
        self,
        disks: DiskSet,
        shards: ShardTable,
        store_lock: threading.RLock,
        on_refused: Callable[[], None],
    ) -> None:
        """Make it empty; `on_refused` is told of entries that hold though they were refused."""
        self._disks = disks
        self._shards = shards
        self._store_lock = store_lock
        self._on_refused = on_refused
        # Held while entries go to all disks, or a disk is brought up to date, so while disks are
        # asked. After `Store.letting_go`, before `Store.lock`. Guards all below but what waits,
        # which `Store.lock` guards.
        self._lock = threading.Lock()
        self._waiting: list[_Append] = []
        self._returning: dict[str, Child | None] = {}
        self._known = History()
        self._checkpoint_bytes = self._appended_bytes = 0
        self._epoch = 0
        self.on_barrier: Callable[[str], None] = lambda _name: None

    def append(
        self,
        *items: tuple[str, Mapping[str, object]],
        everywhere: bool = False,
        patient: Callable[[], bool] | None = None,
    ) -> None:
        """Append entries, durable on all online disks (two at least) when it returns.

        With `everywhere` every disk of the store has to take them. Those of one call are applied
        together; what several threads append at one moment goes to the disks as one. Whoever is
        `patient` lets others write them, for PATIENCE_S at most.

        Raises DiskError when fewer disks took them; nothing that depends on the entries may be
        acknowledged then. Those that any disk took hold all the same, as a start would read them
        there: the state says so at once, the index follows by itself (see `Store.behind`), and the
        other disks get them when they return. What a caller told of the error may do is wait, or
        say it again.
        """
        one = _Append(items, everywhere)
        with self._store_lock:
            self._waiting.append(one)
        until_s = time.monotonic() + PATIENCE_S
        while patient is not None and patient() and time.monotonic() < until_s:
            if one.done.wait(PATIENCE_CHECK_S):
                break
        with self._lock:
            if not one.done.is_set():
                # Whoever comes first writes for all who wait; they find it done.
                with self._store_lock:
                    together, self._waiting = self._waiting, []
                try:
                    self._write(together)
                finally:
                    for other in together:
                        other.done.set()
        if one.error is not None:
            raise one.error

    def _write(self, together: list[_Append]) -> None:
        failure = DiskError("a catalog entry could not be written; see `drystone health`")
        for one in together:
            one.error = failure  # Unless all goes well.
        sequence = self._shards.state.sequence
        entries: list[list[CatalogEntry]] = []
        for one in together:
            made = [
                CatalogEntry(sequence + number, self._epoch, kind, dict(data))
                for number, (kind, data) in enumerate(one.items, 1)
            ]
            sequence += len(made)
            entries.append(made)
        frames = pack_entries([entry for made in entries for entry in made])
        # Used up even when this fails: a disk that took the entries knows them by these.
        self._shards.state.sequence = sequence
        disks = [disk for disk in self._disks.disks.values() if self._takes(disk)]
        self._returning = {
            disk.disk_id: self._returning[disk.disk_id] for disk in disks if not disk.readable
        }
        online = sum(disk.state == "online" for disk in disks)
        taken = self._send(disks, frames)
        self._appended_bytes += len(frames)
        for one, made in zip(together, entries, strict=True):
            one.error = self._refusal(one, taken, online)
            if not taken:
                continue
            # Also what is refused. Were it forgotten until a start reads it on that disk, it could
            # contradict what was decided meanwhile: of two shards that have the same records each
            # would be given up, since the other one has them.
            with self._store_lock:
                for entry in made:
                    self._shards.state.apply(entry)
                    self._known.add(entry)
            if one.error is not None:
                self._on_refused()

    def _takes(self, disk: Disk) -> bool:
        # One that was brought up to date gets what follows, though its inventory is still taken.
        # A new process of it knows no path yet.
        child = disk.child
        return disk.readable or (child is not None and child is self._returning.get(disk.disk_id))

    def _send(self, disks: list[Disk], frames: bytes) -> set[str]:
        futures = [(disk, disk.request("append_catalog", frames)) for disk in disks]
        taken: set[str] = set()
        for disk, future in futures:
            try:
                future.result()
                taken.add(disk.disk_id)
            except Exception as error:
                # Whatever it is, the others may have taken it.
                if disk.state == "online":
                    self._disks.note_error(disk, error, writing=True)
        return taken

    def _refusal(self, one: _Append, taken: set[str], online: int) -> DiskError | None:
        # One disk is enough only where one is all there is: what needs two copies is placed
        # on two disks, or refused, before.
        if len(taken) < max(1, min(ACK_COPIES_MAX, online)):
            count = len(taken)
            holds = ", which holds all the same" * (count > 0)
            return DiskError(
                f"only {count} disks took a catalog entry{holds}; see `drystone health`"
            )
        known = self._shards.state.disks
        lacking = [name for disk_id, name in known.items() if disk_id not in taken]
        if one.everywhere and lacking:
            return DiskError(
                f"{', '.join(lacking)} did not take a catalog entry that every disk must have; "
                "see `drystone health`"
            )
        return None

    def knows(self, log: bytes) -> bool:
        """Return whether the state is made of all that a log says, and maybe of more."""
        with self._lock:
            return self._known.knows(read_history(log))

    def load(self) -> CatalogState:
        """Read all readable disks' logs, bring each up to date, return what they say together."""
        logs = self._read_logs()
        self._known = union = join(history for _, history in logs)
        for disk, history in logs:
            self._bring_up_to_date(disk, history)
        epochs = [disks_epoch(entry.epoch) for entry in union.entries.values()]
        self._disks.outdo(max([*epochs, *map(disks_epoch, union.covered)], default=0))
        self._epoch = own_epoch(self._disks.epoch)
        return union.state()

    def catch_up(self, disk: Disk) -> bool:
        """Bring a returning disk and all others to the union; returns whether the others learned.

        A disk that was away when the engine started may carry acknowledged entries that no other
        disk here has: the state is then made again from the union. Raises what reading it raises.
        """
        with self._lock:
            child = disk.child
            own = read_history(disk.call("read_catalog"))
            logs = [(other, log) for other, log in self._read_logs() if other is not disk]
            # What this engine knows counts too: the disk that carries it may be away just now.
            former, several = self._known, (history for _, history in logs)
            self._known = union = join([own, self._known, *several])
            for other, history in [*logs, (disk, own)]:
                self._bring_up_to_date(other, history)
            self._returning[disk.disk_id] = child
            if union == former:
                return False
            state = union.state()
            with self._store_lock:
                state.sequence = max(state.sequence, self._shards.state.sequence)
                self._shards.state = state
            return True

    def lacking(self, disk: Disk) -> int:
        """Return how many entries cannot be read in a disk's log."""
        with self._lock:
            return len(read_history(disk.call("read_catalog")).lacks(self._known))

    def heal(self, disk: Disk) -> int:
        """Write to a disk's log what cannot be read there (any more); returns how many entries.

        A checkpoint that cannot be read is one, and all of the log is written then.
        """
        with self._lock:
            own = read_history(disk.call("read_catalog"))
            missing = len(own.lacks(self._known)) or own.covered != self._known.covered
            self._bring_up_to_date(disk, own)
            return int(missing)

    def tidy(self) -> None:
        """Replace the logs by a checkpoint when enough was appended since the last one."""
        if self._appended_bytes >= max(CHECKPOINT_BYTES, self._checkpoint_bytes):
            self.checkpoint()

    def checkpoint(self) -> None:
        """Replace the logs of all disks that take writes by one that says the same.

        FsdError, with nothing changed, when it does not. A disk that fails keeps its log, which
        says no less, and is brought up to date with its next start or scrub.
        """
        with self._lock:
            self._appended_bytes = 0  # Should it fail, it is tried again later.
            history = condense(self._known)
            log = pack_checkpoint(history)
            self._checkpoint_bytes = len(log)
            # What lies in memory may be damaged as well, and the logs are the truth.
            read = read_history(log)
            with self._store_lock:
                known = replace(self._shards.state, dropped=set[str]())
            said = read.state()
            said.sequence = known.sequence
            if read != history or replace(said, dropped=set[str]()) != known:
                raise FsdError("a checkpoint of the catalog does not say what is known: restart")
            self.on_barrier("packed")
            # One disk after the other: whatever goes wrong, the other ones have their logs.
            taken = [self._replace(disk, log) for disk in self._disks.online()]
            if not any(taken):
                return
            self._known = history
            with self._store_lock:
                self._shards.state.dropped = said.dropped
            told = about("catalog.checkpoint", bytes=len(log), entries=len(history.entries))
            self._disks.log.info("the catalog was condensed", extra=told)

    def _replace(self, disk: Disk, log: bytes) -> bool:
        try:
            disk.call("replace_catalog", log)
        except (DrystoneError, OSError) as error:
            if disk.state == "online" and getattr(error, "errno", None) not in NO_ROOM:
                self._disks.note_error(disk, error, writing=True)
            return False
        # Barrier: this disk has the checkpoint, and others the log that it stands for. A start
        # with any of them finds the same, and brings the others up to it.
        self.on_barrier("replaced")
        return True

    def _read_logs(self) -> list[tuple[Disk, History]]:
        logs: list[tuple[Disk, History]] = []
        # All disks read at once, and what they say alike is decoded once.
        asked = [
            (disk, disk.request("read_catalog"))
            for disk in self._disks.disks.values()
            if disk.readable
        ]
        seen: dict[bytes, list[CatalogEntry]] = {}
        for disk, answer in asked:
            try:
                log: bytes = answer.result()
            except (DrystoneError, OSError) as error:
                self._disks.note_error(disk, error)
                continue
            logs.append((disk, history := read_history(log, seen)))
            self._checkpoint_bytes = max(self._checkpoint_bytes, history.checkpoint_bytes)
            appended_bytes = len(log) - history.checkpoint_bytes
            self._appended_bytes = max(self._appended_bytes, appended_bytes)
        return logs

    def _bring_up_to_date(self, disk: Disk, own: History) -> None:
        """Make a disk's log say all that is known, given what it says."""
        missing = own.lacks(self._known)
        try:
            if own.covered != self._known.covered:
                # It may have what another disk has left out: that has to go from here as well.
                disk.call("replace_catalog", pack_checkpoint(self._known))
            elif missing:
                disk.call("append_catalog", pack_entries(missing))
        except DiskError as error:
            # A full or read-only disk is still read from; what it lacks, the others have.
            if disk.state == "online":
                self._disks.note_error(disk, error, writing=True)
            elif disk.state != "readonly" and error.errno not in NO_ROOM:
                raise
