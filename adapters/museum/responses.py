"""Which provider a response is of: it owns the list of providers, and no provider's fields.

A response is told by the fields of its records, never by its name. Flickr is read by its own rules
(adapters/flickr): a folder of nothing else is better read by that adapter. Facets, pages and
counters around the records are no records.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from adapters.api_adapter import ApiAdapter, Part, Rule, as_object
from adapters.api_document import Document
from adapters.api_draft import Draft
from adapters.errors import RecordError
from adapters.flickr import ADAPTERS as FLICKR_ADAPTERS
from adapters.items import NodeReference
from adapters.museum import art, library, stock
from adapters.museum.item import Provider, read_item
from adapters.schemas import flickr as flickr_schema
from adapters.schemas import open_media as schema

if TYPE_CHECKING:
    from adapters.folder import ScrapeFolder

PROVIDERS: tuple[Provider, ...] = (*art.PROVIDERS, *library.PROVIDERS, *stock.PROVIDERS)
_FLICKR = FLICKR_ADAPTERS[0]
UNKNOWN = "no record of a known provider; known are flickr, " + ", ".join(
    provider.name for provider in PROVIDERS
)


def split(folder: ScrapeFolder, document: Document) -> list[Part] | None:
    """Return the records of a response with the rule of its provider."""
    value = document.value
    for provider in PROVIDERS:
        items = provider.items(value)
        if items is not None:
            rule = partial(_read, provider)
            return [Part(rule, item, _complete(item, value)) for item in items]
    if _is_flickr(document):
        parts = _FLICKR.split(folder, document) or []
        return [Part(partial(_as_flickr, part.rule), part.value, part.complete) for part in parts]
    return None


def _complete(item: Any, value: Any) -> Any:
    if item is value:
        return None
    return {} if item is None else item


def _is_flickr(document: Document) -> bool:
    return isinstance(document.value, dict) and document.value.get("stat") in ("ok", "fail")


def _read(provider: Provider, draft: Draft, value: Any) -> NodeReference:
    if not provider.is_item(value):
        raise RecordError(f"not a record of {provider.name}, as its neighbours are")
    item = provider.read(as_object(value, "the record"))
    return read_item(draft, provider.name, item)


def _as_flickr(rule: Rule, draft: Draft, value: Any) -> NodeReference:
    draft.source = flickr_schema.TABLE.name
    return rule(draft, value)


ADAPTERS = (
    ApiAdapter(
        name="museum",
        tables=(schema.TABLE, flickr_schema.TABLE),
        split=split,
        unknown=UNKNOWN,
        is_certain=lambda document: not _is_flickr(document),
    ),
)
