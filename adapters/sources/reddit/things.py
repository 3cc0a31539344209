"""Things of Reddit: it owns turning one submission, comment, message or account into a record.

`READERS` has a function for each kind (t1 comment, t2 account, t3 submission, t4 message,
t5 subreddit); api.py finds them in documents, table.py in tables.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.describe import describe, reference
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_boolean, as_count, as_integer, as_number, as_text, dig, first
from adapters.sources.reading.adapter import Rule
from adapters.sources.reading.draft import Draft
from adapters.sources.reddit.media import add_media, is_picture_link, unescape

NOBODY = frozenset({"[deleted]", "[removed]", ""})
_POST_ADDRESS = re.compile(r"https?://[a-z.]*reddit\.com/(?:r/[^/]+/)?comments/([0-9a-z]{1,13})\b")
_SUBREDDIT_ADDRESS = re.compile(r"(?:https?://[a-z.]*reddit\.com)?/r/([^/\s]+)/")


def read_submission(draft: Draft, raw: dict[str, Any]) -> None:
    """Read one t3."""
    post_id = _id(raw, "t3_")
    draft.subject = describe("reddit", "post", post_id)
    author = _add_author(draft, raw)
    meta = _meta(raw, f"t3_{post_id}") | {
        "comment_count": as_count(raw.get("num_comments")),
        "upvote_ratio": as_number(raw.get("upvote_ratio")),
        "domain": as_text(raw.get("domain")),
        "url": unescape(raw.get("url")),
        "flair": as_text(raw.get("link_flair_text")),
        "is_nsfw": as_boolean(raw.get("over_18")),
        "is_spoiler": as_boolean(raw.get("spoiler")),
        "is_self": as_boolean(raw.get("is_self")),
    }
    draft.observe(
        draft.subject,
        meta,
        title=first(unescape(raw.get("title")), unescape(raw.get("selftext"))),
        view=as_count(raw.get("view_count")),
        update_time=_time(raw),
        author=author,
    )
    _add_subreddit(draft, raw)
    if isinstance(raw.get("crosspost_parent"), str):
        original = raw["crosspost_parent"].removeprefix("t3_")
        draft.link(reference("reddit", "post", original), draft.subject, "repost")
    if not add_media(draft, raw, post_id):
        _add_target(draft, raw, post_id)


def read_comment(draft: Draft, raw: dict[str, Any]) -> None:
    """Read one t1."""
    comment_id = _id(raw, "t1_")
    draft.subject = describe("reddit", "comment", comment_id)
    meta = _meta(raw, f"t1_{comment_id}") | {"depth": as_count(raw.get("depth"))}
    draft.observe(
        draft.subject,
        meta,
        title=unescape(raw.get("body")),
        update_time=_time(raw),
        author=_add_author(draft, raw),
    )
    _add_subreddit(draft, raw)
    draft.link(_full_name(raw.get("parent_id")), draft.subject, "reply")
    post = _full_name(raw.get("link_id"))
    if post is not None:
        conversation = describe("reddit", "conversation", post.rpartition(":")[2])
        draft.link(conversation, post, "conversation")
        draft.link(conversation, draft.subject, "conversation")
    add_media(draft, raw | {"url": None, "url_overridden_by_dest": None}, comment_id)


def read_message(draft: Draft, raw: dict[str, Any]) -> None:
    """Read one t4: a private message, or a comment as the inbox shows it."""
    if str(raw.get("name")).startswith("t1_"):
        read_comment(draft, raw)
        return
    draft.subject = describe("reddit", "message", _id(raw, "t4_"))
    draft.observe(
        draft.subject,
        _meta(raw, as_text(raw.get("name"))),
        title=first(unescape(raw.get("subject")), unescape(raw.get("body"))),
        update_time=_time(raw),
        author=_add_author(draft, raw),
    )
    answered = as_text(raw.get("parent_id"))
    if answered and answered.startswith("t4_"):
        draft.link(reference("reddit", "message", answered[3:]), draft.subject, "reply")


def read_account(draft: Draft, raw: dict[str, Any]) -> None:
    """Read one t2."""
    name = as_text(raw.get("name"))
    if name is None:
        raise RecordError("the account has no name")
    draft.subject = describe("reddit", "user", name.lower())
    title = first(as_text(dig(raw, "subreddit", "title")), name)
    draft.observe(draft.subject, {"user_name": name}, title=title, update_time=_time(raw))


def read_subreddit(draft: Draft, raw: dict[str, Any]) -> None:
    """Read one t5."""
    name = as_text(raw.get("display_name"))
    if name is None:
        raise RecordError("the subreddit has no display_name")
    draft.subject = describe("reddit", "subreddit", name.lower())
    meta = {
        "subreddit": name,
        "subscriber_count": as_count(raw.get("subscribers")),
        "is_nsfw": as_boolean(raw.get("over18")),
    }
    title = first(unescape(raw.get("title")), name)
    draft.observe(draft.subject, meta, title=title, update_time=_time(raw))


def read_collection(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a collection: a list of posts that a moderator put together."""
    draft.subject = describe("reddit", "album", raw.get("collection_id"))
    author = _user(raw.get("author_name"))
    draft.observe(
        draft.subject,
        {"permalink": as_text(raw.get("permalink"))},
        title=unescape(raw.get("title")),
        update_time=parse_time(first(raw.get("last_update_utc"), raw.get("created_at_utc"))),
        author=author,
    )
    draft.link(author, draft.subject, "authored")
    links = raw.get("link_ids")
    for position, name in enumerate(links if isinstance(links, list) else []):
        draft.link(draft.subject, _full_name(name), "member", position)


READERS: dict[str, Rule] = {
    "t1": read_comment,
    "t2": read_account,
    "t3": read_submission,
    "t4": read_message,
    "t5": read_subreddit,
}


# ---- Parts -----------------------------------------------------------------------------------


def _id(raw: dict[str, Any], prefix: str) -> str:
    name = as_text(raw.get("name"))
    if name and name.startswith(prefix) and len(name) > len(prefix):
        return name.removeprefix(prefix)
    found = as_text(raw.get("id"))
    if found is None:
        raise RecordError(f"neither a name that starts with {prefix} nor an id")
    return found.removeprefix(prefix)


def _full_name(value: Any) -> str | None:
    """Return the node that a full name such as t1_d8r4im1 means."""
    kinds = {"t1_": "comment", "t3_": "post"}
    if not isinstance(value, str) or value[:3] not in kinds:
        return None
    return reference("reddit", kinds[value[:3]], value[3:])


def _user(value: Any) -> str | None:
    name = as_text(value.get("name") if isinstance(value, dict) else value)
    return None if name is None or name in NOBODY else reference("reddit", "user", name.lower())


def _add_author(draft: Draft, raw: dict[str, Any]) -> str | None:
    author = _user(raw.get("author"))
    if author is not None:
        draft.link(author, draft.subject, "authored")
        said = raw["author"].get("name") if isinstance(raw["author"], dict) else raw["author"]
        draft.observe(author, {"user_name": as_text(said)}, title=as_text(said))
    return author


def _subreddit_name(raw: dict[str, Any]) -> str | None:
    said = raw.get("subreddit")
    name = as_text(said.get("display_name") if isinstance(said, dict) else said)
    if name is None:
        found = _SUBREDDIT_ADDRESS.match(str(raw.get("permalink")))
        name = as_text(found.group(1)) if found else None
    return name


def _add_subreddit(draft: Draft, raw: dict[str, Any]) -> None:
    name = _subreddit_name(raw)
    subreddit = reference("reddit", "subreddit", name.lower()) if name else None
    draft.link(subreddit, draft.subject, "member")
    about = raw["subreddit"].get("subscribers") if isinstance(raw.get("subreddit"), dict) else None
    count = as_count(first(raw.get("subreddit_subscribers"), about))
    if subreddit is not None and count is not None:
        draft.observe(subreddit, {"subreddit": name, "subscriber_count": count}, title=name)


def _add_target(draft: Draft, raw: dict[str, Any], post_id: str) -> None:
    """Tie a link post to the post or page it leads to."""
    address = unescape(raw.get("url_overridden_by_dest")) or unescape(raw.get("url"))
    if address is None or raw.get("is_self") is True or is_picture_link(address):
        return
    if found := _POST_ADDRESS.match(address):
        draft.link(draft.subject, reference("reddit", "post", found.group(1)), "linked")
    elif address.startswith(("http://", "https://")) and not address.endswith(
        f"/gallery/{post_id}"
    ):
        draft.link(draft.subject, reference("web", "page", address), "linked")


def _time(raw: dict[str, Any]) -> Any:
    edited = raw.get("edited")
    edited_time = parse_time(edited) if isinstance(edited, int | float) and edited > 1 else None
    return edited_time or parse_time(raw.get("created_utc"))


def _meta(raw: dict[str, Any], full_name: str | None) -> dict[str, Any]:
    """Return the columns that submissions and comments share."""
    permalink = as_text(raw.get("permalink"))
    edited = raw.get("edited")
    hidden = raw.get("score_hidden") is True
    return {
        "post_id": full_name,
        "subreddit": _subreddit_name(raw),
        "score": None if hidden else as_integer(raw.get("score")),
        "up_count": None if hidden else as_count(raw.get("ups")),
        "permalink": f"https://www.reddit.com{permalink}"
        if permalink and permalink.startswith("/")
        else permalink,
        "is_edited": bool(edited) if isinstance(edited, bool | int | float) else None,
    }
