"""The entities of the Mastodon API and its kin as fields of the Fediverse, for gallery-dl as well.

Of an account without `uri` the author's address is cut out of the status's
(`.../users/name/statuses/1`); else its `url` counts, and one with only `acct` is a `username`.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.describe import reference
from adapters.records.values import as_count, as_text, dig, first, mappings
from adapters.sources.columns import recast
from adapters.sources.fediverse.model import PLATFORM, full_name, is_address
from adapters.sources.reading.web_address import host_of

_AUTHOR_OF_STATUS = re.compile(r"(https?://[^/\s]+/users/([^/\s]+))/statuses/")


def _account(fields: dict[str, Any]) -> dict[str, Any]:
    url = fields.get("url")
    identity = fields.get("own") or _author_of(fields) or (url if is_address(url) else None)
    name = first(fields.get("acct"), fields.get("account"))
    return fields | {
        "id": identity,
        "name": None if identity else name,
        "server": host_of(first(fields.get("uri"), url)),
        "object_type": "Service" if fields.get("is_bot") is True else "Person",
        "user_name": full_name(fields.get("acct"), url),
        "page": url if is_address(url) else None,
    }


def _author_of(fields: dict[str, Any]) -> str | None:
    found = _AUTHOR_OF_STATUS.match(str(fields.get("status_uri")))
    is_theirs = found and found[2].lower() == str(fields.get("account")).lower()
    return found[1] if found and is_theirs else None


ACCOUNT = recast(
    """
    own = uri:web|pleroma.ap_id:web
    uri = uri:text
    url = url:text
    status_uri = ^.uri:string|^.url:string
    acct = acct:text
    account = username:text
    local_id = id
    display_name = display_name:text
    follower_count = followers_count
    following_count = following_count
    post_count = statuses_count
    joined = created_at
    is_bot = bot
    """,
    _account,
)


def account_node(account: Any) -> str | None:
    """Return the node of an account that is only named."""
    fields = ACCOUNT(account) if isinstance(account, dict) else {}
    known = reference(PLATFORM, "user", fields.get("id"))
    name = as_text(fields.get("name"))
    return known or (reference(PLATFORM, "username", name.lower()) if name else None)


ATTACHMENT = recast("""
    media_id = id
    id = remote_url:web|url:web|preview_remote_url:web|preview_url:web
    media_url = remote_url:web|url:web|preview_remote_url:web|preview_url:web
    urls[] = remote_url,url
    thumbs[] = preview_url
    title = description
    media_type = type
    alt_text = description
    blurhash = blurhash
    width = meta.original.width|meta.width|width
    height = meta.original.height|meta.height|height
    duration_s = meta.original.duration|meta.duration
""")


def _status(fields: dict[str, Any]) -> dict[str, Any]:
    uri, original, card = fields.get("uri"), fields.get("original"), fields.get("card")
    author = dig(fields, "author", 0) or {}
    own_id, acct = str(fields.get("local_id")), author.get("acct")
    # A local account shows which server was asked: its name has no host.
    is_local = acct is not None and "@" not in acct
    server = host_of(first(author.get("uri"), author.get("url"))) if is_local else None
    is_answered = as_count(fields.get("reply_count")) and server
    quoted = fields.get("quote_id") if server else None
    fields |= {
        "id": uri if is_address(uri) or str(uri).startswith("tag:") else None,
        "server": host_of(uri),
        "asked": server,
        "object_type": "Note" if original is None else "Announce",
        "page": fields.get("url") if is_address(fields.get("url")) else None,
        "known_as": f"{server}/{own_id}" if is_answered else None,
        "repeats": first(dig(original, "uri"), dig(original, "url")),
        # Of a quote within a quote only the id on the server that was asked is told.
        "quotes": first(
            fields.get("quote_uri"), f"{server}/{quoted}" if quoted else None,
            fields.get("quote_url"),
        ),
        "card": card if is_address(dig(card, "url")) else None,
        "mentioned": [account_node(one) for one in mappings(fields.get("mentions"))],
        "stem": own_id,
        "media": [
            {**one, "id": one.get("id") or f"{uri}#{one.get('media_id')}"}
            for one in fields.get("media", ())
        ],
    }  # fmt: skip
    # A boost has the media and tags of its original only there.
    gone = ("hashtags", "mentioned", "media", "card") if original is not None else ()
    return fields | dict.fromkeys(gone)


STATUS = recast(
    """
    uri = uri|url
    url = url
    local_id = id:text
    author = account > account
    visibility = visibility
    language = language
    text = content:post_html
    spoiler_text = spoiler_text
    is_sensitive = sensitive
    favourite_count = favourites_count
    reblog_count = reblogs_count
    reply_count = replies_count
    quote_count = quotes_count
    hashtags[] = tags[].name|tags[]:string
    poll_options[] = poll.options[].title
    poll_vote_count = poll.votes_count
    card = card:object
    client = application.name
    edited = edited_at
    published = created_at|date
    conversation = pleroma.context:string
    mentions = mentions
    original = reblog:object
    quote_uri = quote.quoted_status.uri|quote.quoted_status.url|quote.uri|quote.url \
        |pleroma.quote.uri|pleroma.quote.url
    quote_id = quote.quoted_status_id
    quote_url = pleroma.quote_url
    media = media_attachments > attachment
    """,
    _status,
    account=ACCOUNT,
    attachment=ATTACHMENT,
)
