"""Listings of checksums: what a cold storage says of files that it does not give back at once.

    sha256sum        HASH  PATH, also with --tag: SHA256 (PATH) = HASH
    CSV              rows with a path (S3: bucket, key, ...) and a SHA-256, hexadecimal or base64,
                     with or without a first row of names; also the completion report of the job
                     "Compute checksum" of S3 Batch Operations

Either may be compressed by gzip. Nothing of a listing is believed but hashes of whole files.
"""

from __future__ import annotations

import base64
import binascii
import csv
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from adapters.records.errors import PackageError
from base.errors import UsageError
from base.text import safe_text

LINE_CHARACTERS_MAX = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"
KEY_NAMES = ("key", "path", "name", "file", "filename", "object")
_SUM_LINE = re.compile(r"([0-9A-Fa-f]{64}) [ *](.+)|SHA256 \((.+)\) = ([0-9A-Fa-f]{64})")
_HEX = re.compile("[0-9A-Fa-f]{64}")
_BASE64 = re.compile("[A-Za-z0-9+/]{43}=")


def check_listed(listing: str, expected: Mapping[str, str]) -> str:
    """Return the folder of a listing that has all of these files (name: SHA-256), and those bytes.

    UsageError when the listing cannot be read or has no checksums, PackageError when no folder has
    them all, with what is missing or another in the one that comes closest.
    """
    folders: dict[str, dict[str, set[str]]] = {}
    seen = 0
    for path, key in _rows(listing):
        seen += 1
        for name in expected:
            folder = f"/{path}".removesuffix(f"/{name}")  # A name may have a folder in it.
            if folder != f"/{path}":
                folders.setdefault(folder[1:], {}).setdefault(name, set()).add(key)
    if not seen:
        raise UsageError(
            f"{listing!a} has no line with a path and a SHA-256; give the output of `sha256sum`, "
            "or a CSV with both (an ETag or a composite checksum is no SHA-256 of a file)"
        )
    problems = [_problems(found, expected) for found in folders.values()]
    for folder, wrong in zip(folders, problems, strict=True):
        if not wrong:
            return folder or "."
    closest = min(problems, key=len, default=[f"{name} is missing" for name in expected])
    raise PackageError(f"{listing!a} does not have the package: {'; '.join(closest)}")


def _problems(found: Mapping[str, set[str]], expected: Mapping[str, str]) -> list[str]:
    wrong: list[str] = []
    for name, key in expected.items():
        keys = found.get(name, set())
        if not keys:
            wrong.append(f"{name} is missing")
        elif len(keys) > 1:
            wrong.append(f"{name} is listed with several hashes")
        elif keys != {key}:
            wrong.append(f"{name} has the hash {min(keys)}, not {key}")
    return wrong


def _rows(listing: str) -> Iterator[tuple[str, str]]:
    """Yield path and SHA-256 of every line that has both."""
    try:
        with open(listing, "rb") as file:
            is_packed = file.read(2) == GZIP_MAGIC
        opener: Any = gzip.open if is_packed else open
        with opener(listing, "rt", encoding="utf-8", errors="surrogateescape", newline="") as text:
            yield from _parse(_lines(text, listing))
    except csv.Error as error:
        raise UsageError(f"{listing!a} cannot be read: {error}") from error
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{listing!a} cannot be read: {safe_text(reason)}") from error


def _lines(text: IO[str], listing: str) -> Iterator[str]:
    while line := text.readline(LINE_CHARACTERS_MAX):
        if len(line) == LINE_CHARACTERS_MAX:
            raise UsageError(
                f"{listing!a} has a line of {LINE_CHARACTERS_MAX:,} characters or more"
            )
        yield line


def _parse(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    header: list[str] = []
    for line in lines:
        bare = line.rstrip("\r\n")
        if found := _SUM_LINE.fullmatch(bare):
            yield found[2] or found[3], (found[1] or found[4]).lower()
            continue
        for row in csv.reader([bare]):
            key = _sum_of(row)
            if key is None:
                # The first row that has no checksum may say which column is the path.
                header = header or ["".join(filter(str.isalnum, cell)).lower() for cell in row]
            elif path := _path_of(row, header):
                yield path, key


def _sum_of(row: list[str]) -> str | None:
    for cell in row:
        if cell.startswith("{"):
            return _reported(cell)
        if _HEX.fullmatch(cell):
            return cell.lower()
        if _BASE64.fullmatch(cell):
            return _of_base64(cell)
    return None


def _reported(cell: str) -> str | None:
    """Return the checksum that a completion report has, where it is one of a whole object."""
    try:
        document = json.loads(cell)
        if document["checksumAlgorithm"] != "SHA256" or document["checksumType"] != "FULL_OBJECT":
            return None
        found = str(document["checksum_hex"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found.lower() if _HEX.fullmatch(found) else None


def _of_base64(text: str) -> str | None:
    try:
        return base64.b64decode(text, validate=True).hex()
    except binascii.Error:
        return None


def _path_of(row: list[str], header: list[str]) -> str:
    if len(row) == len(header):
        for name in KEY_NAMES:
            if name in header:
                return row[header.index(name)]
    if len(row) == 2:  # The other one of the two.
        return row[0] if _sum_of(row[1:]) else row[1]
    # As S3 lists: bucket, key, and what else was asked for.
    return row[1] if len(row) > 2 else ""
