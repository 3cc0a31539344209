"""Paths into scraped records: the compiler of their notation, pure and without I/O.

| written | finds |
| --- | --- |
| `a.b`, `a[0]`, `a[-1]` | a field of a field, a member of a list, the last one |
| `a[].b` | a field of every member |
| `a[kind=film].b` | a field of those members whose `kind` is that word |
| `.` | the record itself |
| `x|y`, `x,y` | the first that holds something usable; all of them |
| `a:reader` | what the reader makes of it; several are applied in turn |
| `'word'`, `{a}_{b}` | the word itself; a text with values in it, all of which must be there |
| `^.a`, `^position`, `^count` | of a nested object: the one around it, its place from 0, how many |
| `^platform` | the platform of the record, as its rules found it out |

Missing, null and empty values are skipped, and so are those of another type: nothing that a record
holds is ever an error. A path that is written wrongly is a ValueError when it is compiled. What
reads it is bound by `first_of` and `every_of`, which also tell whether anything unusable was there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from adapters.records.values import (
    as_count,
    as_id,
    as_integer,
    as_text,
    dig,
    text_of_html,
)
from adapters.sources.reading.rich_text import text_of_post

Read = Callable[[Any], Any]
"""From a raw value to a usable one, or None; it never raises."""

VALUES_MAX = 100_000
"""The most values of one list that are looked at."""
BODY_LENGTH_MAX = 100_000
"""The most characters of a whole text (`:body`); other texts are cut at 4,096."""
ABOVE, POSITION, COUNT, PLATFORM = "^", "^position", "^count", "^platform"
"""Names under which fields know what is around them, their place, how many there are, and whose."""


def _nonzero(value: Any) -> Any:
    return None if as_integer(value) == 0 else value


def _lower(value: Any) -> Any:
    text = as_text(value)
    return text.lower() if text else None


def _unescaped(value: Any) -> Any:
    return html.unescape(value) if isinstance(value, str) else None


def _words(value: Any) -> Any:
    if isinstance(value, str):
        return (as_text(value, 200_000) or "").split()
    return [*value] if isinstance(value, list) else value


def _keys(value: Any) -> Any:
    return [*value] if isinstance(value, dict) else None


def _without(sign: str) -> Read:
    return lambda value: value.lstrip(sign) or None if isinstance(value, str) else None


def body_of(value: Any) -> str | None:
    """Return a whole text, out of HTML when it looks like that."""
    # What many sites write is no HTML, and then its lines stay as they are.
    is_html = isinstance(value, str) and "<" in value and ">" in value
    return text_of_post(value, BODY_LENGTH_MAX) if is_html else as_text(value, BODY_LENGTH_MAX)


def _only(kind: type[Any]) -> Read:
    return lambda value: value if isinstance(value, kind) else None


_READERS: dict[str, Read] = {
    "id": as_id,
    "text": as_text,
    "html": text_of_html,
    "body": body_of,
    "whole": lambda value: as_text(value, BODY_LENGTH_MAX),
    "lower": _lower,
    "nonzero": _nonzero,
    "positive": lambda value: as_count(value) or None,
    "signed": as_integer,
    "unescaped": _unescaped,
    "words": _words,
    "keys": _keys,
    "values": lambda value: [*value.values()] if isinstance(value, dict) else None,
    "commas": lambda value: value.split(",") if isinstance(value, str) else value,
    "stem": lambda value: value.rpartition(".")[0] or value if isinstance(value, str) else None,
    "name": lambda value: value.rpartition("/")[2] if isinstance(value, str) else None,
    "at": _without("@"),
    "hash": _without("#"),
    "string": _only(str),
    "object": _only(dict),
}
_FINAL = {"signed", "body", "whole"}
"""Readers whose answer is taken as it is, whatever the type of the column reads."""


def add_readers(**readers: Read) -> None:
    """Add readers of a platform by name; ValueError when one of them is there already.

    What one of them returns goes through the reader of the column's type like any other value.
    """
    taken = _READERS.keys() & readers.keys()
    if taken:
        raise ValueError(f"there are readers of these names already: {', '.join(sorted(taken))}")
    _READERS.update(readers)


def names_reader(names: dict[int, Any], keeps_text: bool = False) -> Read:
    """Return a reader that looks numbers up in a table; others are nothing, or stay as texts."""

    def read(value: Any) -> Any:
        number = as_count(value)
        return names.get(number) if number is not None else as_text(value) if keeps_text else None

    return read


Find = Callable[[Any], Sequence[Any]]
"""From a record to the raw values at a place in it, none of them missing or empty."""
First = Callable[[Any], tuple[Any, bool]]
"""From a record to its first usable value or None, and whether anything was there at all."""
Every = Callable[[Any], tuple[list[Any], bool]]
"""From a record to all usable values once each, and whether anything was there at all."""
_NOTHING, _UNUSABLE = (None, False), (None, True)


@dataclass(frozen=True, slots=True)
class Part:
    """One path: what finds its raw values, and whether these are read already."""

    find: Find
    is_final: bool = False
    name: str | None = None
    """The field that the path is, where it is no more than that."""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path: all of its groups, of each the first part with something usable.

    `first_of` and `every_of` bind it to what reads its values. That is done once, where a table is
    declared, and so what they return is all that a record costs.
    """

    text: str
    groups: tuple[tuple[Part, ...], ...]

    def first_of(self, read: Read | None = None) -> First:
        """Return what finds the first usable value of a record."""
        parts = [part for group in self.groups for part in group]
        if not parts:
            return lambda _record: _NOTHING
        names = [part.name for part in parts if part.name is not None]
        if len(names) == len(parts):
            return _first_of_fields(names, read)
        finds = [(part.find, None if part.is_final else read) for part in parts]

        def find_first(record: Any) -> tuple[Any, bool]:
            found = _NOTHING
            for find, read_one in finds:
                for raw in find(record):
                    value = raw if read_one is None else read_one(raw)
                    if value is not None and value != "":
                        return value, True
                    found = _UNUSABLE
            return found

        return find_first

    def every_of(self, read: Read | None = None) -> Every:
        """Return what finds all usable values of a record."""
        groups = [[part.find for part in group] for group in self.groups]
        if not groups:
            return lambda _record: ([], False)
        if len(groups) == 1 and len(groups[0]) == 1:
            return _every_of_part(groups[0][0], read)

        def find_every(record: Any) -> tuple[list[Any], bool]:
            found: list[Any] = []
            seen = False
            for group in groups:
                for find in group:
                    if not (raws := find(record)) or not (members := _flat(raws)):
                        continue
                    seen = True
                    values = members if read is None else map(read, members)
                    if usable := [value for value in values if value is not None and value != ""]:
                        found += usable
                        break
            return _distinct(found), seen

        return find_every


@lru_cache(maxsize=4_096)
def compiled(text: str) -> Path:
    """Compile a path; ValueError says what is wrong with it. An empty one finds nothing."""
    groups = _split(text, ",") if text.strip() else []
    return Path(text, tuple(tuple(map(_part, _split(group, "|"))) for group in groups))


def _first_of_fields(names: list[str], read: Read | None) -> First:
    # Most paths are a field or one of some, and most fields are missing.
    name = names[0]

    def find_field(record: Any) -> tuple[Any, bool]:
        raw = record.get(name) if isinstance(record, dict) else None
        if raw is None or raw == "":
            return _NOTHING
        value = raw if read is None else read(raw)
        return _UNUSABLE if value is None or value == "" else (value, True)

    def find_first(record: Any) -> tuple[Any, bool]:
        if not isinstance(record, dict):
            return _NOTHING
        found = _NOTHING
        for name in names:
            raw = record.get(name)
            if raw is None or raw == "":
                continue
            value = raw if read is None else read(raw)
            if value is not None and value != "":
                return value, True
            found = _UNUSABLE
        return found

    return find_field if len(names) == 1 else find_first


def _every_of_part(find: Find, read: Read | None) -> Every:
    def find_every(record: Any) -> tuple[list[Any], bool]:
        raws = find(record)
        members = _flat(raws) if raws else ()
        if not members:
            return [], False
        values = members if read is None else map(read, members)
        return _distinct([value for value in values if value is not None and value != ""]), True

    return find_every


def _flat(raws: Sequence[Any]) -> list[Any]:
    """Return values, of lists their members."""
    if len(raws) == 1:
        members = raws[0] if isinstance(raws[0], list) else [raws[0]]
    else:
        lists = (raw if isinstance(raw, list) else [raw] for raw in raws)
        members = [member for members in lists for member in members]
    return members[:VALUES_MAX] if len(members) > VALUES_MAX else members


def _distinct(values: list[Any]) -> list[Any]:
    if len(values) < 2:
        return values
    try:
        return list(dict.fromkeys(values))
    except TypeError:  # Objects have no hash, and are told apart by nobody.
        return values


# ---- Compiling ---------------------------------------------------------------------------------

_READER_NAMES = re.compile(r"(?::[a-z_0-9]+)*$")
_STEP = re.compile(
    r"\.?(?:\"([^\"]+)\"|([^\s.\[\]:|,{}'\"]+)|(?=\[))((?:\[(?:-?\d+|\w+=[^\]]+)?\])*)"
)
_HOLE = re.compile(r"\{([^{}]*)\}")


def _split(text: str, sign: str) -> list[str]:
    """Split at a sign that stands outside of quotes and braces."""
    parts, depth, quote, begin = list[str](), 0, "", 0
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "{}":
            depth += 1 if character == "{" else -1
        elif character == sign and not depth:
            parts.append(text[begin:index])
            begin = index + 1
    if quote or depth:
        raise ValueError(f"{text!r}: a quote or brace is not closed")
    return [part.strip() for part in [*parts, text[begin:]]]


def _part(text: str) -> Part:
    found = _READER_NAMES.search(text)
    names = found[0].split(":")[1:] if found else []
    body = text[: found.start()] if found else text
    unknown = [name for name in names if name not in _READERS]
    if unknown or not body:
        reason = f"there is no reader {unknown[0]!r}" if unknown else "a path is missing"
        raise ValueError(f"{text!r}: {reason}")
    steps = None if body[0] == "'" or "{" in body else _steps(body)
    if steps is not None:
        find = _each(steps)
    else:
        find = _literal(body) if body[0] == "'" else _template(body)
    field = steps[0] if steps and len(steps) == 1 and isinstance(steps[0], str) else None
    readers = [_READERS[name] for name in names]
    if field is not None and len(readers) == 1:
        find = _reading_field(field, readers[0])
    elif readers:
        find = _reading(find, readers)
    return Part(find, bool(_FINAL & set(names)), None if readers else field)


def _reading_field(name: str, reader: Read) -> Find:
    def read(record: Any) -> Sequence[Any]:
        raw = record.get(name) if isinstance(record, dict) else None
        if raw is None or raw == "":
            return ()
        value = reader(raw)
        if value is None or value == "":
            return ()
        if isinstance(value, list) and value is not raw:
            return [member for member in value if member is not None and member != ""]
        return (value,)

    return read


def _reading(find: Find, readers: list[Read]) -> Find:
    def read(record: Any) -> Sequence[Any]:
        values = find(record)
        if not values:
            return ()
        for reader in readers:
            # What a reader splits goes on in parts.
            values = [part for value in values for part in _parts(value, reader(value))]
        return [value for value in values if value is not None and value != ""]

    return read


def _parts(value: Any, read: Any) -> list[Any]:
    if isinstance(read, list) and read is not value:
        return read
    return [] if read is None else [read]


def _literal(text: str) -> Find:
    if len(text) < 3 or text[-1] != "'":
        raise ValueError(f"{text!r}: a word stands between two quotes")
    return lambda _record: (text[1:-1],)


def _template(text: str) -> Find:
    # Texts and paths in turn, beginning and ending with a text.
    pieces = _HOLE.split(text)
    texts, holes = pieces[::2], [compiled(piece).first_of(as_text) for piece in pieces[1::2]]

    def find(record: Any) -> Sequence[Any]:
        filled = texts[0]
        for hole, text in zip(holes, texts[1:], strict=True):
            value, _ = hole(record)
            if value is None:
                return ()
            filled += value + text
        return (filled,)

    return find


@dataclass(frozen=True, slots=True)
class _Members:
    """Every member of a list, or those of whose fields one is a word."""

    field: str = ""
    word: str = ""

    def of(self, value: Any) -> list[Any]:
        members = value[:VALUES_MAX] if isinstance(value, list) else []
        if not self.field:
            return members
        return [one for one in members if as_text(dig(one, self.field)) == self.word]


def _steps(text: str) -> list[str | int | _Members]:
    """Return the fields, the indexes, and which members are meant; none for the record itself."""
    steps, position = list[str | int | _Members](), 0
    if text == ".":
        return steps
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None or found.end() == position:
            raise ValueError(f"{text!r}: no path, expected fields such as a.b, a[0] or a[].b")
        if name := found[1] or found[2]:
            steps.append(name)
        for inside in re.findall(r"\[([^\]]*)\]", found[3]):
            field, _, word = inside.partition("=")
            steps.append(_Members(field, word) if word or not inside else int(inside))
        position = found.end()
    return steps


def _each(steps: list[str | int | _Members]) -> Find:
    """Return what follows steps, of which some mean every member of a list."""
    position = next((n for n, step in enumerate(steps) if isinstance(step, _Members)), None)
    if position is None:
        return _straight([step for step in steps if not isinstance(step, _Members)])
    find_list = _straight([step for step in steps[:position] if not isinstance(step, _Members)])
    inside, which = steps[position + 1 :], steps[position]
    assert isinstance(which, _Members)
    members_of, find_inside = which.of, _each(inside)
    field = inside[0] if len(inside) == 1 and isinstance(inside[0], str) else None

    def find_fields(record: Any) -> Sequence[Any]:
        lists = find_list(record)
        members = members_of(lists[0]) if lists else ()
        values = [member.get(field) for member in members if isinstance(member, dict)]
        return [value for value in values if value is not None and value != ""]

    def find(record: Any) -> Sequence[Any]:
        lists = find_list(record)
        members = members_of(lists[0]) if lists else ()
        return [value for member in members for value in find_inside(member)]

    return find if field is None else find_fields


def _straight(steps: list[str | int]) -> Find:
    names = [step for step in steps if isinstance(step, str)]

    def find(record: Any) -> Sequence[Any]:
        value = dig(record, *steps)
        return () if value is None or value == "" else (value,)

    def find_field(record: Any) -> Sequence[Any]:
        for name in names:
            if not isinstance(record, dict):
                return ()
            record = record.get(name)
        return () if record is None or record == "" else (record,)

    return find_field if len(names) == len(steps) else find
