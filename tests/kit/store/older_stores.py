"""Stores as an earlier version left them: it owns packing them, and unpacking them somewhere else.

A packed store is a folder with drystone.toml, disks and SSD, and `promises.json`: what whoever used
it had been told. Content repeats itself, so that it packs to some kilobytes.
"""

from __future__ import annotations

import json
import os
import tarfile
from dataclasses import asdict, dataclass, field

from store_harness import Store

from base.config import CONFIG_NAME
from fsd.disk_io.place.identity import examine, read_identity, write_identity
from fsd.disks.config import load_config

PROMISES_NAME = "promises.json"
AWAY_SUFFIX = "-away"
LEFT_OUT = ("ssd/run", "ssd/index/ballast", "ssd/logs")
"""What each start makes anew."""


@dataclass
class Promises:
    """What holds of a packed store: {batch: {path: key}} of what was acknowledged, and the rest.

    `hidden` lists batches that are shown only when all disks are here. `gone` are disks that were
    declared gone, `away` the folders of disks that were taken away, `lost` keys that are on no disk
    here, `waiting_shards` how many shards a compaction has vacated.
    """

    acknowledged: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    hidden: list[str] = field(default_factory=list[str])
    gone: list[str] = field(default_factory=list[str])
    away: list[str] = field(default_factory=list[str])
    lost: list[str] = field(default_factory=list[str])
    waiting_shards: int = 0


def pack(store: Store, promises: Promises, target: str) -> None:
    """Pack a stopped store with what was promised of it."""
    path = os.path.join(store.root, PROMISES_NAME)
    with open(path, "w", encoding="ascii") as file:
        json.dump(asdict(promises), file, indent=1)
    left_out = {os.path.join(".", name) for name in LEFT_OUT}

    def chosen(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        special = not (member.isreg() or member.isdir())
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return None if special or member.name in left_out else member

    with tarfile.open(target, "w:xz", preset=9) as archive:
        archive.add(store.root, ".", filter=chosen)


def unpack(path: str, folder: str) -> tuple[Store, Promises]:
    """Unpack a store into a new folder, and take its disks for those that were packed."""
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
    with open(os.path.join(folder, PROMISES_NAME), encoding="ascii") as file:
        promises = Promises(**json.load(file))
    config = load_config(os.path.join(folder, CONFIG_NAME))
    disks = [os.path.join(folder, one.path) for one in config.disk]
    for disk in disks:
        for place in (disk, disk + AWAY_SUFFIX):
            if os.path.isdir(place):
                # As `disk rebind` does: the folder is another one now, and that is meant.
                binding = asdict(examine(place).binding)
                write_identity(place, {**read_identity(place), "binding": binding})
    return Store(folder, config, disks), promises
