"""Telegram Desktop exports as JSON: it owns `result.json` of one chat and of a whole account.

A message is `telegram:post:<chat id>/<message id>`. Channels and supergroups are
`telegram:channel:<id>` and have their messages as members; other chats are
`telegram:conversation:<id>`. Senders are users by id with the name they had as an alias; a
forwarded message is a repost from the channel or person it came from, by id where the export has
one, else by name. `date` has no zone: `date_unixtime` is used where it is there, else UTC.

A path such as "(File not included. Change data exporting settings to download.)" means that the
file is missing. An animated sticker (`.tgs`) is no medium: it is represented by a virtual node, and
its file is left to whoever looks at files that nobody named.

Skipped silently: service messages (joins, calls, pins), except those with a photo and those that
name the chat; contacts, sessions and web pages of a whole account, which are no messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_number, as_text, dig, first, mappings
from adapters.sources.reading.adapter import DocumentAdapter, Part, of_value
from adapters.sources.reading.draft import Draft
from adapters.sources.schemas.telegram import TABLE
from adapters.sources.telegram.media import add_media, has_media
from adapters.sources.telegram.parts import (
    PLATFORM,
    add_entities,
    chat_node,
    peer_node,
    text_of,
    username_node,
)

CHAT_TYPES = frozenset(
    {"personal_chat", "bot_chat", "saved_messages", "replies", "verify_codes"}
    | {"private_group", "private_supergroup", "public_supergroup"}
    | {"private_channel", "public_channel"}
)
NAMING_ACTIONS = frozenset(
    {"create_group", "create_channel", "edit_group_title", "migrate_from_group"}
)


# ---- Which value is what ---------------------------------------------------------------------


def recognise(value: Any) -> float:
    """Tell how sure one JSON value is an export."""
    if not isinstance(value, dict):
        return 0.0
    if isinstance(dig(value, "chats", "list"), list):
        return 0.95
    if not isinstance(value.get("messages"), list):
        return 0.0
    if str(value.get("type")) in CHAT_TYPES:
        return 0.95
    message = next(mappings(value["messages"]), {})
    return 0.8 if {"date", "from_id", "text"} <= message.keys() else 0.0


def split(value: Any) -> Iterator[Part]:
    """Yield each chat and then its messages."""
    if not isinstance(value, dict):
        raise RecordError("no export of Telegram Desktop")
    held = [dig(value, name, "list") for name in ("chats", "left_chats")]
    if any(isinstance(chats, list) for chats in held):
        for chats in held:
            for chat in chats if isinstance(chats, list) else []:
                yield from _chat(chat)
    elif isinstance(value.get("messages"), list):
        yield from _chat(value)
    else:
        raise RecordError("no chat with messages, and no list of chats")


def _chat(chat: Any) -> Iterator[Part]:
    messages = chat.get("messages") if isinstance(chat, dict) else None
    if not isinstance(chat, dict):
        yield Part(_unknown, chat)
        return
    rest = {key: part for key, part in chat.items() if key != "messages"}
    yield Part(read_chat, chat, rest)
    for message in messages if isinstance(messages, list) else []:
        if not isinstance(message, dict):
            yield Part(_unknown, message)
        elif message.get("type") != "service" or has_media(message):
            yield Part(partial(read_message, chat=rest), message)
        elif str(message.get("action")) in NAMING_ACTIONS and as_text(message.get("title")):
            yield Part(partial(_read_naming, chat=rest), message)


def _unknown(draft: Draft, value: Any) -> None:
    raise RecordError(f"no chat and no message: {str(value)[:80]!a}")


# ---- Reading ---------------------------------------------------------------------------------


def read_chat(draft: Draft, chat: dict[str, Any]) -> None:
    """Read what the export says about a chat itself."""
    draft.subject = _chat_subject(chat)
    name = as_text(chat.get("name"))
    meta = {
        "chat_id": as_text(chat.get("id")),
        "chat_name": name,
        "chat_type": as_text(chat.get("type")),
    }
    title = first(name, "Saved messages" if chat.get("type") == "saved_messages" else None)
    draft.observe(draft.subject, meta, title=title)


def _read_naming(draft: Draft, raw: dict[str, Any], chat: dict[str, Any]) -> None:
    """Read a service message that gave the chat its name."""
    draft.subject = _chat_subject(chat)
    title = as_text(raw.get("title"))
    meta = {
        "chat_id": as_text(chat.get("id")),
        "chat_name": title,
        "chat_type": as_text(chat.get("type")),
        "message_id": as_text(raw.get("id")),
        "media_type": "service",
    }
    author = add_sender(draft, raw.get("actor_id"), raw.get("actor"))
    draft.observe(draft.subject, meta, title=title, update_time=time_of(raw), author=author)
    if raw.get("action") in ("create_group", "create_channel"):
        draft.link(author, draft.subject, "authored")


def read_message(draft: Draft, raw: dict[str, Any], chat: dict[str, Any]) -> None:
    """Read one message of a chat."""
    where = _chat_subject(chat)
    chat_id = where.split(":", 2)[2]
    message_id = as_text(raw.get("id"))
    if message_id is None:
        raise RecordError("the message has no id")
    draft.subject = describe(PLATFORM, "post", f"{chat_id}/{message_id}")
    sender = raw.get("from_id") or raw.get("actor_id")
    author = add_sender(draft, sender, first(raw.get("from"), raw.get("actor")))
    draft.link(author, draft.subject, "authored")
    draft.link(where, draft.subject, "member" if ":channel:" in where else "conversation")
    hashtags = add_entities(draft, raw)
    draft.observe(
        draft.subject,
        _meta(raw, chat) | {"hashtags": hashtags or None},
        title=first(text_of(raw.get("text")), text_of(dig(raw, "poll", "question"))),
        view=as_count(raw.get("views")),
        update_time=first(_edited(raw), time_of(raw)),
        author=author,
    )
    draft.tag(PLATFORM, hashtags)
    _add_answered(draft, raw, chat_id)
    origin = peer_node(raw.get("forwarded_from_id"))
    draft.link(origin or username_node(raw.get("forwarded_from")), draft.subject, "repost")
    add_media(draft, raw, f"{chat_id}/{message_id}")


def add_sender(draft: Draft, peer: Any, name: Any) -> str | None:
    """Say who sent it; a sender without an id is known by name."""
    shown = as_text(name)
    sender = peer_node(peer)
    if sender is None:
        return username_node(shown)
    draft.observe(sender, {"from_id": as_text(peer), "user_name": shown}, title=shown)
    if ":user:" in sender:
        draft.link(sender, username_node(shown), "alias")
    return sender


def time_of(raw: dict[str, Any]) -> Any:
    """Return when a message was sent."""
    return parse_time(raw.get("date_unixtime")) or parse_time(raw.get("date"))


# ---- Parts -----------------------------------------------------------------------------------


def _chat_subject(chat: dict[str, Any]) -> str:
    subject = chat_node(chat)
    if subject is None:
        raise RecordError("the chat has no id")
    return subject


def _edited(raw: dict[str, Any]) -> Any:
    return parse_time(raw.get("edited_unixtime")) or parse_time(raw.get("edited"))


def _add_answered(draft: Draft, raw: dict[str, Any], chat_id: str) -> None:
    answered = as_text(raw.get("reply_to_message_id"))
    if answered is None:
        return
    elsewhere = peer_node(raw.get("reply_to_peer_id"))
    holder = elsewhere.split(":", 2)[2] if elsewhere else chat_id
    draft.link(describe(PLATFORM, "post", f"{holder}/{answered}"), draft.subject, "reply")


def _meta(raw: dict[str, Any], chat: dict[str, Any]) -> dict[str, Any]:
    answers = [text_of(answer.get("text")) for answer in mappings(dig(raw, "poll", "answers"))]
    reactions = [as_count(one.get("count")) for one in mappings(raw.get("reactions"))]
    place = raw.get("location_information")
    is_service = raw.get("type") == "service"
    return {
        "chat_id": as_text(chat.get("id")),
        "chat_name": as_text(chat.get("name")),
        "message_id": as_text(raw.get("id")),
        "from_id": as_text(raw.get("from_id") or raw.get("actor_id")),
        "user_name": as_text(first(raw.get("from"), raw.get("actor"))),
        "media_type": "service" if is_service else as_text(raw.get("media_type")),
        "forwarded_from": as_text(raw.get("forwarded_from")),
        "via_bot": as_text(raw.get("via_bot")),
        "author_signature": as_text(raw.get("author")),
        "poll_question": text_of(dig(raw, "poll", "question")),
        "poll_options": [answer for answer in answers if answer] or None,
        "poll_vote_count": as_count(dig(raw, "poll", "total_voters")),
        "reaction_count": sum(count or 0 for count in reactions) if reactions else None,
        "latitude": as_number(dig(place, "latitude")),
        "longitude": as_number(dig(place, "longitude")),
        "published_time": time_of(raw),
        "edited_time": _edited(raw),
    }


ADAPTERS = (
    DocumentAdapter(
        name="telegram",
        tables=(TABLE,),
        recognise=recognise,
        split=of_value(split),
        expected="no export of Telegram Desktop",
        markers=(
            (b'"messages"', b'"from_id"', b'"date"', b'"text"'),
            (b'"personal_information"', b'"chats"'),
        ),
    ),
)
