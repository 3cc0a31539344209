"""The explorer's filters: it owns how a selector becomes chips, an address and YAML, and back.

Pure. A selector is kept as the plain document that a person could have written, so that chips,
address and YAML are three views of one thing. Words, no bytes, no database.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

import yaml

from base.errors import UsageError
from sql import Selector, SelectorError, parse_selector

Document = dict[str, Any]

ADDRESS_LENGTH_MAX = 60_000
FACETS = (
    "media_type", "source", "author", "tag", "month", "label", "dataset", "extension",
    "ingest_batch",
)  # fmt: skip
_HOMES: dict[str, tuple[str, ...]] = {
    "media_type": ("media_type",),
    "extension": ("extension",),
    "ingest_batch": ("ingest_batch",),
    "dataset": ("dataset",),
    "source": ("metadata", "source"),
    "author": ("metadata", "author", "equals"),
    "tag": ("ancestor", "where", "description", "equals"),
}
"""Where the values of a facet are listed in a condition; those of months and labels are none."""
_TAG_WITHIN = 2
"""A tag is of what it is on, and of what hangs below that by one edge."""
_LABEL_COLUMN = "label"
_NAMES = {
    "dataset": "dataset", "author": "author",
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


def hidden_by(flag: str) -> Document:
    """Return the selector of what is `deleted` or `blacklisted`."""
    shown = {"include_deleted": True, "include_blacklisted": True}
    return {"version": 1, "where": {f"is_{flag}": True}, **shown}


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
    where: Document = document.get("where") or {}
    if facet == "month":
        return _month_of(where)
    if facet == "label":
        return _labels_of(where)
    found: Any = where
    if facet == "tag" and not _asks_for_tags(where):
        return []
    for step in _HOMES[facet]:
        found = cast(Document, found).get(step) if isinstance(found, dict) else None
    if found is None:
        return []
    return [str(value) for value in found] if isinstance(found, list) else [str(found)]


def toggled(filters: Filters, facet: str, value: str) -> Filters:
    """Return the filters with one value of a facet taken in, or out when it was in."""
    document = deepcopy(filters.document)
    where = document.setdefault("where", {})
    values = values_of(document, facet)
    changed = [one for one in values if one != value] if value in values else [*values, value]
    if facet == "month":
        metadata = where.setdefault("metadata", {})
        metadata.pop("update_time", None)
        if value in changed:
            metadata["update_time"] = _range_of(value)
    elif facet == "label":
        _set_labels(where, value, changed)
    else:
        _set_list(where, facet, changed)
    return filters._replace(document=_tidied(document))


def _set_list(where: Document, facet: str, values: list[str]) -> None:
    if facet == "tag" and not _asks_for_tags(where):
        if "ancestor" in where:  # Somebody asks for another one: both must hold.
            where["all"] = [*where.get("all", ()), {"ancestor": where.pop("ancestor")}]
        where["ancestor"] = {"within": _TAG_WITHIN}
    home = where
    for step in _HOMES[facet][:-1]:
        home = home.setdefault(step, {})
    if values:
        home[_HOMES[facet][-1]] = values
    elif facet == "tag":
        del where["ancestor"]
    else:
        home.pop(_HOMES[facet][-1], None)


def _asks_for_tags(where: Document) -> bool:
    """Tell whether the ancestor of a condition is what the facet of tags writes."""
    ancestor: Document = where.get("ancestor") or {}
    inner: Document = ancestor.get("where") or {}
    named: Any = inner.get("description")
    return (
        ancestor.keys() == {"within", "where"}
        and ancestor["within"] == _TAG_WITHIN
        and inner.keys() == {"description"}
        and isinstance(named, dict)
        and cast(Document, named).keys() == {"equals"}
    )


def _month_of(where: Document) -> list[str]:
    """Return the month that the time of an observation is in, if it is one."""
    asked: Document = (where.get("metadata") or {}).get("update_time") or {}
    month = str(asked.get("since", ""))[:7]
    wanted = _range_of(month) if len(month) == 7 else {}
    told = {name: str(value)[:10] for name, value in asked.items()}
    return [month] if told == wanted and len(wanted) == 2 else []


def _labels_of(where: Document) -> list[str]:
    result: Document = where.get("result") or {}
    columns: Document = result.get("columns") or {}
    if columns.keys() != {_LABEL_COLUMN} or not isinstance(columns[_LABEL_COLUMN], dict):
        return []
    found: list[Any] = columns[_LABEL_COLUMN].get("in") or []
    return [f"{result.get('action')}:{label}" for label in found]


def _set_labels(where: Document, value: str, values: list[str]) -> None:
    """Ask for labels of one action: a result is of one, so that another takes its place."""
    action = value.partition(":")[0]
    labels = [one.partition(":")[2] for one in values if one.partition(":")[0] == action]
    where.pop("result", None)
    if labels:
        where["result"] = {"action": action, "columns": {_LABEL_COLUMN: {"in": labels}}}


def short_name(facet: str, value: str) -> str:
    """Return a value as people call it where nobody gave it a title."""
    return value.rpartition(":")[2] if facet in ("author", "tag", "label") else value


def without_facet(filters: Filters, facet: str) -> Filters:
    """Return the filters as if nothing had been chosen in a facet."""
    for value in values_of(filters.document, facet):
        filters = toggled(filters, facet, value)
    return filters


def searched(filters: Filters, asked: str) -> Filters:
    """Return the filters as somebody wrote them into the search field; without words when empty.

    `author:` and `tag:` stay words; `type:`, `source:`, `batch:`, `ext:`, `date:`, `since:` and
    `before:` become filters of their own, once a space follows, and so does `near:48.1,11.5,5km`.
    The last word may be unfinished as long as none does.
    """
    document = deepcopy(filters.document)
    where = document.setdefault("where", {})
    words: dict[str, list[str]] = {}
    parts = list(_SEARCH_PART.finditer(asked))
    for part in parts:
        kind, value = (part["kind"] or "").lower(), part["quoted"] or part["value"] or ""
        is_open = part.end() == len(asked)
        if kind in _SEARCH_WORDS and any(map(str.isalnum, value)):
            words.setdefault(kind, []).append(value)
        elif kind == "near":
            if not is_open:
                where["near"] = _place_of(value)
        elif kind in _SEARCH_FACETS or kind in _SEARCH_DATES:
            if value and not is_open:
                _take_filter(where, kind, value)
        elif kind not in _SEARCH_WORDS and any(map(str.isalnum, part.group())):
            word = part["quoted_alone"] or part.group()
            words.setdefault("text", []).append(_open_word(word) if is_open else word)
    where.pop("words", None)
    if words:
        where["words"] = {
            kind: " ".join(words[kind]) for kind in ("text", "author", "tag") if kind in words
        }
    return filters._replace(document=_tidied(document))


def words_of(document: Document) -> str:
    """Return what stands in the search field, as far as it is words."""
    words = (document.get("where") or {}).get("words")
    if not isinstance(words, dict):
        return str(words or "")
    given = cast(dict[str, str], words)
    shown = [given["text"].removesuffix("*")] if given.get("text") else []
    for kind in ("author", "tag"):
        shown += [f"{kind}:{word}" for word in given.get(kind, "").split()]
    return " ".join(shown)


_SEARCH_PART = re.compile(
    r'(?:(?P<kind>[A-Za-z]+):)(?:"(?P<quoted>[^"]*)"|(?P<value>\S*))|"(?P<quoted_alone>[^"]*)"|\S+'
)
_SEARCH_WORDS = ("author", "tag")
_SEARCH_FACETS = {
    "type": "media_type",
    "source": "source",
    "batch": "ingest_batch",
    "ext": "extension",
}
_SEARCH_DATES = ("date", "since", "before")
_PLACE = re.compile(
    r"(?P<latitude>[+-]?\d{1,3}(?:\.\d{1,12})?),(?P<longitude>[+-]?\d{1,3}(?:\.\d{1,12})?)"
    r"(?:,(?P<distance>\d{1,6}(?:\.\d{1,6})?)(?P<unit>km|m)?)?"
)
_DATE = re.compile(r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2}))?(?:-(?P<day>[0-9]{2}))?")


def _open_word(word: str) -> str:
    """A word that is still being written stands for all that begin with it."""
    return word if word.endswith("*") else word + "*"


def _take_filter(where: dict[str, Any], kind: str, value: str) -> None:
    metadata = where.setdefault("metadata", {})
    if kind in _SEARCH_FACETS:
        name = _SEARCH_FACETS[kind]
        values = values_of({"where": where}, name)
        if value not in values:
            _set_list(where, name, [*values, value])
    elif kind == "date":
        metadata["update_time"] = _range_of(value)
    else:
        metadata["update_time"] = {**metadata.get("update_time", {}), kind: value}


def _place_of(value: str) -> dict[str, Any]:
    """Return the place that is meant, 5 km around it where nothing else is said.

    What is none the selector refuses.
    """
    found = _PLACE.fullmatch(value)
    if found is None:
        return {"latitude": value}
    distance = float(found["distance"] or 5) / (1000 if found["unit"] == "m" else 1)
    place = {name: float(found[name]) for name in ("latitude", "longitude")}
    return {**place, "within_km": distance}


def _range_of(value: str) -> dict[str, str]:
    """Return the year, month or day that is meant; what is none the selector refuses."""
    found = _DATE.fullmatch(value)
    if found is None:
        return {"since": value}
    try:
        first = datetime.date(int(found["year"]), int(found["month"] or 1), int(found["day"] or 1))
        after = first + datetime.timedelta(
            days=1 if found["day"] else 31 if found["month"] else 366
        )
    except (ValueError, OverflowError):
        return {"since": value}
    if not found["day"]:
        after = after.replace(day=1)
    if not found["month"]:
        after = after.replace(month=1)
    return {"since": first.isoformat(), "before": after.isoformat()}


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
            elif key == "ancestor" and _asks_for_tags(value):
                chips += _listed("tag", inner["where"]["description"]["equals"])
            elif key == "result" and (labels := values_of(document, "label")):
                path = ("where", "result", "columns", _LABEL_COLUMN, "in")
                chips += [Chip(_label("label", one), (*path, n)) for n, one in enumerate(labels)]
            else:
                chips += _chips(("where",), key, inner)
    return chips


def _listed(facet: str, values: list[Any]) -> list[Chip]:
    """Return a chip for each value of a facet."""
    path = ("where", *_HOMES[facet])
    # Also what hangs below an author, an album or a collection is asked for like that.
    names = [facet if facet != "tag" or ":tag:" in str(one) else "below" for one in values]
    return [
        Chip(_label(name, one), (*path, place))
        for place, (name, one) in enumerate(zip(names, values, strict=True))
    ]


def without(filters: Filters, chip: Chip) -> Filters:
    """Return the filters without what a chip stands for."""
    document = deepcopy(filters.document)
    inside: Any = document
    for step in chip.path[:-1]:
        inside = inside[step]
    del inside[chip.path[-1]]
    if inside == [] and chip.path[1] in ("ancestor", "result"):
        # What is left asks for any tag, or any label.
        del document["where"][chip.path[1]]
    return filters._replace(document=_tidied(document))


def _chips(path: tuple[str, ...], key: str, value: Any) -> list[Chip]:
    if path[-1] == "metadata" and key == "author" and set(value) == {"equals"}:
        return _listed("author", value["equals"])
    home = (*path[1:], key)
    if isinstance(value, list) and (home in _HOMES.values() or home == ("metadata", "user")):
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
    where: Document | None = document.get("where")
    if where is not None:
        for key in [key for key, value in where.items() if _says_nothing(value)]:
            del where[key]
        if not where:
            del document["where"]
    return document


def _says_nothing(value: Any) -> bool:
    """Tell whether a block is empty, after dropping what is empty in it."""
    if isinstance(value, dict):
        block = cast(Document, value)
        for key in [key for key, inner in block.items() if _says_nothing(inner)]:
            del block[key]
        return not block
    return value == []


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
