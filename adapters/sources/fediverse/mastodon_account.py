"""Accounts of the Mastodon API: it owns who an account is, between servers, and what it tells."""

from __future__ import annotations

import re
from typing import Any

from adapters.records.describe import reference
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_text, dig, first
from adapters.sources.fediverse.activitypub_parts import (
    PLATFORM,
    add_alias,
    full_name,
    host_of,
    identity_node,
    is_address,
)
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.rich_text import text_of_post

_AUTHOR_OF_STATUS = re.compile(r"(https?://[^/\s]+/users/([^/\s]+))/statuses/")


def account_node(account: Any, status_uri: Any = None) -> str | None:
    """Return the node of an account; the uri of their status tells what the account does not."""
    if not isinstance(account, dict):
        return None
    for uri in (account.get("uri"), dig(account, "pleroma", "ap_id")):
        if is_address(uri):
            return identity_node("user", uri)
    found = _AUTHOR_OF_STATUS.match(status_uri) if isinstance(status_uri, str) else None
    if found and found.group(2).lower() == str(account.get("username")).lower():
        return identity_node("user", found.group(1))
    if is_address(account.get("url")):
        return identity_node("user", account["url"])
    name = as_text(first(account.get("acct"), account.get("username")))
    return reference(PLATFORM, "username", name.lower()) if name else None


def server_of(account: dict[str, Any]) -> str | None:
    """Return the server that was asked, which a local account shows: its name has no host."""
    account_name = account.get("acct")
    if not isinstance(account_name, str) or "@" in account_name:
        return None
    return host_of(first(account.get("uri"), account.get("url")))


def add_account(draft: Draft, account: dict[str, Any], status_uri: Any = None) -> str | None:
    """Say what an embedded account tells; returns its node."""
    user = account_node(account, status_uri)
    if user is None:
        return None
    meta = {
        "uri": as_text(account.get("uri")),
        "url": as_text(account.get("url")),
        "server": host_of(first(account.get("uri"), account.get("url"))),
        "local_id": as_text(account.get("id")),
        "object_type": "Service" if account.get("bot") is True else "Person",
        "user_name": full_name(account.get("acct"), account.get("url")),
        "display_name": as_text(account.get("display_name")),
        "follower_count": as_count(account.get("followers_count")),
        "following_count": as_count(account.get("following_count")),
        "post_count": as_count(account.get("statuses_count")),
        "joined_time": parse_time(account.get("created_at")),
        "is_bot": as_boolean(account.get("bot")),
    }
    title = first(as_text(account.get("display_name")), as_text(account.get("username")))
    draft.observe(user, meta, title=title)
    add_alias(draft, "user", user, account.get("url"))
    return user


def read_account(draft: Draft, raw: dict[str, Any]) -> None:
    """Read an account on its own."""
    user = account_node(raw)
    if user is None:
        raise RecordError("the account has neither uri, url nor acct")
    draft.subject = user
    add_account(draft, raw)


def read_instance(draft: Draft, raw: dict[str, Any]) -> None:
    """Read the description of a server; its contact account comes with it."""
    server = as_text(first(raw.get("domain"), raw.get("uri")))
    page = (
        reference("web", "page", f"https://{server.removeprefix('https://')}/") if server else None
    )
    if page is None:
        raise RecordError("the instance has no domain")
    draft.subject = page
    meta = {"server": as_text(server), "url": page.removeprefix("web:page:")}
    title = first(as_text(raw.get("title")), text_of_post(raw.get("description")))
    draft.observe(page, meta, title=title)
    contact = first(dig(raw, "contact", "account"), raw.get("contact_account"))
    if isinstance(contact, dict):
        draft.link(page, add_account(draft, contact), "member")
