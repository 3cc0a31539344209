"""Making a store: it owns `init` and the writing of drystone.toml, never a running store."""

import json
import os
import uuid
from collections.abc import Collection, Sequence

from fsd import layout
from fsd.config import AREAS, CONFIG_NAME, GIB, MIB, Config, load_config
from fsd.disk_names import find_disk
from fsd.errors import ConfigError, UsageError
from fsd.identity import examine, make_identity, read_identity, write_identity
from fsd.paths import check_identifier
from fsd.small_file import replace_file

SHARD_SHARE_MAX = 256


def init_store(
    root: str,
    disk_paths: Sequence[str],
    ssd_path: str | None,
    *,
    copies_raw: int = 2,
    copies_generated: int = 2,
    min_free_bytes: int = GIB,
    mount: str | None = None,
    shard_size_bytes: int | None = None,
) -> Config:
    """Make a store of these disks: folders, identities, areas, and drystone.toml in `root`.

    Folders and partitions of one device are one disk to copies. Where there are too few devices for
    them it is a try-out only: `allow_same_device` is set and `warnings` keeps saying so. Raises
    UsageError with what to do instead; nothing is left half-made that a second try would stumble
    over.
    """
    root = os.path.abspath(root)
    target = os.path.join(root, CONFIG_NAME)
    if os.path.exists(target):
        raise UsageError(f"{target} exists: this already is a store; see `drystone status`")
    disks = [os.path.abspath(path) for path in disk_paths]
    _check_disks(disks, max(copies_raw, copies_generated))
    ssd = os.path.abspath(ssd_path or os.path.join(root, "ssd"))
    for path in (root, ssd, *disks, *(os.path.join(ssd, area) for area in AREAS)):
        os.makedirs(path, mode=0o700, exist_ok=True)
    domains = [examine(path).failure_domain for path in disks]
    same_device = len(set(domains)) < max(copies_raw, copies_generated)
    store_id = uuid.uuid4().hex
    names = _names(disks)
    identities = [
        make_identity(path, store_id, name) for path, name in zip(disks, names, strict=True)
    ]
    sizes = [os.statvfs(path).f_blocks * os.statvfs(path).f_frsize for path in disks]
    shard_size = shard_size_bytes or _shard_size(min(sizes))
    lines = [
        "# Drystone store. Paths may be relative to this file. See README.md for every setting.",
        f"ssd = {_text(_relative(ssd, root))}",
        f"mount = {_text(_relative(mount or os.path.join(root, 'mount'), root))}",
        "",
        "[store]",
        f"store_id = {_text(store_id)}",
        f"copies_raw = {copies_raw}",
        f"copies_generated = {copies_generated}",
        f"shard_size_bytes = {shard_size}",
        f"group_size_bytes = {min(64 * MIB, shard_size)}",
        f"min_free_bytes = {min_free_bytes}",
        f"allow_same_device = {'true' if same_device else 'false'}",
        "",
    ]
    for path, document in zip(disks, identities, strict=True):
        lines += disk_lines(document["disk_id"], document["name"], _relative(path, root))
    replace_file(target, "\n".join(lines).encode())
    return load_config(target)


def add_disk_to_config(config_path: str, disk_id: str, name: str, path: str) -> None:
    """Append a disk to drystone.toml, atomically."""
    root = os.path.dirname(os.path.abspath(config_path))
    with open(config_path, encoding="utf-8") as file:
        text = file.read()
    lines = disk_lines(disk_id, name, _relative(path, root))
    replace_file(config_path, (text.rstrip("\n") + "\n\n" + "\n".join(lines)).encode())


def rebind_disk(config: Config, name: str, path: str) -> None:
    """Declare that `path` is the disk `name` from now on (a clone that replaces the original).

    Raises UsageError when the identity there is not that disk's, or the original is still there.
    """
    path = os.path.abspath(path)
    known = find_disk(config.disk, name)
    document = read_identity(path)
    if document.get("retired"):
        raise UsageError(
            f"{path} holds {document['name']}, which was retired for good; to use that disk again, "
            "make a new filesystem on it and add it (drystone disk add)"
        )
    if document["disk_id"] != known.disk_id:
        raise UsageError(f"{path} holds disk {document['name']}, not {known.name}")
    original = known.path
    if original != path and os.path.exists(os.path.join(original, layout.IDENTITY_NAME)):
        raise UsageError(f"the original is still there ({original}); unmount it first")
    binding = examine(path).binding
    fields = ("filesystem_uuid", "filesystem_id", "device_serial", "root_inode")
    document["binding"] = {field: getattr(binding, field) for field in fields}
    write_identity(path, document)


def new_disk_name(taken: Collection[str]) -> str:
    """Return the first free name d1, d2 ..."""
    return next(f"d{n}" for n in range(1, len(taken) + 2) if f"d{n}" not in taken)


def check_disk_name(name: str) -> str | None:
    """Why a person could not name a disk so in every command, or None."""
    if name.startswith("-"):
        return "it would be taken for an option"
    return check_identifier(name)


def _check_disks(disks: list[str], copies: int) -> None:
    if not disks:
        raise UsageError(
            "name at least two disks, for example: drystone init ~/store "
            "--disk /mnt/hdd1 --disk /mnt/hdd2 --ssd /mnt/ssd/drystone"
        )
    if len(set(disks)) != len(disks):
        raise UsageError("one disk is named twice")
    if copies > len(disks):
        raise UsageError(f"{copies} copies need at least {copies} disks; {len(disks)} were named")
    for path in disks:
        if os.path.exists(os.path.join(path, layout.IDENTITY_NAME)):
            raise UsageError(
                f"{path} already is a disk of a store ({layout.IDENTITY_NAME} is there)"
            )
        if os.path.exists(path) and not os.path.isdir(path):
            raise UsageError(f"{path} is not a folder")
    _check_mounted(disks)


def _check_mounted(disks: list[str]) -> None:
    """Refuse a disk on the system's own filesystem beside disks that are not: an empty mount point.

    All on the system's filesystem is a try-out, which `warnings` speaks of.
    """
    system = examine("/").filesystem
    on_system = [path for path in disks if examine(_existing(path)).filesystem == system]
    if 0 < len(on_system) < len(disks):
        raise UsageError(
            f"{on_system[0]} lies on the system's own filesystem, the other disks do not: is it "
            "mounted? (To use a part of the system's disk on purpose, mount a partition or image.)"
        )


def _existing(path: str) -> str:
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _names(disks: list[str]) -> list[str]:
    names = [os.path.basename(path.rstrip("/")) or "disk" for path in disks]
    fine = all(check_disk_name(name) is None for name in names)
    unique = len(set(names)) == len(names)
    return names if fine and unique else [f"d{number}" for number in range(1, len(disks) + 1)]


def _shard_size(smallest_bytes: int) -> int:
    # 256 MiB, and at most 1/256 of the smallest disk, so that unequal disks fill evenly.
    share = smallest_bytes // SHARD_SHARE_MAX // MIB * MIB
    return max(MIB, min(256 * MIB, share))


def disk_lines(disk_id: str, name: str, path: str) -> list[str]:
    """Return a disk's section of drystone.toml; ConfigError when it cannot be written as TOML."""
    return [
        "[[disk]]",
        f"disk_id = {_text(disk_id)}",
        f"name = {_text(name)}",
        f"path = {_text(path)}",
        "",
    ]


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{value!r} cannot be written to a TOML file; use a UTF-8 name") from None
    # A JSON string without surrogate pairs is a valid TOML basic string.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _relative(path: str, root: str) -> str:
    path = os.path.abspath(path)
    return os.path.relpath(path, root) if path.startswith(root + os.sep) else path
