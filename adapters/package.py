"""Packages for cold storage (TYPE1): it owns their form, their writing and their checking.

A package is a folder of the outbox (3B), made to be copied away as it is:

    <batch>-0001/
      objects.tar        objects/ab/<sha256>: each content of the batch once, named by its hash
      manifest.jsonl     first line: what this is; then one line per path of the batch in this
                         package: path, key, size, set (files or derived), time of modification
      intents.jsonl      in the first package only: what UA_1 told the database, one per line
      SHA256SUMS         of the files above, as `sha256sum -c` reads it

The tar is deterministic: the same batch gives the same bytes. A package needs no other package.
Written under a name that ends in .tmp, synced, then renamed: a folder without that ending is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

from adapters.batch_work import BatchWork, Listing
from adapters.durable import sync_folder
from adapters.errors import BatchChangedError, PackageError
from fsd import safe_text
from sql import ArchiveLocation, Database, WriteIntent

OBJECTS_NAME = "objects.tar"
MANIFEST_NAME = "manifest.jsonl"
INTENTS_NAME = "intents.jsonl"
SUMS_NAME = "SHA256SUMS"
FORMAT = "drystone-package"
VERSION = 1
BLOCK_BYTES = 1 << 20
TAR_OVERHEAD_BYTES = 1_024
LOCATIONS_PER_INTENT = 20_000
_MEMBER = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a batch; `set_name` is `files` (as scraped) or `derived`."""

    path: str
    key: str
    size_bytes: int
    set_name: str
    mtime_ns: int
    place: str
    """Where its bytes are now."""


def member_name(key: str) -> str:
    """Return the name of an object inside a package."""
    return f"objects/{key[:2]}/{key}"


def write_packages(
    database: Database,
    work: BatchWork,
    listing: Listing,
    keys: dict[str, str],
    *,
    outbox: str,
    size_bytes_max: int,
    say: Callable[[str], None],
) -> list[str]:
    """Write the packages of a batch and register them; returns their names.

    A package that is whole and registered is left alone, also when it has been confirmed and
    removed since. Raises BatchChangedError when a file is no longer what the store has.
    """
    batch = listing.signal.batch
    known = {package.package_id for package in database.outbox_packages(batch, waiting_only=False)}
    nodes = _node_keys(work)
    names: list[str] = []
    for number, entries in enumerate(_split(_entries(work, listing, keys), size_bytes_max), 1):
        name = f"{batch}-{number:04d}"
        names.append(name)
        if name in known:
            continue
        say(f"{batch}: packing {name}, {len(entries):,} files")
        _write_package(os.path.join(outbox, name), listing, work, entries, first=number == 1)
        sums = read_sums(os.path.join(outbox, name))
        size = os.path.getsize(os.path.join(outbox, name, OBJECTS_NAME))
        for part, intent in enumerate(_locations(name, entries, nodes)):
            database.apply_intent(intent.model_copy(update={"intent_id": f"01b:{name}:{part}"}))
        # Last: from here on the package counts, and nothing is written again.
        database.add_outbox_package(name, batch, len(entries), size, sums[OBJECTS_NAME])
    return names


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


def _split(entries: Iterator[Entry], size_bytes_max: int) -> Iterator[list[Entry]]:
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


def _write_package(
    target: str, listing: Listing, work: BatchWork, entries: list[Entry], *, first: bool
) -> None:
    temporary = target + ".tmp"
    for left in (temporary, target):  # A whole one that was never registered is made again.
        shutil.rmtree(left, ignore_errors=True)
    os.makedirs(temporary, mode=0o700)
    with _hashed(os.path.join(temporary, OBJECTS_NAME)) as objects:
        _write_objects(objects, entries)
    signal = listing.signal
    head: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "batch": signal.batch,
        "adapter": signal.adapter,
        "user": signal.user,
        "entries": len(entries),
    }
    with _hashed(os.path.join(temporary, MANIFEST_NAME)) as manifest:
        manifest.write(_line(head))
        for entry in entries:
            manifest.write(
                _line(
                    {
                        "path": entry.path,
                        "key": entry.key,
                        "size_bytes": entry.size_bytes,
                        "set": entry.set_name,
                        "mtime_ns": entry.mtime_ns,
                    }
                )
            )
    written = [objects, manifest]
    if first:
        with _hashed(os.path.join(temporary, INTENTS_NAME)) as intents:
            for name in sorted(os.listdir(work.intents)):
                with open(os.path.join(work.intents, name), "rb") as file:
                    intents.write(file.read() + b"\n")
        written.append(intents)
    with _hashed(os.path.join(temporary, SUMS_NAME)) as sums:
        for one in written:
            sums.write(f"{one.hexdigest}  {os.path.basename(one.path)}\n".encode())
    sync_folder(temporary)
    # A crash before this line leaves a folder that ends in .tmp, which the next run removes.
    os.rename(temporary, target)
    sync_folder(os.path.dirname(target))


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
                    raise _changed(entry) from error
            if source.hexdigest != entry.key or os.path.getsize(entry.place) != entry.size_bytes:
                raise _changed(entry)


def _changed(entry: Entry) -> BatchChangedError:
    return BatchChangedError(
        f"{safe_text(entry.path)} is no longer what was stored of it; put the file back "
        "(`drystone get` has its bytes) and run it again"
    )


def _node_keys(work: BatchWork) -> set[str]:
    """Return the keys of the batch's physical nodes; quarantined files are none."""
    keys: set[str] = set()
    for name in sorted(os.listdir(work.intents)):
        with open(os.path.join(work.intents, name), "rb") as file:
            keys.update(node["key"] for node in json.load(file)["physical_nodes"])
    return keys


def _locations(name: str, entries: list[Entry], nodes: set[str]) -> Iterator[WriteIntent]:
    rows = [
        ArchiveLocation(key=key, filepath=f"{name}:{member_name(key)}")
        for key in dict.fromkeys(entry.key for entry in entries)
        if key in nodes
    ]
    for begin in range(0, len(rows), LOCATIONS_PER_INTENT):
        part = tuple(rows[begin : begin + LOCATIONS_PER_INTENT])
        yield WriteIntent(intent_id="unnamed", archive_locations=part)


# ---- Reading a package back ------------------------------------------------------------------


def read_sums(package: str) -> dict[str, str]:
    """Return the file names and hashes of SHA256SUMS; PackageError when it is no such file."""
    path = os.path.join(package, SUMS_NAME)
    try:
        with open(path, encoding="ascii") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PackageError(f"{package!a} is no package: {SUMS_NAME} cannot be read") from error
    sums: dict[str, str] = {}
    for line in lines:
        hexdigest, _, name = line.partition("  ")
        if not re.fullmatch("[0-9a-f]{64}", hexdigest) or name not in (
            OBJECTS_NAME,
            MANIFEST_NAME,
            INTENTS_NAME,
        ):
            raise PackageError(f"{path!a} is damaged: {line[:100]!a}")
        sums[name] = hexdigest
    if OBJECTS_NAME not in sums or MANIFEST_NAME not in sums:
        raise PackageError(f"{path!a} is incomplete")
    return sums


def verify_package(package: str) -> dict[str, str]:
    """Read all of a package and compare it with its sums; returns them. PackageError if not."""
    sums = read_sums(package)
    for name, expected in sums.items():
        path = os.path.join(package, name)
        try:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise PackageError(f"{path!a} cannot be read: {error.strerror}") from error
        if found != expected:
            raise PackageError(f"{path!a} is damaged: it has the hash {found}, not {expected}")
    return sums


def read_manifest(package: str) -> tuple[dict[str, Any], list[Entry]]:
    """Return head and entries of a package's manifest; PackageError when it is none.

    Paths are as scraped and not checked: whoever makes files of them must.
    """
    path = os.path.join(package, MANIFEST_NAME)
    try:
        with open(path, encoding="ascii") as file:
            head = json.loads(file.readline())
            if head["format"] != FORMAT or head["version"] != VERSION:
                raise PackageError(f"{path!a} is of another format or a later version")
            entries = [
                Entry(
                    line["path"], line["key"], line["size_bytes"], line["set"], line["mtime_ns"], ""
                )
                for line in map(json.loads, file)
            ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackageError(f"{path!a} cannot be understood: {error}") from error
    if len(entries) != head["entries"]:
        raise PackageError(f"{path!a} has {len(entries):,} entries, not {head['entries']:,}")
    return head, entries


def read_objects(package: str) -> Iterator[tuple[str, BinaryIO]]:
    """Yield (key, bytes) of every object in order; names that are not objects are PackageErrors.

    The bytes are not verified here: the reader hashes them against the key.
    """
    path = os.path.join(package, OBJECTS_NAME)
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                match = _MEMBER.fullmatch(member.name)
                if match is None or not member.isreg() or match[1] != match[2][:2]:
                    raise PackageError(f"{path!a} has a member {member.name[:100]!a}")
                file = tar.extractfile(member)
                assert file is not None
                yield match[2], cast(BinaryIO, file)
    except (tarfile.TarError, EOFError) as error:
        raise PackageError(f"{path!a} is damaged: {error}") from error


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
