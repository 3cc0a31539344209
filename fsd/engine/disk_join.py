"""Taking a disk in: it owns the order in which a folder becomes a disk of the running store.

    a new one         checks -> identity file -> drystone.toml -> its process -> catalog
    one declared gone checks -> drystone.toml -> catalog -> its process; what it holds counts once
                      it is verified
    one in use        checks -> drystone.toml, when that says another place

Nothing is placed on a disk before drystone.toml names it: after a restart nobody would look for it
otherwise. What a crash leaves half done is taken in by the next start, or when it is said again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from typing import Any

from base.config import CONFIG_NAME
from base.errors import DrystoneError, UsageError
from fsd.disk_io.place.disk_place import Place, whole_path, why_no_new_disk, why_not_writable
from fsd.disk_io.place.identity import examine
from fsd.disks.config import DiskConfig
from fsd.disks.config_disks import disk_lines, put_back, read_paths, write_disk
from fsd.disks.disks import Disk
from fsd.engine.setup import check_disk_name, new_disk_name
from fsd.format.errors import DiskError, DiskRefusedError
from fsd.repair.projection import write_disk_rows
from fsd.running.engine_core import EngineCore
from fsd.store.store import Store


def join_disk(engine: EngineCore, path: str, name: str | None) -> Disk:
    """Take a folder as a disk, in drystone.toml and in the running store.

    Raises UsageError, DiskRefusedError or FsdError with what to do; the store is as before then.
    """
    path = whole_path(path)
    disk_lines("", "", path)  # Raises when it cannot be written down.
    # Two at once would each take what the other one is taking.
    with engine.joining:
        place = engine.store.disks.look_at(path)
        ours = place.is_of(engine.config.store.store_id)
        known = engine.store.disks.disks.get(place.disk_id) if ours else None
        if ours and known is None and place.disk_id in engine.store.shards.state.gone:
            known = _gone_and_forgotten(engine.store, place)
        if known is None:
            disk = _take_new(engine, place, name, ours=ours)
        elif known.state == "gone":
            disk = _take_back(engine, known, place)
        else:
            disk = _note_place(engine, known, place)
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


def _take_new(engine: EngineCore, place: Place, name: str | None, *, ours: bool) -> Disk:
    """Take in a folder that is no disk yet, or that is one of `ours` only half."""
    store, path = engine.store, place.path
    document = place.identity if ours else None
    taken = _taken(store)
    name = name or new_disk_name(taken)
    _check_name(name, taken)
    if document is None:
        _check_new(engine, place)
        document = _identify(engine, path, name)
    elif place.refusal:
        raise DiskRefusedError(place.refusal)
    config = DiskConfig(disk_id=document["disk_id"], name=name, path=path)
    former = write_disk(_config_path(engine), config)
    # Barrier: drystone.toml names the disk. A crash from here on, and the next start takes it in.
    try:
        disk = store.disks.add(config)
    except DrystoneError:
        put_back(_config_path(engine), former)
        raise
    store.catalog.catch_up(disk)
    store.catalog.append(("disk_add", {"disk": disk.disk_id, "name": name}))
    return disk


def _taken(store: Store) -> set[str]:
    # Commands take names and ids alike.
    return {name for disk in store.disks.disks.values() for name in (disk.name, disk.disk_id)}


def _gone_and_forgotten(store: Store, place: Place) -> Disk:
    """Return a disk that was declared gone, and that drystone.toml did not list at the start."""
    document, taken = place.identity or {}, _taken(store)
    name = document["name"] if document["name"] not in taken else new_disk_name(taken)
    config = DiskConfig(disk_id=place.disk_id, name=name, path=place.path)
    disk = Disk(config, place.path, state="gone", reason="declared gone", since=time.time())
    disk.retired = bool(document.get("retired")) or disk.disk_id in store.shards.state.retired
    store.disks.disks = {**store.disks.disks, disk.disk_id: disk}
    return disk


def _config_path(engine: EngineCore) -> str:
    return os.path.join(engine.config.root, CONFIG_NAME)


def _identify(engine: EngineCore, path: str, name: str) -> dict[str, Any]:
    store = engine.store
    try:
        return store.disks.ask(path, "identify", path, store.config.store.store_id, name)
    except DiskError as error:
        if error.errno is None:
            raise
        raise DiskRefusedError(why_not_writable(path, error)) from error


def _check_new(engine: EngineCore, place: Place) -> None:
    """Refuse what is no empty folder, or a part of something, or where nothing is mounted."""
    config, disks = engine.config, engine.store.disks
    # A missing one may be dead, and its place be another's by now.
    others = [(f"disk {one.name}", one.path) for one in disks.disks.values() if one.readable]
    others += [("the SSD", config.ssd), ("the mount", config.mount)]
    refusal = why_no_new_disk(place) or disks.ask(
        place.path, "overlap", place.path, config.root, others
    )
    if refusal:
        raise UsageError(refusal)
    # A folder of the system's own filesystem beside disks that are not: is it mounted?
    system = examine("/").filesystem
    filesystems = {disk.filesystem for disk in disks.disks.values() if disk.readable}
    if place.filesystem == system and filesystems and system not in filesystems:
        raise UsageError(
            f"{place.path} lies on the system's own filesystem, the other disks do not: is it "
            "mounted? (To use a part of the system's disk on purpose, mount a partition or image.)"
        )


def _take_back(engine: EngineCore, disk: Disk, place: Place) -> Disk:
    """Use a disk again that was declared gone: it came back after all."""
    store = engine.store
    if disk.retired:
        raise UsageError(
            f"{place.path} already is a disk of this store: {disk.name}, which was retired for "
            "good; make a new filesystem there to use it again"
        )
    _write_place(engine, disk, place)
    # Barrier: it is a disk like the others from here on, one that is away when the engine ends now.
    store.catalog.append(("disk_return", {"disk": disk.disk_id, "name": disk.name}))
    store.disks.take_back(disk, place.path)
    return disk


def _note_place(engine: EngineCore, disk: Disk, place: Place) -> Disk:
    """Write down where a disk is, which the store has, or looks for."""
    disks, path = engine.store.disks, place.path
    if not disk.readable:
        _write_place(engine, disk, place)
        disks.look_now(disk)
    elif disks.look_at(disk.path).inode != place.inode:
        raise UsageError(
            f"{path} is a copy of {disk.name}, which is in use at {disk.path}: take one of the two "
            "out, for only one of them can be that disk"
        )
    elif read_paths(_config_path(engine)).get(disk.disk_id) == path:
        raise UsageError(f"{path} already is a disk of this store: {disk.name}, {disk.shown_state}")
    else:
        _write_place(engine, disk, place)
    return disk


def _write_place(engine: EngineCore, disk: Disk, place: Place) -> None:
    if place.refusal:
        raise DiskRefusedError(place.refusal, disk.name)
    config = disk.config.model_copy(update={"path": place.path})
    write_disk(_config_path(engine), config)
    disk.config = config
