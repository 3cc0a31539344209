"""The SSD fills up under the index: what was acknowledged stays, and puts go on later."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import subprocess
import sys

import pytest
from engine_processes import kill_engine
from loop_disks import BtrfsDisk, needs_loop
from small_ssd import fill_up, is_full, leave, small_ssd, small_ssd_store
from store_checks import assert_clean, assert_readable, finish, keys_of, put, until
from store_harness import Store, write_files

from base.ballast import free_bytes
from fsd.format.errors import QuotaError
from fsd.store.ssd import ballast

pytestmark = needs_loop
FILES = 7_000
LEAVE_BYTES = (300 << 10, 700 << 10)
"""By the first the put's second commit or so finds no room, by the other a later one."""
BTRFS_BYTES = 192 << 20
READERS = 200
MANY_READERS = f"""
import sys, threading
from fsd.store.index import Index

index, ready, end = Index(sys.argv[1], 1), threading.Semaphore(0), threading.Event()

def read():
    with index.read():
        ready.release()
        end.wait()

threads = [threading.Thread(target=read) for _ in range({READERS})]
print("open", flush=True)
sys.stdin.readline()
for thread in threads:
    thread.start()
    ready.acquire()
end.set()
print("read")
"""


@pytest.fixture
def ssd(short_tmp):
    with small_ssd(short_tmp) as made:
        yield made


@pytest.fixture
def store(ssd, short_tmp):
    with small_ssd_store(ssd, short_tmp, 2) as made:
        yield made


def put_until_full(store: Store, source: str, batch: str) -> tuple[set[str], bool]:
    """Put a folder that does not fit; returns what is acknowledged, and if a commit failed."""
    job = store.client.wait(store.client.batch_write(source, batch).job_id)
    assert job.state == "failed", job
    error = job.error or ""
    assert "the SSD is full" in error and "remove exports" in error and "\n" not in error, error
    lines = list(store.client.report(job.job_id))
    failed = any("not stored: the SSD is full" in (line["reason"] or "") for line in lines)
    return {line["path"] for line in lines if line["status"] in ("written", "existing")}, failed


@pytest.mark.fault
def test_the_ssd_fills_up_during_a_put(store, ssd, tmp_path):
    """Some levels meet the end of the room inside a commit; nothing acknowledged is missed."""
    put(store, write_files(str(tmp_path / "old"), {"old": os.urandom(1000)}), "old")
    in_commit = 0
    for level, leave_bytes in enumerate(LEAVE_BYTES):
        count = FILES * (1 + level)  # Of the first put there are free pages in the index.
        files = {f"{n % 10}/f{n}": os.urandom(650 + n % 100) for n in range(count)}
        source = write_files(str(tmp_path / f"source{level}"), files)
        filler = leave(ssd.path, leave_bytes)
        paths, failed = put_until_full(store, source, f"b{level}")
        in_commit += failed
        assert 0 < len(paths) < count
        acknowledged = {path: files[path] for path in sorted(paths)[:: len(paths) // 50]}
        assert_readable(store, acknowledged)
        assert is_full(store)
        assert put_until_full(store, source, f"b{level}")[0] == set(), "refused before it begins"
        if level > 0:
            fill_up(ssd)  # What the ballast gave is used up too.
        kill_engine(store.config, group=True)
        store.start()
        assert is_full(store), store.client.health()
        assert_readable(store, acknowledged)
        if level == 0:
            finish(store, store.client.purge("old").job_id)
            assert "old" not in [batch.batch for batch in store.client.batches()]
        os.unlink(filler)
        put(store, source, f"b{level}")
        assert {f.path: f.key for f in store.client.batch_files(f"b{level}")} == keys_of(files)
        assert_readable(store, acknowledged)
        until(lambda: not is_full(store), "the ballast to be back")
    assert in_commit, "no level filled the SSD inside a commit"
    assert_clean(store)


@pytest.mark.fault
@pytest.mark.skipif(shutil.which("mkfs.btrfs") is None, reason="needs mkfs.btrfs")
def test_an_ssd_with_btrfs_fills_up(short_tmp, tmp_path):
    """It shows what was removed only after a commit of its own: puts need not wait for that."""
    files = {f"f{n}": os.urandom(650 + n % 100) for n in range(500)}
    source = write_files(str(tmp_path / "source"), files)
    path = os.path.join(short_tmp, "ssd")
    with contextlib.ExitStack() as stack:
        ssd = BtrfsDisk(f"{path}.btrfs", path, BTRFS_BYTES)
        stack.callback(ssd.unmount_surely)
        store = stack.enter_context(small_ssd_store(ssd, short_tmp, 2))
        put(store, source, "first")
        assert ballast.of_index(store.config.index_root).size_bytes() > 0
        filler = ssd.fill()
        more = write_files(str(tmp_path / "more"), {"one": b"one"})
        assert put_until_full(store, more, "second") == (set(), False)
        assert is_full(store) and ballast.of_index(store.config.index_root).size_bytes() == 0
        kill_engine(store.config, group=True)
        store.start()
        assert is_full(store)
        assert_readable(store, files)
        os.unlink(filler)
        put(store, more, "second")
        until(lambda: not is_full(store), "the ballast to be back")
        assert_clean(store)


@pytest.mark.fault
def test_a_listing_that_finds_no_room(store, ssd, tmp_path):
    """All is acknowledged, only the mount's listing of the batch is not there yet."""
    files = {f"{n}-".ljust(200, "x"): b"the same" for n in range(3000)}
    source = write_files(str(tmp_path / "source"), files)
    filler = leave(ssd.path, 300 << 10)
    paths, failed = put_until_full(store, source, "b")
    assert paths == set(files) and not failed
    os.unlink(filler)
    put(store, source, "b")
    assert {f.path: f.key for f in store.client.batch_files("b")} == keys_of(files)


@pytest.mark.fault
def test_a_full_ssd_kills_nobody_who_maps_the_index(ssd):
    """LMDB maps its table of readers: a page of it that finds no room would be a SIGBUS."""
    first = os.path.join(ssd.path, "first")
    program = [sys.executable, "-c", MANY_READERS, first]
    pipe = subprocess.PIPE
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == "open\n"
        fill_up(ssd)
        assert child.communicate("go on\n")[0] == "read\n"
    assert child.returncode == 0
    program[-1] = os.path.join(ssd.path, "first", "1")
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 1
    assert "QuotaError: the SSD is full" in done.stderr.splitlines()[-1]


@pytest.mark.fault
def test_without_an_inode_the_message_speaks_of_files(ssd):
    ballast.check_room(ssd.path, 0)
    folder = os.path.join(ssd.path, "many")
    os.mkdir(folder)
    with contextlib.suppress(OSError):
        for number in itertools.count():
            with open(os.path.join(folder, str(number)), "wb"):
                pass
    with pytest.raises(QuotaError, match=r"0 inodes are free, .*remove many small files; .*MB are"):
        ballast.check_room(ssd.path, 0)
    shutil.rmtree(folder)
    ballast.check_room(ssd.path, 0)


@pytest.mark.fault
def test_the_ballast_is_given_up_and_comes_back(ssd):
    """It is there while there is room, as large as the index; a put is refused without it."""
    root = ssd.path
    hundredth = os.statvfs(root).f_blocks * os.statvfs(root).f_frsize // ballast.PARTITION_SHARE
    ballast.of_index(root, hundredth // 2).keep()
    assert ballast.of_index(root).size_bytes() == hundredth, (
        "the least that is of use, if that is bearable"
    )
    assert os.stat(os.path.join(root, ballast.NAME)).st_blocks * 512 >= hundredth, "it is no hole"
    ballast.check_room(root, 0)
    filler = leave(root, hundredth // 2)
    ballast.of_index(root).ease()
    assert ballast.of_index(root).size_bytes() == hundredth
    leave(root, hundredth // 8)
    assert not ballast.of_index(root, 0).is_given_up()
    ballast.of_index(root).ease()
    assert free_bytes(root) > hundredth
    assert ballast.of_index(root, 0).is_given_up()
    with pytest.raises(QuotaError, match=r"the SSD is full.*remove exports"):
        ballast.check_room(root, 0)
    ballast.of_index(root, 0).keep()
    assert ballast.of_index(root).size_bytes() == 0, "it would take what it has just given"
    os.unlink(filler)
    ballast.check_room(root, 0)
    assert ballast.of_index(root).size_bytes() == hundredth


@pytest.mark.fault
def test_the_message_of_a_short_write_means_that_it_is_full_only_when_it_is(ssd):
    """A bad sector has the same message, and other things to do about it."""
    short_write = os.strerror(errno.EIO)
    assert not ballast.is_full(ssd.path, short_write)
    fill_up(ssd)
    assert ballast.is_full(ssd.path, short_write)
    assert not ballast.is_full(ssd.path, os.strerror(errno.EROFS))


@pytest.mark.fault
def test_a_put_needs_no_folder_of_the_index(ssd):
    """Somebody may have deleted what an engine has open."""
    ballast.check_room(os.path.join(ssd.path, "deleted"), 0)
    assert os.listdir(ssd.path) == ["lost+found"]
