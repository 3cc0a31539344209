"""The declared tables of platforms: what a column is, and where the fields of a record have it.

`source` declares a table: each line a column, its type, its path (paths.py) and its meaning;
sections say of which nodes it is told. `recast` gives the objects of a format the field names of
its platform. Pure, but for what is unusable being counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_number, as_text
from adapters.sources.paths import (
    ABOVE,
    COUNT,
    PLATFORM,
    POSITION,
    First,
    Path,
    Read,
    compiled,
)
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
    _bound: Mapping[str, tuple[tuple[str, First], ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Bind the paths to what reads their types."""
        bound = {
            section: tuple((name, _column(kind, path)) for name, kind, path in columns)
            for section, columns in self.sections.items()
        }
        object.__setattr__(self, "_bound", bound)

    def columns(self, draft: Draft, section: str, fields: Any) -> dict[str, Any]:
        """Return the columns of a section; what is of another type is left out and counted."""
        found: dict[str, Any] = {}
        for name, find in self._bound.get(section, ()):
            value, seen = find(fields)
            if value is not None:
                found[name] = value
            elif seen:
                draft.unread[f"{self.table.name}.{name}"] += 1
        return found


def _column(kind: str, path: Path) -> First:
    if kind != "text[]":
        return path.first_of(READS[kind])
    every = path.every_of(as_text)

    def find_texts(fields: Any) -> tuple[Any, bool]:
        values, seen = every(fields)
        return values[:TEXTS_MAX] or None, seen

    return find_texts


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
Objects = Callable[[Any], Iterable[dict[str, Any]]]
"""From fields to the objects in them, each knowing what is around it and its place there."""


def recast(text: str, change: Change | None = None, **parts: Change) -> Change:
    """Return what gives a format's objects the field names of its platform.

    Each line is `field = path` for one value, `field[] = path` for all; `field = path > part` gives
    every object there to a recast of its own, always as a list. A field whose path finds nothing is
    absent; of several lines of one field the first that finds something counts. `change` is applied
    last.
    """
    lines = [line.partition(" = ") for line in _lines(text)]
    plan: list[tuple[str, First]] = []
    for name, _, rest in lines:
        path, _, part = rest.partition(" > ")
        find = _field(compiled(path), name.endswith("[]"), parts[part] if part else None)
        plan.append((name.removesuffix("[]"), find))

    def fields_of(record: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, find in plan:
            value = None if name in found else find(record)[0]
            if value is not None:
                found[name] = value
        return found if change is None else change(found)

    return fields_of


def _field(path: Path, is_list: bool, part: Change | None) -> First:
    """Return what finds the value of one line of `recast`."""
    if part is not None:
        objects = objects_of(path)
        return lambda record: ([t for one in objects(record) if (t := part(one))] or None, True)
    every = path.every_of()
    return (lambda record: (every(record)[0] or None, True)) if is_list else path.first_of()


def objects_of(path: Path) -> Objects:
    """Return what finds the objects of a path."""
    every = path.every_of()

    def find_objects(fields: Any) -> Iterable[dict[str, Any]]:
        values, _ = every(fields)
        return _placed(fields, values) if values else ()

    return find_objects


def _placed(fields: Any, values: list[Any]) -> Iterator[dict[str, Any]]:
    objects = [value for value in values if isinstance(value, dict)]
    around = {ABOVE: fields, COUNT: len(objects), PLATFORM: fields.get(PLATFORM)}
    for position, one in enumerate(objects):
        yield {POSITION: position, **one, **around}
