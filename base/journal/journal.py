"""A journal on the SSD: what is appended is durable on return, and is read again after a crash.

    append --queue--> one writer: all that waits, one write, one fdatasync --> told to each
    open   --lock--> segments read, the last one synced, what is torn at its end left out
    forget --> whole segments of which nothing is needed any more

A record has a number, from 1, which never comes twice among those that were told. Old segments are
never written again: after an opening or a failure a new one begins, whose header says from which
number on it counts, so that what lies beyond in the one before is nothing. Whoever is told an error
knows nothing of their record: it may be read again, unless another has its number. Never knows what
a payload means; reads of it come at least once.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from base.errors import DrystoneError
from base.files import sync_folder
from base.journal.format import (
    RECORD_BYTES_MAX,
    SEGMENT_HEADER,
    Record,
    first_sequence_of,
    pack,
    scan,
    segment_header,
)

SEGMENT_BYTES = 16 << 20
"""From this size on a segment is followed by another."""
GROUP_BYTES_MAX = 8 << 20
"""So much is written and synced at a time, unless one record is larger."""
QUEUE_BYTES_MAX = 64 << 20
"""Who appends more than this to a queue waits until it is shorter."""
_SUFFIX = ".journal"


class JournalError(DrystoneError):
    """Something could not be made durable; whether it is read again is not known."""


class JournalBusyError(JournalError):
    """Another process has the journal open."""


class JournalDamagedError(JournalError):
    """A record that was durable cannot be read; the message says where."""


@dataclass(slots=True)
class _Ticket:
    payloads: Sequence[bytes]
    sequences: list[int] = field(default_factory=list[int])
    is_done: bool = False
    error: JournalError | None = None

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.payloads))


@dataclass(slots=True)
class _Segment:
    path: str
    first: int
    last: int
    """The last record that counts; one less than `first` while there is none."""


class Journal:
    """An open journal; use it as a context manager. Every method may be called by any thread."""

    def __init__(self, folder: str) -> None:
        """Open the journal of a folder, which is made where it is missing.

        Raises JournalBusyError while another process has it, and JournalDamagedError when a record
        that was durable is not what it was.
        """
        self.folder = folder
        os.makedirs(folder, mode=0o700, exist_ok=True)
        # Guards the queue, the segments and `_is_open`; held for moments. Taken inside `_writing`.
        self._lock = threading.Condition()
        # Held by who writes: what is written next, and where. The first of the two.
        self._writing = threading.Lock()
        self._queue: list[_Ticket] = []
        self._queued_bytes = 0
        self._file: int | None = None
        self._file_bytes = 0
        self._is_open = True
        self._claim = _claimed(folder)
        try:
            self._segments = _read_segments(folder)
        except OSError as error:
            os.close(self._claim)
            raise _failed(folder, error) from error
        except BaseException:
            os.close(self._claim)
            raise
        self._number = _number_of(max(_names(folder), default=""))

    @property
    def last(self) -> int:
        """The number of the last durable record; 0 for none."""
        with self._lock:
            return self._segments[-1].last if self._segments else 0

    def append(self, *payloads: bytes) -> list[int]:
        """Append records, all or none of them told; durable on return. Returns their numbers.

        Raises JournalError when that cannot be; the journal goes on with the next.
        """
        if any(len(one) > RECORD_BYTES_MAX for one in payloads):
            raise JournalError(f"a record has more than {RECORD_BYTES_MAX:,} bytes")
        ticket = _Ticket(payloads)
        with self._lock:
            while self._is_open and self._queue and self._queued_bytes > QUEUE_BYTES_MAX:
                self._lock.wait()
            self._queue.append(ticket)
            self._queued_bytes += ticket.size_bytes
        while not ticket.is_done:
            # Who comes in first writes for all who wait by then.
            with self._writing:
                if not ticket.is_done:
                    self._write(self._taken())
        if ticket.error is not None:
            raise ticket.error
        return ticket.sequences

    def records(self, after: int = 0) -> Iterator[Record]:
        """Yield what is durable now and comes after a number, in order.

        Raises JournalDamagedError at the first that cannot be read.
        """
        with self._lock:
            segments = [(one.path, one.first, one.last) for one in self._segments]
        for path, first, last in segments:
            if last <= after:
                continue
            try:
                data = _read(path)
            except FileNotFoundError:
                continue  # Forgotten meanwhile.
            found = scan(data, first)
            wanted = [one for one in found.records if after < one.sequence <= last]
            yield from wanted
            if len(found.records) < last - first + 1:
                raise _damaged(path, found.end, first + len(found.records))

    def forget(self, through: int) -> None:
        """Remove segments that hold nothing after a number; of others it may be read again."""
        with self._lock:
            gone = [one for one in self._segments[:-1] if one.last <= through]
            self._segments = [one for one in self._segments if one not in gone]
        for one in gone:
            os.unlink(one.path)
            # Barrier: the oldest goes first for good, so that no number is missing in between.
            sync_folder(self.folder)

    def close(self) -> None:
        """Close it; what waits is written before."""
        with self._writing:
            while queued := self._taken():
                self._write(queued)
            with self._lock:
                self._is_open = False
                self._lock.notify_all()
            self._leave_segment()
            if self._claim >= 0:
                os.close(self._claim)
                self._claim = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- The one writer --------------------------------------------------------------------------

    def _taken(self) -> list[_Ticket]:
        """Take what waits, in its order, as much as is written at a time."""
        with self._lock:
            count, size = 0, 0
            for ticket in self._queue:
                size += ticket.size_bytes
                if count and size > GROUP_BYTES_MAX:
                    break
                count += 1
            taken, self._queue = self._queue[:count], self._queue[count:]
            self._queued_bytes -= sum(one.size_bytes for one in taken)
            self._lock.notify_all()
            return taken

    def _write(self, group: list[_Ticket]) -> None:
        """Make a group durable, and tell each of it; a failure is the group's alone."""
        if not group:
            return
        try:
            if not self._is_open:
                raise JournalError(f"the journal {self.folder!a} is closed")
            self._write_durably(group)
        except BaseException as error:
            # What the file holds now nobody knows, and a second fsync would not tell: the next
            # segment begins with the numbers of this group, so that here they count no more.
            self._leave_segment()
            told = error if isinstance(error, JournalError) else _failed(self.folder, error)
            for ticket in group:
                ticket.error = told
            if not isinstance(error, JournalError | OSError):
                raise
        finally:
            for ticket in group:
                ticket.is_done = True

    def _write_durably(self, group: list[_Ticket]) -> None:
        payloads = [payload for ticket in group for payload in ticket.payloads]
        durable = self.last
        file, segment = self._segment(durable + 1)
        data = pack(payloads, durable + 1, durable)
        written = 0
        while written < len(data):
            written += os.pwrite(file, data[written:], self._file_bytes + written)
        # Barrier: a crash before this leaves records that nobody was told of, whole or torn.
        os.fdatasync(file)
        self._file_bytes += len(data)
        with self._lock:
            segment.last = durable + len(payloads)
        sequence = durable
        for ticket in group:
            ticket.sequences = [sequence + place + 1 for place in range(len(ticket.payloads))]
            sequence += len(ticket.payloads)
        if self._file_bytes >= SEGMENT_BYTES:
            self._leave_segment()

    def _segment(self, first: int) -> tuple[int, _Segment]:
        """Return the file that is written, and its segment; a new one where there is none."""
        if self._file is not None:
            return self._file, self._segments[-1]
        self._number += 1
        path = os.path.join(self.folder, f"{self._number:012d}{_SUFFIX}")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            header = segment_header(first)
            if os.pwrite(file, header, 0) != len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            # Barrier: a crash before both leaves a file without a header, or none. No record is
            # told before its segment has its name.
            os.fdatasync(file)
            sync_folder(self.folder)
        except BaseException:
            os.close(file)
            raise
        segment = _Segment(path, first, first - 1)
        self._file, self._file_bytes = file, len(header)
        with self._lock:
            self._segments.append(segment)
        return file, segment

    def _leave_segment(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)


# ---- Opening -------------------------------------------------------------------------------------


def _claimed(folder: str) -> int:
    claim = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claim)
        raise JournalBusyError(f"the journal {folder!a} is open in another process") from None
    return claim


def _names(folder: str) -> list[str]:
    names = os.listdir(folder)
    return sorted(name for name in names if name.endswith(_SUFFIX) and _number_of(name))


def _number_of(name: str) -> int:
    digits = name.removesuffix(_SUFFIX)
    return int(digits) if digits.isdecimal() else 0


def _read_segments(folder: str) -> list[_Segment]:
    """Return the segments that count, each up to where it counts, all of it durable."""
    names = _names(folder)
    paths = [os.path.join(folder, name) for name in names]
    headed: list[tuple[str, int]] = []
    for path in paths:
        data = _read(path)
        first = first_sequence_of(data)
        if first is not None:
            headed.append((path, first))
        elif len(data) > SEGMENT_HEADER.size:
            # The header is durable before a record is written behind it.
            raise _damaged(path, 0, headed[-1][1] if headed else 1)
    segments: list[_Segment] = []
    for place, (path, first) in enumerate(headed):
        found = scan(_read(path), first)
        end = headed[place + 1][1] if place + 1 < len(headed) else None
        last = first + len(found.records) - 1
        if found.is_damaged or (end is not None and last < end - 1):
            raise _damaged(path, found.end, last + 1)
        if segments and first != segments[-1].last + 1:
            raise _damaged(path, 0, segments[-1].last + 1)
        segments.append(_Segment(path, first, last if end is None else end - 1))
    if segments:
        # It may be a killed process's, in the cache only: what is read now has to stay.
        _sync(segments[-1].path)
        sync_folder(folder)
    return segments


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _damaged(path: str, place: int, sequence: int) -> JournalDamagedError:
    return JournalDamagedError(
        f"{path!a} is damaged at byte {place:,}: record {sequence:,} or later was durable and "
        "cannot be read; move it and those before it away, to go on without what they hold"
    )


def _failed(folder: str, error: BaseException) -> JournalError:
    why = error.strerror if isinstance(error, OSError) else None
    return JournalError(f"the journal {folder!a} cannot be used: {why or error}")
