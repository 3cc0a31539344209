"""A copy that takes the original's place: it owns when that is right, and the order of its writes.

    checks -> drystone.toml says where it is -> its identity file is bound to the new medium

A crash in between leaves a disk that is refused as a copy: it is said again.
"""

import contextlib
import os
from dataclasses import asdict

from base.errors import UsageError
from fsd.disk_io.place.disk_place import Place, look, why_not_writable
from fsd.disk_io.place.identity import examine, mount_points, read_identity, write_identity
from fsd.disks.config import Config
from fsd.disks.config_disks import put_back, write_disk
from fsd.disks.disk_names import find_disk
from fsd.format.errors import DiskRefusedError

NOT_DISKS = ("/proc/", "/sys/")


def rebind_disk(config: Config, config_path: str, name: str, path: str) -> None:
    """Declare that `path` is the disk `name` from now on (a clone that replaces the original).

    Raises UsageError when the identity there is not that disk's, or the original is still there.
    """
    path = os.path.abspath(path)
    known = find_disk(config.disk, name)
    place = look(path)
    if place.identity is None:
        raise UsageError(f"{path} holds no copy of {known.name}: name the folder where it is")
    document = place.identity
    if document.get("retired"):
        raise UsageError(
            f"{path} holds {document['name']}, which was retired for good; to use that disk again, "
            "make a new filesystem on it and add it (drystone disk add)"
        )
    if place.disk_id != known.disk_id or not place.is_of(config.store.store_id):
        raise UsageError(f"{path} holds disk {document['name']}, not {known.name}")
    mounted = [point for point in mount_points() if not point.startswith(NOT_DISKS)]
    for other in (*(one.path for one in config.disk), *mounted):
        if _is_original(other, place):
            raise UsageError(f"the original is still there ({other}); unmount it first")
    moved = known.model_copy(update={"path": path})
    former = write_disk(config_path, moved)
    try:
        write_identity(path, {**document, "binding": asdict(examine(path).binding)})
    except OSError as error:
        put_back(config_path, former)
        raise DiskRefusedError(why_not_writable(path, error)) from error


def _is_original(path: str, copy: Place) -> bool:
    """Return whether the disk is at a path too, and that is another folder than the copy."""
    with contextlib.suppress(DiskRefusedError, OSError):
        if read_identity(path).get("disk_id") == copy.disk_id:
            info = os.stat(path)
            return (info.st_dev, info.st_ino) != copy.inode
    return False
