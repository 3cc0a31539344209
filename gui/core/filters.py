"""The explorer's filters: it owns how a selector becomes chips, an address and YAML, and back.

Pure. A selector is kept as the plain document that a person could have written, so that chips,
address and YAML are three views of one thing. Words, no bytes, no database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

import yaml

from base.errors import UsageError
from sql import Selector, SelectorError, parse_selector

Document = dict[str, Any]

ADDRESS_LENGTH_MAX = 60_000
FACETS = ("media_type", "source", "extension", "ingest_batch")
_LISTS = ("media_type", "extension", "ingest_batch")
_NAMES = {
    "media_type": "type", "extension": "extension", "ingest_batch": "batch", "source": "source",
    "title": "title", "include_deleted": "with deleted", "include_blacklisted": "with black-listed",
}  # fmt: skip
_LABEL_LENGTH_MAX = 120


class Chip(NamedTuple):
    """One part of a selector that can be taken out alone; `path` says where it is."""

    label: str
    path: tuple[str | int, ...]


class Filters(NamedTuple):
    """What the explorer shows: a selector's document, and the direction of its pages."""

    document: Document
    oldest_first: bool = False

    @property
    def selector(self) -> Selector:
        """The selector; raises SelectorError with what is wrong where."""
        return parse_selector(json.dumps(self.document))

    @property
    def address(self) -> str:
        """The explorer's address with these filters; raises UsageError when it is too long."""
        query = {"order": "oldest"} if self.oldest_first else {}
        if self.document != empty_document():
            query["s"] = json.dumps(self.document, separators=(",", ":"), ensure_ascii=False)
        address = "/explorer" + (f"?{urlencode(query)}" if query else "")
        if len(address) > ADDRESS_LENGTH_MAX:
            raise UsageError("this selector is too long for an address; use `drystone select`")
        return address


def empty_document() -> Document:
    """Return the selector of everything."""
    return {"version": 1}


def filters_of(query: Mapping[str, str]) -> Filters:
    """Read the filters of an address; raises SelectorError.

    `s` is the whole selector; the names of facets may be written instead, as a link does.
    """
    document = empty_document()
    if query.get("s"):
        document = document_of(query["s"])
    filters = Filters(document, query.get("order") == "oldest")
    for facet in FACETS:
        for value in query.get(facet, "").split(","):
            if value and value not in values_of(filters.document, facet):
                filters = toggled(filters, facet, value)
    return filters


def document_of(text: str) -> Document:
    """Return the document of a selector that somebody wrote; raises SelectorError."""
    selector = parse_selector(text)
    written = selector.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return cast(Document, _plain(written))


def yaml_of(document: Document) -> str:
    """Return a document as YAML that means the same."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=88)


# ---- Facets --------------------------------------------------------------------------------------


def values_of(document: Document, facet: str) -> list[str]:
    """Return the values of a facet that a document asks for."""
    where = document.get("where") or {}
    found = where.get("metadata", {}).get("source") if facet == "source" else where.get(facet)
    if found is None:
        return []
    return [str(value) for value in found] if isinstance(found, list) else [str(found)]


def toggled(filters: Filters, facet: str, value: str) -> Filters:
    """Return the filters with one value of a facet taken in, or out when it was in."""
    document = deepcopy(filters.document)
    where = document.setdefault("where", {})
    home = where.setdefault("metadata", {}) if facet == "source" else where
    values = values_of(document, facet)
    changed = [one for one in values if one != value] if value in values else [*values, value]
    if changed:
        home[facet] = changed
    else:
        home.pop(facet, None)
    return filters._replace(document=_tidied(document))


def without_facet(filters: Filters, facet: str) -> Filters:
    """Return the filters as if nothing had been chosen in a facet."""
    for value in values_of(filters.document, facet):
        filters = toggled(filters, facet, value)
    return filters


def searched(filters: Filters, words: str) -> Filters:
    """Return the filters with other words to look for in titles; none when empty."""
    document = deepcopy(filters.document)
    metadata = document.setdefault("where", {}).setdefault("metadata", {})
    if words.strip():
        metadata["title"] = {"contains": words.strip()}
    else:
        metadata.pop("title", None)
    return filters._replace(document=_tidied(document))


def words_of(document: Document) -> str:
    """Return the words that titles must contain, as far as `searched` put them there."""
    title = (document.get("where") or {}).get("metadata", {}).get("title")
    return str(title.get("contains", "")) if isinstance(title, dict) else ""  # pyright: ignore[reportUnknownMemberType]


# ---- Chips ---------------------------------------------------------------------------------------


def chips_of(document: Document) -> list[Chip]:
    """Return everything a document asks for as chips: together they are the document."""
    chips: list[Chip] = []
    for name, value in document.items():
        if name == "version":
            continue
        if name != "where":
            chips.append(Chip(_label(name, value), (name,)))
            continue
        for key, inner in value.items():
            if key == "metadata":
                for field, wanted in inner.items():
                    chips += _chips(("where", "metadata"), field, wanted)
            else:
                chips += _chips(("where",), key, inner)
    return chips


def without(filters: Filters, chip: Chip) -> Filters:
    """Return the filters without what a chip stands for."""
    document = deepcopy(filters.document)
    inside: Any = document
    for step in chip.path[:-1]:
        inside = inside[step]
    del inside[chip.path[-1]]
    return filters._replace(document=_tidied(document))


def _chips(path: tuple[str, ...], key: str, value: Any) -> list[Chip]:
    one_by_one = key in _LISTS or (path[-1] == "metadata" and key in ("source", "user"))
    if isinstance(value, list) and one_by_one:
        values = cast(list[Any], value)
        return [Chip(_label(key, one), (*path, key, place)) for place, one in enumerate(values)]
    return [Chip(_label(key, value), (*path, key))]


def _label(name: str, value: Any) -> str:
    shown = _NAMES.get(name, name.replace("_", " "))
    if value is True:
        return shown
    if isinstance(value, dict):
        inner = cast(dict[str, Any], value)
        if set(inner) == {"contains"}:
            return f"{shown} contains {inner['contains']}"
    flat = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    label = f"{shown}: {flat}"
    return label if len(label) <= _LABEL_LENGTH_MAX else label[: _LABEL_LENGTH_MAX - 1] + "…"


def _tidied(document: Document) -> Document:
    """Drop blocks that say nothing any more: an empty one is a mistake."""
    where = document.get("where")
    if where is not None:
        for key in [key for key, value in where.items() if value in ({}, [])]:
            del where[key]
        metadata = where.get("metadata")
        if metadata is not None:
            for key in [key for key, value in metadata.items() if value in ({}, [])]:
                del metadata[key]
            if not metadata:
                del where["metadata"]
        if not where:
            del document["where"]
    return document


def _plain(value: Any) -> Any:
    """Write a name that stands for itself alone as a list: facets add to lists."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in cast(dict[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in cast(list[Any], value)]
    return value


def problems_of(error: Exception) -> list[str]:
    """Return what is wrong with a selector, a line for each place."""
    return error.problems if isinstance(error, SelectorError) else [str(error)]
