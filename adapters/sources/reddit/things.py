"""Reddit as a table: submissions, comments, messages, accounts, subreddits, collections.

`READERS` has the rule of each kind (t1 comment, t2 account, t3 submission, t4 message, t5
subreddit); api.py finds them in documents, table.py in tables, sidecar.py in gallery-dl's sidecars.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.describe import reference
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, first
from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.paths import add_readers
from adapters.sources.reading.adapter import Rule
from adapters.sources.reading.draft import Draft
from adapters.sources.reddit.media import media_of, previews_of, target_of, unescape

NOBODY = frozenset({"[deleted]", "[removed]", ""})
_NOT_WORD = re.compile(r"[^0-9a-z]+")
_SUBREDDIT_ADDRESS = re.compile(r"(?:https?://[a-z.]*reddit\.com)?/r/([^/\s]+)/")


def _somebody(value: Any) -> Any:
    text = as_text(value)
    return None if text in NOBODY else text


def _permalink(value: Any) -> Any:
    text = as_text(value)
    return f"https://www.reddit.com{text}" if text and text.startswith("/") else text


add_readers(
    unescape=unescape,
    somebody=_somebody,
    reddit_permalink=_permalink,
    edited=lambda value: bool(value) if isinstance(value, bool | int | float) else None,
)
REDDIT = source(
    "reddit",
    "Reddit",
    """
    post:
    post_id text = full_name # Full name (t3_..., t1_...) of the post or comment
    subreddit text = subreddit_name # Name of the subreddit
    score bigint = score:signed # Votes up minus down
    up_count bigint = ups # Votes up
    comment_count bigint = num_comments # Comments
    upvote_ratio double precision = upvote_ratio # Share of votes up, 0 to 1
    domain text = domain # Where the link leads
    url text = url:unescape # The link or medium
    permalink text = permalink:reddit_permalink # Address of the post
    flair text = link_flair_text # Flair of the post
    is_nsfw boolean = over_18 # Marked over 18
    is_spoiler boolean = spoiler # Marked as spoiler
    is_self boolean = is_self # Text without a link
    is_edited boolean = edited:edited # Was edited
    text text = selftext:unescape:body|body:unescape:body # Text of the post or comment
    published_time timestamptz = created_utc \
        # When it was posted; the time of the row is that of the last change
    comment:
    post_id subreddit score up_count permalink is_edited text published_time
    depth bigint = depth # Depth of a comment, from 0
    medium:
    post_id = post_id
    subreddit = subreddit
    media_id text = media_id # Id in a gallery
    url = urls[0]|^.url:unescape
    width bigint = width # Width of the medium in pixels
    height bigint = height # Height of the medium in pixels
    album:
    permalink = permalink
    subreddit:
    subreddit = subreddit_name
    subscriber_count bigint = subscribers # Subscribers, on rows of subreddits
    is_nsfw = over18
    user:
    user_name text = name # Name, on rows of users
    """,
    version=2,
)
AUTHOR = Person(id="name:somebody:lower", title="name:somebody", at="by")
_MEMBER = Edge("member", "subreddit", "subreddit_name:lower")
_KNOWN = Edge("", Node("subreddit", id="subreddit_name:lower", title="subreddit_name"), "known")
_MEDIUM = Medium(
    kind="described",
    id="identity",
    at="media",
    title="caption",
    urls="urls",
    stems="media_id,names[]",
    thumbs="previews",
    post_stem="^.id",
)
SUBMISSION = Node(
    "post",
    id="id",
    title="title:unescape|selftext:unescape",
    view="view_count",
    time="time",
    author=AUTHOR,
    media=(_MEDIUM,),
    edges=(
        _MEMBER,
        _KNOWN,
        Edge("repost", "post", "original"),
        Edge("linked", "described", "target"),
    ),
)
COMMENT = Node(
    "comment",
    id="id",
    title="body:unescape",
    time="time",
    author=AUTHOR,
    media=(_MEDIUM,),
    edges=(
        _MEMBER,
        _KNOWN,
        Edge("reply", "described", "answered"),
        Edge(
            "conversation",
            Node("conversation", id="id", section="none",
                 edges=(Edge("conversation", "post", "id", True),)),
            "conversation",
        ),
    ),
)  # fmt: skip
MESSAGE = Node(
    "message",
    id="id",
    section="comment",
    title="subject:unescape|body:unescape",
    time="time",
    author=AUTHOR,
    edges=(Edge("reply", "message", "answered"),),
)
ACCOUNT = Person(id="name:lower", title="subreddit.title|name", time="time")
SUBREDDIT = Node(
    "subreddit", id="subreddit_name:lower", title="title:unescape|subreddit_name", time="time"
)
COLLECTION = Node(
    "album",
    id="collection_id",
    title="title:unescape",
    time="last_update_utc|created_at_utc",
    author=AUTHOR,
    edges=(
        Edge("member", "described", "members", is_parent=True, is_numbered=True, count_max=10_000),
    ),
)


# ---- Fields ------------------------------------------------------------------------------------


def _thing(raw: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the fields that submissions, comments and messages share."""
    identity = _id(raw, prefix)
    subreddit, author = raw.get("subreddit"), raw.get("author")
    about = subreddit if isinstance(subreddit, dict) else {}
    name = as_text(about.get("display_name") if about else subreddit)
    if name is None and (found := _SUBREDDIT_ADDRESS.match(str(raw.get("permalink")))):
        name = as_text(found.group(1))
    count = as_count(first(raw.get("subreddit_subscribers"), about.get("subscribers")))
    known = [{"subreddit_name": name, "subscribers": count}] if count is not None else []
    hidden = {"score": None, "ups": None} if raw.get("score_hidden") is True else {}
    edited = raw.get("edited")
    edited_time = parse_time(edited) if isinstance(edited, int | float) and edited > 1 else None
    said = author if isinstance(author, dict) else {"name": author}
    return raw | hidden | {
        "id": identity,
        "full_name": f"{prefix}{identity}",
        "subreddit_name": name,
        "known": known,
        "by": [{"name": said.get("name")}],
        "time": edited_time or raw.get("created_utc"),
    }  # fmt: skip


def _id(raw: dict[str, Any], prefix: str) -> str:
    name = as_text(raw.get("name"))
    if name and name.startswith(prefix) and len(name) > len(prefix):
        return name.removeprefix(prefix)
    found = as_text(raw.get("id"))
    if found is None:
        raise RecordError(f"neither a name that starts with {prefix} nor an id")
    return found.removeprefix(prefix)


def full_name(value: Any) -> str | None:
    """Return the node that a full name such as t1_d8r4im1 means."""
    kinds = {"t1_": "comment", "t3_": "post"}
    if not isinstance(value, str) or value[:3] not in kinds:
        return None
    return reference("reddit", kinds[value[:3]], value[3:])


def _read(
    draft: Draft,
    kind: str,
    fields: dict[str, Any],
    raw: dict[str, Any],
    media: list[dict[str, Any]],
) -> None:
    """Read a submission or comment with its media and the previews of them that are there."""
    previews = previews_of(raw)
    if len(media) == 1 or not media:
        media = [{**(media[0] if media else {}), "previews": previews}]
    # Downloaders call files as the record, which has the id of its post in its name.
    stem = draft.path.rpartition("/")[2].rpartition(".")[0]
    # Words of letters and digits alone, which an id is one of.
    is_named = kind == "submission" and fields["id"] in _NOT_WORD.split(stem)
    for number, medium in enumerate(media if is_named else [], 1):
        medium["names"] = [stem if len(media) == 1 else f"{stem}_{number}"]
    RULES.read(draft, kind, fields | {"media": media})
    if len(media) > 1:
        shown = {draft.media.by_address(url, draft.path) for one in media for url in one["urls"]}
        for preview in previews:
            if (file := draft.media.by_address(preview, draft.path)) not in shown:
                draft.link(draft.subject, file, "thumbnail")


def _submission(draft: Draft, raw: dict[str, Any]) -> None:
    fields = _thing(raw, "t3_")
    original = raw.get("crosspost_parent")
    fields["original"] = original.removeprefix("t3_") if isinstance(original, str) else None
    media = media_of(raw)
    if not media and not draft.media.of_post(fields["id"], 0, 1, draft.path):
        fields["target"] = target_of(raw, fields["id"])
    _read(draft, "submission", fields, raw, media)


def _comment(draft: Draft, raw: dict[str, Any]) -> None:
    submission = raw.get("submission")
    link = f"t3_{submission}" if isinstance(submission, str) else raw.get("link_id")
    fields, post = _thing(raw, "t1_"), full_name(link)
    fields["answered"] = full_name(raw.get("parent_id"))
    fields["conversation"] = [{"id": post.rpartition(":")[2]}] if post else []
    raw = raw | {"url": None, "url_overridden_by_dest": None}
    _read(draft, "comment", fields, raw, media_of(raw))


def _message(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a private message, or a comment as the inbox shows it."""
    if str(raw.get("name")).startswith("t1_"):
        _comment(draft, raw)
        return
    answered = as_text(raw.get("parent_id"))
    is_message = answered is not None and answered.startswith("t4_")
    fields = {
        "full_name": raw.get("name"),
        "answered": answered[3:] if answered and is_message else None,
    }
    RULES.read(draft, "message", _thing(raw, "t4_") | fields)


def _account(draft: Draft, raw: dict[str, Any]) -> None:
    if as_text(raw.get("name")) is None:
        raise RecordError("the account has no name")
    RULES.read(draft, "account", raw | {"time": raw.get("created_utc")})


def _subreddit(draft: Draft, raw: dict[str, Any]) -> None:
    name = as_text(raw.get("display_name"))
    if name is None:
        raise RecordError("the subreddit has no display_name")
    RULES.read(draft, "subreddit", raw | {"subreddit_name": name, "time": raw.get("created_utc")})


def read_collection(draft: Draft, raw: dict[str, Any]) -> None:
    """Read a collection: a list of posts that a moderator put together."""
    links = raw["link_ids"] if isinstance(raw.get("link_ids"), list) else []
    author = {"name": raw.get("author_name")}
    RULES.read(draft, "collection", raw | {"by": [author], "members": [*map(full_name, links)]})


RULES = Rules(
    REDDIT,
    "reddit",
    {"submission": SUBMISSION, "comment": COMMENT, "message": MESSAGE, "account": ACCOUNT,
     "subreddit": SUBREDDIT, "collection": COLLECTION},
)  # fmt: skip
READERS: dict[str, Rule] = {
    "t1": _comment,
    "t2": _account,
    "t3": _submission,
    "t4": _message,
    "t5": _subreddit,
}
