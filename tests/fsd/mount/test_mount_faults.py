"""The mount for real, part two: what is corrupt, missing, stopped, killed, moved or ended."""

import errno
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from mount_fixture import WAIT_S_MAX, Mounted, entry, needs_fuse, wait_for

pytestmark = needs_fuse
READERS = 8


@pytest.fixture
def mounted(tmp_path) -> Iterator[Mounted]:
    mount = Mounted(str(tmp_path))
    try:
        yield mount
    finally:
        mount.stop()


def disk_first_asked(payload: bytes) -> int:
    """The replica that an idle mount asks first, see Fetcher.order."""
    return hashlib.sha256(payload).digest()[0] % 2


def start_with(mounted: Mounted, data: bytes) -> None:
    """Start the mount with one file, and wait for the process that it is asked of first.

    One that still begins would not be waited for: the other replica would be asked instead.
    """
    only_there = os.urandom(1000)
    mounted.store.add([only_there], disks=(disk_first_asked(data),))
    entries = [entry("f", data), entry("only there", only_there)]
    mounted.store.publish_view("stage", "1", "l", entries)
    mounted.start()
    assert mounted.read("stage/1/l/only there") == only_there


@pytest.mark.fault
@pytest.mark.parametrize("size", [50_000, 3_000_000])
def test_a_corrupt_block_is_served_from_the_other_replica(mounted: Mounted, size: int):
    data = os.urandom(size)
    (key,) = mounted.store.add([data])
    mounted.store.corrupt(key, disk_first_asked(data), at=7)
    start_with(mounted, data)
    assert mounted.read("stage/1/l/f") == data
    # On a busy machine the other replica may answer before this one has refused.
    wait_for(lambda: mounted.counter("replica_EBADMSG") >= 1, "the damage to be counted")
    assert "checksum mismatch" in mounted.log_text()


@pytest.mark.fault
@pytest.mark.parametrize("size", [50_000, 3_000_000])
def test_corrupt_on_all_replicas_is_an_error(mounted: Mounted, size: int):
    data = os.urandom(size)
    (key,) = mounted.store.add([data])
    for disk in (0, 1):
        mounted.store.corrupt(key, disk, at=size - 7)
    mounted.store.publish_view("stage", "1", "l", [entry("f", data)])
    mounted.start()
    with pytest.raises(OSError) as caught:
        mounted.read("stage/1/l/f")
    assert caught.value.errno == errno.EIO
    assert mounted.counter("reads_failed") >= 1


def test_a_missing_shard_is_served_from_the_other_replica(mounted: Mounted):
    data = os.urandom(50_000)
    (key,) = mounted.store.add([data])
    os.unlink(mounted.store.path_of(key, disk_first_asked(data))[0])
    start_with(mounted, data)
    assert mounted.read("stage/1/l/f") == data
    wait_for(lambda: mounted.counter("replica_ENOENT") >= 1, "what is missing to be counted")


@pytest.mark.fault
@pytest.mark.parametrize("size", [50_000, 30_000_000])
def test_a_stopped_child_is_hedged_and_killed(mounted: Mounted, size: int):
    data = os.urandom(size)
    mounted.store.add([data])
    mounted.store.publish_view("stage", "1", "l", [entry("f", data)])
    mounted.start()
    stopped = mounted.reader(disk_first_asked(data))
    os.kill(stopped, signal.SIGSTOP)
    assert mounted.read("stage/1/l/f") == data
    assert mounted.counter("hedges") >= 1
    wait_for(lambda: mounted.reader_is_gone(stopped), "the silent child to be killed")


def test_hundreds_of_reads_while_a_child_hangs(mounted: Mounted):
    """The first ones find out and ask elsewhere; those after them do not ask it at all."""
    payloads = [os.urandom(2_000 + number) for number in range(300)]
    mounted.store.add(payloads)
    entries = [entry(f"{number}", payload) for number, payload in enumerate(payloads)]
    mounted.store.publish_view("stage", "1", "l", entries)
    mounted.start()
    stopped = mounted.reader(0)
    os.kill(stopped, signal.SIGSTOP)
    with ThreadPoolExecutor(READERS) as readers:
        found = readers.map(lambda number: mounted.read(f"stage/1/l/{number}"), range(300))
        assert list(found) == payloads
    assert mounted.counter("reads_failed") == 0
    assert 1 <= mounted.counter("hedges") <= 2 * READERS
    wait_for(lambda: mounted.reader_is_gone(stopped), "the silent child to be killed")
    assert mounted.read("stage/1/l/0") == payloads[0]


def test_a_killed_child_is_replaced(mounted: Mounted):
    one, two = os.urandom(50_000), os.urandom(60_000)
    mounted.store.add([one, two], disks=(0,))
    mounted.store.publish_view("stage", "1", "l", [entry("1", one), entry("2", two)])
    mounted.start()
    assert mounted.read("stage/1/l/1") == one
    killed = mounted.reader(0)
    os.kill(killed, signal.SIGKILL)
    assert mounted.read("stage/1/l/2") == two
    assert mounted.reader(0) != killed


def test_a_killed_child_while_it_holds_a_request(mounted: Mounted):
    data = os.urandom(5_000_000)
    mounted.store.add([data], disks=(0,))
    mounted.store.publish_view("stage", "1", "l", [entry("f", data)])
    mounted.start()
    child = mounted.reader(0)
    os.kill(child, signal.SIGSTOP)
    reader = subprocess.Popen(["sha256sum", mounted.path("stage/1/l/f")], stdout=subprocess.PIPE)
    time.sleep(0.5)
    os.kill(child, signal.SIGKILL)
    output, _ = reader.communicate(timeout=WAIT_S_MAX)
    assert output.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_a_new_index_generation_is_followed(mounted: Mounted):
    store, data, later = mounted.store, os.urandom(3_000_000), os.urandom(40_000)
    (key,) = store.add([data])
    row = store.publish_view("stage", "1", "l", [entry("f", data)])
    mounted.start()
    inode = os.stat(mounted.path("stage/1/l/f")).st_ino
    with open(mounted.path("stage/1/l/f"), "rb", buffering=0) as file:
        assert os.pread(file.fileno(), 100, 0) == data[:100]
        old_index, old_path = store.index, store.path_of(key, 0)[0]
        old_other = store.path_of(key, 1)[0]
        store.add([data])  # The object moves to another shard, as by compaction.
        store.open_generation(2)
        old_index.close()
        moved = store.publish_view("stage", "1", "l", [entry("f", data)])
        moved.created_ns = row.created_ns
        store.write(lambda writer: writer.put_view(moved))
        store.add([later])
        store.publish_view("stage", "2", "l", [entry("later", later)])
        store.make_current()
        os.unlink(old_path)
        os.unlink(old_other)
        assert os.pread(file.fileno(), len(data), 0) == data
    wait_for(lambda: os.path.exists(mounted.path("stage/2/l/later")), "the new generation")
    assert mounted.read("stage/2/l/later") == later
    assert mounted.read("stage/1/l/f") == data
    assert os.stat(mounted.path("stage/1/l/f")).st_ino == inode
    assert mounted.counter("generation") == 2


def test_a_broken_tree_is_an_error_and_not_the_end(mounted: Mounted):
    mounted.store.add([b"data"])
    row = mounted.store.publish_view("stage", "1", "l", [entry("f", b"data")])
    with open(mounted.store.index.tree_path(row.tree_file), "wb") as file:
        file.write(b"no tree")
    mounted.start()
    with pytest.raises(OSError) as caught:
        os.stat(mounted.path("stage/1/l/f"))
    assert caught.value.errno == errno.EIO
    assert mounted.counter("handler_errors") >= 1
    assert "Traceback" in mounted.log_text()
    assert mounted.read("stage/1/l/_JOB.json") == b"{}"


@pytest.mark.fault
def test_others_do_not_wait_for_a_listing_that_is_slow_to_read(mounted: Mounted):
    """All of it is read when it is opened: seconds for a large one on a busy SSD."""
    mounted.store.add([b"data"])
    row = mounted.store.publish_view("stage", "1", "l", [entry("f", b"data")])
    mounted.store.publish_view("stage", "2", "l", [entry("other", b"data")])
    path = mounted.store.index.tree_path(row.tree_file)
    os.rename(path, path + ".good")
    os.mkfifo(path)
    mounted.start()
    with ThreadPoolExecutor(4) as pool:
        waiting = pool.submit(os.listdir, mounted.path("stage/1/l"))
        with open(path, "wb"):  # It is being read now.
            asked = {
                b"data": pool.submit(mounted.read, "stage/2/l/other"),
                b"{}": pool.submit(mounted.read, "stage/1/l/_JOB.json"),
                0: pool.submit(lambda: os.stat(mounted.path("stage/1/l")).st_size),
            }
            try:
                for answer, one in asked.items():
                    assert one.result(WAIT_S_MAX) == answer
                assert not waiting.done()
            finally:
                os.rename(path + ".good", path)
        # It had nothing to read.
        with pytest.raises(OSError, match="Input/output error"):
            waiting.result(WAIT_S_MAX)
    assert mounted.read("stage/1/l/f") == b"data"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(mounted: Mounted, number: int):
    mounted.start()
    children = [mounted.reader(0), mounted.reader(1)]
    assert mounted.process is not None
    mounted.process.send_signal(number)
    assert mounted.process.wait(WAIT_S_MAX) == 0
    assert not os.path.ismount(mounted.point)
    assert not any(os.path.exists(f"/proc/{child}") for child in children)
    assert mounted.process.stdout is not None
    assert mounted.process.stdout.read() == b""


def test_an_unmount_ends_it_with_0(mounted: Mounted):
    mounted.start()
    assert mounted.process is not None
    subprocess.run(["fusermount3", "-u", mounted.point], check=True)
    assert mounted.process.wait(WAIT_S_MAX) == 0
