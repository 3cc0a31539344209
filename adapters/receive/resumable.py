"""Uploads that are resumed: a file of any size, in the inbox as far as it came, until it is whole.

    3a/.uploads/ID/about.json    whose it is, how long, and what is said of it; durable when told
    3a/.uploads/ID/data          what came; its size is where to go on, whatever was killed
    3a/.uploads/ID/unchecked     from where on `data` was not compared with its checksum yet

A whole one is accepted as a request with one file, known by its id: killed anywhere it is accepted
once, and what is here is removed after that. What nobody sent anything of for a week is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Protocol

from adapters.receive.parts import check_said, check_source
from adapters.receive.receipts import Receipt, Said
from adapters.receive.receiver import KEPT_S, Receiver
from adapters.receive.upload import check_file_name, write_whole
from adapters.work.batch_work import make_own_folder
from base.errors import DrystoneError, UsageError
from base.files import remove_folder, sync_folder, write_durably
from base.logging.ids import about as about_log
from base.model import Document
from sql import BusyError, NotFoundError

FOLDER = ".uploads"
COPY_BYTES = 4 << 20
SWEEP_EVERY_S = 3_600.0
_ID = re.compile(r"[0-9a-f]{32}")
_log = logging.getLogger(__name__)


class About(Document):
    """What is known of an upload from its beginning; a partial one is a piece of another."""

    account: str
    length_bytes: int
    is_partial: bool = False
    file_name: str = "file"
    content_type: str | None = None
    source: str = "received"
    owner: str = ""
    said: Said = Said()


class Checksum(Protocol):
    """What a checksum is computed by."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        ...

    def digest(self) -> bytes:
        """Return it."""
        ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


CHECKSUMS: dict[str, Callable[[], Checksum]] = {
    "sha256": hashlib.sha256,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "crc32": _Crc32,
}


class ChecksumError(UsageError):
    """A piece is not what its checksum says; nothing of it was kept."""


class Resumables:
    """The uploads of a receiver; any thread may ask, and one at a time writes to an upload."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver, self._place = receiver, os.path.join(receiver.inbox, FOLDER)
        # Guards which uploads are written to; innermost.
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._swept_s = 0.0
        for name in self._names():
            if not (_ID.fullmatch(name) and os.path.exists(self._path(name, "about.json"))):
                # What a killed beginning or removal left; nobody else is here yet.
                shutil.rmtree(self._path(name), ignore_errors=True)

    def create(self, about: About) -> str:
        """Begin an upload; durable on return. SpaceError where it would not fit."""
        self._check(about)
        self._receiver.room.check(about.length_bytes)
        return self._make(about, ())

    def join(self, about: About, pieces: Sequence[str]) -> tuple[str, Receipt]:
        """Make one of several partial ones that are whole, in this order, and accept it."""
        if len(set(pieces)) != len(pieces):
            raise UsageError("a piece is named twice; name each once")
        self._check(about)
        with contextlib.ExitStack() as claims:
            for piece in sorted(pieces):
                claims.enter_context(self._writing(piece))
            return self._join(about, pieces)

    def _join(self, about: About, pieces: Sequence[str]) -> tuple[str, Receipt]:
        known = [self.about(piece, about.account) for piece in pieces]
        for piece, one in zip(pieces, known, strict=True):
            if not one.is_partial or self._settled(piece) != one.length_bytes:
                raise UsageError(f"{piece} is no partial upload that is whole; send the rest of it")
        length = sum(one.length_bytes for one in known)
        self._receiver.room.check(length)
        whole = about.model_copy(update={"length_bytes": length})
        upload_id = self._make(whole, [self._path(piece, "data") for piece in pieces])
        receipt = self.finish(upload_id, about.account)
        assert receipt is not None
        # A crash before this line leaves pieces that are removed when their week is over.
        for piece in pieces:
            remove_folder(self._path(piece))
        return upload_id, receipt

    @staticmethod
    def _check(about: About) -> None:
        """Raise UsageError for what would be refused when all of it is there."""
        check_file_name(about.file_name)
        check_source(about.source)
        check_said(about.said, [about.content_type])

    def about(self, upload_id: str, account: str) -> About:
        """Return what is known of an upload. NotFoundError, also for another's."""
        try:
            if not _ID.fullmatch(upload_id):
                raise FileNotFoundError(upload_id)
            with open(self._path(upload_id, "about.json"), "rb") as file:
                about = About.model_validate_json(file.read())
        except FileNotFoundError:
            about = None
        if about is None or about.account != account:
            raise NotFoundError("you have no such upload, or it was given up")
        return about

    def offset(self, upload_id: str, account: str) -> int:
        """Return how much of an upload is durable."""
        self.about(upload_id, account)
        with self._writing(upload_id):
            return self._settled(upload_id)

    def accepted(self, upload_id: str, account: str) -> Receipt | None:
        """Return the request that an upload became."""
        return self._receiver.of_key(account, _key_of(upload_id))

    def append(
        self, upload_id: str, account: str, offset: int, algorithm: str = "", digest: bytes = b""
    ) -> Piece:
        """Begin a piece at the end of an upload. UsageError where that is elsewhere."""
        about = self.about(upload_id, account)
        if algorithm and algorithm not in CHECKSUMS:
            raise UsageError(f"no checksum is called {algorithm[:40]!a}: {', '.join(CHECKSUMS)}")
        self._claim(upload_id)
        try:
            known = self._settled(upload_id)
            if known != offset:
                raise OffsetError(f"the upload is at byte {known:,}, not at {offset:,}")
            return Piece(self, upload_id, about, offset, algorithm, digest)
        except BaseException:
            self.release(upload_id)
            raise

    def finish(self, upload_id: str, account: str) -> Receipt | None:
        """Accept an upload as a request when it is whole; durable on return. None before that."""
        about = self.about(upload_id, account)
        with self._writing(upload_id):
            if about.is_partial or self._settled(upload_id) != about.length_bytes:
                return None
            return self._accept(upload_id, about)

    def remove(self, upload_id: str, account: str) -> None:
        """Give an upload up; nothing is left of it."""
        self.about(upload_id, account)
        with self._writing(upload_id):
            remove_folder(self._path(upload_id))

    def sweep(self) -> None:
        """Accept what is whole and was not accepted, and remove what nobody goes on with."""
        now_s = time.monotonic()
        if self._swept_s and now_s - self._swept_s < SWEEP_EVERY_S:
            return
        self._swept_s = now_s
        for name in self._names():
            try:
                self._sweep(name)
            except (NotFoundError, BusyError, FileNotFoundError):
                continue
            except (DrystoneError, OSError, ValueError) as error:
                # One that cannot be taken keeps no other waiting, and goes when its week is over.
                _log.warning(
                    "the upload %s waits: %s", name, error, extra=about_log("upload.waits")
                )

    # ---- What pieces and sweeps are made of ------------------------------------------------------

    def release(self, upload_id: str) -> None:
        """Let others write to an upload."""
        with self._lock:
            self._busy.discard(upload_id)

    def write_room(self, size_bytes: int) -> None:
        """Count what is about to be written. SpaceError."""
        self._receiver.room.take(size_bytes)

    def path(self, upload_id: str, name: str = "") -> str:
        """Return where an upload lies."""
        return self._path(upload_id, name)

    def _path(self, upload_id: str, name: str = "") -> str:
        return os.path.join(self._place, *(part for part in (upload_id, name) if part))

    def _claim(self, upload_id: str) -> None:
        with self._lock:
            if upload_id in self._busy:
                raise BusyError("another request writes to this upload; wait for it")
            self._busy.add(upload_id)

    @contextlib.contextmanager
    def _writing(self, upload_id: str) -> Generator[None]:
        self._claim(upload_id)
        try:
            yield
        finally:
            self.release(upload_id)

    def _make(self, about: About, paths: Iterable[str]) -> str:
        upload_id = uuid.uuid4().hex
        make_own_folder(self._place)
        # Their name in the inbox is as durable as what lies in it.
        sync_folder(self._receiver.inbox)
        os.mkdir(self._path(upload_id), 0o700)
        try:
            with open(self._path(upload_id, "data"), "xb") as data:
                for path in paths:
                    with open(path, "rb") as piece:
                        while chunk := piece.read(COPY_BYTES):
                            self.write_room(len(chunk))
                            data.write(chunk)
                data.flush()
                os.fdatasync(data.fileno())
            # Barrier: one without it is no upload, and the next start removes it.
            write_durably(self._path(upload_id, "about.json"), about.model_dump_json().encode())
        except BaseException:
            shutil.rmtree(self._path(upload_id), ignore_errors=True)
            raise
        sync_folder(self._place)
        return upload_id

    def _settled(self, upload_id: str) -> int:
        """Return the size of what came, durable, less what was not compared before a kill."""
        unchecked = self._path(upload_id, "unchecked")
        file = os.open(self._path(upload_id, "data"), os.O_RDWR | os.O_CLOEXEC)
        try:
            with contextlib.suppress(FileNotFoundError):
                with open(unchecked, "rb") as told:
                    os.ftruncate(file, int(told.read() or b"0"))
                os.fdatasync(file)
                os.unlink(unchecked)
                # Were it there again after a power cut, it would cut off what came meanwhile.
                sync_folder(self._path(upload_id))
            # It may be a killed process's, in the cache only: what is told now has to stay.
            os.fdatasync(file)
            return os.fstat(file).st_size
        finally:
            os.close(file)

    def _accept(self, upload_id: str, about: About) -> Receipt:
        upload = self._receiver.upload()
        try:
            upload.adopt(self._path(upload_id, "data"), about.file_name, about.content_type)
        except BaseException:
            upload.discard()
            raise
        receipt, _ = self._receiver.accept(
            about.account,
            about.source,
            b"",
            key=_key_of(upload_id),
            owner=about.owner,
            said=about.said,
            upload=upload,
        )
        # Barrier: from here on it is a request; a crash leaves what the next start accepts again,
        # to the same request.
        remove_folder(self._path(upload_id))
        return receipt

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._place)
        except FileNotFoundError:
            return []

    def _sweep(self, name: str) -> None:
        with open(self._path(name, "about.json"), "rb") as file:
            about = About.model_validate_json(file.read())
        age_s = time.time() - os.stat(self._path(name, "data")).st_mtime
        if age_s > KEPT_S:
            self.remove(name, about.account)
        elif not about.is_partial:
            self.finish(name, about.account)


class OffsetError(UsageError):
    """A piece begins elsewhere than where the upload is."""


class Piece:
    """What comes of an upload in one request; one thread at a time. `close` it in any case."""

    def __init__(
        self, owner: Resumables, upload_id: str, about: About, offset: int, algorithm: str,
        digest: bytes,
    ) -> None:  # fmt: skip
        self.offset, self._begin = offset, offset
        self._owner, self._upload_id, self._about = owner, upload_id, about
        self._checksum = CHECKSUMS[algorithm]() if algorithm else None
        self._digest = digest
        self._is_checked = not algorithm
        if self._checksum is not None:
            # Barrier: a crash from here on leaves a size that the next look cuts off there.
            write_durably(owner.path(upload_id, "unchecked"), b"%d" % offset)
        path = owner.path(upload_id, "data")
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def write(self, data: bytes) -> None:
        """Write what came. UsageError beyond the upload's length, SpaceError."""
        if self.offset + len(data) > self._about.length_bytes:
            raise UsageError(f"the upload has {self._about.length_bytes:,} bytes, and more came")
        self._owner.write_room(len(data))
        if self._checksum is not None:
            self._checksum.update(data)
        write_whole(self._file, data)
        self.offset += len(data)

    def check(self) -> None:
        """Say that the piece is over. ChecksumError when it is not what was announced."""
        if self._checksum is not None and self._checksum.digest() != self._digest:
            raise ChecksumError("the piece is not what its checksum says; send it again")
        self._is_checked = True

    def close(self) -> None:
        """Keep what came, durably; of a piece with a checksum, if that was right."""
        try:
            if not self._is_checked:
                os.ftruncate(self._file, self._begin)
                self.offset = self._begin
            os.fdatasync(self._file)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._owner.path(self._upload_id, "unchecked"))
                sync_folder(self._owner.path(self._upload_id))  # As in `_settled`.
        finally:
            os.close(self._file)
            self._owner.release(self._upload_id)


def _key_of(upload_id: str) -> str:
    # No Idempotency-Key of a client: a header holds no line's end.
    return f"upload\n{upload_id}"
