"""A mount of a hand-made store for tests: it owns the mount process and always unmounts."""

import errno
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from command import ROOT
from store_fixture import StoreFixture

from fsd.format.tree import TreeEntry

REPOSITORY = ROOT
WAIT_S_MAX = 180.0

needs_fuse = [
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="needs /dev/fuse"),
    pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount without fuse.conf"),
]


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < deadline, f"timed out: {what}"
        time.sleep(0.02)


class Mounted:
    """A store fixture and its mount process."""

    def __init__(self, root: str) -> None:
        self.store = StoreFixture(root)
        self.point = os.path.join(root, "m")
        self.log = os.path.join(root, "log")
        os.mkdir(self.point)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.store.make_current()
        command = [sys.executable, "-m", "fsd.mount", "--index-root", self.store.index_root]
        command += ["--status-dir", self.store.status_dir, self.point]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, cwd=REPOSITORY, stderr=log, stdout=subprocess.PIPE
            )
        process = self.process
        wait_for(lambda: os.path.ismount(self.point) or process.poll() is not None, "the mount")
        assert process.poll() is None, self.log_text()

    def stop(self) -> None:
        subprocess.run(["fusermount3", "-uz", self.point], stderr=subprocess.DEVNULL)
        if self.process is not None:
            try:
                self.process.wait(WAIT_S_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
        self.store.close()

    def log_text(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def path(self, *parts: str) -> str:
        return os.path.join(self.point, *parts)

    def read(self, *parts: str) -> bytes:
        with open(self.path(*parts), "rb") as file:
            return file.read()

    def counter(self, name: str) -> int:
        try:
            return int(os.getxattr(self.point, f"user.drystone.{name}"))
        except OSError as error:
            assert error.errno == errno.ENODATA
            return 0

    def reader_is_gone(self, process_id: int) -> bool:
        return not os.path.exists(f"/proc/{process_id}")

    def reader(self, disk: int) -> int:
        return int(os.getxattr(self.point, f"user.drystone.reader_id{disk}"))


def entry(path: str, payload: bytes) -> TreeEntry:
    return TreeEntry(path, hashlib.sha256(payload).digest(), len(payload))
