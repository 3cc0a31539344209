"""Media and cards of the Mastodon API: it owns attachments with and without an address."""

from __future__ import annotations

from typing import Any

from adapters.records.describe import reference
from adapters.records.errors import RecordError
from adapters.records.items import NodeReference
from adapters.records.values import as_count, as_number, as_text, dig, first, mappings
from adapters.sources.fediverse.activitypub_parts import PLATFORM, is_address
from adapters.sources.reading.draft import Draft


def address_of(raw: dict[str, Any]) -> str | None:
    """Return the address of a medium where it comes from; None while it is being processed."""
    for name in ("remote_url", "url", "preview_remote_url", "preview_url"):
        if is_address(raw.get(name)):
            return as_text(raw[name])
    return None


def add_media(draft: Draft, attachments: Any, post_id: str, scope: str) -> None:
    """Tie the media of a status; `scope` names those that have no address yet."""
    media = list(mappings(attachments))
    for position, raw in enumerate(media):
        found: NodeReference | None = _file(draft, raw)
        found = found or draft.media.of_post(post_id, position, len(media), draft.path)
        found = found or reference(PLATFORM, "media", address_of(raw) or f"{scope}#{raw.get('id')}")
        if found is None:
            continue
        draft.link(draft.subject, found, "contains", position)
        draft.observe_medium(found, _meta(raw), as_text(raw.get("description")))
        preview = draft.media.by_address(raw.get("preview_url"), draft.path)
        draft.link(found, preview, "thumbnail")


def read_attachment(draft: Draft, raw: dict[str, Any]) -> None:
    """Read an attachment on its own, as an upload answers."""
    address = first(address_of(raw), raw.get("text_url"))
    medium: NodeReference | None = _file(draft, raw) or reference(PLATFORM, "media", address)
    if medium is None:
        raise RecordError("the attachment has no address yet (its server was still processing it)")
    draft.subject = medium
    draft.observe(medium, _meta(raw), is_root=True, title=as_text(raw.get("description")))
    draft.link(medium, draft.media.by_address(raw.get("preview_url"), draft.path), "thumbnail")


def read_card(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a preview card on its own: what a server found out about a page."""
    page = reference("web", "page", raw.get("url")) if is_address(raw.get("url")) else None
    if page is None:
        raise RecordError("the preview card has no url")
    draft.subject = page
    _observe_card(draft, page, raw)
    draft.link(page, draft.media.by_address(raw.get("image"), draft.path), "thumbnail")


def add_card(draft: Draft, raw: Any) -> None:
    """Tie the page that a status links to."""
    page = reference("web", "page", raw.get("url")) if is_address(dig(raw, "url")) else None
    if page is not None:
        draft.link(draft.subject, page, "linked")
        _observe_card(draft, page, raw)


def _observe_card(draft: Draft, page: str, raw: dict[str, Any]) -> None:
    meta = {
        "url": as_text(raw.get("url")),
        "object_type": as_text(raw.get("type")),
        "media_url": as_text(raw.get("image")),
        "width": as_count(raw.get("width")) or None,
        "height": as_count(raw.get("height")) or None,
    }
    draft.observe(page, meta, title=as_text(raw.get("title")))


def _file(draft: Draft, raw: dict[str, Any]) -> NodeReference | None:
    for name in ("remote_url", "url"):
        if found := draft.media.by_address(raw.get(name), draft.path):
            return found
    return None


def _meta(raw: dict[str, Any]) -> dict[str, Any]:
    meta = raw.get("meta")
    return {
        "media_id": as_text(raw.get("id")),
        "media_type": as_text(raw.get("type")),
        "media_url": address_of(raw),
        "alt_text": as_text(raw.get("description")),
        "blurhash": as_text(raw.get("blurhash")),
        "width": as_count(first(dig(meta, "original", "width"), dig(meta, "width"))),
        "height": as_count(first(dig(meta, "original", "height"), dig(meta, "height"))),
        "duration_s": as_number(first(dig(meta, "original", "duration"), dig(meta, "duration"))),
    }
