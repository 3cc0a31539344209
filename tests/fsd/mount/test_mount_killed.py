"""The mount is killed among readers: errors and no wrong bytes, until it is mounted again."""

from __future__ import annotations

import errno
import os
import random
import threading

import pytest
from command import drystone, environment
from engine_processes import kill_process
from mount_fixture import needs_fuse
from store_checks import assert_batch, assert_clean, contents_of, put, settle, until
from store_harness import MIB, Store, with_few_services, write_files

from fsd.cli.daemons import daemon_mount

pytestmark = needs_fuse
READERS = 4
PAUSE_S = 0.005
GONE = {errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.ENOENT}
"""Of a mount that is dead, and of the empty folder below while it is mounted again."""


class Readers:
    """Threads that read files of a folder again and again, as whoever uses it does."""

    def __init__(self, folder: str, files: dict[str, bytes]) -> None:
        self._folder = folder
        self._files = files
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(n,)) for n in range(READERS)]
        self.read = 0
        self.errors: list[int | None] = []
        self.wrong: list[str] = []
        for thread in self._threads:
            thread.start()

    def _read(self, number: int) -> None:
        chosen = random.Random(number)
        while not self._stop.is_set():
            name = chosen.choice(list(self._files))
            try:
                with open(os.path.join(self._folder, name), "rb", buffering=0) as file:
                    data = b"".join(iter(lambda file=file: file.read(MIB), b""))
            except OSError as error:
                self.errors.append(error.errno)
            else:
                self.wrong += [] if data == self._files[name] else [name]
                self.read += 1
            self._stop.wait(PAUSE_S)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def kill_mount(made: Store) -> None:
    mark = daemon_mount.find_mount(made.config)
    assert mark is not None
    kill_process(mark.pid)


@pytest.mark.fault
def test_readers_go_on_when_it_is_mounted_again(store, short_tmp):
    made = store(3)
    with_few_services(made.root)
    files = {f"{n % 5}/{n}": os.urandom(2_000 + 9_973 * n) for n in range(30)}
    files["large"] = os.urandom(9 * MIB + 5)
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(made)
    folder = os.path.join(made.mount(), "batches", "first")
    readers = Readers(folder, files)
    try:
        until(lambda: readers.read > len(files), "reads through the mount")
        assert readers.errors == []
        kill_mount(made)
        until(lambda: len(readers.errors) > READERS, "errors")
        assert b"mounted at" in drystone("up", env=environment(made)).stderr
        read = readers.read
        # Whoever had a file open before is done with it.
        until(lambda: readers.read > read + READERS, "reads again")
    finally:
        readers.stop()
    assert readers.wrong == [] and set(readers.errors) <= GONE
    assert contents_of(folder) == files
    assert_batch(made, "first", files)
    assert_clean(made)
