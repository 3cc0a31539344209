"""Reddit as gallery-dl writes it: it owns what the hundred fields of a submission mean.

All media of a gallery repeat the submission; `filename` is the id of the medium. When a medium was
found in a comment, that comment is nested in `comment`, and contains it. Deleted authors are none.
"""

from __future__ import annotations

from typing import Any

from adapters.gallery_dl.draft import Draft, Person, Sidecar, reference
from adapters.gallery_dl.fields import address, posted
from adapters.items import Observation
from adapters.values import (
    as_boolean,
    as_count,
    as_integer,
    as_number,
    as_text,
    dig,
    first,
    mappings,
)

PLATFORM = "reddit"
NOBODY = frozenset(("[deleted]", "[removed]"))


def draft_of(sidecar: Sidecar) -> Draft:
    """Read one sidecar of Reddit."""
    data = sidecar.data
    draft = Draft(PLATFORM, position=sidecar.position)
    post_id = _bare(first(data.get("id"), data.get("name")))
    draft.post = reference(PLATFORM, "post", post_id)
    draft.author = _author(data.get("author"))
    draft.title = as_text(first(data.get("title"), data.get("selftext")))
    draft.view = as_count(data.get("view_count"))
    draft.time = posted(first(data.get("created_utc"), data.get("date")))
    draft.meta = {
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
    name = draft.meta["subreddit"]
    subreddit = reference(PLATFORM, "subreddit", name.lower()) if name else None
    draft.link(subreddit, draft.post, "member")
    subscribers = as_count(data.get("subreddit_subscribers"))
    draft.observe(subreddit, name, subreddit=name, subscriber_count=subscribers)
    original = _bare(data.get("crosspost_parent"))
    draft.link(reference(PLATFORM, "post", original), draft.post, "repost")
    _add_medium(draft, data)
    if isinstance(data.get("comment"), dict):
        _add_comment(draft, data["comment"])
    return draft


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


def _add_medium(draft: Draft, data: dict[str, Any]) -> None:
    media_id = as_text(data.get("filename"), 300)
    draft.medium = reference(PLATFORM, "media", media_id)
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
    draft.medium_title = caption
    draft.medium_meta = {
        "post_id": draft.meta["post_id"],
        "subreddit": draft.meta["subreddit"],
        "media_id": media_id,
        "url": first(address(dig(about, "s", "u")), address(data.get("url"))),
        "width": as_count(first(dig(about, "s", "x"), dig(picture, "width"))),
        "height": as_count(first(dig(about, "s", "y"), dig(picture, "height"))),
    }


def _add_comment(draft: Draft, data: dict[str, Any]) -> None:
    comment_id = _bare(first(data.get("id"), data.get("name")))
    comment = reference(PLATFORM, "comment", comment_id)
    if comment is None:
        return
    author = _author(data.get("author"))
    answered = as_text(data.get("parent_id"), 40) or ""
    kind = "comment" if answered.startswith("t1_") else "post"
    parent = reference(PLATFORM, kind, _bare(answered)) or draft.post
    draft.link(parent, comment, "reply")
    draft.container = comment
    said = Observation(
        comment,
        PLATFORM,
        is_root=False,
        title=as_text(data.get("body")),
        update_time=posted(first(data.get("created_utc"), data.get("date"))),
        author=author.node if author else None,
        meta={"post_id": f"t1_{comment_id}"},
    )
    draft.others.append(said)
    draft.medium_time = said.update_time
    if author is not None:
        draft.persons.append(author)
        draft.container_author = author.node
        draft.link(author.node, comment, "authored")
