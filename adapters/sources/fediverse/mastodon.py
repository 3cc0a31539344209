"""The Mastodon API and its kin (Pixelfed, Pleroma, Akkoma ...): it owns their JSON entities.

Ids are those of one server. A status is known everywhere by its `uri`, an account by its `uri`, so
ActivityPub meets it; `url` is joined as an alias.

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
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.folder import parse_json
from adapters.records.values import as_text, dig, first, mappings
from adapters.sources.columns import recast
from adapters.sources.fediverse.mastodon_fields import ACCOUNT, ATTACHMENT, STATUS, account_node
from adapters.sources.fediverse.model import ACTIVITYPUB, RULES, is_address
from adapters.sources.reading.adapter import DocumentAdapter, Found, Part, of_value, refused
from adapters.sources.reading.draft import Draft
from adapters.sources.shapes import reader

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
    if is_event(value):
        return 0.95 if recognise(payload_of(value)) else 0.5
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


def is_event(value: dict[str, Any]) -> bool:
    """Tell whether an object is an event of the streaming API."""
    return isinstance(value.get("event"), str) and {"stream", "payload"} <= value.keys()


def payload_of(event: dict[str, Any]) -> Any:
    """Return what an event tells of, which is written as a text; an id where something is gone."""
    payload = event["payload"]
    try:
        return parse_json(payload) if isinstance(payload, str) else payload
    except RecordError:
        return None


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


def split(value: Any) -> Iterator[Found]:
    """Yield the entries of a document; an original comes after what repeats it."""
    if isinstance(value, dict) and is_event(value):
        value = payload_of(value)
        if not isinstance(value, dict):
            return  # A status was deleted, or filters have changed.
    yield from _split(value, local_ids(value))


def _split(value: Any, known: LocalIds) -> Iterator[Found]:
    if isinstance(value, list):
        for member in value:
            yield from _split(member, known)
    elif isinstance(value, dict) and is_status(value):
        yield _status(value, known)
        for other in (value.get("reblog"), quoted_of(value)):
            if isinstance(other, dict) and is_status(other):
                yield from _split(other, known)
    elif found := _entity(value):
        yield found
    elif isinstance(value, dict) and any(isinstance(value.get(n), dict | list) for n in HOLDERS):
        for name in HOLDERS:
            if isinstance(value.get(name), dict | list):
                yield from _split(value[name], known)
    else:
        yield refused(f"no status, account, attachment or card: {str(value)[:80]!a}", value)


def _entity(value: Any) -> Found | None:
    """Return what an entity is that is no status, or why it cannot be known; None for others."""
    if not isinstance(value, dict):
        return None
    if is_account(value):
        is_known = account_node(value) is not None
        reason = "the account has neither uri, url nor acct"
        return _part("user", ACCOUNT(value), value) if is_known else refused(reason, value)
    if is_scheduled(value):
        return _part("post", _scheduled(value), value)
    if is_instance(value):
        fields = _INSTANCE(value)
        known, reason = fields.get("url"), "the instance has no domain"
        return _part("instance", fields, value) if known else refused(reason, value)
    if is_attachment(value):
        return Part(_read_attachment, value)
    if is_card(value):
        known = is_address(value.get("url"))
        reason = "the preview card has no url"
        return _part("card", value, value) if known else refused(reason, value)
    return _part("tag", value, value) if is_tag(value) else None


def _part(kind: str, fields: dict[str, Any], value: Any) -> Part:
    return Part(reader(RULES, kind), fields, value)


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


def _status(raw: dict[str, Any], known: LocalIds) -> Found:
    fields = STATUS(raw)
    if not fields["id"]:
        return refused("the status has neither a uri nor a url, so it cannot be known again", raw)
    return _part("post", fields | {"answers": _answered(raw, fields, known)}, raw)


def _answered(raw: dict[str, Any], fields: dict[str, Any], known: LocalIds) -> str | None:
    """Return the identity of what the status answers."""
    answered, uri, own_id = as_text(raw.get("in_reply_to_id")), str(fields["uri"]), fields["stem"]
    if answered is None or answered in known:
        return known[answered] if answered else None
    account_id = raw["account"].get("id")
    answers_self = account_id is not None and raw.get("in_reply_to_account_id") == account_id
    if answers_self and uri.endswith(f"/{own_id}"):
        return uri.removesuffix(own_id) + answered
    return f"{fields['asked']}/{answered}" if fields["asked"] else None


def quoted_of(raw: dict[str, Any]) -> Any:
    """Return the quoted status of Mastodon, Pleroma or Akkoma, if it is there."""
    quote = first(raw.get("quote"), dig(raw, "pleroma", "quote"))
    return first(dig(quote, "quoted_status"), quote)


_SCHEDULED = recast("""
    local_id = id:text
    text = params.text
    visibility = params.visibility
    language = params.language
    spoiler_text = params.spoiler_text
    is_sensitive = params.sensitive
    scheduled = scheduled_at
    time = scheduled_at
""")


def _scheduled(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a status that is not published yet."""
    params = raw["params"]
    shown = {key: params.get(key) for key in ("text", "media_ids", "in_reply_to_id")}
    said = json.dumps([raw.get("id"), raw.get("scheduled_at"), shown], sort_keys=True, default=str)
    digest = hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:32]
    ids = params.get("media_ids")
    order = {str(one): index for index, one in enumerate(ids if isinstance(ids, list) else [])}
    media = sorted(
        mappings(raw.get("media_attachments")),
        key=lambda one: order.get(str(one.get("id")), len(order)),
    )
    scope = f"scheduled-{digest}"
    named = [{"id": f"{scope}#{one.get('id')}"} | ATTACHMENT(one) for one in media]
    more = {"id": scope, "object_type": "Note", "stem": str(raw.get("id")), "media": named}
    return _SCHEDULED(raw) | more


def _read_attachment(draft: Draft, raw: dict[str, Any]) -> None:
    """Read an attachment on its own, as an upload answers."""
    fields = {"id": raw.get("text_url")} | ATTACHMENT(raw)
    if not RULES.read_any(draft, "attachment", fields):
        raise RecordError("the attachment has no address yet (its server was still processing it)")


def _instance(fields: dict[str, Any]) -> dict[str, Any]:
    server = fields.get("server")
    return fields | {"url": f"https://{server.removeprefix('https://')}/" if server else None}


_INSTANCE = recast(
    """
    server = domain:text|uri:text
    title = title:text|description:post_html
    contact = contact.account|contact_account > account
    """,
    _instance,
    account=ACCOUNT,
)


ADAPTERS = (
    DocumentAdapter(
        name="mastodon",
        tables=(ACTIVITYPUB.table,),
        recognise=recognise,
        split=of_value(split),
        expected="no status, account, attachment or card of the Mastodon API",
        markers=((b'"reblogs_count"', b'"favourites_count"', b'"acct"'),),
    ),
)
