"""Profiles of JSON documents: of each path, how often it is there, of which kinds, and examples.

Pure, and the same for a set of documents in any order: what is looked at are the documents of the
lowest content hashes. Objects are flattened to depth 3; members of a list of objects have a path
with `[]`, and are counted by members.
"""

from __future__ import annotations

import heapq
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from adapters.decide.kinds import common_kind, kind_of

DEPTH_MAX = 3
EXAMPLES_MAX = 3
EXAMPLE_LENGTH_MAX = 80
PATHS_MAX = 2_000
"""A document with more paths than that has no structure that anybody would name."""
EACH = "[]"

Path = tuple[str, ...]

# What holds an identity by its name; with values that are all different it is one.
_ID_NAME = re.compile(r"(?:^|.*[a-z0-9_])(?:id|ID|Id|uuid|guid|_key|Key)$|^(?:id|ID|key|uuid)$")
_EPOCH_NAME = re.compile(r"(?:time|date|_at|At|epoch|timestamp|created|updated|modified)", re.I)
_EPOCH_S = (300_000_000, 4_200_000_000)
"""Seconds since 1970 of the years 1979 to 2103; a thousandfold of them are milliseconds."""


class PathProfile(BaseModel):
    """What was seen at one path; counts are of documents, or of members below a list."""

    model_config = ConfigDict(frozen=True)

    path: Path
    of: int
    present: int
    nulls: int
    kinds: dict[str, int]
    kind: str
    """The commonest."""
    stability: float
    """Share of `of` in which it is there, and is null or of that kind."""
    cardinality: int
    """Different scalar values."""
    is_id: bool = False
    epoch: str | None = None
    """`s` or `ms` where the values are seconds or milliseconds since 1970."""
    position: float = 0.0
    """Mean place among the keys of its object."""
    examples: tuple[str, ...] = ()

    @property
    def presence(self) -> float:
        """Share in which it is there, null included."""
        return self.present / self.of


class Sample:
    """The documents of the lowest content hashes; the order in which they come means nothing."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._heap: list[tuple[int, int, Any]] = []
        self._keys = set[int]()

    def add(self, key: bytes, document: Any) -> None:
        """Take a document, known by the hash of its bytes."""
        number = -int.from_bytes(key, "big")
        if len(self._heap) >= self._count_max and number <= self._heap[0][0]:
            return
        if number in self._keys:
            return
        self._keys.add(number)
        # The key stands in the second place too, so that documents are never compared.
        heapq.heappush(self._heap, (number, number, document))
        if len(self._heap) > self._count_max:
            self._keys.discard(heapq.heappop(self._heap)[0])

    def documents(self) -> list[Any]:
        """Return them by their hashes, the lowest first."""
        return [document for _, _, document in sorted(self._heap, key=lambda one: -one[0])]


@dataclass(slots=True)
class _Seen:
    present: int = 0
    places: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])
    values: set[Any] = field(default_factory=set[Any])
    scalars: int = 0
    examples: set[str] = field(default_factory=set[str])


def profile(documents: Iterable[Mapping[str, Any]]) -> dict[Path, PathProfile]:
    """Return what is at each path, sorted by path."""
    seen: dict[Path, _Seen] = {}
    totals: Counter[Path] = Counter()
    for document in documents:
        totals[()] += 1
        _look(document, (), seen, totals)
    found = ((path, _profiled(path, one, totals[_counted_by(path)])) for path, one in seen.items())
    return dict(sorted(found))


def _look(
    members: Mapping[str, Any], above: Path, seen: dict[Path, _Seen], totals: Counter[Path]
) -> None:
    for place, (name, value) in enumerate(members.items()):
        path = (*above, name)
        one = seen.get(path)
        if one is None:
            # A key that is called like our mark gets no column, and so stays JSON.
            if len(seen) >= PATHS_MAX or name == EACH:
                continue
            one = seen[path] = _Seen()
        kind = kind_of(value)
        one.present += 1
        one.places += place
        one.kinds[kind] += 1
        if kind == "object" and _depth(path) < DEPTH_MAX:
            _look(value, path, seen, totals)
        elif kind == "objects" and EACH not in path and _depth(path) < DEPTH_MAX:
            for member in value:
                totals[(*path, EACH)] += 1
                _look(member, (*path, EACH), seen, totals)
        elif value is not None:
            _note(one, value)


def _note(one: _Seen, value: Any) -> None:
    if not isinstance(value, dict | list):
        one.scalars += 1
        one.values.add((type(value), value))
    one.examples.add(json.dumps(value, ensure_ascii=False)[:EXAMPLE_LENGTH_MAX])


def _depth(path: Path) -> int:
    return sum(part != EACH for part in path)


def _counted_by(path: Path) -> Path:
    """Return the list whose members a path is counted by, or nothing for documents."""
    return path[: path.index(EACH) + 1] if EACH in path else ()


def _profiled(path: Path, one: _Seen, of: int) -> PathProfile:
    kind, count = common_kind(one.kinds)
    nulls = one.kinds.get("null", 0)
    is_different = one.scalars == len(one.values) and kind in ("text", "integer")
    return PathProfile(
        path=path,
        of=of,
        present=one.present,
        nulls=nulls,
        kinds=dict(sorted(one.kinds.items())),
        kind=kind,
        stability=(count + nulls) / of,
        cardinality=len(one.values),
        is_id=is_different and one.scalars > 0 and bool(_ID_NAME.fullmatch(path[-1])),
        epoch=_epoch(path[-1], kind, one.values),
        position=one.places / one.present,
        examples=tuple(sorted(one.examples)[:EXAMPLES_MAX]),
    )


def _epoch(name: str, kind: str, values: set[Any]) -> str | None:
    if kind not in ("integer", "number") or not _EPOCH_NAME.search(name):
        return None
    for unit, factor in (("s", 1), ("ms", 1000)):
        low, high = (bound * factor for bound in _EPOCH_S)
        if all(kind in (int, float) and low <= value <= high for kind, value in values):
            return unit
    return None
