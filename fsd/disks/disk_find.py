"""Where a disk of the store is now: it owns which places its process looks at, in what order."""

import os
from collections.abc import Mapping

from base.config import CONFIG_NAME
from fsd.disk_io.disk_place import why_missing
from fsd.disk_io.identity import mount_points
from fsd.disks.config import Config
from fsd.disks.config_disks import read_paths
from fsd.disks.disk import Disk
from fsd.format.errors import DiskRefusedError
from fsd.process.process import Child


def find_path(config: Config, disks: Mapping[str, Disk], disk: Disk, child: Child) -> str:
    """Return where a disk is now, by its child; DiskRefusedError says what is there instead."""
    candidates = _candidates(config, disks, disk)
    found = child.call("find", disk.disk_id, candidates)
    if found is not None:
        return found
    place = child.call("look", candidates[0])
    names = {one.disk_id: one.name for one in disks.values()}
    raise DiskRefusedError(why_missing(place, disk.name, config.store.store_id, names), disk.name)


def _candidates(config: Config, disks: Mapping[str, Disk], disk: Disk) -> list[str]:
    """Where drystone.toml says now that it is, where it was, and then everywhere else."""
    listed = read_paths(os.path.join(config.root, CONFIG_NAME))
    said = listed.get(disk.disk_id, disk.config.path)
    mounted = [path for path in mount_points() if not path.startswith(("/proc", "/sys"))]
    others = [one.config.path for one in disks.values()]  # Two may have been swapped.
    # Whoever looks where another disk hangs hangs too, and would find nothing ever.
    hung = {one.path for one in disks.values() if one is not disk and _hangs(one)}
    everywhere = dict.fromkeys([said, disk.path, disk.config.path, *mounted, *others])
    return [path for path in everywhere if path == said or path not in hung]


def _hangs(disk: Disk) -> bool:
    burying = disk.burying
    return burying is not None and not burying.wait_dead(0)
