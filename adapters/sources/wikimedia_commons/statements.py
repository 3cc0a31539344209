"""Structured data of Commons: it owns the few statements that tie a file to other nodes.

Statements know their file by their own ids (`M27807191$...`). Statements that were prepared for an
upload have none yet; those that name a Flickr photo (P12120) are about that photo until then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from adapters.records.describe import describe, reference
from adapters.records.errors import RecordError
from adapters.records.values import as_text, dig, mappings
from adapters.sources.reading.adapter import as_object
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.web_address import node_of_address

STATEMENTS_MAX = 2_000
_PROPERTY = re.compile(r"P\d+")
_MEDIA_INFO = re.compile(r"M(\d+)\$")
DEPICTS, CREATOR, FLICKR_PHOTO, FLICKR_USER, DESCRIBED_AT = (
    "P180", "P170", "P12120", "P3267", "P973")  # fmt: skip


def is_statements(value: Any) -> bool:
    """Tell whether a value is a list of statements, or statements by property."""
    return bool(next(_statements(value), None))


def read_statements(draft: Draft, value: Any) -> None:
    """Read statements that were saved without their page."""
    found = list(_statements(value))
    ids = (_MEDIA_INFO.match(as_text(statement.get("id")) or "") for statement in found)
    page = next((match[1] for match in ids if match), None)
    if page is not None:
        post = describe("wikimedia_commons", "post", page)
        draft.observe(post, meta={"page_id": page})
        statement_links(draft, post, value)
        draft.subject = post
        return
    photo = next((_value(s) for s in found if _property(s) == FLICKR_PHOTO), None)
    node = reference("flickr", "post", photo)
    if node is None:
        raise RecordError(
            "statements that do not say whose they are: neither their ids (M...) nor a Flickr "
            "photo id (P12120)"
        )
    author = next(_qualified(found, CREATOR, FLICKR_USER), None)
    user = reference("flickr", "user", author)
    draft.observe(node, author=user)
    draft.link(user, node, "authored")
    draft.subject = node


def read_entity(draft: Draft, value: Any) -> None:
    """Read an entity of the kind mediainfo, which carries its page's number and labels."""
    entity = as_object(value, "the entity")
    identity = as_text(entity.get("id")) or ""
    if not re.fullmatch(r"M\d+", identity):
        raise RecordError(f"not the id of a file: {identity[:80]!a}")
    post = describe("wikimedia_commons", "post", identity[1:])
    labels = entity["labels"] if isinstance(entity.get("labels"), dict) else {}
    label = dig(labels, "en", "value") or dig(next(iter(labels.values()), None), "value")
    draft.observe(post, title=as_text(label), meta={"page_id": identity[1:]})
    statement_links(draft, post, entity.get("statements") or entity.get("claims"))
    draft.subject = post


def statement_links(draft: Draft, post: str, statements: Any) -> None:
    """Tie a file to what it depicts and to where it came from."""
    found = list(_statements(statements))
    for statement in found:
        name, value = _property(statement), _value(statement)
        if name == DEPICTS:
            draft.link(reference("wikidata", "item", dig(value, "id")), post, "tagged")
        elif name == FLICKR_PHOTO:
            draft.link(post, reference("flickr", "post", value), "linked")
        elif name == DESCRIBED_AT:
            draft.link(post, node_of_address(value), "linked")
        for snak in mappings(dig(statement, "qualifiers", DESCRIBED_AT)):
            draft.link(post, node_of_address(dig(snak, "datavalue", "value")), "linked")
    for user in _qualified(found, CREATOR, FLICKR_USER):
        draft.link(reference("flickr", "user", user), post, "credited")


def _statements(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and isinstance(value.get("claims"), list | dict):
        value = value["claims"]
    if isinstance(value, dict):
        lists = [v for k, v in value.items() if isinstance(k, str) and _PROPERTY.fullmatch(k)]
        value = [statement for list_ in lists for statement in mappings(list_)]
    for statement in list(mappings(value))[:STATEMENTS_MAX]:
        if isinstance(statement.get("mainsnak"), dict):
            yield statement


def _property(statement: dict[str, Any]) -> Any:
    return dig(statement, "mainsnak", "property")


def _value(statement: dict[str, Any]) -> Any:
    return dig(statement, "mainsnak", "datavalue", "value")


def _qualified(found: list[dict[str, Any]], name: str, qualifier: str) -> Iterator[Any]:
    for statement in found:
        if _property(statement) == name:
            for snak in mappings(dig(statement, "qualifiers", qualifier)):
                yield dig(snak, "datavalue", "value")
