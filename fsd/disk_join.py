"""Taking a disk in: it owns the order in which a folder becomes a disk of the running store.

    a new one         checks -> identity file -> drystone.toml -> its process -> catalog
    one declared gone checks -> catalog -> its process; what it holds counts once it is verified

Nothing is placed on a disk before drystone.toml names it: after a restart nobody would look for it
otherwise. What a crash leaves half done is taken in by the next start, or when it is said again.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from fsd.config import CONFIG_NAME, DiskConfig
from fsd.disks import Disk
from fsd.errors import ConfigError, DiskRefusedError, FsdError, UsageError
from fsd.identity import check_identity, examine, make_identity, read_identity
from fsd.projection import write_disk_rows
from fsd.setup import add_disk_to_config, check_disk_name, disk_lines, new_disk_name
from fsd.small_file import replace_file
from fsd.store import Store

if TYPE_CHECKING:
    from fsd.engine import Engine


def join_disk(engine: Engine, path: str, name: str | None) -> Disk:
    """Take a folder as a disk, in drystone.toml and in the running store.

    Raises UsageError, DiskRefusedError or FsdError with what to do; the store is as before then.
    """
    path = os.path.abspath(path)
    # Two at once would each write drystone.toml without the other's disk.
    with engine.joining:
        if not os.path.isdir(path):
            raise UsageError(f"{path} is not a folder; name the folder where the disk is mounted")
        document = _our_identity(engine.store, path)
        known = engine.store.disks.disks.get(document["disk_id"]) if document else None
        if known is not None:
            disk = _take_back(engine, known, path)
        else:
            disk = _take_new(engine, path, name, document)
        write_disk_rows(engine.store)
        engine.reconciler.poke()
        return disk


def add_new_disks(store: Store) -> None:
    """Enter the disks that the catalog does not know, at the start."""
    state = store.shards.state
    entries = [
        ("disk_add", {"disk": disk.disk_id, "name": disk.name})
        for disk in store.disks.disks.values()
        if disk.disk_id not in {*state.disks, *state.gone}
    ]
    if entries:
        store.catalog.append(*entries)


def _check_name(name: str, taken: Collection[str]) -> None:
    reason = check_disk_name(name)
    if name in taken:
        reason = "another disk is called so (`drystone disk list` shows them)"
    if reason is not None:
        raise UsageError(f"{name!a} cannot be the name of a disk: {reason}")


def _our_identity(store: Store, path: str) -> dict[str, Any] | None:
    """Return what identifies the folder as a disk of this store, None when nothing does."""
    try:
        document = read_identity(path)
    except DiskRefusedError:
        return None
    return document if document["store_id"] == store.config.store.store_id else None


def _take_new(engine: Engine, path: str, name: str | None, document: dict[str, Any] | None) -> Disk:
    """Take in a folder that is no disk yet, or that is one only half (`document`)."""
    store = engine.store
    if document is not None and (
        document.get("retired") or document["disk_id"] in store.shards.state.gone
    ):
        raise UsageError(
            f"{path} already is a disk of this store that it gave up for good "
            f"({document['name']}); make a new filesystem there to use it again"
        )
    # Commands take names and ids alike.
    taken = {name for disk in store.disks.disks.values() for name in (disk.name, disk.disk_id)}
    name = name or new_disk_name(taken)
    _check_name(name, taken)
    disk_lines("", name, path)  # Raises when it cannot be written down.
    if document is None:
        _check_mounted(store, path)
        document = _identify(engine, path, name)
    config = DiskConfig(disk_id=document["disk_id"], name=name, path=path)
    former = _write_down(engine, config)
    # Barrier: drystone.toml names the disk. A crash from here on, and the next start takes it in.
    try:
        disk = store.disks.add(config)
    except FsdError:
        replace_file(os.path.join(engine.config.root, CONFIG_NAME), former)
        raise
    store.catalog.catch_up(disk)
    store.catalog.append(("disk_add", {"disk": disk.disk_id, "name": name}))
    return disk


def _identify(engine: Engine, path: str, name: str) -> dict[str, Any]:
    try:
        return make_identity(path, engine.config.store.store_id, name)
    except OSError as error:
        raise DiskRefusedError(
            f"{path} cannot be a disk: {error.strerror or error}; mount it writable, for the user "
            "of the engine"
        ) from error


def _write_down(engine: Engine, config: DiskConfig) -> bytes:
    """Add the disk to drystone.toml; returns what was there before."""
    target = os.path.join(engine.config.root, CONFIG_NAME)
    try:
        with open(target, "rb") as file:
            former = file.read()
        add_disk_to_config(target, config.disk_id, config.name, config.path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{target} cannot be written ({error}), so no disk was added; repair that first"
        ) from error
    return former


def _check_mounted(store: Store, path: str) -> None:
    """Refuse a folder of the system's own filesystem beside disks that are not: is it mounted?"""
    system = examine("/").filesystem
    others = {disk.filesystem for disk in store.disks.disks.values() if disk.readable}
    if examine(path).filesystem == system and others and system not in others:
        raise UsageError(
            f"{path} lies on the system's own filesystem, the other disks do not: is it mounted? "
            "(To use a part of the system's disk on purpose, mount a partition or image.)"
        )


def _take_back(engine: Engine, disk: Disk, path: str) -> Disk:
    """Use a disk again that was declared gone: it came back after all."""
    store = engine.store
    if disk.state != "gone":
        raise UsageError(f"{path} already is a disk of this store: {disk.name}, {disk.shown_state}")
    if disk.retired:
        raise UsageError(
            f"{path} already is a disk of this store: {disk.name}, which was retired for good; "
            "make a new filesystem there to use it again"
        )
    check_identity(path, disk.disk_id, engine.config.store.store_id)
    # Barrier: it is a disk like the others from here on, one that is away when the engine ends now.
    store.catalog.append(("disk_return", {"disk": disk.disk_id, "name": disk.name}))
    store.disks.take_back(disk, path)
    return disk
