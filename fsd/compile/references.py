"""References: it owns who keeps objects besides batches (views, pins, running copies), and when.

    batches   every part of every batch that is not being purged: the paths' content, and the part
    views     the manifest of every published view, and all it names
    pins      the manifest that a caller has pinned by a name, and all it names
    copies    the manifest of every copy that is being made now, and all it names

Whoever looks keys up to refer to them later (a view before it is published) does so inside
`resolving`; a purge decides inside `alone`. So no reference comes up between a purge's last look
and its commit.
"""

import io
import itertools
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager

from base.errors import UsageError
from base.files import parse_json
from fsd.compile.batch_tree import compiler, scratch_folder
from fsd.format.catalog import Pin
from fsd.format.errors import CorruptError, NotFoundError
from fsd.format.paths import check_identifier
from fsd.store.job import Job
from fsd.store.read import read_to_file
from fsd.store.store import Store

POLL_S = 0.2


class References:
    """The gate between those who make references and a purge, and the copies that run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Guards all below. Who purges or is alone says so in a field and lets it go: what that
        # keeps out waits here before it takes `Engine.maintenance`. Innermost.
        self._changed = threading.Condition()
        self._resolving = 0
        self._alone = False
        self._purging = False
        self._copies: dict[str, tuple[str, str]] = {}

    @contextmanager
    def resolving(self, job: Job | None = None) -> Generator[None]:
        """Look keys up and make the reference to them inside; waits while a purge decides."""
        with self._changed:
            self._wait(job, lambda: not self._alone)
            self._resolving += 1
        try:
            yield
        finally:
            with self._changed:
                self._resolving -= 1
                self._changed.notify_all()

    @contextmanager
    def purging(self, job: Job) -> Generator[None]:
        """Be the only purge that runs."""
        with self._changed:
            self._wait(job, lambda: not self._purging)
            self._purging = True
        try:
            yield
        finally:
            with self._changed:
                self._purging = False
                self._changed.notify_all()

    @contextmanager
    def alone(self, job: Job) -> Generator[None]:
        """Decide what nobody refers to inside; waits for those who are making references."""
        with self._changed:
            self._wait(job, lambda: not self._alone)
            # From now on nobody begins; those who have begun are waited for.
            self._alone = True
        try:
            with self._changed:
                self._wait(job, lambda: not self._resolving)
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()

    def _wait(self, job: Job | None, ready: Callable[[], bool]) -> None:
        while not ready():
            if job is not None:
                job.check()
            self._changed.wait(POLL_S)

    @contextmanager
    def copying(self, name: str, manifest: str, path: str) -> Generator[None]:
        """Keep a manifest (by key) and all that its file names while a copy of it is made."""
        with self._changed:
            self._copies[name] = manifest, path
        try:
            yield
        finally:
            with self._changed:
                self._copies.pop(name, None)

    def kept(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield (holder, its keys) of views, pins and copies, each manifest once.

        Raises FsdError when a manifest cannot be read as a whole: then nobody knows what it keeps.
        """
        with self._store.lock:
            state = self._store.shards.state
            named = [(f"view {view.name}", view.manifest_key) for view in state.views.values()]
            named += [(f"pin {pin.name}", pin.manifest_key) for pin in state.pins.values()]
        seen: set[str] = set()
        for holder, manifest in named:
            if manifest not in seen:
                yield holder, self.stored(manifest)
                seen.add(manifest)
        for holder, manifest, opened in self._opened_copies():
            with opened as file:
                yield holder, itertools.chain([bytes.fromhex(manifest)], _keys(file, holder))

    def stored(self, manifest: str) -> Iterator[bytes]:
        """Yield a manifest's own key (given in hex), then the keys that it names.

        Raises FsdError when it cannot be read as a whole.
        """
        yield bytes.fromhex(manifest)
        with scratch_folder(self._store) as folder:
            path = os.path.join(folder, "manifest.jsonl")
            read_to_file(self._store, bytes.fromhex(manifest), path)
            with open(path, "rb") as file:
                yield from _keys(file, f"manifest {manifest}")

    def _opened_copies(self) -> list[tuple[str, str, io.BufferedReader]]:
        with self._changed:
            copies = list(self._copies.items())
            # Opened under the lock: the file goes when the copy ends.
            return [(f"copy {name}", key, open(path, "rb")) for name, (key, path) in copies]


def _keys(lines: Iterable[bytes], where: str) -> Iterator[bytes]:
    for number, line in enumerate(lines, 1):
        try:
            entry = parse_json(line)
            key = entry.get("key")
            if key is not None:
                yield bytes.fromhex(key)
        except (ValueError, AttributeError, TypeError) as error:
            raise CorruptError(f"entry {number} of {where} cannot be read: {error}") from error


def pin_manifest(store: Store, references: References, name: str, manifest: str) -> Pin:
    """Keep a stored manifest and all it names, under a name, until `unpin`; durable on return.

    The same again changes nothing. Raises UsageError for a name that has another manifest,
    NotFoundError when it is not stored, ManifestError when it is none or names what is not stored.
    """
    if reason := check_identifier(name):
        raise UsageError(f"the name {name!r} is refused: {reason}")
    with references.resolving():
        with store.lock:
            known = store.shards.state.pins.get(name)
        if known is not None:
            if known.manifest_key == manifest:
                return known
            raise UsageError(
                f"{name} pins another manifest, {known.manifest_key}; unpin it first, or use "
                "another name"
            )
        _check_whole(store, manifest)
        pin = Pin(name, manifest, time.time_ns())
        entry = {"name": name, "manifest": manifest, "time_ns": pin.created_ns}
        store.catalog.append(("manifest_pin", entry))
        return pin


def unpin(store: Store, name: str) -> None:
    """Let a pinned manifest go; what it names may be purged with its batch then."""
    with store.lock:
        known = store.shards.state.pins.get(name)
    if known is None:
        raise NotFoundError(f"nothing is pinned as {name}; `drystone pins` lists what is")
    store.catalog.append(("manifest_unpin", {"name": name}))


def _check_whole(store: Store, manifest: str) -> None:
    """Parse the manifest and look up all it names, in a process of its own."""
    store.refuse_unfinished()
    with scratch_folder(store) as folder, compiler(store, "pin") as child:
        path = os.path.join(folder, "manifest.jsonl")
        read_to_file(store, bytes.fromhex(manifest), path)
        index, output = store.index, os.path.join(folder, "canonical.jsonl")
        child.call(
            "load_manifest", path, index.index_root, index.generation, "by_node", True, output
        )
