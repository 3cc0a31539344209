"""Who a disk is: golden bytes, and every way in which a folder is not the disk it looks like."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from loop_disks import MAKE_BTRFS

from base.errors import UsageError
from fsd.disk_io.place.identity import (
    Binding,
    check_identity,
    examine,
    heal_identity,
    make_identity,
    mount_points,
    read_identity,
    whole_device,
    write_identity,
)
from fsd.format.errors import DiskRefusedError
from fsd.format.layout import IDENTITY_NAME, IDENTITY_TWIN_NAME

STORE = "5" * 32
Mount = Callable[..., Path]

# Written once, from the first version; the checksum is sha256 of the sorted JSON without it.
GOLDEN_BODY = {
    "format": 1,
    "disk_id": "d" * 32,
    "store_id": STORE,
    "name": "hdd ä",
    "binding": {
        "filesystem_uuid": "u",
        "filesystem_id": "f",
        "device_serial": "s",
        "root_inode": 2,
    },
}
GOLDEN_CHECKSUM = "3526f2f803a0b109"


def run(*command: str | os.PathLike[str]) -> None:
    done = subprocess.run([os.fspath(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"{command[0]} does not work here: {done.stderr.strip()[:200]}")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Mount]:
    """Mount an image (made with ext4 when it is not there) through a loop device."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    mounted: list[Path] = []

    def mount(image: Path, folder: Path, *options: str) -> Path:
        if not image.exists():
            with open(image, "wb") as file:
                file.truncate(16 << 20)
            run("mkfs.ext4", "-q", "-F", image)
        folder.mkdir(exist_ok=True)
        run("mount", "-o", ",".join(["loop", *options]), image, folder)
        mounted.append(folder)
        return folder

    yield mount
    for folder in reversed(mounted):
        with suppress(OSError):
            if os.path.ismount(folder):
                run("umount", folder)


def new_disk(folder: Path, name: str = "one") -> str:
    folder.mkdir(exist_ok=True)
    return make_identity(str(folder), STORE, name)["disk_id"]


def refusal(folder: Path, disk_id: str, store_id: str = STORE) -> str:
    with pytest.raises(DiskRefusedError) as refused:
        check_identity(str(folder), disk_id, store_id)
    return str(refused.value)


def test_golden_identity(tmp_path: Path):
    write_identity(str(tmp_path), GOLDEN_BODY)
    assert (tmp_path / IDENTITY_NAME).read_text(encoding="utf-8") == (
        json.dumps({**GOLDEN_BODY, "checksum": GOLDEN_CHECKSUM}, indent=1)
    )
    assert read_identity(str(tmp_path)) == {**GOLDEN_BODY, "checksum": GOLDEN_CHECKSUM}
    assert sorted(os.listdir(tmp_path)) == sorted([IDENTITY_NAME, IDENTITY_TWIN_NAME])
    assert (tmp_path / IDENTITY_TWIN_NAME).read_bytes() == (tmp_path / IDENTITY_NAME).read_bytes()


def test_a_new_disk_is_recognised(tmp_path: Path):
    disk_id = new_disk(tmp_path / "d")
    medium = check_identity(str(tmp_path / "d"), disk_id, STORE)
    assert medium.binding.root_inode == os.stat(tmp_path / "d").st_ino
    assert medium == examine(str(tmp_path / "d"))
    document = read_identity(str(tmp_path / "d"))
    assert (document["store_id"], document["name"], len(disk_id)) == (STORE, "one", 32)


def test_every_disk_has_its_own_id(tmp_path: Path):
    assert new_disk(tmp_path / "a") != new_disk(tmp_path / "b")


def test_a_disk_is_not_made_twice(tmp_path: Path):
    disk_id = new_disk(tmp_path / "d")
    with pytest.raises(UsageError, match="already is a disk"):
        new_disk(tmp_path / "d")
    assert check_identity(str(tmp_path / "d"), disk_id, STORE)


def test_an_empty_mount_point_is_refused(tmp_path: Path):
    assert "is it mounted?" in refusal(tmp_path, "d" * 32)


def test_other_stores_and_other_disks_are_refused(tmp_path: Path):
    one, two = new_disk(tmp_path / "a"), new_disk(tmp_path / "b", "two")
    assert "belongs to another store" in refusal(tmp_path / "a", one, "6" * 32)
    assert "holds another disk (two)" in refusal(tmp_path / "b", one)
    assert check_identity(str(tmp_path / "b"), two, STORE)


@pytest.mark.fault
def test_a_copied_folder_is_refused(tmp_path: Path):
    disk_id = new_disk(tmp_path / "d")
    shutil.copytree(tmp_path / "d", tmp_path / "copy")
    reason = refusal(tmp_path / "copy", disk_id)
    assert "the folder was copied" in reason
    assert "drystone disk rebind one" in reason


def test_a_moved_folder_is_the_same_disk(tmp_path: Path):
    disk_id = new_disk(tmp_path / "d")
    (tmp_path / "d").rename(tmp_path / "moved")
    assert check_identity(str(tmp_path / "moved"), disk_id, STORE)


@pytest.mark.fault
def test_every_flipped_bit_is_refused_where_the_twin_is_gone_too(tmp_path: Path):
    disk_id = new_disk(tmp_path)
    (tmp_path / IDENTITY_TWIN_NAME).unlink()
    path = tmp_path / IDENTITY_NAME
    good = path.read_bytes()
    meant = json.loads(good)
    for bit in range(8 * len(good)):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        # Only a flip between kinds of blank (or in the case of a hex escape) may go unseen.
        with suppress(DiskRefusedError):
            assert read_identity(str(tmp_path)) == meant
    path.write_bytes(good)
    assert check_identity(str(tmp_path), disk_id, STORE)


def test_the_twin_stands_in_for_a_damaged_identity_and_heals_it(tmp_path: Path):
    disk_id = new_disk(tmp_path)
    for name in (IDENTITY_NAME, IDENTITY_TWIN_NAME):
        good = (tmp_path / name).read_bytes()
        for damaged in (b"", good[:40], good.replace(b'"name"', b'"nane"'), b"\xff" + good[1:]):
            (tmp_path / name).write_bytes(damaged)
            assert check_identity(str(tmp_path), disk_id, STORE)
            assert heal_identity(str(tmp_path)) == [f"{name} was damaged"]
            assert (tmp_path / name).read_bytes() == good
            assert heal_identity(str(tmp_path)) == []


def test_a_disk_of_an_older_version_gets_a_twin(tmp_path: Path):
    new_disk(tmp_path)
    (tmp_path / IDENTITY_TWIN_NAME).unlink()
    assert heal_identity(str(tmp_path)) == []
    assert (tmp_path / IDENTITY_TWIN_NAME).read_bytes() == (tmp_path / IDENTITY_NAME).read_bytes()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"x"', "{}", '{"checksum": "x"}'])
def test_what_is_no_identity_is_refused(tmp_path: Path, text: str):
    (tmp_path / IDENTITY_NAME).write_text(text)
    assert "damaged" in refusal(tmp_path, "d" * 32)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    (tmp_path / IDENTITY_NAME).write_bytes(b"\xff\xfe\x00")
    assert "damaged" in refusal(tmp_path, "d" * 32)


def test_another_format_is_refused(tmp_path: Path):
    write_identity(str(tmp_path), {**GOLDEN_BODY, "format": 2})
    assert "format 2" in refusal(tmp_path, "d" * 32)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("filesystem_uuid", "the filesystem's UUID differs"),
        ("filesystem_id", "the filesystem's id differs"),
        ("device_serial", "the device's serial number differs"),
    ],
)
def test_another_medium_is_refused(tmp_path: Path, field: str, reason: str):
    document = make_identity(str(tmp_path), STORE, "one")
    known = document["binding"][field]
    write_identity(str(tmp_path), {**document, "binding": {**document["binding"], field: "other"}})
    if not known:
        # What this machine cannot tell is no reason to refuse.
        assert check_identity(str(tmp_path), document["disk_id"], STORE)
    else:
        assert reason in refusal(tmp_path, document["disk_id"])


def test_a_folder_that_has_lost_its_identity_but_not_the_copy_is_no_new_disk(tmp_path: Path):
    document = make_identity(str(tmp_path), STORE, "one")
    os.unlink(tmp_path / IDENTITY_NAME)
    with pytest.raises(UsageError, match=f"copy that to {IDENTITY_NAME}"):
        make_identity(str(tmp_path), STORE, "two")
    shutil.copyfile(tmp_path / IDENTITY_TWIN_NAME, tmp_path / IDENTITY_NAME)
    assert read_identity(str(tmp_path))["disk_id"] == document["disk_id"]


def test_what_was_unknown_when_it_was_made_is_not_compared(tmp_path: Path):
    document = make_identity(str(tmp_path), STORE, "one")
    inode = document["binding"]["root_inode"]
    write_identity(str(tmp_path), {**document, "binding": asdict(Binding("", "", "", inode))})
    assert check_identity(str(tmp_path), document["disk_id"], STORE)


# Real filesystems


def test_a_disk_mounted_elsewhere_is_the_same(tmp_path: Path, loop: Mount):
    first = loop(tmp_path / "image", tmp_path / "a")
    disk_id = make_identity(str(first), STORE, "one")["disk_id"]
    binding = examine(str(first)).binding
    assert binding.filesystem_uuid and binding.filesystem_id
    run("umount", first)
    assert "is it mounted?" in refusal(first, disk_id)
    second = loop(tmp_path / "image", tmp_path / "b", "noatime")
    medium = check_identity(str(second), disk_id, STORE)
    assert medium.binding == binding
    assert (medium.filesystem_type, medium.is_mount_point) == ("ext4", True)


def test_a_disk_copied_to_another_filesystem_is_refused(tmp_path: Path, loop: Mount):
    first = loop(tmp_path / "image1", tmp_path / "a")
    second = loop(tmp_path / "image2", tmp_path / "b")
    disk_id = make_identity(str(first), STORE, "one")["disk_id"]
    shutil.copy(first / IDENTITY_NAME, second / IDENTITY_NAME)
    # The root folders of both have the same inode number.
    assert os.stat(first).st_ino == os.stat(second).st_ino
    assert "the filesystem's UUID differs" in refusal(second, disk_id)


@pytest.mark.fault
def test_a_clone_with_a_new_uuid_is_refused(tmp_path: Path, loop: Mount):
    first = loop(tmp_path / "image", tmp_path / "a")
    disk_id = make_identity(str(first), STORE, "one")["disk_id"]
    run("umount", first)
    run("dd", f"if={tmp_path}/image", f"of={tmp_path}/clone", "bs=1M")
    run("e2fsck", "-fp", tmp_path / "clone")
    run("tune2fs", "-f", "-U", "random", tmp_path / "clone")
    clone = loop(tmp_path / "clone", tmp_path / "b")
    assert "looks like a copy" in refusal(clone, disk_id)


@pytest.mark.fault
def test_a_clone_on_another_device_is_refused_by_its_serial(tmp_path: Path, loop: Mount):
    first = loop(tmp_path / "image", tmp_path / "a")
    document = make_identity(str(first), STORE, "one")
    if not examine(str(first)).binding.device_serial:
        # Loop devices have none, so a bit by bit clone between them cannot be told apart.
        assert check_identity(str(first), document["disk_id"], STORE)
        pytest.skip("loop devices have no serial number here")
    binding = {**document["binding"], "device_serial": "another drive"}
    write_identity(str(first), {**document, "binding": binding})
    assert "serial number differs" in refusal(first, document["disk_id"])


def test_a_folder_of_a_disk_is_not_the_disk(tmp_path: Path, loop: Mount):
    first = loop(tmp_path / "image", tmp_path / "a")
    disk_id = make_identity(str(first), STORE, "one")["disk_id"]
    (first / "sub").mkdir()
    shutil.copy(first / IDENTITY_NAME, first / "sub" / IDENTITY_NAME)
    assert "the folder was copied" in refusal(first / "sub", disk_id)


@pytest.mark.parametrize("name", [b"plain", b"with space\tand tab", b"back\\slash", "ä".encode()])
def test_mount_points_have_any_name(tmp_path: Path, loop: Mount, name: bytes):
    folder = tmp_path / os.fsdecode(name)
    loop(tmp_path / "image", folder)
    assert str(folder) in mount_points()


def test_a_mount_point_that_is_not_utf_8(tmp_path: Path, loop: Mount):
    # Some stranger's USB stick must not keep the engine from starting.
    folder = tmp_path / os.fsdecode(b"stick \xff")
    loop(tmp_path / "image", folder)
    assert str(folder) in mount_points()


def test_failure_domains(tmp_path: Path, loop: Mount):
    one = examine(str(loop(tmp_path / "image1", tmp_path / "a"))).failure_domain
    two = examine(str(loop(tmp_path / "image2", tmp_path / "b"))).failure_domain
    (tmp_path / "a" / "sub").mkdir()
    assert one != two
    assert examine(str(tmp_path / "a" / "sub")).failure_domain == one


def test_subvolumes_of_one_btrfs_are_one_disk(tmp_path: Path, loop: Mount):
    """Their device numbers are their own, and are not those of the mount."""
    if os.geteuid() != 0 or shutil.which("mkfs.btrfs") is None:
        pytest.skip("needs root and mkfs.btrfs")
    image = tmp_path / "image"
    with open(image, "wb") as file:
        file.truncate(128 << 20)
    run("unshare", "-m", "--propagation", "private", "sh", "-c", MAKE_BTRFS, image)
    root = loop(image, tmp_path / "a b")
    for name in ("one", "two"):
        run("btrfs", "subvolume", "create", root / name)
    whole, one, two = (examine(str(path)) for path in (root, root / "one", root / "two"))
    assert one.failure_domain == two.failure_domain == whole.failure_domain
    assert whole.failure_domain.startswith("loop")
    assert one.filesystem == two.filesystem == whole.filesystem  # One free space.
    assert whole.filesystem_type == "btrfs"
    assert whole.binding.filesystem_uuid and whole.binding.filesystem_id
    disk_id = make_identity(str(root), STORE, "d1")["disk_id"]
    assert check_identity(str(root), disk_id, STORE).failure_domain == whole.failure_domain


def test_volumes_on_one_disk_are_that_disk(tmp_path: Path):
    """As sysfs shows an encrypted volume in a partition, a stack of two, and a RAID."""
    disks = [tmp_path / name for name in ("sda", "sdb")]
    for disk in disks:
        (disk / f"{disk.name}1" / "slaves").mkdir(parents=True)
        (disk / f"{disk.name}1" / "partition").write_text("1\n")
        (disk / "slaves").mkdir()

    def volume(name: str, *below: Path) -> Path:
        (tmp_path / name / "slaves").mkdir(parents=True)
        for one in below:
            (tmp_path / name / "slaves" / one.name).symlink_to(one)
        return tmp_path / name

    partition = disks[0] / "sda1"
    crypt = volume("dm-0", partition)
    upon = volume("dm-1", crypt)
    for path in (disks[0], partition, crypt, upon):
        assert whole_device(str(path)) == str(disks[0])
    raid = volume("md0", partition, disks[1] / "sdb1")
    assert whole_device(str(raid)) == str(raid)
    circle = volume("dm-9")
    (circle / "slaves" / "dm-9").symlink_to(circle)
    assert whole_device(str(circle)) == str(circle)  # It ends.
