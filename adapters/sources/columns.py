"""The declared tables of platforms: what a column is, and where the fields of a record have it.

`source` declares a table: each line a column, its type, its path (paths.py) and its meaning;
sections say of which nodes it is told. `recast` gives the objects of a format the field names of
its platform. Pure, but for what is unusable being counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_number, as_text
from adapters.sources.paths import ABOVE, COUNT, PLATFORM, POSITION, Path, Read, compiled
from adapters.sources.reading.draft import Draft
from sql import Column, DeclaredTable

TEXTS_MAX = 1_000
READS: dict[str, Read] = {
    "text": as_text,
    "text[]": as_text,
    "bigint": as_count,
    "double precision": as_number,
    "boolean": as_boolean,
    "timestamptz": parse_time,
}
"""How the values of a type are read where the path names no other reader."""


@dataclass(frozen=True, slots=True)
class Source:
    """A declared table, and by section the columns that a record's fields give."""

    table: DeclaredTable
    sections: Mapping[str, tuple[tuple[str, str, Path], ...]]

    def columns(self, draft: Draft, section: str, fields: Any) -> dict[str, Any]:
        """Return the columns of a section; what is of another type is left out and counted."""
        found: dict[str, Any] = {}
        for name, kind, path in self.sections.get(section, ()):
            if kind == "text[]":
                value, seen = path.every(fields, as_text)
                value = value[:TEXTS_MAX] or None
            else:
                value, seen = path.first(fields, READS[kind])
            if value is not None:
                found[name] = value
            elif seen:
                draft.unread[f"{self.table.name}.{name}"] += 1
        return found


_LINE = re.compile(
    r"(?P<name>\w+)(?: (?P<type>[a-z]+(?: precision)?(?:\[\])?))?(?: = (?P<path>.+?))?"
    r"(?: # (?P<comment>.+))?"
)


def source(name: str, comment: str, declaration: str, version: int = 1) -> Source:
    """Declare a platform's table; ValueError says which line is wrong.

    `section:` begins the columns of one kind of node. `column type = path # Meaning` declares one
    and says where it is; another section repeats it without type and meaning. A line of names
    alone means these columns with the paths that they have in the first section that has them.
    """
    columns: dict[str, Column] = {}
    sections: dict[str, dict[str, Path]] = {}
    section: dict[str, Path] = {}
    for line in _lines(declaration):
        if re.fullmatch(r"\w+:", line):
            section = sections.setdefault(line[:-1], {})
            continue
        if "=" not in line and "#" not in line:
            section |= {word: _repeated(sections, word, line) for word in line.split()}
            continue
        found = _LINE.fullmatch(line)
        if found is None or bool(found["type"]) != bool(found["comment"]):
            raise ValueError(f"{line!r}: expected `column type = path # Meaning`")
        if found["type"]:
            columns[found["name"]] = Column(
                name=found["name"],
                type=found["type"],  # pyright: ignore[reportArgumentType]
                comment=found["comment"],
            )
        elif found["name"] not in columns:
            raise ValueError(f"{line!r}: the column is not declared above")
        if found["path"]:
            section[found["name"]] = compiled(found["path"])
    table = DeclaredTable(
        kind="source", name=name, version=version, comment=comment, columns=tuple(columns.values())
    )
    typed = {
        kind: tuple((column, columns[column].type, path) for column, path in paths.items())
        for kind, paths in sections.items()
    }
    return Source(table, typed)


def _lines(text: str) -> Iterator[str]:
    """Yield lines with single spaces; one that ends in a backslash goes on in the next."""
    joined = text.replace("\\\n", " ").splitlines()
    yield from filter(None, (" ".join(line.split()) for line in joined))


def _repeated(sections: Mapping[str, dict[str, Path]], name: str, line: str) -> Path:
    found = next((paths[name] for paths in sections.values() if name in paths), None)
    if found is None:
        raise ValueError(f"{line!r}: no section above has the column {name}")
    return found


# ---- Fields ------------------------------------------------------------------------------------

Change = Callable[[dict[str, Any]], dict[str, Any]]
"""Gets the fields of an object and returns them changed; the record stays as it was scraped."""


def recast(text: str, change: Change | None = None, **parts: Change) -> Change:
    """Return what gives a format's objects the field names of its platform.

    Each line is `field = path` for one value, `field[] = path` for all; `field = path > part` gives
    every object there to a recast of its own, always as a list. A field whose path finds nothing is
    absent. `change` is applied last.
    """
    lines = [line.partition(" = ") for line in _lines(text)]
    plan: list[tuple[str, Path, Change | None]] = []
    for name, _, rest in lines:
        path, _, part = rest.partition(" > ")
        plan.append((name, compiled(path), parts[part] if part else None))

    def fields_of(record: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, path, part in plan:
            if part is not None:
                values = [told for one in objects_at(path, record) if (told := part(one))]
                value = values or None
            elif name.endswith("[]"):
                value = path.every(record)[0] or None
            else:
                value, _ = path.first(record)
            if value is not None:
                found[name.removesuffix("[]")] = value
        return found if change is None else change(found)

    return fields_of


def objects_at(path: Path, fields: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects that a path finds, each knowing what is around it and its place there."""
    values, _ = path.every(fields)
    objects = [value for value in values if isinstance(value, dict)]
    around = {ABOVE: fields, COUNT: len(objects), PLATFORM: fields.get(PLATFORM)}
    for position, one in enumerate(objects):
        yield {POSITION: position, **one, **around}
