"""Recognising the records of a format by their fields, so that sniffing and reading agree.

A `Shape` is one kind of record. `adapter` makes an adapter of the shapes and the rules that read
them: a document is walked through lists and holders to the objects that have a shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adapters.records.errors import RecordError
from adapters.sources.model import Person, Rules
from adapters.sources.reading.adapter import DocumentAdapter, Found, Part, Rule, of_value

MEMBERS_LOOKED_AT = 5
"""So many members of a list are asked for their shape by sniffing."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of record: it has all fields of `needed`, and `at_least` so many of `any_of`."""

    kind: str
    needed: frozenset[str]
    any_of: frozenset[str] = frozenset()
    at_least: int = 0

    def fits(self, value: Any) -> bool:
        """Tell whether a value has this shape."""
        return (
            isinstance(value, dict)
            and self.needed <= value.keys()
            and len(self.any_of & value.keys()) >= self.at_least
        )


def shape(kind: str, needed: str, any_of: str = "", at_least: int = 1) -> Shape:
    """Return a shape from names of fields, separated by spaces."""
    words = frozenset(any_of.split())
    return Shape(kind, frozenset(needed.split()), words, at_least if words else 0)


def reader(rules: Rules, kind: str) -> Rule:
    """Return the rule that reads one kind of record; without an id, it is what lies in it."""
    node = rules.nodes[kind]
    if not node.id and not isinstance(node, Person):
        return lambda draft, value: rules.read_parts(draft, kind, value)
    return lambda draft, value: rules.read(draft, kind, value)


def adapter(
    name: str,
    rules: Rules,
    shapes: tuple[Shape, ...],
    expected: str,
    holders: str = "",
    **options: Any,
) -> DocumentAdapter:
    """Return the adapter of a format; `holders` are fields below which its records are."""
    names = holders.split()
    parts = {one.kind: reader(rules, one.kind) for one in shapes}

    def items_in(value: Any) -> Iterator[Found]:
        held = _held(value, names)
        if isinstance(value, list):
            for member in value:
                yield from items_in(member)
        elif found := next((one for one in shapes if one.fits(value)), None):
            yield Part(parts[found.kind], value)
        elif held is not None:
            yield from items_in(held)
        else:
            yield RecordError(expected)

    def recognises(value: Any) -> bool:
        members = value
        while (held := _held(members, names)) is not None:
            members = held
        tried = members[:MEMBERS_LOOKED_AT] if isinstance(members, list) else [members]
        return any(one.fits(member) for member in tried for one in shapes)

    return DocumentAdapter(
        name=name,
        tables=(rules.source.table,),
        split=of_value(items_in),
        expected=expected,
        recognise=recognises,
        **options,
    )


def _held(value: Any, holders: list[str]) -> Any:
    if not isinstance(value, dict):
        return None
    return next((value[name] for name in holders if isinstance(value.get(name), list | dict)), None)
