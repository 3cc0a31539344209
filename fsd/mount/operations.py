"""The kernel's requests: it owns the open files and folders of the mount, and what stat shows.

It never makes a system call on a disk: names come from `tree`, bytes from `files`.
"""

import errno
import functools
import logging
import mimetypes
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

import pyfuse3

from base.logging.ids import about
from fsd.mount.files import BytesFile, OpenFile, Source, StatusFile, open_object
from fsd.mount.heal import Healer
from fsd.mount.index import MountIndex
from fsd.mount.inodes import Attributes
from fsd.mount.reading.fetch import Fetcher
from fsd.mount.tree import Content, Listing, Namespace

XATTR_PREFIX = b"user.drystone."
XATTR_NAMES = ("sha256", "copies", "disks", "class", "media_type")

_FOLDER_MODE = cast(pyfuse3.ModeT, stat.S_IFDIR | 0o555)
_FILE_MODE = cast(pyfuse3.ModeT, stat.S_IFREG | 0o444)

_log = logging.getLogger(__name__)
_Handler = TypeVar("_Handler", bound=Callable[..., Awaitable[Any]])


def guarded(handler: _Handler) -> _Handler:
    """Turn an unexpected exception into EIO, a count and a log line.

    An exception that escapes a handler ends pyfuse3's main loop, and with it the mount.
    """

    @functools.wraps(handler)
    async def wrapper(self: "Mount", *arguments: Any) -> Any:
        try:
            return await handler(self, *arguments)
        except pyfuse3.FUSEError:
            raise
        except Exception:
            self.fetcher.counters["handler_errors"] += 1
            _log.exception("%s failed", handler.__name__, extra=about("mount.request_failed"))
            raise pyfuse3.FUSEError(errno.EIO) from None

    return cast(_Handler, wrapper)


class Mount(pyfuse3.Operations):
    """The requests of the kernel.

    `flush`, `access` and all that write are left to pyfuse3: it answers ENOSYS once, and the kernel
    does not ask again (a flush per close would cost a tenth of the small reads).
    """

    supports_dot_lookup = False

    def __init__(
        self, index: MountIndex, namespace: Namespace, fetcher: Fetcher, healer: Healer
    ) -> None:
        super().__init__()
        self.index = index
        self.namespace = namespace
        self.fetcher = fetcher
        self.source = Source(fetcher, index, healer)
        self._files: dict[int, OpenFile] = {}
        self._listings: dict[int, Listing] = {}
        self._handle = 0
        self._owner = (os.getuid(), os.getgid())
        self._entry = self._new_entry()

    def _new_entry(self) -> pyfuse3.EntryAttributes:
        entry = pyfuse3.EntryAttributes()
        entry.generation = 0
        entry.st_uid, entry.st_gid = self._owner
        entry.st_nlink = 1  # For a folder this means "not counted"; 2 would promise no sub-folders.
        entry.st_blksize = 1 << 17
        return entry

    def _fill(self, entry: pyfuse3.EntryAttributes, attributes: Attributes) -> None:
        inode, folder, size_bytes, mtime_ns, entry_timeout_s, attribute_timeout_s = attributes
        entry.st_ino = inode
        entry.st_mode = _FOLDER_MODE if folder else _FILE_MODE
        entry.st_size = size_bytes
        entry.st_blocks = (size_bytes + 511) >> 9
        entry.st_mtime_ns = entry.st_ctime_ns = entry.st_atime_ns = mtime_ns
        entry.entry_timeout = entry_timeout_s
        entry.attr_timeout = attribute_timeout_s

    def _filled(self, attributes: Attributes) -> pyfuse3.EntryAttributes:
        # One object for all answers: pyfuse3 copies it into the reply before the next await.
        self._fill(self._entry, attributes)
        return self._entry

    def _new_handle(self) -> pyfuse3.FileHandleT:
        self._handle += 1
        return self._handle

    @guarded
    async def lookup(
        self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """Find a name in a folder."""
        await self.namespace.open_folder(parent_inode, name)
        attributes = self.namespace.lookup(parent_inode, name)
        self.namespace.remember(attributes.inode)
        return self._filled(attributes)

    @guarded
    async def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """Drop references of the kernel."""
        for inode, count in inode_list:
            self.namespace.forget(inode, count)

    @guarded
    async def getattr(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        """Return the attributes of an inode."""
        await self.namespace.open_tree(inode)
        return self._filled(self.namespace.attributes(inode))

    @guarded
    async def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileHandleT:
        """Open a folder; what it lists is fixed from now on, except inside a view (immutable)."""
        await self.namespace.open_folder(inode)
        handle = self._new_handle()
        self._listings[handle] = self.namespace.listing(inode)
        return handle

    @guarded
    async def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        """List a folder from an offset until the kernel's buffer is full."""
        entry, reply = self._entry, pyfuse3.readdir_reply
        for name, attributes, offset in self._listings[fh].entries(start_id):
            self._fill(entry, attributes)
            if not reply(token, name, entry, offset):
                self.namespace.forget(attributes.inode, 0)
                return
            self.namespace.remember(attributes.inode)

    @guarded
    async def releasedir(self, fh: int) -> None:
        """Close a folder."""
        del self._listings[fh]

    @guarded
    async def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        """Open a file; a small object is being read from its disk when this returns."""
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise pyfuse3.FUSEError(errno.EROFS)
        await self.namespace.open_tree(inode)
        self.index.refresh()
        content = self.namespace.content(inode)
        if content.key and not self.source.knows(content.key, content.length_bytes):
            # A shard that there is not, or another length than the listing's: a wrong place.
            await self.source.healer.heal(content.key)
            self.index.refresh(force=True)
            content = self.namespace.content(inode)
        file = self._open(content)
        handle = self._new_handle()
        self._files[handle] = file
        # A status file has no size that could be relied on from stat to read, nor has an object
        # whose place, and so perhaps length, was a wrong one, whoever put it right: no page cache.
        asked = self.source.healer.has_asked(content.key)
        direct = bool(content.status_path) or content.resized or asked
        return pyfuse3.FileInfo(fh=handle, direct_io=direct, keep_cache=not direct)

    def _open(self, content: Content) -> OpenFile:
        if content.status_path:
            try:
                return StatusFile(content.status_path)
            except FileNotFoundError:
                raise pyfuse3.FUSEError(errno.ENOENT) from None
        if content.data is not None:
            return BytesFile(content.data)
        return open_object(self.source, content.key, content.length_bytes)

    @guarded
    async def read(self, fh: int, off: int, size: int) -> bytes:
        """Read from an open file; the result may be a view of memory that the next await reuses."""
        # pyfuse3 takes any buffer and replies before it awaits again; its types only know bytes.
        return cast(bytes, await self._files[fh].read(off, size))

    @guarded
    async def release(self, fh: int) -> None:
        """Close a file."""
        self._files.pop(fh).close()

    @guarded
    async def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        """Count the objects. Space belongs to the disks, see status/capacity.json."""
        data = pyfuse3.StatvfsData()
        data.f_bsize = data.f_frsize = 4096
        data.f_files = self.index.object_count()
        data.f_namemax = 255
        return data

    @guarded
    async def getxattr(self, inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> bytes:
        """Return what the store knows of a file; the root has the mount's own counters."""
        if not name.startswith(XATTR_PREFIX):
            raise pyfuse3.FUSEError(errno.ENODATA)
        await self.namespace.open_tree(inode)
        value = self._xattrs(inode).get(name[len(XATTR_PREFIX) :].decode("ascii", "replace"))
        if value is None:
            raise pyfuse3.FUSEError(errno.ENODATA)
        return value.encode()

    @guarded
    async def listxattr(
        self, inode: int, ctx: pyfuse3.RequestContext
    ) -> Sequence[pyfuse3.XAttrNameT]:
        """Return the names of a file's extended attributes."""
        await self.namespace.open_tree(inode)
        names = [XATTR_PREFIX + name.encode() for name in self._xattrs(inode)]
        return cast("Sequence[pyfuse3.XAttrNameT]", names)

    def _xattrs(self, inode: int) -> dict[str, str]:
        if inode == pyfuse3.ROOT_INODE:
            return self._counters()
        if self.namespace.attributes(inode).folder:
            return {}
        self.index.refresh()
        content = self.namespace.content(inode)
        if not content.key:
            return {"media_type": _media_type(content.name)} if content.name else {}
        shard = self.index.shard_of(content.key)
        if shard is None:
            raise pyfuse3.FUSEError(errno.EIO)
        disks = self.index.disks()
        names = [disks[disk_id].name if disk_id in disks else disk_id for disk_id in shard.disks]
        values = (
            content.key.hex(),
            str(len(shard.disks)),
            ",".join(names),
            shard.class_name,
            _media_type(content.name),
        )
        return dict(zip(XATTR_NAMES, values, strict=True))

    def _counters(self) -> dict[str, str]:
        counters = {name: str(count) for name, count in sorted(self.fetcher.counters.items())}
        processes = {
            f"reader_{disk_id}": str(child.process_id)
            for disk_id, child in self.fetcher.children.items()
        }
        return {"generation": str(self.index.generation)} | counters | processes


def _media_type(name: bytes) -> str:
    guess, _ = mimetypes.guess_type(os.fsdecode(name))
    return guess or "application/octet-stream"
