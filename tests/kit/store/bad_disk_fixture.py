"""A disk with bad sectors: a FUSE mount of one file, parts of which answer EIO, at once or late.

Run as `python bad_disk_fixture.py MOUNT_POINT FILE HANGS_WHILE START-END ...`; the file appears
under every name. Whoever reads a bad part waits while the path HANGS_WHILE is there, and cannot be
killed until the answer comes, as it is with a disk that hangs in the kernel.
The kernel's device mapper would do as well, but is missing in many containers.
"""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyfuse3
import pytest
import trio

ROOT_INODE, FILE_INODE = pyfuse3.ROOT_INODE, 2


class BadDisk(pyfuse3.Operations):
    def __init__(self, path: str, bad: Sequence[tuple[int, int]], hangs_while: str) -> None:
        super().__init__()
        self.hangs_while = hangs_while
        self.fd = os.open(path, os.O_RDONLY)
        self.bad = bad

    async def getattr(self, inode, ctx=None):
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = inode
        is_file = inode == FILE_INODE
        entry.st_mode = stat.S_IFREG | 0o444 if is_file else stat.S_IFDIR | 0o555
        entry.st_size = os.fstat(self.fd).st_size if is_file else 0
        return entry

    async def lookup(self, parent_inode, name, ctx=None):
        return await self.getattr(FILE_INODE)

    async def open(self, inode, flags, ctx):
        # No page cache and no read-ahead: what is asked is what is read.
        return pyfuse3.FileInfo(fh=inode, direct_io=True)

    async def read(self, fh, off, size):
        if any(off < end and start < off + size for start, end in self.bad):
            while os.path.exists(self.hangs_while):
                await trio.sleep(0.02)
            raise pyfuse3.FUSEError(errno.EIO)
        return os.pread(self.fd, size, off)


@contextmanager
def bad_disk(
    folder: str, path: str, bad: Sequence[tuple[int, int]], hangs_while: str = ""
) -> Iterator[str]:
    """Mount the file on `folder` with bad byte ranges; yields the path to read it at."""
    if not os.path.exists("/dev/fuse") or os.geteuid() != 0:
        pytest.skip("needs /dev/fuse and root")
    os.makedirs(folder, exist_ok=True)
    ranges = [f"{start}-{end}" for start, end in bad]
    child = subprocess.Popen([sys.executable, __file__, folder, path, hangs_while, *ranges])
    try:
        while not os.path.exists(os.path.join(folder, "shard")):
            if child.poll() is not None:
                pytest.skip("FUSE does not work here")
            time.sleep(0.02)
        yield os.path.join(folder, "shard")
    finally:
        child.send_signal(signal.SIGTERM)
        subprocess.run(["umount", "-l", folder], check=False)
        child.wait(timeout=60)


def main() -> None:
    folder, path, hangs_while = sys.argv[1:4]
    bad = [(int(start), int(end)) for start, end in (pair.split("-") for pair in sys.argv[4:])]
    options = {*pyfuse3.default_options, "fsname=bad_disk", "ro"}
    pyfuse3.init(BadDisk(path, bad, hangs_while), folder, options)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    trio.run(pyfuse3.main)


if __name__ == "__main__":
    main()
