"""Where a disk was looked for: it owns what is found at a path, and what a person is told of it.

Only `look` and `overlap` ask the system: in a disk's process, or in a command, never in the engine.
"""

import contextlib
import itertools
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from base.errors import UsageError
from fsd.disk_io.place.identity import check_identity, examine, read_identity
from fsd.format import layout
from fsd.format.errors import DiskError, DiskRefusedError

NAMES_SHOWN_MAX = 3
NAMES_COUNTED_MAX = 1000
EMPTY_NAMES = frozenset({"lost+found", f"{layout.IDENTITY_NAME}.tmp"})
"""What a new filesystem, or a crash before a disk had its identity, leaves in an empty folder."""


@dataclass(frozen=True, slots=True)
class Place:
    """What there is at a path.

    `identity` is there for a disk of any store, and `refusal` why it is not that disk after all (a
    copy, or retired). `names` are some of the files that are in the way of a new disk, of `count`.
    `filesystem` and `inode` tell one folder from another, whatever it is called.
    """

    path: str
    kind: Literal["nothing", "file", "closed", "empty", "foreign", "twin", "damaged", "disk"]
    reason: str = ""
    identity: dict[str, Any] | None = None
    refusal: str = ""
    names: tuple[str, ...] = ()
    count: int = 0
    filesystem: str = ""
    inode: tuple[int, int] = (0, 0)
    is_mount_point: bool = False

    @property
    def disk_id(self) -> str:
        """Return the id of the disk that is there, empty for none."""
        return str((self.identity or {}).get("disk_id", ""))

    def is_of(self, store_id: str) -> bool:
        """Return whether a disk of this store is there."""
        return self.identity is not None and self.identity.get("store_id") == store_id


def whole_path(path: str) -> str:
    """Return a path from the root on as everybody writes it; UsageError for any other."""
    if not os.path.isabs(path) or "\0" in path:
        raise UsageError(f"{path!a} is no whole path: name it from / on, such as /mnt/hdd5")
    return "/" + os.path.normpath(path).lstrip("/")


def look(path: str) -> Place:
    """Return what there is at a path now."""
    try:
        info = os.stat(path)
        if not stat.S_ISDIR(info.st_mode):
            return Place(path, "file")
        inode, mounted = (info.st_dev, info.st_ino), os.path.ismount(path)
        with os.scandir(path) as entries:
            found = [one.name for one in itertools.islice(entries, NAMES_COUNTED_MAX)]
        names = sorted(set(found) - EMPTY_NAMES)
        if os.path.lexists(os.path.join(path, layout.IDENTITY_NAME)):
            return _look_at_disk(path, inode)
        if layout.IDENTITY_TWIN_NAME in names:
            return Place(path, "twin", inode=inode)
        if names:
            shown = tuple(names[:NAMES_SHOWN_MAX])
            return Place(path, "foreign", names=shown, count=len(names), is_mount_point=mounted)
        system = examine(path).filesystem
        return Place(path, "empty", filesystem=system, inode=inode, is_mount_point=mounted)
    except (FileNotFoundError, NotADirectoryError):
        return Place(path, "nothing")
    except OSError as error:
        return Place(path, "closed", reason=error.strerror or str(error))


def _look_at_disk(path: str, inode: tuple[int, int]) -> Place:
    try:
        document = read_identity(path)
    except DiskRefusedError as error:
        return Place(path, "damaged", reason=str(error), inode=inode)
    refusal = ""
    try:
        check_identity(path, document["disk_id"], document["store_id"])
    except DiskRefusedError as error:
        refusal = str(error)
    return Place(path, "disk", identity=document, refusal=refusal, inode=inode)


def find(step: Callable[[], None], disk_id: str, candidates: Sequence[str]) -> str | None:
    """Return the first of the candidate paths that holds this disk now, one `step` for each.

    One that only looks like it where there is no other, so that it is said why that is refused.
    """
    alike: list[str] = []
    for path in candidates:
        step()
        with contextlib.suppress(DiskRefusedError, OSError):
            document = read_identity(path)
            if document.get("disk_id") == disk_id:
                alike.append(path)
                check_identity(path, disk_id, document["store_id"])
                return path
    return alike[0] if alike else None


def why_missing(place: Place, name: str, store_id: str, names: Mapping[str, str]) -> str:
    """Return why the disk `name`, which was looked for at this place, is missing, and what to do.

    `names` are those of the store's disks by their ids.
    """
    found = _found(place)
    if place.is_of(store_id):
        other = names.get(place.disk_id, (place.identity or {}).get("name", ""))
        found = f"{place.path} holds {other}, another disk of this store"
    if place.kind in ("closed", "twin", "damaged"):
        return found
    there = "there" if place.kind in ("nothing", "empty") else "here"
    return f"{found}; mount {name} {there}, or say where it is (drystone disk add PATH)"


def why_no_new_disk(place: Place) -> str | None:
    """Return why the folder cannot become a new disk, and what to do; None when it can."""
    path, found = place.path, _found(place)
    if place.kind == "empty":
        return None
    if place.kind in ("closed", "twin"):
        return found
    if place.kind == "foreign":
        return (
            f"{path} cannot be a disk: it holds {_listed(place)}; a new disk is an empty folder, "
            "so move that away, or name another folder"
        )
    if place.kind in ("nothing", "file"):
        return f"{found}; name the folder where the disk is mounted"
    if place.kind == "damaged":
        return f"{path} already is a disk of a store, but {place.reason}"
    return f"{path} already is a disk of a store: {found}"


def why_not_writable(path: str, error: OSError | DiskError) -> str:
    """Return why a folder that nothing is written to cannot become a disk, and what to do."""
    reason = error.strerror if isinstance(error, OSError) else os.strerror(error.errno or 0)
    return (
        f"{path} cannot be a disk: {reason or error}; mount it writable, for the user of the engine"
    )


def _found(place: Place) -> str:
    path, name = place.path, (place.identity or {}).get("name", "")
    mounted = (
        "an empty filesystem is mounted there"
        if place.is_mount_point
        else "nothing is mounted there"
    )
    return {
        "nothing": f"there is no {path}",
        "file": f"{path} is a file, not a folder",
        "closed": f"{path} cannot be looked into ({place.reason}): let the user of the engine in, "
        "or look at the disk (dmesg)",
        "empty": f"{path} is an empty folder: is it mounted? ({mounted})",
        "foreign": f"{path} holds no disk, but {_listed(place)}: is it mounted?",
        "twin": f"{path} lacks {layout.IDENTITY_NAME}, and has {layout.IDENTITY_TWIN_NAME}: copy "
        f"that to {layout.IDENTITY_NAME}, and it is that disk again",
        "damaged": place.reason,
        "disk": f"{path} holds {name}, a disk of another store",
    }[place.kind]


def _listed(place: Place) -> str:
    shown, more = ", ".join(map(ascii, place.names)), place.count - len(place.names)
    return shown + (f" and {more:,} more" if more else "")


def overlap(path: str, root: str, others: Iterable[tuple[str, str]]) -> str | None:
    """Return why a folder lies in one of the others (what it is, path), or holds one; or None.

    It may lie in `root`, the store's own folder, as the others may.
    """
    real = os.path.realpath(path)
    for what, other in (("the store's own folder", root), *others):
        for place in {other, os.path.realpath(other)}:
            common = os.path.commonpath([real, place])
            if common == real:
                return f"{path} cannot be a disk: {what} ({other}) lies in it"
            if common == place and other != root:
                return f"{path} cannot be a disk: it lies in {what} ({other})"
    return None
