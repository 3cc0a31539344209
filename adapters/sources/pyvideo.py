"""Talks of pyvideo.org: it owns their records, and never fetches a video.

The talk is the page of its video: `youtube:post:<id>` where there is one on YouTube, so that it
meets what others say of it; else the page by its address. Speakers are credited as they are written
there. Other encodings (mp4, webm, ogv ...) are variants of the medium when their files are there.
The event is the folder that holds `videos/`, or the category; `category.json` names it.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.describe import reference, username
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_number, as_text, as_texts, first, mappings, text_of_html
from adapters.sources.reading.adapter import DocumentAdapter, Part, as_object, parts_of
from adapters.sources.reading.documents import Document
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.web_address import node_of_address
from adapters.sources.youtube_data import VIDEO_SITE

SPEAKERS_MAX = 200
_NOT_WORD = re.compile(r"[^a-z0-9]+")


def split(document: Document) -> list[Part] | None:
    """Return the talk of a file, or the event."""
    value = document.value
    if isinstance(value, list) and any(map(_is_talk, value)):
        return parts_of(_talk, value)
    if _is_talk(value):
        return [Part(_talk, value)]
    is_event = document.path.rpartition("/")[2] == "category.json"
    if is_event and isinstance(value, dict) and "title" in value:
        return [Part(_event, value)]
    return None


def _is_talk(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("videos"), list)
        and "title" in value
        and bool({"speakers", "recorded", "thumbnail_url"} & value.keys())
    )


def _talk(draft: Draft, value: Any) -> None:
    talk = as_object(value, "the talk")
    videos = [video for video in mappings(talk.get("videos")) if as_text(video.get("url"))]
    post, video_id = _identity(videos)
    meta = _meta(talk, videos, video_id)
    title = as_text(talk.get("title")) or text_of_html(
        first(talk.get("description"), talk.get("summary"))
    )
    time = parse_time(talk.get("recorded"))
    draft.observe(post, title=title, update_time=time, meta=meta)
    for name in (as_texts(talk.get("speakers")) or [])[:SPEAKERS_MAX]:
        speaker = username("pyvideo", name)
        draft.link(speaker, post, "credited")
        if speaker:
            draft.observe(speaker, title=name, meta={"site": "pyvideo"})
    _join_event(draft, talk, post)
    draft.tag("pyvideo", meta["tags"], post)
    for related in talk["related_urls"] if isinstance(talk.get("related_urls"), list) else ():
        address = related.get("url") if isinstance(related, dict) else related
        draft.link(post, node_of_address(address), "linked")
    _media(draft, post, videos, video_id, title, meta)
    draft.subject = post


def _identity(videos: list[dict[str, Any]]) -> tuple[str, str | None]:
    """Return the node of the talk and, on YouTube, the id of its video."""
    nodes = [node_of_address(video["url"]) for video in videos]
    for node in nodes:
        if node and node.startswith("youtube:post:"):
            return node, node.removeprefix("youtube:post:")
    for node in nodes:
        if node:
            return node.replace("web:page:", "pyvideo:post:", 1), None
    raise RecordError("the talk has no video with an address (videos[].url), which is its identity")


def _meta(
    talk: dict[str, Any], videos: list[dict[str, Any]], video_id: str | None
) -> dict[str, Any]:
    lengths = [talk.get("duration"), *(video.get("length") for video in videos)]
    category = as_text(talk.get("category"))
    return {
        "site": "pyvideo",
        "video_id": video_id,
        # A length of 0 is how it is written that nobody measured.
        "duration_s": next((n for n in map(as_number, lengths) if n and n > 0), None),
        "categories": [category] if category else None,
        "tags": as_texts(talk.get("tags")),
        "language": as_text(talk.get("language")),
        "license": as_text(talk.get("copyright_text")),
        "webpage_url": as_text(videos[0].get("url")) if videos else None,
    }


def _media(
    draft: Draft,
    post: str,
    videos: list[dict[str, Any]],
    video_id: str | None,
    title: str | None,
    meta: dict[str, Any],
) -> None:
    found = [draft.media.by_address(video["url"], draft.path) for video in videos]
    files = [file for file in found if file]
    own_stem = draft.path.rpartition("/")[2].rpartition(".")[0]
    main = draft.media.by_stem(video_id, draft.path) or draft.media.by_stem(own_stem, draft.path)
    main = main or next(iter(files), None)
    kind_and_id = ("youtube", video_id) if video_id else ("pyvideo", post.split(":", 2)[2])
    medium = draft.contain(post, main, reference(kind_and_id[0], "media", kind_and_id[1]))
    if medium is None:
        return
    for file in files:
        draft.link(medium, file, "variant")
    about = {name: meta[name] for name in ("site", "video_id", "duration_s", "language", "license")}
    draft.observe(medium, is_root=True, title=title, meta=about)


def _join_event(draft: Draft, talk: dict[str, Any], post: str) -> None:
    category = as_text(talk.get("category"))
    folder = _event_folder(draft.path)
    slug = folder or (_NOT_WORD.sub("-", category.lower()).strip("-") if category else None)
    event = reference("pyvideo", "album", slug)
    draft.link(event, post, "member")
    if event and category:
        draft.observe(event, title=category, meta={"site": "pyvideo"})


def _event_folder(path: str) -> str | None:
    parts = path.split("/")
    return parts[-3] if len(parts) >= 3 and parts[-2] == "videos" else None


def _event(draft: Draft, value: Any) -> None:
    event = as_object(value, "the event")
    parts = draft.path.split("/")
    node = reference("pyvideo", "album", first(event.get("slug"), parts[-2] if parts[1:] else None))
    if node is None:
        raise RecordError("the event has no slug and lies in no folder of its own")
    draft.observe(node, title=as_text(event["title"]), meta={"site": "pyvideo"})
    draft.subject = node


ADAPTERS = (
    DocumentAdapter(
        name="pyvideo",
        tables=(VIDEO_SITE.table,),
        split=split,
        expected="no record of pyvideo.org: a talk has title, videos and speakers",
    ),
)
