"""Accounts as hundreds of sites write them: it owns finding the author in an unknown record.

An author is text, an object, a list of either, or a pair of flat fields (`user_id`, `user_name`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapters.records.describe import reference
from adapters.records.values import as_text
from adapters.sources.gallery_dl.profiles import identity_of
from adapters.sources.model import Edge, Person

PERSONS_MAX = 100
PERSON = Person(
    "described", "node", title="title", at="author", edges=(Edge("alias", "described", "alias"),)
)
Account = dict[str, Any]
"""The fields of an account; `alias` is the node of its name when `node` is that of its id."""

ROLES = (
    *("author", "creator", "user", "artist", "owner", "account", "blog", "photographer"),
    *("poster", "authors", "artists", "creators", "owners", "member", "profile", "uploader"),
    "channel",
)
"""Where an author is looked for, the surest first."""

CREDITED = ("author", "authors", "artist", "artists", "creators", "owners", "uploader")
"""Who beside the author had a part in the work."""

_SAME = ("node", "alias", "title")
_IDS = ("id", "userid", "user_id", "userId", "nsid", "did", "idstr", "pk", "profile_id", "uuid")
_NAMES = (
    *("username", "user_name", "userName", "screen_name", "login", "account", "vanity"),
    *("path_alias", "handle", "nickname", "nick_name", "slug", "name"),
)
_TITLES = (
    *("displayName", "display_name", "full_name", "fullname", "realname", "nick", "name"),
    *("screen_name", "user", "title"),
)
_FLAT_IDS = ("_id", "id")
_FLAT_NAMES = ("name", "_username", "_login", "_name", "_slug")
_FLAT_TITLES = ("_name", "_nick", "_fullname", "_display_name")


def author_of(data: Mapping[str, Any], platform: str, ignores_case: bool = False) -> Account | None:
    """Return the most likely author."""
    for role in ROLES:
        for person in _of_role(data, role, platform, ignores_case):
            return person
    return person_of({"name": data.get("author_name")}, platform, ignores_case)


def credited(
    data: Mapping[str, Any], platform: str, author: Account | None, ignores_case: bool = False
) -> list[Account]:
    """Return the other people of the record, at most PERSONS_MAX."""
    found: dict[str, Account] = {}
    named = {author[name] for name in _SAME} if author else set[Any]()
    for role in CREDITED:
        for person in _of_role(data, role, platform, ignores_case):
            if not named & {person[name] or person["node"] for name in _SAME}:
                found.setdefault(person["node"], person)
    return list(found.values())[:PERSONS_MAX]


def _of_role(
    data: Mapping[str, Any], role: str, platform: str, ignores_case: bool
) -> Iterator[Account]:
    value = data.get(role)
    for member in value[:PERSONS_MAX] if isinstance(value, list) else [value]:
        if isinstance(member, dict):
            person = person_of(member, platform, ignores_case)
        else:
            fields = _flat_fields(data, role, member)
            person = person_of(fields, platform, ignores_case)
        if person is not None:
            yield person


def _flat_fields(data: Mapping[str, Any], role: str, value: Any) -> dict[str, Any]:
    """Gather `user_id`, `user_name`, `username` ... of one role into one object."""
    if isinstance(data.get(role), list):
        return {"name": value}
    identity = _first(data, (role + end for end in _FLAT_IDS))
    name = _first(data, (role + end for end in _FLAT_NAMES))
    title = _first(data, (role + end for end in _FLAT_TITLES))
    if isinstance(value, int) and not isinstance(value, bool) and identity is None:
        identity, value = value, None
    if role == "user" and data.get("username"):
        # `username` stands for itself on many sites, whatever the id beside it is called.
        others = ("owner_id", "author_id", "creator_id", "uploader_id")
        identity, title = identity or _first(data, iter(others)), title or data.get("fullname")
    # A login is what an account is called in addresses, the bare field what it shows.
    return {"id": identity, "username": name or value, "display_name": title or value}


def _first(data: Mapping[str, Any], keys: Iterator[str]) -> Any:
    for key in keys:
        value = data.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value not in ("", 0):
            return value
    return None


def person_of(value: Any, platform: str, ignores_case: bool = False) -> Account | None:
    """Return an account from its object: known by its id, or else by its name."""
    if not isinstance(value, dict):
        return None
    ids = (identity_of(value.get(key)) for key in _IDS)
    identity = next((node for one in ids if (node := reference(platform, "user", one))), None)
    name = next((text for key in _NAMES if (text := as_text(value.get(key), 300))), None)
    title = next((text for key in _TITLES if (text := as_text(value.get(key), 1_000))), None)
    shown = name.lower() if name and ignores_case else name
    alias = reference(platform, "username", shown)
    node = identity or alias
    if node is None:
        return None
    item_id = node.split(":", 2)[2]
    other = alias if identity else None
    return {"node": node, "title": title or name, "alias": other, "item_id": item_id}
