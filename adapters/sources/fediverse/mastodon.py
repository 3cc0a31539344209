"""The Mastodon API and its kin (Pixelfed, Pleroma, Akkoma ...): it owns their JSON entities.

Ids are those of one server. A status is known everywhere by its `uri`, an account by its `uri`, so
ActivityPub meets it; `url` is joined as an alias. Of an account without `uri` the author's address
is cut out of the status's (`.../users/name/statuses/1`); else its `url` counts, and one with only
`acct` is a `username`.

`in_reply_to_id` is resolved within the file; where the author answers themself, by putting the
id into the own uri; else, if the author shows which server was asked, it is the node
`activitypub:post:<server>/<id>`, to which every answered status of that server has an alias.
Otherwise the answer has no edge, rather than a wrong one.

A scheduled status has no identity yet: its node is named after its content. A boost has the media
and tags of its original only there. An instance stands for its contact account. Skipped silently:
filters, relationships and markers beside other things.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

from adapters.records.describe import reference
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_text, dig, first, mappings
from adapters.sources.fediverse.activitypub_parts import (
    PLATFORM,
    add_alias,
    host_of,
    identity_node,
    is_address,
)
from adapters.sources.fediverse.mastodon_account import (
    account_node,
    add_account,
    read_account,
    read_instance,
    server_of,
)
from adapters.sources.fediverse.mastodon_media import (
    add_card,
    add_media,
    read_attachment,
    read_card,
)
from adapters.sources.reading.adapter import DocumentAdapter, Part, of_value
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.rich_text import text_of_post
from adapters.sources.schemas.activitypub import TABLE

HOLDERS = (
    "ancestors",
    "descendants",
    "statuses",
    "status",
    "last_status",
    "accounts",
    "account",
    "hashtags",
)
"""Keys under which a context, a search, a notification or a conversation holds entities."""
LocalIds = dict[str, str]


# ---- Which value is what ---------------------------------------------------------------------


def recognise(value: Any) -> float:
    """Tell how sure one JSON value is of the Mastodon API."""
    if isinstance(value, list):
        return max((recognise(member) for member in value[:3]), default=0.0)
    if not isinstance(value, dict) or {"category", "subcategory"} <= value.keys():
        return 0.0
    if is_status(value) or is_account(value) or is_scheduled(value):
        return 0.95
    if is_attachment(value) or is_instance(value) or is_card(value):
        return 0.85
    held = [value.get(name) for name in HOLDERS]
    return max((recognise(one) for one in held if isinstance(one, dict | list)), default=0.0)


def is_status(value: dict[str, Any]) -> bool:
    """Tell whether an object is a status."""
    told = {"reblogs_count", "favourites_count", "media_attachments", "spoiler_text", "reblog"}
    return (
        isinstance(value.get("account"), dict) and "id" in value and len(told & value.keys()) >= 2
    )


def is_account(value: dict[str, Any]) -> bool:
    """Tell whether an object is an account."""
    told = {"display_name", "followers_count", "statuses_count", "note", "avatar"} & value.keys()
    return "acct" in value and "username" in value and len(told) >= 2


def is_scheduled(value: dict[str, Any]) -> bool:
    """Tell whether an object is a status that is not published yet."""
    return "scheduled_at" in value and isinstance(value.get("params"), dict)


def is_attachment(value: dict[str, Any]) -> bool:
    """Tell whether an object is a medium."""
    return {"id", "type"} <= value.keys() and bool(
        {"blurhash", "remote_url", "text_url", "preview_remote_url"} & value.keys()
    )


def is_card(value: dict[str, Any]) -> bool:
    """Tell whether an object is a preview card."""
    told = {"embed_url", "html", "author_name"} & value.keys()
    return {"url", "title", "provider_name"} <= value.keys() and bool(told)


def is_instance(value: dict[str, Any]) -> bool:
    """Tell whether an object describes a server."""
    return "version" in value and (
        {"domain", "contact"} <= value.keys() or {"uri", "stats"} <= value.keys()
    )


def is_tag(value: dict[str, Any]) -> bool:
    """Tell whether an object is a hashtag of a trend or a search."""
    return {"name", "url", "history"} <= value.keys()


def split(value: Any) -> Iterator[Part]:
    """Yield the entries of a document; an original comes after what repeats it."""
    yield from _split(value, local_ids(value))


def _split(value: Any, known: LocalIds) -> Iterator[Part]:
    if isinstance(value, list):
        for member in value:
            yield from _split(member, known)
        return
    if not isinstance(value, dict):
        yield Part(_unknown, value)
    elif is_status(value):
        yield Part(partial(_read_status, known=known), value)
        for other in (value.get("reblog"), quoted_of(value)):
            if isinstance(other, dict) and is_status(other):
                yield from _split(other, known)
    elif is_account(value):
        yield Part(read_account, value)
    elif is_scheduled(value):
        yield Part(read_scheduled, value)
    elif is_instance(value):
        yield Part(read_instance, value)
    elif is_attachment(value):
        yield Part(read_attachment, value)
    elif is_card(value):
        yield Part(read_card, value)
    elif is_tag(value):
        yield Part(read_tag, value)
    elif any(isinstance(value.get(name), dict | list) for name in HOLDERS):
        for name in HOLDERS:
            if isinstance(value.get(name), dict | list):
                yield from _split(value[name], known)
    else:
        yield Part(_unknown, value)


def _unknown(draft: Draft, value: Any) -> None:
    raise RecordError(f"no status, account, attachment or card: {str(value)[:80]!a}")


def local_ids(value: Any) -> LocalIds:
    """Return the uri of every status in a document by its id on the server that was asked."""
    found: LocalIds = {}
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            if is_status(one) and isinstance(one.get("uri"), str):
                found.setdefault(str(one["id"]), one["uri"])
            waiting += [one.get(name) for name in (*HOLDERS, "reblog", "quote", "quoted_status")]
    return found


# ---- Reading ---------------------------------------------------------------------------------


def _read_status(draft: Draft, raw: dict[str, Any], known: LocalIds) -> None:
    uri = first(raw.get("uri"), raw.get("url"))
    subject = identity_node("post", uri) if is_address(uri) or str(uri).startswith("tag:") else None
    if subject is None:
        raise RecordError("the status has neither a uri nor a url, so it cannot be known again")
    draft.subject = subject
    author = add_account(draft, raw["account"], uri)
    draft.link(author, subject, "authored")
    repeats = isinstance(raw.get("reblog"), dict)
    names = [] if repeats else _hashtags(raw)
    edited = parse_time(raw.get("edited_at"))
    draft.observe(
        subject,
        _meta(raw, uri, repeats) | {"hashtags": names or None, "edited_time": edited},
        title=first(text_of_post(raw.get("content")), as_text(raw.get("spoiler_text"))),
        update_time=edited or parse_time(raw.get("created_at")),
        author=author,
    )
    add_alias(draft, "post", subject, raw.get("url"))
    _add_answered(draft, raw, str(uri), known)
    draft.link(_status_node(raw.get("reblog")), subject, "repost")
    draft.link(_quoted_node(raw), subject, "quote")
    if not repeats:
        draft.tag(PLATFORM, names)
        for mention in mappings(raw.get("mentions")):
            draft.link(subject, account_node(mention), "mentioned")
        add_media(draft, raw.get("media_attachments"), str(raw.get("id")), str(uri))
        add_card(draft, raw.get("card"))
    conversation = dig(raw, "pleroma", "context")
    if isinstance(conversation, str):
        draft.link(reference(PLATFORM, "conversation", conversation), subject, "conversation")


def _meta(raw: dict[str, Any], uri: Any, repeats: bool) -> dict[str, Any]:
    options = [as_text(one.get("title")) for one in mappings(dig(raw, "poll", "options"))]
    return {
        "uri": as_text(uri),
        "url": as_text(raw.get("url")),
        "server": host_of(uri),
        "local_id": as_text(raw.get("id")),
        "object_type": "Announce" if repeats else "Note",
        "visibility": as_text(raw.get("visibility")),
        "language": as_text(raw.get("language")),
        "spoiler_text": as_text(raw.get("spoiler_text")),
        "is_sensitive": as_boolean(raw.get("sensitive")),
        "favourite_count": as_count(raw.get("favourites_count")),
        "reblog_count": as_count(raw.get("reblogs_count")),
        "reply_count": as_count(raw.get("replies_count")),
        "quote_count": as_count(raw.get("quotes_count")),
        "poll_options": [option for option in options if option] or None,
        "poll_vote_count": as_count(dig(raw, "poll", "votes_count")),
        "card_url": as_text(dig(raw, "card", "url")),
        "client": as_text(dig(raw, "application", "name")),
    }


def read_scheduled(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a status that is not published yet."""
    params = raw["params"]
    shown = {key: params.get(key) for key in ("text", "media_ids", "in_reply_to_id")}
    said = json.dumps([raw.get("id"), raw.get("scheduled_at"), shown], sort_keys=True, default=str)
    digest = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:32]
    draft.subject = f"{PLATFORM}:post:scheduled-{digest}"
    time = parse_time(raw.get("scheduled_at"))
    meta = {
        "local_id": as_text(raw.get("id")),
        "object_type": "Note",
        "visibility": as_text(params.get("visibility")),
        "language": as_text(params.get("language")),
        "spoiler_text": as_text(params.get("spoiler_text")),
        "is_sensitive": as_boolean(params.get("sensitive")),
        "scheduled_time": time,
    }
    draft.observe(draft.subject, meta, title=as_text(params.get("text")), update_time=time)
    media = list(mappings(raw.get("media_attachments")))
    ids = params.get("media_ids")
    order = {str(one): index for index, one in enumerate(ids if isinstance(ids, list) else [])}
    media.sort(key=lambda one: order.get(str(one.get("id")), len(order)))
    add_media(draft, media, str(raw.get("id")), f"scheduled-{digest}")


def read_tag(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a hashtag of a trend or a search."""
    name = as_text(raw.get("name"))
    tag = reference(PLATFORM, "tag", name.lower()) if name else None
    if tag is None:
        raise RecordError("the hashtag has no name")
    draft.subject = tag
    draft.observe(tag, {"url": as_text(raw.get("url"))}, title=name)


# ---- Parts -----------------------------------------------------------------------------------


def _hashtags(raw: dict[str, Any]) -> list[str]:
    names = [as_text(tag.get("name")) for tag in mappings(raw.get("tags"))]
    return [name for name in names if name]


def quoted_of(raw: dict[str, Any]) -> Any:
    """Return the quoted status of Mastodon, Pleroma or Akkoma, if it is there."""
    quote = first(raw.get("quote"), dig(raw, "pleroma", "quote"))
    return first(dig(quote, "quoted_status"), quote)


def _quoted_node(raw: dict[str, Any]) -> str | None:
    quoted = _status_node(quoted_of(raw))
    return quoted or identity_node("post", dig(raw, "pleroma", "quote_url"))


def _status_node(status: Any) -> str | None:
    return identity_node("post", first(dig(status, "uri"), dig(status, "url")))


def _add_answered(draft: Draft, raw: dict[str, Any], uri: str, known: LocalIds) -> None:
    """Tie what the status answers, and the name under which answers may know it."""
    own_id, server = str(raw.get("id")), server_of(raw["account"])
    if as_count(raw.get("replies_count")) and server:
        draft.link(draft.subject, reference(PLATFORM, "post", f"{server}/{own_id}"), "alias")
    answered = as_text(raw.get("in_reply_to_id"))
    if answered is None:
        return
    account_id = raw["account"].get("id")
    answers_self = account_id is not None and raw.get("in_reply_to_account_id") == account_id
    if answered in known:
        original = identity_node("post", known[answered])
    elif answers_self and uri.endswith(f"/{own_id}"):
        original = identity_node("post", uri.removesuffix(own_id) + answered)
    else:
        original = reference(PLATFORM, "post", f"{server}/{answered}") if server else None
    draft.link(original, draft.subject, "reply")


ADAPTERS = (
    DocumentAdapter(
        name="mastodon",
        tables=(TABLE,),
        recognise=recognise,
        split=of_value(split),
        expected="no status, account, attachment or card of the Mastodon API",
        markers=((b'"reblogs_count"', b'"favourites_count"', b'"acct"'),),
    ),
)
