"""Packages for cold storage, read back: it owns what may be believed of one, and never writes.

The form is in package.py. A package may come from anywhere: SHA256SUMS says which files are read at
all, and every line is checked before anything is made of it. Whatever is wrong is a PackageError
that names the package and the line.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from adapters.records.errors import PackageError
from adapters.work.batch_work import check_batch_name
from base.errors import UsageError
from base.text import safe_text
from fsd import check_identifier
from sql import WriteIntent

OBJECTS_NAME = "objects.tar"
MANIFEST_NAME = "manifest.jsonl"
INTENTS_NAME = "intents.jsonl"
SUMS_NAME = "SHA256SUMS"
FORMAT = "drystone-package"
VERSION = 1
BLOCK_BYTES = 1 << 20
PATH_BYTES_MAX = 4_000
NAME_BYTES_MAX = 255
MANIFEST_LINE_BYTES_MAX = 1 << 16
INTENT_BYTES_MAX = 1 << 30
SETS = ("files", "derived")
REPLAY_SETS = ("fixed", "derived")
GENERATED_SETS = ("generated",)
GENERATED_PREFIX = "_generated-"
"""Of the group that stands for a batch in packages of what was made; no batch is called so."""
_GROUP = re.compile(GENERATED_PREFIX + r"[0-9]{8}T[0-9]{6}Z-[1-9][0-9]{0,8}")
_MEMBER = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Entry:
    """One path; `set_name` is `files` (as scraped), `derived`, `fixed` (repaired) or `generated`.

    The last is what an action or a dataset made; `batch` is its batch of the store then.
    """

    path: str
    key: str
    size_bytes: int
    set_name: str
    mtime_ns: int
    place: str
    """Where its bytes are now."""
    batch: str = ""


def _checked_path(value: object) -> str:
    """Refuse what cannot be a path below a folder: no name may lead out of it."""
    if not isinstance(value, str):
        raise ValueError("a path is text")
    try:
        parts = [os.fsencode(part) for part in value.split("/")]
    except UnicodeEncodeError:
        raise ValueError("no file can have this name") from None
    if (
        "\0" in value
        or sum(map(len, parts)) + len(parts) > PATH_BYTES_MAX
        or any(part in (b"", b".", b"..") or len(part) > NAME_BYTES_MAX for part in parts)
    ):
        raise ValueError("a path that cannot be restored")
    return value


def _checked_batch(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a batch is named by text")
    if _GROUP.fullmatch(value):
        return value
    try:
        check_batch_name(value)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return value


def _checked_store_batch(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a batch is named by text")
    if reason := check_identifier(value):
        raise ValueError(reason)
    return value


_Count = Annotated[int, Field(ge=0, le=1 << 62)]


class ManifestHead(BaseModel):
    """The first line of a manifest; what later versions add to it is not ours to refuse."""

    model_config = ConfigDict(frozen=True, strict=True)

    format: Literal["drystone-package"]
    version: Literal[1, 2]
    """2 is of what was made, which former versions cannot restore."""
    batch: Annotated[str, PlainValidator(_checked_batch)]
    """Of what was made: the name of the group, see GENERATED_PREFIX."""
    adapter: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,99}$")] | None = None
    user: Annotated[str, Field(max_length=200)] | None = None
    entries: _Count
    package: Annotated[int, Field(ge=1)]
    """Its number among all `packages` of the batch, or of the replay."""
    packages: Annotated[int, Field(ge=1)]
    replay: Annotated[str, Field(pattern="^[0-9a-f]{16}$")] | None = None
    """The run whose findings these are; None for the packages of the batch itself."""

    @property
    def is_generated(self) -> bool:
        """Whether it holds what actions and datasets made, and no ingest batch."""
        return self.batch.startswith(GENERATED_PREFIX)

    @model_validator(mode="after")
    def _check_kind(self) -> ManifestHead:
        if self.is_generated != (self.version == 2) or self.is_generated == bool(self.adapter):
            raise ValueError(
                "a package is of an ingest batch with its adapter, or of what was made"
            )
        return self


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    path: Annotated[str, PlainValidator(_checked_path)]
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size_bytes: _Count
    set_name: Literal["files", "derived", "fixed", "generated"] = Field(alias="set")
    mtime_ns: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
    batch: Annotated[str, PlainValidator(_checked_store_batch)] = ""


def member_name(key: str) -> str:
    """Return the name of an object inside a package."""
    return f"objects/{key[:2]}/{key}"


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
        if name in sums:
            raise PackageError(f"{path!a} is damaged: it names {name} twice")
        sums[name] = hexdigest
    if OBJECTS_NAME not in sums or MANIFEST_NAME not in sums:
        raise PackageError(f"{path!a} is incomplete")
    return sums


def package_key(package: str) -> str:
    """Return the hash by which a package is known: that of SHA256SUMS, which covers all of it."""
    try:
        with open(os.path.join(package, SUMS_NAME), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PackageError(f"{package!a} is no package: {SUMS_NAME} cannot be read") from error


def file_key(path: str) -> str:
    """Return the key of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_package(package: str) -> dict[str, str]:
    """Read all of a package and compare it with its sums; returns them. PackageError if not."""
    sums = read_sums(package)
    if INTENTS_NAME not in sums and os.path.lexists(os.path.join(package, INTENTS_NAME)):
        raise PackageError(f"{package!a} has an {INTENTS_NAME} that {SUMS_NAME} does not list")
    for name, expected in sums.items():
        path = os.path.join(package, name)
        with _readable(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise PackageError(f"{path!a} is damaged: it has the hash {found}, not {expected}")
    return sums


def read_head(package: str) -> ManifestHead:
    """Return the first line of a package's manifest; PackageError when it is none."""
    for _number, document in _lines(os.path.join(package, MANIFEST_NAME), MANIFEST_LINE_BYTES_MAX):
        return _head_of(package, document)
    raise PackageError(f"{package!a}: {MANIFEST_NAME} is empty")


def read_manifest(package: str) -> tuple[ManifestHead, list[Entry]]:
    """Return head and entries of a package's manifest; PackageError when it is none.

    Every path is one that can lie below a folder; that they do not meet each other is checked by
    whoever puts packages together.
    """
    path = os.path.join(package, MANIFEST_NAME)
    lines = _lines(path, MANIFEST_LINE_BYTES_MAX)
    first = next(lines, None)
    if first is None:
        raise PackageError(f"{package!a}: {MANIFEST_NAME} is empty")
    head = _head_of(package, first[1])
    entries = [_entry_of(path, head, number, document) for number, document in lines]
    if len(entries) != head.entries:
        raise PackageError(f"{path!a} has {len(entries):,} entries, not {head.entries:,}")
    return head, entries


def _head_of(package: str, document: object) -> ManifestHead:
    path = os.path.join(package, MANIFEST_NAME)
    try:
        return ManifestHead.model_validate(document)
    except ValidationError as error:
        raise PackageError(
            f"{path!a}, line 1, is no head of a package, or of a later version: {_first(error)}"
        ) from error


def _entry_of(path: str, head: ManifestHead, number: int, document: object) -> Entry:
    try:
        line = _Line.model_validate(document)
    except ValidationError as error:
        raise PackageError(
            f"{path!a}, line {number}, cannot be restored: {_first(error)}"
        ) from error
    sets = GENERATED_SETS if head.is_generated else REPLAY_SETS if head.replay else SETS
    if line.set_name not in sets or bool(line.batch) != head.is_generated:
        raise PackageError(f"{path!a}, line {number}: the set {line.set_name} is not of its kind")
    size, mtime_ns = line.size_bytes, line.mtime_ns
    return Entry(line.path, line.key, size, line.set_name, mtime_ns, "", line.batch)


def read_intents(package: str, sums: dict[str, str]) -> Iterator[WriteIntent]:
    """Yield the intents of a package, if its sums list any; PackageError names the wrong line.

    An intent that is about another batch is refused too.
    """
    if INTENTS_NAME not in sums:
        return
    path, batch = os.path.join(package, INTENTS_NAME), read_head(package).batch
    with _readable(path) as file:
        number = 0
        while line := file.readline(INTENT_BYTES_MAX):
            number += 1
            if not line.strip():
                continue
            try:
                intent = WriteIntent.model_validate_json(line)
            except ValidationError as error:
                raise PackageError(
                    f"{path!a}, line {number}, is no intent: {_first(error)}"
                ) from error
            if intent.ingest_batch != batch:
                raise PackageError(f"{path!a}, line {number}, is about another batch than {batch}")
            yield intent


def read_objects(package: str) -> Iterator[tuple[str, BinaryIO]]:
    """Yield (key, bytes) of every object in order; names that are not objects are PackageErrors.

    The bytes are not verified here: the reader hashes them against the key.
    """
    path = os.path.join(package, OBJECTS_NAME)
    try:
        with (
            _readable(path) as stream,
            tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:") as tar,
        ):
            for member in tar:
                match = _MEMBER.fullmatch(member.name)
                if match is None or not member.isreg() or match[1] != match[2][:2]:
                    raise PackageError(f"{path!a} has a member {member.name[:100]!a}")
                file = tar.extractfile(member)
                assert file is not None
                yield match[2], cast(BinaryIO, file)
                cast(Any, tar).members = []  # Else every member stays in memory.
    except (tarfile.TarError, EOFError) as error:
        raise PackageError(f"{path!a} is damaged: {error}") from error


# ---- Reading lines ---------------------------------------------------------------------------


@contextmanager
def _readable(path: str) -> Generator[_Guarded]:
    """Open a file of a package; whoever reads meets a PackageError where the medium fails."""
    try:
        file = open(path, "rb", opener=_open_plain)  # noqa: SIM115 - closed below
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        yield _Guarded(file, path)


def _open_plain(path: str, flags: int) -> int:
    # No link leads elsewhere, and no pipe keeps anybody waiting.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _unreadable(path: str, error: OSError) -> PackageError:
    return PackageError(
        f"{path!a} cannot be read: {error.strerror or error}; try another copy of the package"
    )


class _Guarded:
    """A file whose failing reads name it: the caller's own OSErrors stay what they are."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file, self._path = file, path

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise _unreadable(self._path, error) from error

    def readline(self, limit: int) -> bytes:
        try:
            return self._file.readline(limit)
        except OSError as error:
            raise _unreadable(self._path, error) from error

    def readinto(self, buffer: bytearray) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _lines(path: str, limit_bytes: int) -> Iterator[tuple[int, Any]]:
    """Yield (number from 1, value) of every line of JSON."""
    with _readable(path) as file:
        number = 0
        while line := file.readline(limit_bytes):
            number += 1
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise PackageError(
                    f"{path!a}, line {number}, cannot be understood: {safe_text(str(error)[:200])}"
                ) from error


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, found["loc"])) or "the line"
    shown = error.errors(include_url=False, include_context=False)[0]["input"]
    return f"{place}: {found['msg']} ({shown!a:.200})"
