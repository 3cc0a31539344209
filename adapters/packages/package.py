"""Packages for cold storage (TYPE1): it owns their form and their writing.

A package is a folder of the outbox (3B), made to be copied away as it is:

    <batch>-0001/
      objects.tar        objects/ab/<sha256>: each content of the batch once, named by its hash
      manifest.jsonl     first line: what this is; then one line per path of the batch in this
                         package: path, key, size, set (files or derived), time of modification,
                         and its batch of the store where it is what was made (see
                         generated_package.py)
      intents.jsonl      in the first package only: what UA_1 told the database, one per line
      SHA256SUMS         of the files above, as `sha256sum -c` reads it

The tar is deterministic: the same batch gives the same bytes. A package needs no other package.
Written under a name that ends in .tmp, synced, then renamed: a folder without that ending is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, BinaryIO, cast

from adapters.packages.package_read import (
    BLOCK_BYTES,
    FORMAT,
    INTENTS_NAME,
    MANIFEST_NAME,
    OBJECTS_NAME,
    SUMS_NAME,
    VERSION,
    Entry,
    member_name,
    package_key,
)
from adapters.records.errors import BatchChangedError, SpaceError
from adapters.work.batch_work import BatchWork, Listing
from base.errors import UsageError
from base.files import sync_folder
from base.text import safe_text
from fsd import Client, FsdError, QuotaError
from sql import ArchiveLocation, Database, WriteIntent

TAR_OVERHEAD_BYTES = 1_024
FILES_MAX = 4
"""Of a package: objects, manifest, intents, sums."""
SLACK_BYTES = 64 << 10
"""The ends of the tar, SHA256SUMS, whole blocks; and what an empty area itself occupies."""
LOCATIONS_PER_INTENT = 20_000


def write_packages(
    database: Database,
    work: BatchWork,
    listing: Listing,
    keys: dict[str, str],
    *,
    client: Client,
    outbox: str,
    size_bytes_max: int,
    say: Callable[[str], None],
    remake: bool = False,
) -> list[str]:
    """Write the packages of a batch and register them; returns their names.

    A package that is registered is left alone, also when it has been moved away; with `remake` one
    that waits for its copy and is not in the outbox is written again, the same bytes. Raises
    BatchChangedError when a file is no longer what the store has, SpaceError when the outbox has no
    room for the next one now: those before it stay, and the same call goes on.
    """
    batch = listing.signal.batch
    known = {one.package_id: one for one in database.ingests.packages(batch, waiting_only=False)}
    nodes = node_keys(work)
    plan = list(split_entries(_entries(work, listing, keys), size_bytes_max))
    names = [f"{batch}-{number:04d}" for number in range(1, len(plan) + 1)]
    for number, (name, entries) in enumerate(zip(names, plan, strict=True), 1):
        target = os.path.join(outbox, name)
        former = known.get(name)
        lost = former is not None and former.confirm_time is None and not os.path.isdir(target)
        if former is not None and not (remake and lost):
            continue
        say(f"{batch}: packing {name}, {len(entries):,} files")
        head = manifest_head(listing, number, len(plan), len(entries))
        write_package(client, target, head, work.intents, entries)
        for part, intent in enumerate(location_intents(name, entries, nodes)):
            database.apply_intent(intent.model_copy(update={"intent_id": f"01b:{name}:{part}"}))
        # Last: from here on the package counts, and nothing is written again.
        size = sum(entry.stat().st_size for entry in os.scandir(target))
        database.ingests.add_package(name, batch, len(entries), size, package_key(target))
    return names


def manifest_head(listing: Listing, number: int, count: int, entries: int) -> dict[str, Any]:
    """Return the first line of a manifest."""
    signal = listing.signal
    return {
        "format": FORMAT,
        "version": VERSION,
        "batch": signal.batch,
        "adapter": signal.adapter,
        "user": signal.user,
        "package": number,
        "packages": count,
        "entries": entries,
    }


def _entries(work: BatchWork, listing: Listing, keys: dict[str, str]) -> Iterator[Entry]:
    for path, entry in sorted(listing.files.items()):
        place = os.path.join(listing.signal.folder, path)
        yield Entry(path, keys[path], entry.size_bytes, "files", entry.mtime_ns, place)
    for folder, folders, names in os.walk(work.derived):
        folders.sort()
        for name in sorted(names):
            place = os.path.join(folder, name)
            with open(place, "rb") as file:
                key = hashlib.file_digest(file, "sha256").hexdigest()
            path = os.path.relpath(place, work.derived)
            yield Entry(path, key, os.path.getsize(place), "derived", 0, place)


def split_entries(entries: Iterator[Entry], size_bytes_max: int) -> Iterator[list[Entry]]:
    """Cut the batch into packages, each content counted once, in the order of the batch."""
    part: list[Entry] = []
    size, inside = 0, set[str]()
    for entry in entries:
        more = 0 if entry.key in inside else entry.size_bytes + TAR_OVERHEAD_BYTES
        if part and size + more > size_bytes_max:
            yield part
            part, size, inside = [], 0, set()
            more = entry.size_bytes + TAR_OVERHEAD_BYTES
        part.append(entry)
        inside.add(entry.key)
        size += more
    if part:
        yield part


def write_package(
    client: Client,
    target: str,
    head: dict[str, Any],
    intents_folder: str | None,
    entries: list[Entry],
) -> None:
    """Write one package durably; the first of a batch takes the files of `intents_folder` in.

    Its room in the outbox is reserved before; SpaceError when there is none now.
    """
    temporary = target + ".tmp"
    for left in (temporary, target):  # A whole one that was never registered is made again.
        shutil.rmtree(left, ignore_errors=True)
    os.makedirs(temporary, mode=0o700)
    try:
        size_bytes = _size_bytes_max(head, intents_folder, entries)
        with room_in_outbox(client, os.path.basename(target), size_bytes):
            _fill_package(temporary, head, intents_folder, entries)
            # A crash before this line leaves a folder that ends in .tmp; the next run removes it.
            os.rename(temporary, target)
            sync_folder(os.path.dirname(target))
    except BaseException:
        # A full disk is not made better by half a package.
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _size_bytes_max(head: dict[str, Any], intents_folder: str | None, entries: list[Entry]) -> int:
    """Return how much a package occupies at most, without reading a content."""
    sizes = {entry.key: entry.size_bytes for entry in entries}
    size = sum(size + TAR_OVERHEAD_BYTES for size in sizes.values()) + SLACK_BYTES
    size += sum(len(_manifest_line(entry)) for entry in entries)
    if intents_folder is not None and head["package"] == 1:
        size += sum(entry.stat().st_size + 1 for entry in os.scandir(intents_folder))
    return size


@contextmanager
def room_in_outbox(client: Client, package: str, size_bytes: int) -> Generator[None]:
    """Hold room in the outbox for a package that is written now."""
    try:
        client.reserve_outbox(package, size_bytes, FILES_MAX)
    except QuotaError as error:
        quota = next(one.quota_bytes for one in client.capacity().areas if one.area == "3b")
        if quota and size_bytes + SLACK_BYTES > quota:
            raise UsageError(
                f"package {package} needs {size_bytes:,} bytes, and the outbox may never hold more "
                f"than {quota:,}: raise outbox_bytes in [quota] of drystone.toml and restart, then "
                "run it again"
            ) from None
        raise SpaceError(
            f"{error}; it goes on when packages were copied away and confirmed (`drystone outbox "
            "list`)"
        ) from None
    try:
        yield
    finally:
        with suppress(FsdError):  # An engine that is gone has forgotten it.
            client.release_outbox(package)


def _fill_package(
    temporary: str, head: dict[str, Any], intents_folder: str | None, entries: list[Entry]
) -> None:
    with _hashed(os.path.join(temporary, OBJECTS_NAME)) as objects:
        _write_objects(objects, entries)
    with _hashed(os.path.join(temporary, MANIFEST_NAME)) as manifest:
        manifest.write(_line(head))
        for entry in entries:
            manifest.write(_manifest_line(entry))
    written = [objects, manifest]
    if intents_folder is not None and head["package"] == 1:
        with _hashed(os.path.join(temporary, INTENTS_NAME)) as intents:
            for name in sorted(os.listdir(intents_folder)):
                with open(os.path.join(intents_folder, name), "rb") as file:
                    intents.write(file.read() + b"\n")
        written.append(intents)
    with _hashed(os.path.join(temporary, SUMS_NAME)) as sums:
        for one in written:
            sums.write(f"{one.hexdigest}  {os.path.basename(one.path)}\n".encode())
    sync_folder(temporary)


def _manifest_line(entry: Entry) -> bytes:
    return _line(
        {
            "path": entry.path,
            "key": entry.key,
            "size_bytes": entry.size_bytes,
            "set": entry.set_name,
            "mtime_ns": entry.mtime_ns,
            **({"batch": entry.batch} if entry.batch else {}),
        }
    )


def _write_objects(output: _HashedFile, entries: list[Entry]) -> None:
    inside: set[str] = set()
    stream = cast(IO[bytes], output)  # A stream of tar is only ever written to.
    with tarfile.open(fileobj=stream, mode="w|", bufsize=BLOCK_BYTES) as tar:
        for entry in entries:
            if entry.key in inside:
                continue
            inside.add(entry.key)
            info = tarfile.TarInfo(member_name(entry.key))
            info.size, info.mode = entry.size_bytes, 0o644
            with open(entry.place, "rb") as file:
                source = _HashedReader(file)
                try:
                    tar.addfile(info, cast(IO[bytes], source))
                except OSError as error:
                    if error.errno is not None:
                        raise
                    # The file ended before the size that was frozen.
                    raise _changed(entry) from error
            if source.hexdigest != entry.key or os.path.getsize(entry.place) != entry.size_bytes:
                raise _changed(entry)


def _changed(entry: Entry) -> BatchChangedError:
    return BatchChangedError(
        f"{safe_text(entry.path)} is no longer what was stored of it; put the file back "
        "(`drystone get` has its bytes) and run it again"
    )


def node_keys(work: BatchWork) -> set[str]:
    """Return the keys of the batch's physical nodes; quarantined files are none."""
    keys: set[str] = set()
    for name in sorted(os.listdir(work.intents)):
        with open(os.path.join(work.intents, name), "rb") as file:
            keys.update(node["key"] for node in json.load(file)["physical_nodes"])
    return keys


def location_intents(name: str, entries: list[Entry], nodes: set[str]) -> Iterator[WriteIntent]:
    """Yield, still unnamed, what says where the nodes of a package lie."""
    rows = [
        ArchiveLocation(key=key, filepath=f"{name}:{member_name(key)}")
        for key in dict.fromkeys(entry.key for entry in entries)
        if key in nodes
    ]
    for begin in range(0, len(rows), LOCATIONS_PER_INTENT):
        part = tuple(rows[begin : begin + LOCATIONS_PER_INTENT])
        yield WriteIntent(intent_id="unnamed", archive_locations=part)


# ---- Hashing while writing and reading -------------------------------------------------------


class _HashedFile:
    """A new file that knows its hash when it is closed, and is durable then."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._digest = hashlib.sha256()
        self._file = open(path, "wb")  # noqa: SIM115 - closed by __exit__

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)

    @property
    def hexdigest(self) -> str:
        return self._digest.hexdigest()

    def __enter__(self) -> _HashedFile:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _hashed(path: str) -> _HashedFile:
    return _HashedFile(path)


class _HashedReader:
    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    @property
    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode("ascii") + b"\n"
