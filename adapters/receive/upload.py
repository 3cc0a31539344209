"""Uploads: files of a request, written into the inbox as they come, and hashed on the way.

    3a/.receive/REQUEST/000001     a file of a request that is not laid into its window yet

Nobody looks at them before their request is in the journal. What a killed process left of others
is removed when the next one begins.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import mimetypes
import os
import shutil
import threading

from adapters.receive.receipts import FilePart
from adapters.receive.room import Room
from adapters.records.errors import SpaceError
from adapters.records.folder import extension_of
from adapters.work.batch_work import make_own_folder
from base.errors import UsageError
from base.files import sync_folder

FOLDER = ".receive"
NAME_BYTES_MAX = 255


class Upload:
    """The files of one request; one thread at a time. `discard` it unless it was accepted."""

    def __init__(self, inbox: str, request_id: str, room: Room) -> None:
        self.request_id = request_id
        self.files: list[FilePart] = []
        self._place, self._room = os.path.join(inbox, FOLDER), room
        self._folder = os.path.join(self._place, request_id)
        # Guards the open file: a request may be given up while a thread writes of it. Innermost.
        self._lock = threading.Lock()
        self._is_over = False
        self._file: int | None = None
        self._about = ("", "", "")
        self._size_bytes = 0
        self._hash = hashlib.sha256()

    def begin(self, part: str, file_name: str, content_type: str | None) -> None:
        """Begin a file. UsageError for a name that is none."""
        check_file_name(file_name)
        with self._lock:
            self._begin(part, file_name, content_type)

    def _begin(self, part: str, file_name: str, content_type: str | None) -> None:
        if self._is_over:
            raise UsageError("the request was given up")
        if not self.files and not os.path.isdir(self._folder):
            make_own_folder(self._place)
            os.mkdir(self._folder, 0o700)
        path = os.path.join(self._folder, name_of(len(self.files)))
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._about = (part, file_name, content_type or "")
        self._size_bytes, self._hash = 0, hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        """Write what came of the file. SpaceError when there is no room for more."""
        self._room.take(len(data))
        self._hash.update(data)
        self._size_bytes += len(data)
        with self._lock:
            write_whole(self._opened(), data)

    def end(self) -> None:
        """End the file; its bytes are durable, its name is not yet."""
        with self._lock:
            os.fdatasync(self._opened())
            os.close(self._opened())
            self._file = None
        self._note()

    def _note(self) -> None:
        part, file_name, content_type = self._about
        self.files.append(
            FilePart(
                part=part,
                file_name=file_name,
                content_type=content_type or None,
                size_bytes=self._size_bytes,
                key=self._hash.hexdigest(),
                extension=_extension(file_name, content_type),
            )
        )

    def adopt(self, path: str, file_name: str, content_type: str | None) -> None:
        """Take a file that lies in the inbox already as the next one; it stays where it is, too."""
        with self._lock:
            number = len(self.files)
            self._begin("files[]", file_name, content_type)
            os.close(self._opened())
            self._file = None
            own = os.path.join(self._folder, name_of(number))
            os.unlink(own)
            os.link(path, own)
            with open(own, "rb") as file:
                self._hash = hashlib.file_digest(file, "sha256")
                os.fdatasync(file.fileno())
                self._size_bytes = file.tell()
        self._note()

    def finish(self) -> None:
        """Make the files durable; a crash after it leaves them to the next start."""
        if self.files:
            sync_folder(self._folder)
            sync_folder(self._place)
            sync_folder(os.path.dirname(self._place))  # The first files make that folder.

    def discard(self) -> None:
        """Remove what came; nothing is left of it."""
        with self._lock:
            self._is_over = True
            if self._file is not None:
                with contextlib.suppress(OSError):
                    os.close(self._file)
                self._file = None
            shutil.rmtree(self._folder, ignore_errors=True)

    def _opened(self) -> int:
        if self._file is None:
            raise UsageError("the request was given up")
        return self._file


def write_whole(file: int, data: bytes | memoryview) -> None:
    """Write all of it. SpaceError where the SSD has no room."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SpaceError("the SSD is full; nothing was taken: send it later") from error
        raise


def check_file_name(name: str) -> None:
    """Raise UsageError for what is no name of a file: a path, control characters, too long."""
    if name in ("", ".", "..") or "/" in name or "\\" in name or not name.isprintable():
        raise UsageError(
            f"{name[:80]!a} is no name of a file: send the name alone, without folders and "
            "without control characters"
        )
    if len(name.encode()) > NAME_BYTES_MAX:
        raise UsageError(f"a name of a file has at most {NAME_BYTES_MAX} bytes: {name[:40]!a}...")


def name_of(number: int) -> str:
    """Return the name of a file in the folder of its request."""
    return f"{number + 1:06d}"


def folder_of(inbox: str, request_id: str) -> str:
    """Return where the files of a request lie."""
    return os.path.join(inbox, FOLDER, request_id)


def sweep(inbox: str, wanted: set[str]) -> None:
    """Remove the files of requests that nobody was told of, or that lie in their windows."""
    place = os.path.join(inbox, FOLDER)
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(place):
            if name not in wanted:
                shutil.rmtree(os.path.join(place, name), ignore_errors=True)


def _extension(name: str, content_type: str) -> str:
    """Return what a file is called after: its name, or where that says nothing its type."""
    found = extension_of(name)
    if not found and content_type:
        found = (mimetypes.guess_extension(content_type.partition(";")[0].strip()) or "")[1:]
    return found
