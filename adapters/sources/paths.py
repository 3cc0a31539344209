"""Paths into scraped records: the compiler of their notation, pure and without I/O.

| written | finds |
| --- | --- |
| `a.b`, `a[0]`, `a[].b` | a field of a field, a member of a list, a field of every member |
| `x|y`, `x,y` | the first that holds something usable; all of them |
| `a:reader` | what the reader makes of it; several are applied in turn |
| `'word'`, `{a}_{b}` | the word itself; a text with values in it, all of which must be there |
| `^.a`, `^position`, `^count` | of a nested object: the one around it, its place from 0, how many |
| `^platform` | the platform of the record, as its rules found it out |

Missing, null and empty values are skipped, and so are those of another type: nothing that a record
holds is ever an error. A path that is written wrongly is a ValueError when it is compiled. What
reads it is asked for by `first` and `every`, which also tell whether something unusable was there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
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

Read = Callable[[Any], Any]
"""From a raw value to a usable one, or None; it never raises."""

VALUES_MAX = 100_000
"""The most values of one list that are looked at."""
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


def _only(kind: type[Any]) -> Read:
    return lambda value: value if isinstance(value, kind) else None


_READERS: dict[str, Read] = {
    "id": as_id,
    "text": as_text,
    "html": text_of_html,
    "lower": _lower,
    "nonzero": _nonzero,
    "positive": lambda value: as_count(value) or None,
    "signed": as_integer,
    "unescaped": _unescaped,
    "words": _words,
    "keys": _keys,
    "at": _without("@"),
    "hash": _without("#"),
    "string": _only(str),
    "object": _only(dict),
}
_FINAL = {"signed"}
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


@dataclass(frozen=True, slots=True)
class Part:
    """One path: what finds its raw values, and whether these are read already."""

    find: Callable[[Any], Iterable[Any]]
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path: all of its groups, of each the first part with something usable."""

    text: str
    groups: tuple[tuple[Part, ...], ...]

    def first(self, record: Any, read: Read = lambda value: value) -> tuple[Any, bool]:
        """Return the first usable value or None, and whether anything was there at all."""
        seen = False
        for group in self.groups:
            for part in group:
                for raw in part.find(record):
                    value = raw if part.is_final else read(raw)
                    if value is not None and value != "":
                        return value, True
                    seen = True
        return None, seen

    def every(self, record: Any, read: Read = lambda value: value) -> tuple[list[Any], bool]:
        """Return all usable values once each, and whether anything was there at all."""
        found: list[Any] = []
        seen = False
        for group in self.groups:
            for part in group:
                lists = (raw if isinstance(raw, list) else [raw] for raw in part.find(record))
                members = [member for members in lists for member in members]
                values = [read(member) for member in members[:VALUES_MAX]]
                usable = [value for value in values if value is not None and value != ""]
                seen = seen or bool(members)
                if usable:
                    found += usable
                    break
        return _distinct(found), seen


@lru_cache(maxsize=4_096)
def compiled(text: str) -> Path:
    """Compile a path; ValueError says what is wrong with it. An empty one finds nothing."""
    groups = _split(text, ",") if text.strip() else []
    return Path(text, tuple(tuple(map(_part, _split(group, "|"))) for group in groups))


def _distinct(values: list[Any]) -> list[Any]:
    try:
        return list(dict.fromkeys(values))
    except TypeError:  # Objects have no hash, and are told apart by nobody.
        return values


# ---- Compiling ---------------------------------------------------------------------------------

_READER_NAMES = re.compile(r"(?::[a-z_0-9]+)*$")
_STEP = re.compile(r"\.?(?:\"([^\"]+)\"|([^\s.\[\]:|,{}'\"]+)|(?=\[))((?:\[\d*\])*)")
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
    find = _literal(body) if body[0] == "'" else _template(body) if "{" in body else _steps(body)
    readers = [_READERS[name] for name in names]
    return Part(_reading(find, readers) if readers else find, bool(_FINAL & set(names)))


def _reading(
    find: Callable[[Any], Iterable[Any]], readers: list[Read]
) -> Callable[[Any], Iterable[Any]]:
    def read(record: Any) -> Iterator[Any]:
        values = list(find(record))
        if not values:
            return
        for reader in readers:
            # What a reader splits goes on in parts.
            values = [part for value in values for part in _parts(value, reader(value))]
        yield from (value for value in values if value is not None and value != "")

    return read


def _parts(value: Any, read: Any) -> list[Any]:
    if isinstance(read, list) and read is not value:
        return read
    return [] if read is None else [read]


def _literal(text: str) -> Callable[[Any], Iterable[Any]]:
    if len(text) < 3 or text[-1] != "'":
        raise ValueError(f"{text!r}: a word stands between two quotes")
    return lambda _record: (text[1:-1],)


def _template(text: str) -> Callable[[Any], Iterable[Any]]:
    # Texts and paths in turn, beginning and ending with a text.
    pieces = _HOLE.split(text)
    paths = [compiled(piece) for piece in pieces[1::2]]

    def find(record: Any) -> Iterator[Any]:
        values = [path.first(record, as_text)[0] for path in paths]
        if None not in values:
            filled = [
                text for pair in zip(pieces[::2], [*values, ""], strict=True) for text in pair
            ]
            yield "".join(filled)

    return find


def _steps(text: str) -> Callable[[Any], Iterable[Any]]:
    steps, position = list[str | int | None](), 0
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None or found.end() == position:
            raise ValueError(f"{text!r}: no path, expected fields such as a.b, a[0] or a[].b")
        if name := found[1] or found[2]:
            steps.append(name)
        steps += [int(index) if index else None for index in re.findall(r"\[(\d*)\]", found[3])]
        position = found.end()
    if None in steps:
        return lambda record: _each(record, steps)
    straight = tuple(step for step in steps if step is not None)
    if len(straight) == 1 and isinstance(straight[0], str):
        name = straight[0]  # Most paths are one field, and most fields are missing.

        def find_field(record: Any) -> Iterable[Any]:
            value = record.get(name) if isinstance(record, dict) else None
            return () if value is None or value == "" else (value,)

        return find_field

    def find(record: Any) -> Iterable[Any]:
        value = dig(record, *straight)
        return () if value is None or value == "" else (value,)

    return find


def _each(record: Any, steps: list[str | int | None]) -> Iterator[Any]:
    """Follow steps of which some mean every member of a list."""
    for index, step in enumerate(steps):
        if step is None:
            members = record[:VALUES_MAX] if isinstance(record, list) else ()
            for member in members:
                yield from _each(member, steps[index + 1 :])
            return
        record = dig(record, step)
    if record is not None and record != "":
        yield record
