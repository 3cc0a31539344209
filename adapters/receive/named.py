"""Which files the objects of a request name: `part:NAME`, anywhere in an object. Pure.

A file is called by the name of its part; those of `files[]`, which are many, by their file names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from adapters.receive.receipts import FilePart
from adapters.sources.received import REFERENCE, references
from base.errors import UsageError

MANY = ("files[]", "files")


def check_names(parts: Sequence[bytes], files: Sequence[FilePart]) -> None:
    """Raise UsageError where an object names a file that is not there, or not alone."""
    names = Counter(_name_of(one) for one in files)
    for number, part in enumerate(parts, 1):
        for name in _named(part):
            count = names[name]
            if count != 1:
                why = f"{count} files have that name" if count else "the request has no such file"
                raise UsageError(
                    f"object {number:,} names {REFERENCE + name!a}, and {why}; nothing was taken"
                )


def named_by(part: bytes, files: Sequence[FilePart]) -> dict[str, int]:
    """Return the files that an object names: their places in the request, by their names."""
    places = {_name_of(one): place for place, one in enumerate(files)}
    return {name: places[name] for name in _named(part)}


def _named(part: bytes) -> list[str]:
    if REFERENCE.encode() not in part and b"\\u" not in part:
        return []  # The names of most objects are none, which a parser need not tell.
    return list(dict.fromkeys(references(json.loads(part))))


def _name_of(file: FilePart) -> str:
    return file.file_name if file.part in MANY else file.part
