"""The mount for real, part one: the names and bytes that FUSE, LMDB and the disks show."""

import ctypes
import errno
import hashlib
import os
import random
import subprocess
from collections.abc import Callable, Iterator

import pytest
from mount_fixture import WAIT_S_MAX, Mounted, entry, needs_fuse, wait_for

from fsd.format.tree import TreeEntry
from fsd.mount.inodes import DynamicInodes

pytestmark = needs_fuse

HOSTILE_NAMES = [
    b"new\nline",
    b"caf\xe9 \xff",
    b"x" * 255,
    b"-rf",
    b" ",
    "e\u0301é".encode(),
    b"\\",
]


@pytest.fixture
def mounted(tmp_path) -> Iterator[Mounted]:
    mount = Mounted(str(tmp_path))
    try:
        yield mount
    finally:
        mount.stop()


def payloads_of_many_sizes() -> list[bytes]:
    sizes = [0, 1, 4095, 65536, 65537, 200_001, 1 << 20, (1 << 20) + 1, 3_333_333]
    return [os.urandom(size) for size in sizes]


def test_every_tree_shows_the_same_bytes(mounted: Mounted):
    store, payloads = mounted.store, payloads_of_many_sizes()
    store.add(payloads)
    entries = [entry(f"a/b{n}/f{n}.bin", data) for n, data in enumerate(payloads)]
    entries.append(TreeEntry("a/note.txt", None, text="näive\n".encode()))
    store.publish_batch("batch 1", entries)
    store.publish_batch("open", entries, sealed=False)
    for kind in ("stage", "exports", "browse"):
        store.publish_view(kind, "7", "plain", entries, job="7", name="ä")
    store.publish_view("browse", "flat", "", entries)
    mounted.start()
    assert os.listdir(mounted.path("batches")) == ["batch 1"]
    assert sorted(os.listdir(mounted.path("browse"))) == ["7", "flat"]
    roots = ["batches/batch 1", "stage/7/plain", "exports/7/plain", "browse/7/plain", "browse/flat"]
    for root in roots:
        for number, data in enumerate(payloads):
            assert mounted.read(root, f"a/b{number}/f{number}.bin") == data
        assert mounted.read(root, "a/note.txt") == "näive\n".encode()
    assert mounted.read("stage/7/plain/_JOB.json") == '{"job":"7","name":"ä"}'.encode()
    assert mounted.read("stage/7/plain/_SEALED") == b""
    for part in ("0", "1", "10"):
        store.publish_view("stage", "8", f"cut/{part}", [entries[0]])
    store.publish_view("stage", "8", "plain", entries)
    wait_for(lambda: os.path.exists(mounted.path("stage/8/cut/10")), "the part")
    assert sorted(os.listdir(mounted.path("stage/8"))) == ["cut", "plain"]
    assert sorted(os.listdir(mounted.path("stage/8/cut"))) == ["0", "1", "10"]
    assert mounted.read("stage/8/cut/10/a/b0/f0.bin") == payloads[0]
    assert mounted.read("stage/8/plain/a/b1/f1.bin") == payloads[1]
    assert not os.path.exists(mounted.path("stage/8/cut/2"))
    assert not os.path.exists(mounted.path("stage/8/cut/a"))
    for data in payloads:
        name = hashlib.sha256(data).hexdigest()
        assert mounted.read("objects", name[:2], name[2:4], name) == data
        assert name in os.listdir(mounted.path("objects", name[:2], name[2:4]))


def test_attributes_and_xattrs(mounted: Mounted):
    store, data = mounted.store, os.urandom(70_000)
    store.add([data], class_name="generated")
    stamped = entry("d/p.png", data)._replace(mtime_ns=1_234_567_890_123_456_789)
    store.publish_view("stage", "1", "l", [stamped])
    mounted.start()
    status = os.stat(mounted.path("stage/1/l/d/p.png"))
    assert (status.st_mode & 0o7777, status.st_size) == (0o444, 70_000)
    assert status.st_mtime_ns == 1_234_567_890_123_456_789
    assert status.st_uid == os.getuid()
    assert os.stat(mounted.path("stage/1/l/d")).st_mode & 0o7777 == 0o555
    assert os.stat(mounted.path("stage/1/l/d/p.png")).st_ino == status.st_ino
    path = mounted.path("stage/1/l/d/p.png")
    found = {name: os.getxattr(path, name).decode() for name in os.listxattr(path)}
    assert found == {
        "user.drystone.sha256": hashlib.sha256(data).hexdigest(),
        "user.drystone.copies": "2",
        "user.drystone.disks": "disk0,disk1",
        "user.drystone.class": "generated",
        "user.drystone.media_type": "image/png",
    }
    with pytest.raises(OSError) as caught:
        os.getxattr(path, "user.other")
    assert caught.value.errno == errno.ENODATA
    assert os.statvfs(mounted.point).f_files == 1


def test_names_that_are_hostile_and_listings_at_offsets(mounted: Mounted):
    data = b"x"
    mounted.store.add([data])
    names = HOSTILE_NAMES + [b"n%04d" % number for number in range(3000)]
    mounted.store.publish_view(
        "stage", "1", "l", [entry(os.fsdecode(name), data) for name in names]
    )
    mounted.start()
    folder = os.fsencode(mounted.path("stage/1/l"))
    found = os.listdir(folder)
    assert found == [b"_JOB.json", b"_SEALED", *sorted(names)]
    for name in HOSTILE_NAMES:
        with open(os.path.join(folder, name), "rb") as file:
            assert file.read() == data
    # A cookie that telldir gave must lead back to the same place.
    shell = subprocess.run(["find", folder, "-type", "f", "-print0"], capture_output=True)
    assert shell.stdout.count(b"\0") == len(names) + 2
    assert relisted(os.fsdecode(folder)) == found


def relisted(folder: str) -> list[bytes]:
    """List with libc, going back with telldir and seekdir once in the middle."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.opendir.restype = ctypes.c_void_p
    libc.readdir.restype = ctypes.c_void_p
    libc.telldir.restype = ctypes.c_long
    libc.readdir.argtypes = libc.telldir.argtypes = libc.closedir.argtypes = [ctypes.c_void_p]
    libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
    stream = libc.opendir(os.fsencode(folder))
    found: list[bytes] = []
    place = 0
    while address := libc.readdir(stream):
        found.append(ctypes.string_at(address + 19))
        if len(found) == 1000:
            place = libc.telldir(stream)
        if len(found) == 2000 and place:
            libc.seekdir(stream, place)
            place = 0
            del found[1000:]
    libc.closedir(stream)
    return found


def test_random_reads_of_a_large_object(mounted: Mounted):
    data = os.urandom(21 * (1 << 20) + 777)
    mounted.store.add([data])
    mounted.store.publish_view("stage", "1", "l", [entry("big", data)])
    mounted.start()
    generator = random.Random(3)
    with open(mounted.path("stage/1/l/big"), "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for _ in range(200):
            start = generator.randrange(len(data))
            size = generator.choice([1, 5000, 70_000, 2_500_000])
            assert os.pread(file.fileno(), size, start) == data[start : start + size]
    assert mounted.read("stage/1/l/big") == data


def test_many_large_files_at_once(mounted: Mounted):
    payloads = [os.urandom(12 << 20) for _ in range(8)]
    mounted.store.add(payloads)
    entries = [entry(f"f{n}", data) for n, data in enumerate(payloads)]
    mounted.store.publish_view("stage", "1", "l", entries)
    mounted.start()
    readers = [
        subprocess.Popen(["sha256sum", mounted.path(f"stage/1/l/f{n}")], stdout=subprocess.PIPE)
        for n in range(len(payloads))
    ]
    for reader, data in zip(readers, payloads, strict=True):
        output, _ = reader.communicate(timeout=WAIT_S_MAX)
        assert output.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_publish_and_unpublish_while_mounted(mounted: Mounted):
    store, first, second = mounted.store, os.urandom(3_000_000), os.urandom(100)
    store.add([first, second])
    mounted.start()
    assert os.listdir(mounted.path("stage")) == []
    assert not os.path.exists(mounted.path("stage/5/l"))
    store.publish_view("stage", "5", "l", [entry("first", first)])
    assert mounted.read("stage/5/l/first") == first  # At once: nothing negative was cached.
    with open(mounted.path("stage/5/l/first"), "rb") as file:
        file.read(10)
        store.unpublish("stage/5/l")
        wait_for(lambda: not os.path.exists(mounted.path("stage/5/l/first")), "the view to go")
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert os.pread(file.fileno(), len(first), 0) == first
    assert os.listdir(mounted.path("stage")) == []
    store.publish_view("stage", "5", "l", [entry("second", second)])
    assert os.listdir(mounted.path("stage/5/l")) == ["_JOB.json", "_SEALED", "second"]
    assert mounted.read("stage/5/l/second") == second


def test_unknown_paths_do_not_exist(mounted: Mounted):
    mounted.store.add([b"data"])
    mounted.store.publish_view("stage", "1", "l", [entry("d/f", b"data")])
    mounted.start()
    unknown = ["nothing", "stage/2", "stage/1/x", "stage/1/l/x", "stage/1/l/d/f2", "batches/x"]
    unknown += ["objects/zz", "objects/a", "objects/ab/cd/" + "0" * 64, "status/other.json"]
    unknown += ["status/health.json", "browse/" + "x" * 255, "stage/\udcff"]
    for path in unknown:
        with pytest.raises(FileNotFoundError):
            os.stat(mounted.path(path))


def test_nothing_can_be_written(mounted: Mounted):
    mounted.store.add([b"data"])
    mounted.store.publish_view("stage", "1", "l", [entry("f", b"data")])
    mounted.start()
    path = mounted.path("stage/1/l/f")
    attempts: list[Callable[[], object]] = [
        lambda: os.open(path, os.O_RDWR),
        lambda: os.open(path + "2", os.O_CREAT | os.O_WRONLY),
        lambda: os.unlink(path),
        lambda: os.rename(path, path + "2"),
        lambda: os.mkdir(path + "2"),
        lambda: os.chmod(path, 0o600),
        lambda: os.truncate(path, 0),
        lambda: os.setxattr(path, "user.x", b""),
    ]
    for attempt in attempts:
        with pytest.raises(OSError) as caught:
            attempt()
        assert caught.value.errno == errno.EROFS


def test_status_files_follow_the_engine(mounted: Mounted):
    mounted.start()
    assert os.listdir(mounted.path("status")) == []
    target = os.path.join(mounted.store.status_dir, "health.json")
    for text in (b'{"a":1}', b'{"a":1,"b":22}', b"{}"):
        with open(target + ".tmp", "wb") as file:
            file.write(text)
        os.rename(target + ".tmp", target)
        assert mounted.read("status/health.json") == text
    assert os.listdir(mounted.path("status")) == ["health.json"]


def test_dynamic_inodes_forget():
    inodes = DynamicInodes(100)
    first = inodes.number(b"a")
    inodes.remember(first)
    inodes.remember(first)
    inodes.forget(first, 1)
    assert inodes.number(b"a") == first
    inodes.forget(first, 1)
    assert len(inodes) == 0
    assert inodes.number(b"a") == first + 1
    inodes.forget(first + 1, 0)
    assert len(inodes) == 0
