"""Reads records back and checks them, without handing out a byte.

Runs in a disk process. A put asks for this before it says that content is stored already.
"""

from collections.abc import Sequence

from fsd.disk_io.extract import Failure, check_record, read_payload
from fsd.disk_io.extract_windows import Item, plan_windows
from fsd.disk_io.shard_file import WINDOW_BYTES, Step, WindowReader
from fsd.format.errors import CorruptError
from fsd.format.record import SECTOR_BYTES, record_bytes


def prove_records(
    fd: int, shard_id: bytes, items: Sequence[Item], step: Step
) -> tuple[int, list[Failure]]:
    """Read records, sorted by offset, past the page cache; returns (payload bytes, failures).

    Each is compared with its header (shard, key, length) and its block checksums. A failure is an
    item, by position, that this replica cannot give as it was written.
    """
    reader = WindowReader(fd, step, WINDOW_BYTES + 2 * SECTOR_BYTES)
    failures: list[Failure] = []
    read_bytes = 0
    for window in plan_windows(items):
        for position in range(window.first, window.last):
            item = items[position]
            try:
                if window.end - window.start <= WINDOW_BYTES:
                    size = record_bytes(item.length_bytes)
                    view = reader.read(item.offset, size, ahead_end=window.end)
                    check_record(view, 0, shard_id, item)
                else:
                    for _ in read_payload(reader, shard_id, item):
                        pass
            except (CorruptError, OSError) as error:
                failures.append(Failure(position, str(error)))
            else:
                read_bytes += item.length_bytes
            step()
    return read_bytes, failures
