"""Continuation of the query API: it owns putting the parts of one page together.

A long answer comes in several files, each with other fields of the same pages. Which pages are in
several files is counted first, so that only those wait in memory; the whole page stands where its
last part is.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from adapters.records.values import mappings

DEPTH_MAX = 8
LIST_COMPARED_MAX = 4_000


class Merger:
    """Collects the parts of pages; made from the counts of a first pass over the folder."""

    def __init__(self, counts: Counter[str]) -> None:
        self._waiting = {page: count for page, count in counts.items() if count > 1}
        self._parts: dict[str, dict[str, Any]] = {}

    def take(self, identity: str | None, page: dict[str, Any]) -> dict[str, Any] | None:
        """Return the whole page at its last part, and None before."""
        if identity is None or identity not in self._waiting:
            return page
        whole = merged(self._parts.get(identity, {}), page)
        self._waiting[identity] -= 1
        if self._waiting[identity]:
            self._parts[identity] = whole
            return None
        self._parts.pop(identity, None)
        del self._waiting[identity]
        return whole


def merged(one: Any, other: Any, depth: int = 0) -> Any:
    """Put two parts together: objects by field, lists without repeats, else the first that is."""
    if isinstance(one, dict) and isinstance(other, dict) and depth < DEPTH_MAX:
        keys = dict.fromkeys([*one, *other])
        return {k: merged(one.get(k), other.get(k), depth + 1) for k in keys}
    if isinstance(one, list) and isinstance(other, list):
        # Comparing each with each is only worth it for lists of a page's own length.
        is_short = len(one) + len(other) <= LIST_COMPARED_MAX
        return [*one, *(member for member in other if not is_short or member not in one)]
    return other if one in (None, "") else one


def pages_of(value: Any) -> list[dict[str, Any]] | None:
    """Return the pages of an answer (an object by page id, or a list); None when it is none."""
    query = value.get("query") if isinstance(value, dict) else None
    pages = query.get("pages") if isinstance(query, dict) else None
    if isinstance(pages, dict):
        pages = list(pages.values())
    return list(mappings(pages)) if isinstance(pages, list) else None
