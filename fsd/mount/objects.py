"""`objects/ab/cd/<sha256>` in the mount: it owns these names and the numbers of object files."""

from collections.abc import Iterator

from fsd.format.record import KEY_BYTES
from fsd.mount.index import MountIndex
from fsd.mount.inodes import (
    IMMUTABLE_TIMEOUT_S,
    OBJECT_FILE_FIRST,
    OBJECT_TIMEOUT_S,
    OBJECTS,
    PAIR_FIRST,
    PREFIX_FIRST,
    Attributes,
    DynamicInodes,
    folder_attributes,
    missing,
)

_HEX_DIGITS = frozenset(b"0123456789abcdef")
_LENGTH_BYTES = 8


class ObjectFolders:
    """The section of all objects by their hash; prefix folders exist while they hold something."""

    def __init__(self, index: MountIndex, mounted_ns: int) -> None:
        self.files = DynamicInodes(OBJECT_FILE_FIRST)
        self._index = index
        self._mounted_ns = mounted_ns

    def lookup(self, parent: int, name: bytes) -> Attributes:
        """Return the attributes of a child of `objects/`, `objects/ab/` or `objects/ab/cd/`."""
        prefix = _prefix(parent)
        digits = _unhex(name, KEY_BYTES if len(prefix) == 2 else 1)
        if len(prefix) == 2:
            if not digits.startswith(prefix):
                raise missing()
            return self._file(digits)
        if not self._index.has_prefix(prefix + digits):
            raise missing()
        return self._folder(prefix + digits)

    def attributes(self, inode: int) -> Attributes:
        """Return the attributes of a prefix folder or an object file."""
        if inode >= OBJECT_FILE_FIRST:
            key, _ = self.shown(inode)
            return self._attributes(inode, self._length_bytes(key))
        return self._folder(_prefix(inode))

    def shown(self, inode: int) -> tuple[bytes, int]:
        """Return (key, length in bytes) of an object file as the lookup that numbered it told."""
        identity = self.files.identity(inode)
        return identity[:KEY_BYTES], int.from_bytes(identity[KEY_BYTES:], "big")

    def names(self, inode: int) -> Iterator[bytes]:
        """Yield the names in a prefix folder, sorted."""
        prefix = _prefix(inode)
        if len(prefix) == 2:
            for key, _ in self._index.keys(prefix):
                yield key.hex().encode()
            return
        for digits in range(256):
            if self._index.has_prefix(prefix + bytes([digits])):
                yield b"%02x" % digits

    def _folder(self, prefix: bytes) -> Attributes:
        first = {0: OBJECTS, 1: PREFIX_FIRST, 2: PAIR_FIRST}[len(prefix)]
        inode = first + int.from_bytes(prefix, "big")
        return folder_attributes(inode, self._mounted_ns, OBJECT_TIMEOUT_S)

    def _file(self, key: bytes) -> Attributes:
        length_bytes = self._length_bytes(key)
        number = self.files.number(key + length_bytes.to_bytes(_LENGTH_BYTES, "big"))
        return self._attributes(number, length_bytes)

    def _length_bytes(self, key: bytes) -> int:
        location = self._index.locate(key)
        if location is None:
            raise missing()
        return location.length_bytes

    def _attributes(self, inode: int, length_bytes: int) -> Attributes:
        # The index has no time for an object. A purged one disappears with the entry's timeout.
        return Attributes(
            inode,
            False,
            length_bytes,
            self._mounted_ns,
            OBJECT_TIMEOUT_S,
            IMMUTABLE_TIMEOUT_S,
        )


def _prefix(inode: int) -> bytes:
    if inode == OBJECTS:
        return b""
    if PREFIX_FIRST <= inode < PREFIX_FIRST + 256:
        return bytes([inode - PREFIX_FIRST])
    if PAIR_FIRST <= inode < PAIR_FIRST + 65_536:
        return (inode - PAIR_FIRST).to_bytes(2, "big")
    raise missing()


def _unhex(name: bytes, size_bytes: int) -> bytes:
    # Lower case only: one object must not have two names.
    if len(name) != 2 * size_bytes or not _HEX_DIGITS.issuperset(name):
        raise missing()
    return bytes.fromhex(name.decode())
