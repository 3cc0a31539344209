"""Pages and animations of pixiv works: it owns their files, addresses and virtual nodes."""

from __future__ import annotations

import re
from typing import Any

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.items import MediaFile
from adapters.records.values import as_count, as_text, dig, first, mappings
from adapters.sources.reading.adapter import as_object
from adapters.sources.reading.draft import Draft

PAGES_MAX = 1_000
_PAGE = re.compile(r"/(\d+)_(?:p(\d+)|ugoira)")


def size_of(work: dict[str, Any]) -> dict[str, Any]:
    """Return width and height; sites write 0 where a size is not known."""
    return {key: as_count(work.get(key)) or None for key in ("width", "height")}


def media_of(
    draft: Draft, work: dict[str, Any], identity: str, meta: dict[str, Any]
) -> list[tuple[MediaFile | str, str | None]]:
    """Return the media of a work in their order, each with its address as far as it is known."""
    if meta["work_type"] == "ugoira":
        return [(_animation(draft, identity), as_text(_original(work)))]
    pages = [dig(page, "image_urls", "original") for page in mappings(work.get("meta_pages"))]
    if not pages:
        count = min(meta["page_count"] or 1, PAGES_MAX)
        original = _original(work)
        pages = [_url_of_page(original, number) for number in range(count)]
    return [_page(draft, identity, number, url) for number, url in enumerate(pages[:PAGES_MAX])]


def _original(work: dict[str, Any]) -> Any:
    single = dig(work, "meta_single_page", "original_image_url")
    return first(dig(work, "urls", "original"), single)


def _url_of_page(original: Any, number: int) -> str | None:
    """Return the address of another page, which differs from the first in its number alone."""
    if not isinstance(original, str):
        return None
    return original.replace("_p0", f"_p{number}") if "_p0" in original or not number else None


def _page(draft: Draft, identity: str, number: int, url: Any) -> tuple[MediaFile | str, str | None]:
    stems = (f"{identity}_p{number}", *([identity] if number == 0 else []))
    file = draft.media.first(draft.path, (url,), stems)
    return file or describe("pixiv", "media", f"{identity}_p{number}"), as_text(url)


def _animation(draft: Draft, identity: str) -> MediaFile | str:
    """Return the one medium of a ugoira: its archive of frames, or what was made of it."""
    endings = ("_ugoira1920x1080", "_ugoira600x600", "_ugoira", "", "_p0", "_ugoira0")
    file = draft.media.first(draft.path, (), tuple(identity + ending for ending in endings))
    return file or describe("pixiv", "media", f"{identity}_ugoira")


def read_frames(draft: Draft, value: Any) -> None:
    """Read the frames of a ugoira; the work is known by the address of the archive alone."""
    ugoira = as_object(value, "the ugoira")
    archives = ugoira["zip_urls"] if isinstance(ugoira.get("zip_urls"), dict) else {}
    urls = (ugoira.get("originalSrc"), ugoira.get("src"), *archives.values())
    url = next((url for url in urls if isinstance(url, str) and _PAGE.search(url)), None)
    if url is None:
        raise RecordError("frames of a ugoira without an address that tells the id of the work")
    identity = _PAGE.findall(url)[0][0]
    post = describe("pixiv", "post", identity)
    node = draft.media.by_address(url, draft.path) or _animation(draft, identity)
    count = len(ugoira["frames"]) if isinstance(ugoira.get("frames"), list) else None
    draft.link(post, node, "contains", 0)
    meta = {"work_id": identity, "frame_count": count, "media_url": as_text(url)}
    draft.observe(node, is_root=True, meta={**meta, "work_type": "ugoira"})
    draft.subject = post


def read_pages(draft: Draft, value: Any) -> None:
    """Read the list of pages of one work."""
    post: str | None = None
    for page in mappings(value):
        url = dig(page, "urls", "original")
        found = _PAGE.search(url) if isinstance(url, str) else None
        if found is None:
            continue
        post = post or describe("pixiv", "post", found[1])
        number = int(found[2] or 0)
        node, address = _page(draft, found[1], number, url)
        draft.link(post, node, "contains", number if number < PAGES_MAX else None)
        meta = {"work_id": found[1], "media_url": address, **size_of(page)}
        draft.observe(node, is_root=True, meta=meta)
    if post is None:
        raise RecordError("pages without an address that tells the id of their work")
    draft.subject = post
