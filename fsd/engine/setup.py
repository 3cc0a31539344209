"""Making a store: it owns `init` and the writing of drystone.toml, never a running store."""

import contextlib
import itertools
import os
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from base.config import CONFIG_NAME, END_LINE, END_PROMISE
from base.errors import UsageError
from base.files import write_durably
from fsd.disk_io.place.disk_place import (
    look,
    overlap,
    whole_path,
    why_no_new_disk,
    why_not_writable,
)
from fsd.disk_io.place.identity import examine, make_identity
from fsd.disks.config import AREAS, GIB, MIB, Config, load_config
from fsd.disks.config_disks import disk_lines, relative_path, toml_text
from fsd.format.errors import DiskRefusedError
from fsd.format.layout import IDENTITY_NAME, IDENTITY_TWIN_NAME
from fsd.format.paths import check_identifier

SHARD_SHARE_MAX = 64
QUOTA_SHARES = {"inbox": 0.2, "outbox": 0.2, "stage": 0.25, "exports": 0.2}
"""Of the SSD, for each area; the rest is the index's and the database's."""


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
    disks = [whole_path(os.path.abspath(path)) for path in disk_paths]
    ssd = os.path.abspath(ssd_path or os.path.join(root, "ssd"))
    mount = os.path.abspath(mount or os.path.join(root, "mount"))
    others = (("the SSD", ssd), ("the mount", mount))
    _check_disks(disks, max(copies_raw, copies_generated), root, others)
    for path in (root, ssd, *disks, *(os.path.join(ssd, area) for area in AREAS)):
        _make_folder(path)
    domains = [examine(path).failure_domain for path in disks]
    same_device = len(set(domains)) < max(copies_raw, copies_generated)
    store_id = uuid.uuid4().hex
    sizes = [os.statvfs(path).f_blocks * os.statvfs(path).f_frsize for path in disks]
    shard_size = shard_size_bytes or _shard_size(min(sizes))
    lines = [
        "# Drystone store. Paths may be relative to this file. docs/settings.md has every setting.",
        END_PROMISE,
        f"ssd = {toml_text(relative_path(ssd, root))}",
        f"mount = {toml_text(relative_path(mount, root))}",
        "",
        "[store]",
        f"store_id = {toml_text(store_id)}",
        f"copies_raw = {copies_raw}",
        f"copies_generated = {copies_generated}",
        f"shard_size_bytes = {shard_size}",
        f"group_size_bytes = {min(64 * MIB, shard_size)}",
        f"min_free_bytes = {min_free_bytes}",
        f"allow_same_device = {'true' if same_device else 'false'}",
        "",
        *_quota_lines(ssd),
    ]
    made: list[str] = []
    try:
        for path, name in zip(disks, _names(disks), strict=True):
            made.append(path)
            document = _identify(path, store_id, name)
            lines += disk_lines(document["disk_id"], name, relative_path(path, root))
        write_durably(target, "\n".join([*lines, END_LINE, ""]).encode())
    except BaseException:
        # They were empty, and are disks of no store now.
        for path, name in itertools.product(made, (IDENTITY_NAME, IDENTITY_TWIN_NAME)):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(path, name))
        raise
    return load_config(target)


def _quota_lines(ssd: str) -> list[str]:
    found = os.statvfs(ssd)
    size_bytes = found.f_blocks * found.f_frsize
    areas = [
        f"{name}_bytes = {max(MIB, int(size_bytes * share) // MIB * MIB)}"
        for name, share in QUOTA_SHARES.items()
    ]
    return ["# Of the SSD as it was found; change them as you like.", "[quota]", *areas, ""]


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror or error}") from error


def _identify(path: str, store_id: str, name: str) -> dict[str, Any]:
    try:
        return make_identity(path, store_id, name)
    except OSError as error:
        raise DiskRefusedError(why_not_writable(path, error)) from error


def new_disk_name(taken: Collection[str]) -> str:
    """Return the first free name d1, d2 ..."""
    return next(f"d{n}" for n in range(1, len(taken) + 2) if f"d{n}" not in taken)


def check_disk_name(name: str) -> str | None:
    """Why a person could not name a disk so in every command, or None."""
    if name.startswith("-"):
        return "it would be taken for an option"
    return check_identifier(name)


def _check_disks(
    disks: list[str], copies: int, root: str, others: Sequence[tuple[str, str]]
) -> None:
    if not disks:
        raise UsageError(
            "name at least two disks, for example: drystone init ~/store "
            "--disk /mnt/hdd1 --disk /mnt/hdd2 --ssd /mnt/ssd/drystone"
        )
    if copies > len(disks):
        raise UsageError(f"{copies} copies need at least {copies} disks; {len(disks)} were named")
    places = [look(path) for path in disks]
    folders = {one.inode if any(one.inode) else os.path.realpath(one.path) for one in places}
    if len(folders) != len(disks):  # By whatever name: a link, or mounted twice.
        raise UsageError("one disk is named twice")
    for number, (path, place) in enumerate(zip(disks, places, strict=True)):
        refusal = None if place.kind == "nothing" else why_no_new_disk(place)
        rest = [("another of the disks", one) for one in disks[number + 1 :]]
        if refusal or (refusal := overlap(path, root, (*rest, *others))):
            raise UsageError(refusal)
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
    # 256 MiB, and at most 1/64 of the smallest disk, so that unequal disks fill evenly. With 1/256
    # a small disk spends as long on the way to its shards as on writing them (docs/benchmarks.md).
    share = smallest_bytes // SHARD_SHARE_MAX // MIB * MIB
    return max(MIB, min(256 * MIB, share))
