"""Sites without rules of their own: it owns what can be read out of a record of any of them.

The platform is the category. Author, ids, text, counts, tags and addresses are found under the
names that gallery-dl's sites use. A record about an account or an album alone becomes just that;
mirrors of other sites (kemono) yield the posts of those sites.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.records.describe import reference
from adapters.records.values import as_count, as_text
from adapters.sources.columns import source
from adapters.sources.gallery_dl.people import PERSON, author_of, credited, person_of
from adapters.sources.gallery_dl.profiles import (
    ACCOUNTS,
    ALBUM,
    ALBUM_TITLE,
    GENERAL,
    MIRRORS,
    POST,
    PROFILES,
    Profile,
    any_of,
    identity_of,
    in_snake_case,
    look,
)
from adapters.sources.model import Edge, Medium, Node, Rules
from adapters.sources.paths import POSITION
from adapters.sources.reading.sidecar import Sidecar, SidecarFormat, address, tags_of, word_of

_TITLES = "title post.title name fulltitle episode_name chapter_string"
_TEXTS = (
    "content description caption text_raw text body message comment post.description excerpt "
    "alt_description"
)
_CAPTIONS = "image_caption shown.description shown.caption file.caption asset.title caption alt"
_URLS = (
    "post_url page_url webpage_url permalink post_link itemurl item_url weburl submission_url "
    "chapter_url short_url html_url links.html public_url"
)
_TAGS = "tags hashtags tag_string tag_list keywords keyword_array topics"
_TIMES = (
    "date post_date created_at createdAt published_at publishedAt published_time published "
    "publishedDatetime created created_utc timestamp upload_date uploaded_at date_created "
    "post.date submission.creation_time version.date"
)
WEB = source(
    "web",
    "Sites without a table of their own",
    f"""
    post:
    site text = category # Category that the scraper gives the site
    item_id text = post_id # Id there
    item_type text = type:string|subtype:string|media_type:string|subcategory # Kind or subcategory
    url text = {any_of(_URLS, "address")} # Address of the page
    text text = {any_of(_TEXTS, "body")} # Text or description
    media_url text # Address of the medium
    like_count bigint = like_count|likes|likes_count|likeCount|favorite_count|favorites \\
        |favorites_count|favourites_count|favourites|favs|faves|fav_count|stats.favourites \\
        |stats.likes|stats.like_count|score|points|upvotes|ups|hearts|num_likes|total_bookmarks \\
        |bookmarkCount|appreciations|attitudes_count|note_count # Likes, favourites or score
    comment_count bigint = comment_count|comments|comments_count|commentCount|num_comments \\
        |total_comments|reply_count|replies_count|replies|stats.comments|stats.comment_count \\
        # Comments
    repost_count bigint = repost_count|retweet_count|reblogs_count|reposts_count|reposts|shares \\
        |share_count # Reposts or shares
    tags text[] = tags # Tags
    rating text = rating:string|content_rating:string|nsfw_level:string # Rating
    license text = license_name:string|license.name:string|license:string # Licence
    language text = lang|language # Language code
    width bigint # Width in pixels
    height bigint # Height in pixels
    duration_s double precision # Length
    position bigint # Number in its post
    medium:
    site
    item_id = medium_id
    item_type = extension
    media_url = file_url:address|media_url:address|image_url:address|shown.url:address \\
        |file.url:address|image.url:address|content.src:address|download_url:address|src:address \\
        |video_url:address|display_url:address|url:address|image:address
    width = width:nonzero|image_width:nonzero|shown.width:nonzero|file.width:nonzero \\
        |image.width:nonzero|original_width:nonzero|w:nonzero
    height = height:nonzero|image_height:nonzero|shown.height:nonzero|file.height:nonzero \\
        |image.height:nonzero|original_height:nonzero|h:nonzero
    duration_s = duration
    position = {POSITION}
    user:
    site = ^platform
    item_id = item_id
    item_type = 'user'
    album:
    site = ^.category
    item_id = id
    item_type = 'album'
    """,
    version=2,
)
_ALBUM = Node("album", id="id", title="title")
_MEDIUM = Medium(
    id="medium_id",
    at="media",
    title=f"{any_of(_CAPTIONS, 'plain')}|{any_of(_TITLES, 'plain')}|{any_of(_TEXTS, 'plain')}",
    time=any_of(_TIMES, "posted"),
    author=PERSON,
    position=POSITION,
    container="contained_in",
    container_kind="described",
)  # fmt: skip
_POST = Node(
    "described",
    id="known",
    title=f"{any_of(_TITLES, 'plain')}|{any_of(_TEXTS, 'plain')}",
    view="view_count|views|views_count|viewCount|total_view|stats.views|hits|play_count|plays"
    "|stats.viewCount|stats.playCount|video_view_count",
    time=any_of(_TIMES, "posted"),
    section="post",
    author=PERSON,
    tags="tags",
    media=(_MEDIUM,),
    edges=(
        Edge("member", _ALBUM, "album"),
        Edge("reply", "post", any_of(
            "in_reply_to_id in_reply_to_status_id reply_to_id reply_id parent_id", "own_id")),
        Edge("repost", "post", any_of(
            "reblog.id reblogged_from_id retweeted_status.id retweet_id repost_id", "own_id")),
        Edge("quote", "post", "quoted_status.id:own_id"),
        Edge("credited", PERSON, "credited"),
        Edge("", replace(_ALBUM, author=PERSON), "lone_album"),
    ),
)  # fmt: skip
_ACCOUNT = Node("post", id="", author=replace(PERSON, at="account"))


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    category = as_text(data["category"], 100) or ""
    platform, profile = word_of(category), PROFILES.get(category.lower(), GENERAL)
    if isinstance(post := data.get(profile.inside), dict):
        data = post | data
    if profile.is_pascal:
        data = in_snake_case({k: v for k, v in data.items() if k != profile.inside})
    if category.lower() in MIRRORS and (service := as_text(data.get("service"), 60)):
        platform, profile = word_of(service), Profile(post="id", medium="hash")
    post_id = _post_id(data, profile)
    author = author_of(data, platform, profile.ignores_case)
    album_id = look(data, ALBUM, identity_of)
    album = {"id": album_id, "title": look(data, ALBUM_TITLE, as_text)} if album_id else None
    known = reference(platform, "post", post_id) or _page(platform, data)
    return data | {
        "category": category,
        "platform": platform,
        "post_id": post_id,
        "known": known,
        "medium_id": _medium_id(data, profile, post_id),
        "tags": look(data, _TAGS, tags_of),
        "author": author,
        "credited": credited(data, platform, author, profile.ignores_case),
        "shown": data.get("media"),
        "media": None,
        "album": album,
        # What lies in no post lies in its album.
        "lone_album": {**album, "author": author} if album and not known else None,
        "contained_in": None if known else reference(platform, "album", album_id),
        "account": person_of(data, platform, profile.ignores_case),
    }


def _post_id(data: dict[str, Any], profile: Profile) -> str | None:
    if "+" in profile.post:
        parts = [look(data, path, identity_of) for path in profile.post.split("+")]
        return None if None in parts else "/".join(map(str, parts))
    return look(data, profile.post, identity_of) or look(data, POST, identity_of)


def _page(platform: str, data: dict[str, Any]) -> str | None:
    """Name a post without an id by its address, or by the words in it."""
    page = look(data, _URLS, address)
    slug = as_text(data.get("slug"), 1_000)
    return reference("web", "page", page) if page else reference(platform, "post", slug)


def _medium_id(data: dict[str, Any], profile: Profile, post_id: str | None) -> str | None:
    identity = look(data, profile.medium, identity_of)
    if identity is None and post_id is not None:
        number = Sidecar(data, "", None).number_in_post
        several = number is not None and (as_count(data.get("count")) or number) > 1
        identity = f"{post_id}_{number}" if several else post_id
    return identity or as_text(data.get("filename"), 300)


def _kind(sidecar: Sidecar) -> str:
    is_about = sidecar.subcategory in ACCOUNTS or "biography" in sidecar.data
    is_account = is_about and not sidecar.has_medium
    return "account" if is_account and _fields(sidecar.data)["account"] else "post"


def _platform(fields: dict[str, Any], _draft: Any) -> str:
    return fields["platform"]


GALLERY_DL = SidecarFormat(
    Rules(WEB, _platform, {"post": _POST, "account": _ACCOUNT}), _fields, counts_from=0, kind=_kind
)
