"""Who a disk is: it owns the identity file, its twin, and the binding to filesystem and device.

A disk is known by the id in its identity file, never by its path. The file is bound to the
filesystem's UUID, the device's serial number and the folder's inode, so that a copied folder or a
cloned disk is not taken for the original, and an empty mount point is never written to.

The twin is the same document once more. It counts only where the first one is damaged (not where
it is missing), and is written again from it, or the other way round, by `heal_identity`.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import subprocess
import uuid
from dataclasses import asdict, dataclass
from shlex import quote
from typing import Any

from base.errors import UsageError
from base.files import parse_json, write_durably
from fsd.format import layout
from fsd.format.errors import DiskRefusedError

IDENTITY_FORMAT = 1
BLKID_TIMEOUT_S = 10
STACKED_MAX = 16
"""Of volumes upon volumes; more is no stack that anybody made."""
_FS_IOC_GETFSUUID = 0x80111500  # _IOR(0x15, 0, struct fsuuid2)
_FSUUID2_BYTES = 17  # u8 length, u8 uuid[16]
# Their statvfs id is derived from the filesystem's UUID; others derive it from the device number.
_STABLE_FSID_TYPES = ("ext2", "ext3", "ext4", "btrfs", "zfs", "f2fs")


@dataclass(frozen=True, slots=True)
class Binding:
    """What ties an identity to its medium; empty strings are unknown here."""

    filesystem_uuid: str
    filesystem_id: str
    device_serial: str
    root_inode: int


@dataclass(frozen=True, slots=True)
class Medium:
    """What the system says of the medium below a path."""

    binding: Binding
    failure_domain: str
    filesystem: str
    filesystem_type: str
    is_mount_point: bool


def examine(path: str) -> Medium:
    """Look at the filesystem and device below `path`; OSError when the path cannot be read."""
    info = os.stat(path)
    number = _number(info.st_dev)
    kind, source = _mount_of(path, number)
    if os.major(info.st_dev) == 0 and source.startswith("/dev/") and os.path.exists(source):
        # btrfs gives each subvolume a number of its own; they are one filesystem on one device.
        number = _number(os.stat(source).st_rdev)
    device = _whole_device(number)
    serial = _serial(device)
    stable = kind in _STABLE_FSID_TYPES
    binding = Binding(
        filesystem_uuid=_filesystem_uuid(path, source) if source.startswith("/dev/") else "",
        filesystem_id=f"{os.statvfs(path).f_fsid:x}" if stable else "",
        device_serial=serial,
        root_inode=info.st_ino,
    )
    domain = os.path.basename(device) if device else number
    return Medium(binding, domain, number, kind, os.path.ismount(path))


def make_identity(path: str, store_id: str, name: str) -> dict[str, Any]:
    """Write a new identity file into a folder; durable when it returns.

    Raises UsageError when the folder already belongs to a store.
    """
    for file_name in (layout.IDENTITY_NAME, layout.IDENTITY_TWIN_NAME):
        if os.path.exists(os.path.join(path, file_name)):
            raise UsageError(
                f"{path} already is a disk of a store ({file_name} is there)"
                + f"; copy that to {layout.IDENTITY_NAME}, and it is that disk again"
                * (file_name == layout.IDENTITY_TWIN_NAME)
            )
    document: dict[str, Any] = {
        "format": IDENTITY_FORMAT,
        "disk_id": uuid.uuid4().hex,
        "store_id": store_id,
        "name": name,
        "binding": asdict(examine(path).binding),
    }
    write_identity(path, document)
    return document


def write_identity(path: str, document: dict[str, Any]) -> None:
    """Write an identity file with its checksum, and its twin, atomically and durably."""
    for name in (layout.IDENTITY_NAME, layout.IDENTITY_TWIN_NAME):
        _write(path, name, document)


def _write(path: str, name: str, document: dict[str, Any]) -> None:
    target = os.path.join(path, name)
    body = {key: value for key, value in document.items() if key != "checksum"}
    body["checksum"] = checksum(body)
    write_durably(target, json.dumps(body, indent=1).encode())


def retire_identity(path: str) -> None:
    """Write into a disk's identity that it is used no more, for good; durable when it returns."""
    write_identity(path, {**read_identity(path), "retired": True})


def read_identity(path: str) -> dict[str, Any]:
    """Read a disk's identity, or its twin where it is damaged.

    DiskRefusedError when there is none, when both are damaged, or when it is of another format.
    """
    document, reason = _read(path, layout.IDENTITY_NAME)
    # A missing one is a disk that is not there: nothing stands in for it.
    if document is None and os.path.exists(os.path.join(path, layout.IDENTITY_NAME)):
        document, _ = _read(path, layout.IDENTITY_TWIN_NAME)
    if document is None:
        raise DiskRefusedError(reason)
    if document.get("format") != IDENTITY_FORMAT:
        raise DiskRefusedError(f"{path} is a disk of format {document.get('format')}: not known")
    return document


def heal_identity(path: str) -> list[str]:
    """Write the identity again from its twin where it is damaged, or the twin from it.

    Returns the names of those that were damaged. Raises as `read_identity` does.
    """
    document = read_identity(path)
    names = (layout.IDENTITY_NAME, layout.IDENTITY_TWIN_NAME)
    found = {name: _read(path, name)[0] for name in names}
    if all(one == document for one in found.values()):
        return []
    # A disk that an older version made has no twin: that is no damage.
    bad = [name for name in names if found[name] is None]
    there = [name for name in bad if os.path.exists(os.path.join(path, name))]
    write_identity(path, document)
    return [f"{name} was damaged" for name in there]


def _read(path: str, name: str) -> tuple[dict[str, Any] | None, str]:
    """Return a document whose checksum holds, or None and why not."""
    target = os.path.join(path, name)
    try:
        document = parse_json(read_cold(target))
    except FileNotFoundError:
        return None, f"no {name} in {path}: is it mounted?"
    except ValueError as error:
        return None, f"{target} is damaged: {error}"
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        # One bad sector: the twin lies in another, and the file is written again from it.
        return None, f"{target} cannot be read: {error.strerror}"
    if not isinstance(document, dict):
        return None, f"{target} is damaged (it holds no identity)"
    found: dict[str, Any] = document
    body = {key: value for key, value in found.items() if key != "checksum"}
    if found.get("checksum") != checksum(body):
        return None, f"{target} is damaged (its checksum is wrong)"
    return found, ""


def read_cold(path: str) -> bytes:
    """Read a file from the disk itself where that can be: what is in memory may be older."""
    with open(path, "rb") as file:
        with contextlib.suppress(OSError):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file.read()


def check_identity(path: str, disk_id: str, store_id: str) -> Medium:
    """Check that `path` holds this very disk; DiskRefusedError says what is wrong otherwise."""
    document = read_identity(path)
    if document["store_id"] != store_id:
        raise DiskRefusedError(f"{path} belongs to another store ({document['store_id']})")
    if document["disk_id"] != disk_id:
        raise DiskRefusedError(f"{path} holds another disk ({document['name']})")
    if document.get("retired"):
        raise DiskRefusedError(f"disk {document['name']} at {path} was retired; it is not used")
    medium = examine(path)
    reason = _difference(Binding(**document["binding"]), medium.binding)
    if reason:
        raise DiskRefusedError(
            f"{path} looks like a copy of disk {document['name']}: {reason}. If it replaces the "
            f"original for good, run `drystone disk rebind {quote(document['name'])} {quote(path)}`"
        )
    return medium


def checksum(body: dict[str, Any]) -> str:
    """Return the checksum of a small document: 16 digits over its JSON, the keys sorted."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def mount_points() -> list[str]:
    """Return all mount points, as candidates for a disk that is mounted elsewhere now."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [_unescape(line.split(" ")[4]) for line in file]


def _difference(recorded: Binding, found: Binding) -> str:
    names = {
        "filesystem_uuid": "the filesystem's UUID differs",
        "filesystem_id": "the filesystem's id differs",
        "device_serial": "the device's serial number differs",
        "root_inode": "the folder was copied",
    }
    for name, reason in names.items():
        before, now = getattr(recorded, name), getattr(found, name)
        if before and now and before != now:
            return reason
    return ""


def _number(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def _mount_of(path: str, number: str) -> tuple[str, str]:
    """Return (filesystem type, source) of the mount with this device number.

    Where none has it, of the mount that the path lies in.
    """
    real, around, longest = os.path.realpath(path), ("", ""), -1
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.rstrip("\n").split(" ")
            kind, source = fields[fields.index("-") + 1 :][:2]
            if fields[2] == number:
                return kind, source
            point = _unescape(fields[4])
            inside = real == point or real.startswith(point.rstrip("/") + "/")
            # Of two that are mounted on one folder the later one is seen.
            if inside and len(point) >= longest:
                around, longest = (kind, source), len(point)
    return around


def _unescape(name: str) -> str:
    # The kernel writes space, tab, newline and backslash as octal escapes, other bytes as they are.
    escaped = os.fsencode(name)
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), escaped))


def device_path(number: str) -> str:
    """Return the device node of the whole device of `major:minor`; empty when there is none."""
    device = _whole_device(number)
    path = f"/dev/{os.path.basename(device).replace('!', '/')}"
    return path if device and os.path.exists(path) else ""


def _whole_device(number: str) -> str:
    """Return the sysfs folder of the whole device; empty when there is none."""
    link = f"/sys/dev/block/{number}"
    return whole_device(os.path.realpath(link)) if os.path.exists(link) else ""


def whole_device(path: str) -> str:
    """Return the sysfs folder of what a device is a part of, or lies on: a disk, as far as it goes.

    A partition is a part of its parent; an encrypted or logical volume on one device is that one.
    What is made of several (a RAID) stands for itself.
    """
    for _ in range(STACKED_MAX):
        if os.path.exists(os.path.join(path, "partition")):
            path = os.path.dirname(path)
        slaves = os.path.join(path, "slaves")
        below = os.listdir(slaves) if os.path.isdir(slaves) else []
        if len(below) != 1:
            return path
        path = os.path.realpath(os.path.join(slaves, below[0]))
    return path


def _serial(device: str) -> str:
    for name in ("device/serial", "serial", "device/wwid", "wwid"):
        try:
            with open(os.path.join(device, name), encoding="ascii", errors="replace") as file:
                if text := file.read().strip():
                    return text
        except OSError:
            continue
    return ""


def _filesystem_uuid(path: str, source: str) -> str:
    """Return the filesystem's UUID, from itself where the kernel can ask it (Linux 6.9).

    The links of udev and the cache of blkid go by the device's name, and may still say what was
    under that name before.
    """
    answer = bytearray(_FSUUID2_BYTES)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(folder, _FS_IOC_GETFSUUID, answer)
    except OSError:
        return _uuid_of_device(source)
    finally:
        os.close(folder)
    known = any(answer[1:]) and answer[0] == 16
    return str(uuid.UUID(bytes=bytes(answer[1:]))) if known else _uuid_of_device(source)


def _uuid_of_device(source: str) -> str:
    by_uuid = "/dev/disk/by-uuid"
    real = os.path.realpath(source)
    if os.path.isdir(by_uuid):
        for name in os.listdir(by_uuid):
            if os.path.realpath(os.path.join(by_uuid, name)) == real:
                return name
    try:
        found = subprocess.run(
            ["blkid", "--probe", "-s", "UUID", "-o", "value", source],
            capture_output=True,
            timeout=BLKID_TIMEOUT_S,
            text=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip()
