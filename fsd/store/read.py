"""Reading single objects: it owns following an object where it lies, and the file it is read to.

Objects come in verified pieces (see `blocks`), each from whichever replica answers first (see
`hedge`), in the order of the payload, one piece ahead of whoever takes them. The last word has the
sha256 of all of them together: nothing is handed out, and no file gets its name, before it. Whoever
takes single pieces keeps that word itself.
"""

import contextlib
import hashlib
import os
import secrets
import time
from collections import deque
from collections.abc import Iterable, Iterator

from fsd.disk_io.extract.extract import FILE_MODE, guarded
from fsd.disk_io.reading.blocks import piece_count
from fsd.documents.models import ObjectHead
from fsd.format.errors import FsdError, NoReplicaError, NotFoundError
from fsd.store.hedge import PieceRead
from fsd.store.index import Location
from fsd.store.purge_place import live_shard
from fsd.store.purged_keys import is_purged
from fsd.store.store import Store

PIECES_AHEAD = 1
READ_ROUNDS_MAX = 2
READ_AGAIN_S = 2.5


def locate(store: Store, key: bytes) -> Location:
    """Return where an object lies; NotFoundError when the store has no such object.

    ReindexingError when only the index may lack it, or where it has moved to.
    """
    may_lack = store.is_unfinished
    location = store.index.locate(key)
    if may_lack and (location is None or live_shard(store, location) is None):
        store.refuse_unfinished()
        location = store.index.locate(key)
    if location is None:
        with store.index.read() as reader:
            purged = is_purged(store, reader, key)
        what = f"the object {key.hex()} was purged" if purged else f"there is no object {key.hex()}"
        raise NotFoundError(f"{what} in this store")
    return location


def head(store: Store, key: bytes) -> ObjectHead:
    """Return what is known of an object without reading it."""
    location = locate(store, key)
    shard = store.shard_of(location)
    disks = store.replicas(shard.shard_id)
    return ObjectHead(
        key=key.hex(),
        size_bytes=location.length_bytes,
        class_name="raw" if shard.class_name == "raw" else "generated",
        shard_id=shard.shard_id,
        offset=location.offset,
        copies=len(disks),
        copies_target=store.config.copies(shard.class_name),
        disks=tuple(disk.name for disk in disks),
    )


def known(store: Store, keys: Iterable[str]) -> list[str]:
    """Return those of the keys (hexadecimal) whose objects are in the store, damaged or not.

    ReindexingError while the index may lack some.
    """
    store.refuse_unfinished()
    found: list[str] = []
    with store.index.read() as reader:
        for key in keys:
            place = reader.locate(bytes.fromhex(key))
            if place is not None and live_shard(store, place) is not None:
                found.append(key)
    return found


def read_small(store: Store, key: bytes) -> bytes:
    """Return an object that fits a transfer buffer, verified; any replica may give it."""
    location = locate(store, key)
    return _joined(store, key, location, _follow(store, key))


def read_record(store: Store, location: Location, key: bytes) -> bytes:
    """Return the payload of the record at `location`, and of no other; see `read_small`."""
    return _joined(store, key, location, _pieces(store, location, key))


def read_piece(store: Store, location: Location, key: bytes, piece: int) -> bytes:
    """Return one piece (1 MiB, by number) of the record at `location`; NoReplicaError else."""
    return _answer(store, location, key, PieceRead(store, location, key, piece))


def read_piece_of(store: Store, key: bytes, piece: int) -> bytes:
    """Return one piece (1 MiB, by number) of an object, from wherever it lies now.

    NotFoundError when it has no such piece.
    """
    if not 0 <= piece < piece_count(locate(store, key).length_bytes):
        raise NotFoundError(f"the object {key.hex()} has no piece {piece}")
    return next(_follow(store, key, range(piece, piece + 1)))


def read_to_file(store: Store, key: bytes, output_path: str) -> None:
    """Write an object, verified, to a new file, which appears whole or not at all.

    FsdError when something is there already, QuotaError when there is no room for it.
    """
    folder = os.path.dirname(os.path.abspath(output_path))
    if os.path.lexists(output_path):
        raise FsdError(f"{output_path} exists; nothing is overwritten")
    if not os.path.isdir(folder):
        raise FsdError(f"the folder {folder} does not exist")
    temporary = os.path.join(folder, f".drystone-{secrets.token_hex(8)}")
    try:
        _write_file(temporary, _proven(key, _follow(store, key)))
        _give_name(temporary, output_path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _joined(store: Store, key: bytes, location: Location, pieces: Iterable[bytes]) -> bytes:
    if location.length_bytes > store.pool.slots[0].size_bytes:
        raise FsdError(f"{key.hex()} is too large for one buffer; read it to a file")
    return b"".join(_proven(key, pieces))


def _proven(key: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pass the pieces on; NoReplicaError at their end when together they are not the object."""
    state = hashlib.sha256()
    for data in pieces:
        state.update(data)
        yield data
    if state.digest() != key:
        raise NoReplicaError(f"{key.hex()} does not match its sha256", [key.hex()])


def _follow(store: Store, key: bytes, wanted: range | None = None) -> Iterator[bytes]:
    """Yield an object's pieces from where it lies, and from wherever else it does on when it fails.

    It may have been moved meanwhile, have another sound record, or a wrong place in the index.
    """
    location = locate(store, key)
    left = range(piece_count(location.length_bytes)) if wanted is None else wanted
    tried = {location}
    while True:
        try:
            for data in _pieces(store, location, key, left):
                yield data
                left = left[1:]
            return
        except NoReplicaError:
            places = [locate(store, key), *store.find_again(key, location)]
            others = [place for place in places if place not in tried]
            if not others:
                raise
            location = others[0]
            tried.add(location)


def _pieces(
    store: Store, location: Location, key: bytes, wanted: range | None = None
) -> Iterator[bytes]:
    disk = None
    ahead: deque[PieceRead] = deque()
    following = iter(range(piece_count(location.length_bytes)) if wanted is None else wanted)
    while True:
        for piece in following:
            # From the disk that was asked for the one before: its head is there.
            ahead.append(PieceRead(store, location, key, piece, disk))
            disk = ahead[-1].first
            if len(ahead) > PIECES_AHEAD:
                break
        if not ahead:
            return
        yield _answer(store, location, key, ahead.popleft())


def _answer(store: Store, location: Location, key: bytes, read: PieceRead) -> bytes:
    for again in reversed(range(READ_ROUNDS_MAX)):
        if (answer := read.answer()) is not None:
            return answer
        if not read.passing or not again:
            break
        # A disk's process was ended, and a new one takes its place.
        time.sleep(READ_AGAIN_S)
        read = PieceRead(store, location, key, read.piece)
    raise NoReplicaError(
        f"no replica of {key.hex()} can be read ({'; '.join(read.reasons) or 'all disks missing'})",
        [key.hex()],
    )


def _write_file(path: str, pieces: Iterable[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = guarded(os.open, path, flags, FILE_MODE)
    try:
        for piece in pieces:
            done = 0
            while done < len(piece):
                done += guarded(os.write, fd, memoryview(piece)[done:])
    finally:
        os.close(fd)


def _give_name(temporary: str, output_path: str) -> None:
    """Let the file appear under its name; whoever made one of that name first keeps it."""
    try:
        os.link(temporary, output_path)
    except FileExistsError:
        raise FsdError(f"{output_path} exists; nothing is overwritten") from None
    except OSError:
        # A filesystem without hard links.
        guarded(os.rename, temporary, output_path)
