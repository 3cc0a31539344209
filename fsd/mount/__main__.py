"""The read-only FUSE mount: it owns the life of the mount process.

    python -m fsd.mount --index-root DIR --status-dir DIR [--engine-socket PATH] POINT

It needs the index on the SSD and the disks, nothing else: engine, database and Redis may be gone.
It never writes, and never makes a system call on a disk: those are its read children's
(`fsd.mount.reading.reader`), so that a disk that hangs in the kernel freezes a child and not the
mount.
"""

import argparse
import logging
import mimetypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pyfuse3
import trio

from base.logging.daemon import start, told_life
from base.logging.file import FILE_SIZE_BYTES, FILES_KEPT
from base.logging.ids import about
from fsd.mount.heal import Healer
from fsd.mount.index import MountIndex
from fsd.mount.loop import main as main_loop
from fsd.mount.operations import Mount
from fsd.mount.reading.fetch import Fetcher
from fsd.mount.tree import Namespace
from fsd.process import service_notify

READ_AHEAD_KIB = 1024
LOG = ("", "WARNING", str(FILE_SIZE_BYTES), str(FILES_KEPT))
"""Where nothing is said of it: to stderr alone."""

_log = logging.getLogger(__name__)


async def raise_read_ahead(point: str) -> None:
    """Let the kernel ask for 1 MiB at a time, where we may: 0.3-1.0 becomes 1.5-3.0 GB/s."""
    try:
        # In a thread, because this request comes back to our own loop.
        status = await trio.to_thread.run_sync(os.stat, point, abandon_on_cancel=True)
        device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
        with open(f"/sys/class/bdi/{device}/read_ahead_kb", "w", encoding="ascii") as file:
            file.write(str(READ_AHEAD_KIB))
    except OSError as error:
        _log.info("the read-ahead stays as it is: %s", error, extra=about("mount.read_ahead_kept"))


async def _keep_watchdog() -> None:
    """Tell the service manager that this loop turns, if it asked."""
    interval_s = service_notify.watchdog_interval_s()
    while interval_s is not None:
        service_notify.notify(service_notify.WATCHDOG)
        await trio.sleep(interval_s)


async def _end_on_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()


async def serve(
    index: MountIndex, status_folder: str, engine_socket: str, point: str, options: set[str]
) -> None:
    """Mount and answer until a signal or an unmount."""
    # Signals are caught before the mount is seen and until it is gone: one that comes in between
    # would end the process and leave a dead mount point behind.
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        await _serve(index, status_folder, engine_socket, point, options, signals)


async def _serve(
    index: MountIndex,
    status_folder: str,
    engine_socket: str,
    point: str,
    options: set[str],
    signals: AsyncIterator[int],
) -> None:
    async with trio.open_nursery() as nursery:
        fetcher = Fetcher(nursery)
        mount = Mount(index, Namespace(index, status_folder), fetcher, Healer(engine_socket))
        fetcher.start_children(index.disks())
        nursery.start_soon(_end_on_signal, signals, nursery.cancel_scope)
        pyfuse3.init(mount, point, options)
        try:
            # The kernel has the mount: whoever looks into it now waits for the loop.
            service_notify.notify(service_notify.READY)
            nursery.start_soon(_keep_watchdog)
            nursery.start_soon(fetcher.watch)
            nursery.start_soon(raise_read_ahead, point)
            await main_loop()
        finally:
            nursery.cancel_scope.cancel()
            pyfuse3.close(unmount=True)
            fetcher.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mount in the foreground; 0 after SIGTERM, SIGINT or an unmount."""
    parser = argparse.ArgumentParser(prog="fsd.mount", description="Mount the store, read-only.")
    parser.add_argument("--index-root", required=True, help="folder of the index generations")
    parser.add_argument("--status-dir", required=True, help="folder of health.json, capacity.json")
    parser.add_argument("--engine-socket", default="", help="asked about wrong places in the index")
    parser.add_argument("--allow-other", action="store_true", help="let other users in")
    log = ("FOLDER", "LEVEL", "BYTES", "KEPT")
    parser.add_argument("--log", nargs=4, metavar=log, default=LOG, help="as [log] says")
    parser.add_argument("point", help="an empty folder")
    given = parser.parse_args(arguments)
    folder, level, size_bytes, kept = given.log
    start("mount", folder, level, int(size_bytes), int(kept))
    with told_life("mount"):
        _mount(given)
    return 0


def _mount(given: argparse.Namespace) -> None:
    options = {"ro", "fsname=drystone", "default_permissions"}
    if given.allow_other:
        options.add("allow_other")
    mimetypes.init()
    index = MountIndex(given.index_root)
    try:
        with suppress(trio.Cancelled):
            trio.run(serve, index, given.status_dir, given.engine_socket, given.point, options)
    finally:
        index.close()


if __name__ == "__main__":
    sys.exit(main())
