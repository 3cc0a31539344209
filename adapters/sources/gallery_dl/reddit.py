"""Reddit as gallery-dl writes it: it owns what the hundred fields of a submission mean.

All media of a gallery repeat the submission; `filename` is the id of the medium. When a medium was
found in a comment, that comment is nested in `comment`, and contains it. Deleted authors are none.
"""

from __future__ import annotations

from typing import Any

from adapters.records.items import Observation
from adapters.records.values import (
    as_boolean,
    as_count,
    as_integer,
    as_number,
    as_text,
    dig,
    first,
    mappings,
)
from adapters.sources.gallery_dl.site_post import Person, SitePost, reference
from adapters.sources.reading.sidecar import Sidecar, address, posted

PLATFORM = "reddit"
NOBODY = frozenset(("[deleted]", "[removed]"))


def site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of Reddit."""
    data = sidecar.data
    said = SitePost(PLATFORM, position=sidecar.position)
    post_id = _bare(first(data.get("id"), data.get("name")))
    said.post = reference(PLATFORM, "post", post_id)
    said.author = _author(data.get("author"))
    said.title = as_text(first(data.get("title"), data.get("selftext")))
    said.view = as_count(data.get("view_count"))
    said.time = posted(first(data.get("created_utc"), data.get("date")))
    said.meta = {
        "post_id": f"t3_{post_id}" if post_id else None,
        "subreddit": as_text(data.get("subreddit"), 200),
        "score": as_integer(data.get("score")),
        "up_count": as_count(data.get("ups")),
        "comment_count": as_count(data.get("num_comments")),
        "upvote_ratio": as_number(data.get("upvote_ratio")),
        "domain": as_text(data.get("domain"), 300),
        "url": as_text(data.get("url")),
        "permalink": as_text(data.get("permalink")),
        "flair": as_text(data.get("link_flair_text")),
        "is_nsfw": as_boolean(data.get("over_18")),
        "is_spoiler": as_boolean(data.get("spoiler")),
        "is_self": as_boolean(data.get("is_self")),
        "is_edited": _is_edited(data.get("edited")),
    }
    name = said.meta["subreddit"]
    subreddit = reference(PLATFORM, "subreddit", name.lower()) if name else None
    said.link(subreddit, said.post, "member")
    subscribers = as_count(data.get("subreddit_subscribers"))
    said.observe(subreddit, name, subreddit=name, subscriber_count=subscribers)
    original = _bare(data.get("crosspost_parent"))
    said.link(reference(PLATFORM, "post", original), said.post, "repost")
    _add_medium(said, data)
    if isinstance(data.get("comment"), dict):
        _add_comment(said, data["comment"])
    return said


def _bare(value: Any) -> str | None:
    text = as_text(value, 40)
    return text[3:] if text and text[:3] in ("t1_", "t3_") else text


def _is_edited(value: Any) -> bool | None:
    # False, or the time of the edit.
    return value if isinstance(value, bool) else True if isinstance(value, int | float) else None


def _author(value: Any) -> Person | None:
    name = as_text(value, 200) if isinstance(value, str) else None
    node = reference(PLATFORM, "user", name.lower()) if name and name not in NOBODY else None
    return Person(node, name, {"user_name": name}) if node else None


def _add_medium(said: SitePost, data: dict[str, Any]) -> None:
    media_id = as_text(data.get("filename"), 300)
    said.medium = reference(PLATFORM, "media", media_id)
    about = dig(data, "media_metadata", media_id or "")
    picture = dig(data, "preview", "images", 0, "source")
    caption = next(
        (
            as_text(item.get("caption"))
            for item in mappings(dig(data, "gallery_data", "items"))
            if media_id is not None and item.get("media_id") == media_id
        ),
        None,
    )
    said.medium_title = caption
    said.medium_meta = {
        "post_id": said.meta["post_id"],
        "subreddit": said.meta["subreddit"],
        "media_id": media_id,
        "url": first(address(dig(about, "s", "u")), address(data.get("url"))),
        "width": as_count(first(dig(about, "s", "x"), dig(picture, "width"))),
        "height": as_count(first(dig(about, "s", "y"), dig(picture, "height"))),
    }


def _add_comment(said: SitePost, data: dict[str, Any]) -> None:
    comment_id = _bare(first(data.get("id"), data.get("name")))
    comment = reference(PLATFORM, "comment", comment_id)
    if comment is None:
        return
    author = _author(data.get("author"))
    answered = as_text(data.get("parent_id"), 40) or ""
    kind = "comment" if answered.startswith("t1_") else "post"
    parent = reference(PLATFORM, kind, _bare(answered)) or said.post
    said.link(parent, comment, "reply")
    said.container = comment
    about = Observation(
        comment,
        PLATFORM,
        is_root=False,
        title=as_text(data.get("body")),
        update_time=posted(first(data.get("created_utc"), data.get("date"))),
        author=author.node if author else None,
        meta={"post_id": f"t1_{comment_id}"},
    )
    said.others.append(about)
    said.medium_time = about.update_time
    if author is not None:
        said.persons.append(author)
        said.container_author = author.node
        said.link(author.node, comment, "authored")
