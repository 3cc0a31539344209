"""Peers and texts of Telegram exports: it owns who is meant and what was written, and no file."""

from __future__ import annotations

import re
from typing import Any

from adapters.records.describe import reference
from adapters.records.values import as_text, dig, mappings
from adapters.sources.reading.draft import Draft

PLATFORM = "telegram"
CHANNEL_TYPES = frozenset(
    {"private_supergroup", "public_supergroup", "private_channel", "public_channel"}
)
ENTITIES_MAX = 1_000
_PEER = re.compile(r"(user|channel|chat|group)(\d{1,20})")


def chat_node(chat: dict[str, Any]) -> str | None:
    """Return the node of a chat; a chat that is known by name only is `name/<name>`."""
    kind = "channel" if str(chat.get("type")) in CHANNEL_TYPES else "conversation"
    return reference(PLATFORM, kind, as_text(chat.get("id")))


def peer_node(value: Any) -> str | None:
    """Return the node of a peer as exports write it: user123, channel123."""
    if isinstance(value, int) and not isinstance(value, bool):
        return reference(PLATFORM, "user", value)  # Exports before 2021 wrote users so.
    found = _PEER.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    kinds = {"user": "user", "channel": "channel"}
    return reference(PLATFORM, kinds.get(found.group(1), "conversation"), found.group(2))


def username_node(name: Any) -> str | None:
    """Return the node of somebody who is known by name only."""
    text = as_text(name)
    return reference(PLATFORM, "username", text.removeprefix("@").lower()) if text else None


def text_of(value: Any) -> str | None:
    """Return a text: a string, or a list of strings and formatted pieces."""
    if not isinstance(value, list):
        return as_text(dig(value, "text") if isinstance(value, dict) else value)
    pieces = [dig(piece, "text") if isinstance(piece, dict) else piece for piece in value]
    return as_text("".join(piece for piece in pieces if isinstance(piece, str)))


def add_entities(draft: Draft, raw: dict[str, Any]) -> list[str]:
    """Tie the people and pages that the text names; returns its hashtags."""
    entities = raw.get("text_entities")
    pieces = entities if isinstance(entities, list) and entities else raw.get("text")
    hashtags: dict[str, None] = {}
    for piece in list(mappings(pieces))[:ENTITIES_MAX]:
        text = as_text(piece.get("text"))
        kind = piece.get("type")
        if text is None:
            continue
        if kind == "hashtag" and text.lstrip("#"):
            hashtags.setdefault(text.lstrip("#"))
        elif kind == "mention":
            draft.link(draft.subject, username_node(text), "mentioned")
        elif kind == "mention_name":
            draft.link(draft.subject, peer_node(piece.get("user_id")), "mentioned")
        elif kind in ("link", "text_link"):
            address = piece.get("href") if kind == "text_link" else text
            if isinstance(address, str) and address.startswith(("http://", "https://")):
                draft.link(draft.subject, reference("web", "page", address), "linked")
    return list(hashtags)
