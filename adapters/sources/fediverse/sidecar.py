"""Sidecars of gallery-dl about Mastodon and its kin, as a format of the Fediverse.

The category is the host of the server that was asked, so these are known by their shape.
"""

from __future__ import annotations

from typing import Any

from adapters.records.describe import reference
from adapters.records.values import as_text
from adapters.sources.fediverse.mastodon_fields import ATTACHMENT, STATUS
from adapters.sources.fediverse.model import ACTIVITYPUB, NODES, PLATFORM, is_address
from adapters.sources.model import Rules
from adapters.sources.reading.sidecar import SidecarFormat, of_sidecar


def is_status(category: str, data: dict[str, Any]) -> bool:
    """Tell whether a record of whatever category is a status of such a server."""
    told = {"reblogs_count", "replies_count", "spoiler_text", "visibility", "uri"}
    is_told = isinstance(data.get("account"), dict) and bool(told & data.keys())
    return is_told or category.lower().startswith("mastodon")


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    fields, category = STATUS(data), as_text(data["category"], 100)
    local, medium = as_text(data.get("id"), 100), data.get("media")
    identity = fields["id"] or (f"{category}/{local}" if local else None)
    original = reference(PLATFORM, "post", fields["repeats"])
    # A preview card tells its own address and nothing of the status.
    page = medium.get("weburl") if isinstance(medium, dict) and identity is None else None
    shown = reference("web", "page", page) if is_address(page) else None
    return fields | {"id": identity, "contained_in": original or shown}


def _medium(data: dict[str, Any]) -> dict[str, Any]:
    fields = ATTACHMENT(data["media"]) if isinstance(data.get("media"), dict) else {}
    local = f"{data['category']}#{fields['media_id']}" if "media_id" in fields else None
    return {"id": local} | fields


GALLERY_DL = SidecarFormat(
    Rules(ACTIVITYPUB, PLATFORM, {"post": of_sidecar(NODES["post"])}), _fields, _medium
)
