"""Shapes: which documents are of one kind, told by their top-level keys.

Pure. A document has one shape: its keys, those that are values themselves (numbers, dates, hashes)
as one. A shape belongs to the commoner one that it shares at least half of its keys with.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

ALIKE_MIN = 0.5
"""Share of keys in common, of all that two shapes have."""
KEYS_MAX = 200
"""A document with more keys is a map, and its keys are values."""
SHAPES_MAX = 2_000
"""So many new shapes at a time are compared, the commonest; what is beyond belongs together."""
ANY = "*"

_IS_VALUE = re.compile(
    r"[-+]?\d[\d.,:/_ TZ+-]*|[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|https?://.*|.{101,}",
    re.DOTALL,
)

Keys = frozenset[str]


def is_value(key: str) -> bool:
    """Tell whether a key is a value itself: a number, a date, a hash, an address, a text."""
    return _IS_VALUE.fullmatch(key) is not None


def keys_of(document: Mapping[str, Any]) -> Keys:
    """Return the keys that make the shape of a document."""
    if len(document) > KEYS_MAX:
        return frozenset((ANY,))
    return frozenset(ANY if is_value(key) else key for key in document)


def shape_of(keys: Keys) -> str:
    """Return the name of a shape: a hash of its keys, in hexadecimal."""
    text = "\n".join(repr(key) for key in sorted(keys))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def likeness(one: Keys, other: Keys) -> float:
    """Return the share of keys that two shapes have in common."""
    return len(one & other) / len(one | other) if one or other else 1.0


def grouped(shapes: Mapping[str, Keys], documents: Mapping[str, int]) -> list[list[str]]:
    """Return the shapes in groups that belong together, each with its commonest first.

    `documents` says how many have each shape. The commonest leads: a rarer one belongs to the
    leader that it is most like, so that two kinds never meet by what lies between them.
    """
    order = sorted(shapes, key=lambda shape: (-documents[shape], shape))
    groups: dict[str, list[str]] = {}
    for shape in order[:SHAPES_MAX]:
        leader = most_like(shapes[shape], ((one, shapes[one]) for one in groups))
        groups.setdefault(leader or shape, []).append(shape)
    beyond = order[SHAPES_MAX:]
    return [*groups.values(), *([beyond] if beyond else [])]


def most_like(keys: Keys, known: Iterable[tuple[str, Keys]]) -> str | None:
    """Return the group, by its name, that has the shape most like these keys; None for none."""
    best: tuple[float, str] | None = None
    for name, other in known:
        one = likeness(keys, other)
        if one >= ALIKE_MIN and (best is None or (-one, name) < (-best[0], best[1])):
            best = one, name
    return best[1] if best else None
