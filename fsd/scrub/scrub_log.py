"""When each replica was last verified: it owns one log file on the SSD, never a decision.

A record is 48 bytes, little-endian: shard id (16), disk id (16), seconds since the epoch u64 (0
forgets the replica), xxh3-64 of the 40 bytes before. The last record of a replica counts. The file
is only appended to, and written anew when most of it is old. Records that fail their checksum are
stepped over and a torn end is cut off: what is lost here costs nothing but scrubbing again, which
is why an append is not synced at once.
"""

import contextlib
import os
import struct
import threading
import time

import xxhash

from base.files import write_durably

RECORD = struct.Struct("<16s16sQ")
RECORD_BYTES = RECORD.size + 8
SYNC_PERIOD_S = 60.0
OLD_RECORDS_MAX = 4096
ROUND = ("00" * 16, "00" * 16)
"""The replica under which the end of the last whole round is kept."""

METADATA = ("00" * 16, "ff" * 16)
"""And this the last check of the small files of all disks."""

assert RECORD_BYTES == 48

Replica = tuple[str, str]


def pack_record(replica: Replica, verified_s: int) -> bytes:
    """Return one record of a (shard id, disk id), both 32 hex digits."""
    shard_id, disk_id = replica
    head = RECORD.pack(bytes.fromhex(shard_id), bytes.fromhex(disk_id), verified_s)
    return head + xxhash.xxh3_64_intdigest(head).to_bytes(8, "little")


def unpack_records(data: bytes) -> tuple[dict[Replica, int], int]:
    """Return {replica: seconds} of the sound records, the last of each, and how many there were."""
    found: dict[Replica, int] = {}
    count = len(data) // RECORD_BYTES
    for start in range(0, count * RECORD_BYTES, RECORD_BYTES):
        head = data[start : start + RECORD.size]
        check = int.from_bytes(data[start + RECORD.size : start + RECORD_BYTES], "little")
        if xxhash.xxh3_64_intdigest(head) != check:
            continue
        shard_id, disk_id, verified_s = RECORD.unpack(head)
        replica = (shard_id.hex(), disk_id.hex())
        if verified_s:
            found[replica] = verified_s
        else:
            found.pop(replica, None)
    return found, count


class ScrubLog:
    """The open log. Safe to use from several threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        # Guards the times and the file, which is written with it held. Innermost.
        self._lock = threading.Lock()
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        self._times, count = _read(path)
        self._synced_at = time.monotonic()
        self._fd = -1
        # On a full SSD it works from memory: no start fails for want of this file.
        with contextlib.suppress(OSError):
            if count > 2 * len(self._times) + OLD_RECORDS_MAX:
                _write_anew(path, self._times)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            # A torn end would shift every record after it.
            os.ftruncate(self._fd, os.fstat(self._fd).st_size // RECORD_BYTES * RECORD_BYTES)

    def times(self) -> dict[Replica, int]:
        """Return a copy of {replica: when it was last verified, in seconds since the epoch}."""
        with self._lock:
            return dict(self._times)

    def note(self, replica: Replica, verified_s: int) -> None:
        """Remember when a replica was verified; 0 forgets it."""
        with self._lock:
            if verified_s:
                self._times[replica] = verified_s
            elif self._times.pop(replica, None) is None:
                return
            # A full SSD keeps it from being written: it is then scrubbed again after a restart.
            with contextlib.suppress(OSError):
                os.write(self._fd, pack_record(replica, verified_s))
                if time.monotonic() - self._synced_at > SYNC_PERIOD_S:
                    os.fdatasync(self._fd)
                    self._synced_at = time.monotonic()

    def close(self) -> None:
        """Make all of it durable and close the file."""
        with self._lock, contextlib.suppress(OSError):
            os.fdatasync(self._fd)
            os.close(self._fd)


def _read(path: str) -> tuple[dict[Replica, int], int]:
    try:
        with open(path, "rb") as file:
            return unpack_records(file.read())
    except FileNotFoundError:
        return {}, 0


def _write_anew(path: str, times: dict[Replica, int]) -> None:
    # A crash leaves the old log, which says the same.
    write_durably(path, b"".join(pack_record(*replica_time) for replica_time in times.items()))
