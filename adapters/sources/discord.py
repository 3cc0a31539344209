"""DiscordChatExporter: JSON of a channel's messages, with what they answer, attachments and people.

Where media were exported too, addresses are paths beside the document
(`Channel.json_Files/name-1A2B3.png`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import mappings
from adapters.sources.columns import source
from adapters.sources.model import FILE, Edge, Medium, Node, Person, Rules
from adapters.sources.reading.adapter import SURE, DocumentAdapter, Found, Part
from adapters.sources.reading.documents import Document
from adapters.sources.reading.draft import Draft

DISCORD = source(
    "discord",
    "Discord",
    """
    post:
    message_id text = id # Id of the message
    message_type text = type # Default, Reply, ChannelPinnedMessage ...
    channel_id text = channel.id # Id of the channel
    channel_name text = channel.name # Name of the channel
    channel_topic text = channel.topic # What the channel is about
    guild_id text = guild.id # Id of the server
    guild_name text = guild.name # Name of the server
    text text = content:body # Text of the message
    edit_time timestamptz = timestampEdited # When it was edited last
    is_pinned boolean = isPinned # Pinned in its channel
    reaction_count bigint = reaction_count # Reactions of all kinds
    reactions text[] = reactions[].emoji.name # Kinds of reactions
    medium:
    attachment_id text = id # Id of the attachment
    file_name text = fileName # Name as it was uploaded
    media_url text = url # Address, or where it was exported
    size_bytes bigint = fileSizeBytes # Size of the attachment
    user:
    user_id text = id # Id, on rows of users
    user_name text = name # Name, on rows of users
    nickname text = nickname # Name on this server, on rows of users
    is_bot boolean = isBot # Whether a program writes, on rows of users
    """,
)
USER = Person(id="id:text", name="name", title="nickname|name", is_own_author=True)
POST = Node(
    "post",
    id="id",
    title="content",
    time="timestamp",
    author=Person(
        id="id:text", name="name", title="nickname|name", at="author", is_own_author=True
    ),
    media=(Medium(id="id", at="attachments[]", urls="url"),),
    edges=(
        Edge("member", Node("channel", id="id", title="name", section="none"), "channel"),
        Edge("reply", "post", "reference.messageId"),
        Edge("mentioned", USER, "mentions[]"),
        Edge("linked", "address", "embeds[].url"),
    ),
)
RULES = Rules(DISCORD, "discord", {"post": POST})


def _split(document: Document) -> Iterator[Found] | None:
    value = document.value
    return _messages(document, value) if _recognises(value) else None


def _messages(document: Document, value: dict[str, Any]) -> Iterator[Found]:
    around = {name: value[name] for name in ("guild", "channel") if isinstance(value[name], dict)}
    for message in value["messages"]:
        if not isinstance(message, dict):
            yield RecordError(f"a message that is no object: {str(message)[:80]!a}")
            continue
        yield Part(_read, message | around, message)


def _read(draft: Draft, value: Any) -> None:
    attachments = [_attachment(draft, one) for one in mappings(value.get("attachments"))]
    counts = [one.get("count") for one in mappings(value.get("reactions"))]
    total = sum(count for count in counts if type(count) is int and 0 <= count < 10**12)
    RULES.read(draft, "post", value | {"attachments": attachments, "reaction_count": total})


def _attachment(draft: Draft, one: dict[str, Any]) -> dict[str, Any]:
    file = draft.media.by_path(one.get("url"), draft.path)
    return one if file is None else one | {FILE: file}


def _recognises(value: Any) -> float:
    is_its = (
        isinstance(value, dict)
        and {"guild", "channel", "messages"} <= value.keys()
        and isinstance(value["messages"], list)
    )
    return SURE if is_its else 0.0


ADAPTERS = (
    DocumentAdapter(
        name="discord",
        tables=(DISCORD.table,),
        split=_split,
        expected="expected a channel of DiscordChatExporter (guild, channel, messages)",
        recognise=_recognises,
        markers=((b'"guild"', b'"channel"', b'"messages"'),),
    ),
)
