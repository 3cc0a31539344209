"""Responses of the YouTube Data API v3: it owns telling resources apart, and never asks for any.

A resource names its `kind`; where `fields=` of the request left it out, its parts and the form of
its id tell. Page tokens and `pageInfo` are no records.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_text, dig
from adapters.sources.reading.adapter import DocumentAdapter, Part, Rule, parts_of
from adapters.sources.reading.documents import Document
from adapters.sources.reading.draft import Draft
from adapters.sources.schemas import video_site as schema
from adapters.sources.youtube_data.channel import (
    read_channel,
    read_comment,
    read_playlist,
    read_thread,
)
from adapters.sources.youtube_data.video import read_caption, read_playlist_item, read_video

RULES: dict[str, Rule] = {
    "video": read_video,
    "channel": read_channel,
    "playlist": read_playlist,
    "playlistItem": read_playlist_item,
    "commentThread": read_thread,
    "comment": read_comment,
    "caption": read_caption,
}
_FORMS = (
    ("video", re.compile(r"[\w-]{11}")),
    ("channel", re.compile(r"UC[\w-]{22}")),
    ("playlist", re.compile(r"(?:PL|UU|LL|FL|OL|RD)[\w-]{9,}")),
)
_PARTS = {"snippet", "statistics", "contentDetails", "status"}


def split(document: Document) -> list[Part] | None:
    """Return the resources of a response."""
    value = document.value
    if isinstance(value, list):
        known = any(map(_kind, value))
        return parts_of(_resource, value) if known else None
    if not isinstance(value, dict):
        return None
    if isinstance(error := value.get("error"), dict) and "message" in error:
        code, message = as_text(error.get("code")), as_text(error["message"])
        raise RecordError(f"YouTube answered with an error {code or '?'}: {message}")
    if isinstance(items := value.get("items"), list):
        is_list = str(value.get("kind")).startswith("youtube#") or any(map(_kind, items))
        return parts_of(_resource, items) if is_list else None
    return [Part(_resource, value)] if _kind(value) else None


def _kind(value: Any) -> str | None:
    """Return the kind of a resource without `youtube#`; of a search result that which it found."""
    if not isinstance(value, dict):
        return None
    named = [as_text(value.get("kind")), as_text(dig(value, "id", "kind"))]
    kinds = [kind.removeprefix("youtube#") for kind in named if kind]
    if kinds and kinds[0] != "searchResult" and str(value.get("kind")).startswith("youtube#"):
        return kinds[0]
    if len(kinds) == 2 or (kinds and isinstance(value.get("id"), dict)):
        return kinds[-1]
    return _kind_by_form(value) if _PARTS & value.keys() else None


def _kind_by_form(value: dict[str, Any]) -> str | None:
    snippet = value["snippet"] if isinstance(value.get("snippet"), dict) else {}
    for field, kind in (
        ("topLevelComment", "commentThread"),
        ("resourceId", "playlistItem"),
        ("textDisplay", "comment"),
        ("trackKind", "caption"),
    ):
        if field in snippet:
            return kind
    identity = value.get("id")
    if not isinstance(identity, str):
        return None
    return next((kind for kind, form in _FORMS if form.fullmatch(identity)), None)


def _resource(draft: Draft, value: Any) -> None:
    kind = _kind(value)
    if kind not in RULES:
        raise RecordError(
            f"no known kind of resource: {str(kind)[:80]}; read are {', '.join(RULES)}"
        )
    RULES[kind](draft, value)


ADAPTERS = (
    DocumentAdapter(
        name="youtube-data",
        tables=(schema.TABLE,),
        split=split,
        expected="no known response of the YouTube Data API: lists of "
        + ", ".join(RULES)
        + " and search results are read",
    ),
)
