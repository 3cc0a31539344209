"""The read child of one disk: it owns every syscall the mount makes on that disk.

Started by the mount as `python -m fsd.mount.reading.reader SOCKET_FD ARENA_FD ARENA_BYTES`; ends
when the socket does. It never writes to a disk and never answers 0 for bytes that fail their
checksum.
"""

import errno
import logging
import mmap
import os
import signal
import socket
import sys
import threading
from collections import OrderedDict

from base.logging.ids import about
from fsd.format import record
from fsd.format.errors import CorruptError
from fsd.mount.reading.protocol import (
    REQUEST_BYTES_MAX,
    SMALL_PAYLOAD_BYTES_MAX,
    Answer,
    Request,
    pack_answer,
    payload_span,
    unpack_request,
)

_log = logging.getLogger(__name__)

OPEN_SHARDS_MAX = 64
TABLES_MAX = 16
# Two: while one window is verified the next is read (the disk never waits for the checksum).
THREADS = 2


class ShardFile:
    """An open shard; the descriptor closes with the last user of the object."""

    def __init__(self, path: bytes) -> None:
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # The filesystem has no O_DIRECT; checksums are verified either way.
            self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)

    def read(self, target: memoryview, start: int, end: int) -> int:
        """Fill `target` with the sectors around [start, end); return where `start` lies in it.

        CorruptError when the file ends before `end`.
        """
        first = start // record.SECTOR_BYTES * record.SECTOR_BYTES
        wanted = record.align(end) - first
        filled = 0
        while filled < end - first:
            count = os.preadv(self.descriptor, [target[filled:wanted]], first + filled)
            if count <= 0:
                raise CorruptError("the shard ends inside a record")
            filled += count
            if count % record.SECTOR_BYTES and filled < end - first:
                raise CorruptError("the shard ends inside a record")
        return start - first


class Reader:
    """The open shards and checksum tables of one disk, and the reads that use them."""

    def __init__(self, arena: mmap.mmap) -> None:
        self.arena = memoryview(arena)
        # Guards both caches, between the two threads; never held while the disk is read. Innermost.
        self._lock = threading.Lock()
        self._shards: OrderedDict[bytes, ShardFile] = OrderedDict()
        self._tables: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()

    def answer(self, request: Request) -> Answer:
        """Serve one request; every failure becomes an errno, none escapes."""
        try:
            offset = self._read(request)
        except CorruptError:
            return Answer(request.request_id, 0, errno.EBADMSG)
        except OSError as error:
            self._forget(request.path)
            return Answer(request.request_id, 0, error.errno or errno.EIO)
        except Exception:
            # A thread that ended here would leave the mount waiting for its answer.
            _log.exception("a read child failed at %s", request, extra=about("read_child.failed"))
            return Answer(request.request_id, 0, errno.EIO)
        return Answer(request.request_id, offset, 0)

    def _read(self, request: Request) -> int:
        slot = self.arena[request.slot_offset : request.slot_offset + request.slot_bytes]
        shard = self._shard(request.path)
        if request.length_bytes <= SMALL_PAYLOAD_BYTES_MAX:
            position = _read_small(shard, request, slot)
        else:
            position = self._read_window(shard, request, slot)
        return request.slot_offset + position

    def _read_window(self, shard: ShardFile, request: Request, slot: memoryview) -> int:
        table = self._table(shard, request)
        start, end = payload_span(request.length_bytes, request.first_block, request.block_count)
        payload = request.record_offset + record.payload_offset(request.length_bytes)
        position = shard.read(slot, payload + start, payload + end)
        _verify(slot[position : position + end - start], table, request.first_block)
        return position

    def _shard(self, path: bytes) -> ShardFile:
        with self._lock:
            shard = self._shards.pop(path, None)
        if shard is None:
            shard = ShardFile(path)
        with self._lock:
            self._shards[path] = shard
            while len(self._shards) > OPEN_SHARDS_MAX:
                self._shards.popitem(last=False)
        return shard

    def _forget(self, path: bytes) -> None:
        # An error may belong to this descriptor alone (a disk that was remounted): open it anew.
        with self._lock:
            self._shards.pop(path, None)

    def _table(self, shard: ShardFile, request: Request) -> bytes:
        name = (request.shard_id, request.record_offset)
        with self._lock:
            table = self._tables.get(name)
        if table is None:
            table = _read_table(shard, request)
            with self._lock:
                self._tables[name] = table
                while len(self._tables) > TABLES_MAX:
                    self._tables.popitem(last=False)
        return table


def _read_small(shard: ShardFile, request: Request, slot: memoryview) -> int:
    start = request.record_offset
    payload = record.payload_offset(request.length_bytes)
    position = shard.read(slot, start, start + payload + request.length_bytes)
    head = slot[position : position + payload]
    _check_header(head, request)
    position += payload
    _verify(slot[position : position + request.length_bytes], head[record.RECORD_HEADER_BYTES :], 0)
    return position


def _read_table(shard: ShardFile, request: Request) -> bytes:
    payload = record.payload_offset(request.length_bytes)
    # An anonymous mapping, because O_DIRECT wants memory that starts on a sector.
    with mmap.mmap(-1, record.align(payload) + 2 * record.SECTOR_BYTES) as memory:
        with memoryview(memory) as view:
            position = shard.read(view, request.record_offset, request.record_offset + payload)
        head = memory[position : position + payload]
    _check_header(head, request)
    return head[record.RECORD_HEADER_BYTES :]


def _check_header(head: bytes | memoryview, request: Request) -> None:
    header = record.unpack_record_header(head)
    found = (header.shard_id, header.key, header.length_bytes)
    if found != (request.shard_id, request.key, request.length_bytes):
        raise CorruptError("another record stands where this one should")


def _verify(payload: memoryview, table: bytes | memoryview, first_block: int) -> None:
    if record.bad_block(payload, table, first_block) >= 0:
        raise CorruptError("a block fails its checksum")


def _serve(reader: Reader, channel: socket.socket) -> None:
    while packet := channel.recv(REQUEST_BYTES_MAX):
        channel.send(pack_answer(reader.answer(unpack_request(packet))))


def main(arguments: list[str]) -> int:
    """Serve until the mount closes its end of the socket."""
    # A Ctrl-C in the mount's terminal reaches the whole process group; the mount decides alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    socket_fd, arena_fd, arena_bytes = (int(argument) for argument in arguments)
    channel = socket.socket(fileno=socket_fd)
    reader = Reader(mmap.mmap(arena_fd, arena_bytes))
    threads = [
        threading.Thread(target=_serve, args=(reader, channel), daemon=True) for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
