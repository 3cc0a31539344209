"""Small pictures of what is in the store: it owns their cache on the SSD, and who makes them.

The bytes come from the store by key, and only so. A small picture that a job has made is taken
from there too; any other is made once, by a process apart with little memory and time. What cannot
be decoded is remembered as broken with the reason. The cache is bounded and may be lost at any
time; a purge removes from it what it deleted (`adapters.ingest.purged_pictures`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, NamedTuple

from adapters import (
    THUMBNAIL_EDGE_PX,
    THUMBNAIL_SOURCE_BYTES_MAX,
    ThumbnailWorker,
)
from base.errors import DrystoneError
from fsd import NotFoundError

if TYPE_CHECKING:
    from fsd import Client
    from sql import KnownThumbnail

Size = Literal["small", "large", "full"]
DrawnAs = Literal["image", "video", "sound", "document"]
BROKEN = ".broken-2"
"""Why a picture cannot be made. A new number, whenever more can be decoded, tries all once more."""
EVICT_EVERY = 200
EVICT_TO = 0.9
WAITING_MAX = 2_000
"""So many may wait; who asks for more is told that it is not ready."""


class Thumbnail(NamedTuple):
    """A picture by its path, or why there is none."""

    state: Literal["ready", "broken", "later"]
    path: str = ""
    reason: str = ""


class Thumbnails:
    """The cache of one store. `get` may be called from the event loop, many at a time."""

    def __init__(
        self,
        store: Client,
        folder: str,
        cache_bytes_max: int,
        workers: int,
        known: Callable[[str], KnownThumbnail | None] = lambda _key: None,
    ) -> None:
        """`known` tells what jobs have made of an object already."""
        self._store = store
        self._known = known
        self._folder = folder
        self._bytes_max = cache_bytes_max
        self._threads = ThreadPoolExecutor(workers, "gui-thumbnail")
        self._local = threading.local()
        # Guards all below, never held while a picture is made. Innermost.
        self._lock = threading.Lock()
        self._workers: list[ThumbnailWorker] = []
        self._making: dict[str, Future[Thumbnail]] = {}
        self._made = 0

    async def get(self, key: str, media_type: str, size: Size = "small") -> Thumbnail:
        """Return the picture of an object, made now when it is not there yet.

        `key` must be 64 hexadecimal digits, `media_type` one of DrawnAs. Raises FsdError when the
        store cannot give the bytes.
        """
        # Who asks says what it is drawn as: what is broken as one thing is not as another.
        name = f"{key}-{size}" if media_type == "image" else f"{key}-{size}-{media_type}"
        found = self._cached(name)
        if found is not None:
            return found
        new: Future[Thumbnail] | None = None
        with self._lock:
            future = self._making.get(name)
            if future is None:
                if len(self._making) >= WAITING_MAX:
                    return Thumbnail("later", reason="many others are being made")
                future = self._threads.submit(self._make, name, key, media_type, size)
                self._making[name] = future
                new = future
        if new is not None:
            # Outside the lock: one that has ended already calls back at once.
            new.add_done_callback(lambda _: self._forget(name))
        return await asyncio.shield(asyncio.wrap_future(future))

    def close(self) -> None:
        """End the processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()

    def _path(self, name: str, ending: str) -> str:
        return os.path.join(self._folder, name[:2], name + ending)

    def _cached(self, name: str) -> Thumbnail | None:
        path = self._path(name, ".webp")
        if os.path.exists(path):
            return Thumbnail("ready", path)
        try:
            with open(self._path(name, BROKEN), encoding="utf-8") as file:
                return Thumbnail("broken", reason=file.read(500))
        except FileNotFoundError:
            return None

    def _forget(self, name: str) -> None:
        with self._lock:
            self._making.pop(name, None)

    def _make(self, name: str, key: str, media_type: str, size: Size) -> Thumbnail:
        os.makedirs(os.path.dirname(self._path(name, "")), mode=0o700, exist_ok=True)
        if size == "small" and (found := self._made_by_a_job(name, key)):
            return found
        size_bytes = self._store.head(key).size_bytes
        if size_bytes > THUMBNAIL_SOURCE_BYTES_MAX[media_type]:
            return self._broken(name, f"too large for a picture ({size_bytes:,} bytes)")
        scratch = tempfile.mkdtemp(prefix=".making-", dir=self._folder)
        try:
            source, target = os.path.join(scratch, "source"), os.path.join(scratch, "picture.webp")
            self._store.read(key, source)
            reason = self._worker().make(source, target, media_type, THUMBNAIL_EDGE_PX[size])
            if reason:
                return self._broken(name, reason)
            # Not durable on purpose: what a power cut loses is made again.
            os.replace(target, self._path(name, ".webp"))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return self._kept(name, key)

    def _kept(self, name: str, key: str) -> Thumbnail:
        """Return a picture that was just put in its place; NotFoundError where it may not stay."""
        path = self._path(name, ".webp")
        try:
            # Behind it: a purge removes the pictures that are there when the store has forgotten.
            self._store.head(key)
        except NotFoundError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            raise
        self._count()
        return Thumbnail("ready", path)

    def _made_by_a_job(self, name: str, key: str) -> Thumbnail | None:
        """Take the picture from the store; None when there is none, or it cannot be had now."""
        scratch = self._path(name, f".{threading.get_ident()}.tmp")
        try:
            found = self._known(key)
            if found is None:
                return None
            if found.thumbnail_key is None:
                return self._broken(name, found.reason)
            self._store.read(found.thumbnail_key, scratch)
            os.replace(scratch, self._path(name, ".webp"))
            return self._kept(name, key)
        except DrystoneError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(scratch)
            return None

    def _broken(self, name: str, reason: str) -> Thumbnail:
        temporary = self._path(name, f".{threading.get_ident()}.tmp")
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(reason[:500])
        os.replace(temporary, self._path(name, BROKEN))
        return Thumbnail("broken", reason=reason[:500])

    def _worker(self) -> ThumbnailWorker:
        """Return the process of this thread."""
        worker: ThumbnailWorker | None = getattr(self._local, "worker", None)
        if worker is None:
            worker = self._local.worker = ThumbnailWorker()
            with self._lock:
                self._workers.append(worker)
        return worker

    def _count(self) -> None:
        with self._lock:
            self._made += 1
            due = self._made % EVICT_EVERY == 1
        if due:
            self._evict()

    def _evict(self) -> None:
        """Remove the oldest pictures when there are too many bytes of them."""
        found: list[tuple[float, int, str]] = []
        for folder, below, names in os.walk(self._folder):
            # What is being made (`.making-…`) is removed by who makes it.
            below[:] = [one for one in below if not one.startswith(".")]
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    path = os.path.join(folder, name)
                    facts = os.stat(path)
                    found.append((max(facts.st_atime, facts.st_mtime), facts.st_size, path))
        total = sum(size for _, size, _ in found)
        if total <= self._bytes_max:
            return
        for _, size, path in sorted(found):
            if total <= self._bytes_max * EVICT_TO:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            total -= size
