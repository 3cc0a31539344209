"""Which provider a response is of: it owns the list of providers, and no provider's fields.

A response is told by the fields of its records, never by its name. Flickr is read by its own rules
(adapters/flickr): a folder of nothing else is better read by that adapter. Facets, pages and
counters around the records are no records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from adapters.records.errors import RecordError
from adapters.sources.flickr import ADAPTERS as FLICKR_ADAPTERS
from adapters.sources.flickr.photo import FLICKR
from adapters.sources.model import Rules
from adapters.sources.museum import art, stock
from adapters.sources.museum.item import ITEM, OPEN_MEDIA, Provider, prepared
from adapters.sources.reading.adapter import (
    SURE,
    DocumentAdapter,
    Found,
    Part,
    Rule,
    parts_of,
)
from adapters.sources.reading.documents import Document
from adapters.sources.reading.draft import Draft

PROVIDERS: tuple[Provider, ...] = (*art.PROVIDERS, *stock.PROVIDERS)
_RULES = Rules(
    OPEN_MEDIA,
    lambda fields, _draft: fields["platform"],
    {"item": ITEM},
    {"item": prepared},
)
_FLICKR = FLICKR_ADAPTERS[0]
UNKNOWN = "no record of a known provider; known are flickr, " + ", ".join(
    provider.name for provider in PROVIDERS
)


def split(document: Document) -> Sequence[Found] | None:
    """Return the records of a response with the rule of its provider."""
    value = document.value
    for provider in PROVIDERS:
        items = provider.items(value)
        if items is not None:
            rule = partial(_read, provider)
            return parts_of(rule, items)
    if _is_flickr(value):
        parts = _FLICKR.split(document) or []
        return [_of_flickr(part) for part in parts]
    return None


def _is_flickr(value: Any) -> bool:
    return isinstance(value, dict) and value.get("stat") in ("ok", "fail")


def _recognise(value: Any) -> float:
    return SURE if any(provider.items(value) for provider in PROVIDERS) else 0.0


def _read(provider: Provider, draft: Draft, value: Any) -> None:
    if not provider.is_item(value):
        raise RecordError(f"not a record of {provider.name}, as its neighbours are")
    _RULES.read(draft, "item", {"platform": provider.name, **provider.fields(value)})


def _of_flickr(part: Found) -> Found:
    return replace(part, rule=partial(_as_flickr, part.rule)) if isinstance(part, Part) else part


def _as_flickr(rule: Rule, draft: Draft, value: Any) -> None:
    draft.source = FLICKR.table.name
    rule(draft, value)


ADAPTERS = (
    DocumentAdapter(
        name="museum",
        tables=(OPEN_MEDIA.table, FLICKR.table),
        split=split,
        expected=UNKNOWN,
        recognise=_recognise,
    ),
)
