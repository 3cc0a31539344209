"""Sites without rules of their own: it owns what can be read out of a record of any of them.

The platform is the category. Author, ids, text, counts, tags and addresses are found under the
names that gallery-dl's sites use (profiles.py, fields.py, people.py). A record about an account or
an album alone becomes just that; mirrors of other sites (kemono) yield the posts of those sites.
"""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_count, as_integer, as_number, as_text, dig
from adapters.sources.gallery_dl.fields import (
    COMMENTS,
    HEIGHTS,
    LIKES,
    MEDIA_URLS,
    POST_URLS,
    REPOSTS,
    TAGS,
    TIMES,
    VIEWS,
    WIDTHS,
    count,
    language_of,
    look,
)
from adapters.sources.gallery_dl.people import author_of, credited, person_of
from adapters.sources.gallery_dl.profiles import (
    ACCOUNTS,
    ALBUM,
    ALBUM_TITLE,
    ANSWERED,
    GENERAL,
    MIRRORS,
    POST,
    PROFILES,
    REPOSTED,
    Profile,
)
from adapters.sources.gallery_dl.site_post import SitePost, reference
from adapters.sources.reading.sidecar import Sidecar, address, plain, posted, tags_of, word_of

_TITLES = "title post.title name fulltitle episode_name chapter_string"
_TEXTS = (
    "content description caption text body message comment post.description excerpt alt_description"
)
_CAPTIONS = "image_caption media.description media.caption file.caption asset.title caption alt"


def site_post_of(sidecar: Sidecar) -> SitePost:
    """Read one sidecar of any site."""
    data, platform = sidecar.data, sidecar.platform
    profile = PROFILES.get(sidecar.category.lower(), GENERAL)
    if sidecar.category.lower() in MIRRORS and (service := as_text(data.get("service"), 60)):
        platform, profile = word_of(service), Profile(post="id", medium="hash")
    said = SitePost("web", position=sidecar.number_in_post)
    about_account = sidecar.subcategory in ACCOUNTS or "biography" in data
    if about_account and not sidecar.has_medium:
        said.author = person_of(data, platform, profile.ignores_case)
        if said.author is not None:
            return said
    said.author = author_of(data, platform, profile.ignores_case)
    post_id = _post_id(data, profile)
    said.post = reference(platform, "post", post_id) or _page(platform, data)
    said.title = look(data, _TITLES, plain) or look(data, _TEXTS, plain)
    said.view = count(data, VIEWS)
    said.time = look(data, TIMES, posted)
    said.meta = _meta(sidecar, post_id)
    _add_medium(said, sidecar, platform, profile, post_id)
    _add_relations(said, platform, data)
    said.tag(platform, said.meta["tags"])
    for person in credited(data, platform, said.author, profile.ignores_case):
        said.persons.append(person)
        said.link(person.node, said.post, "credited")
    return said


def identity_of(value: Any) -> str | None:
    """Return an id as text: a number that is not 0, or text; never a truth value or a fraction."""
    if isinstance(value, bool) or not isinstance(value, int | str) or value in (0, "0"):
        return None
    return as_text(value, 1_000)


def _post_id(data: dict[str, Any], profile: Profile) -> str | None:
    if "+" in profile.post:
        parts = [look(data, path, identity_of) for path in profile.post.split("+")]
        return None if None in parts else "/".join(map(str, parts))
    return look(data, profile.post, identity_of) or look(data, POST, identity_of)


def _page(platform: str, data: dict[str, Any]) -> str | None:
    """Name a post without an id by its address, or by the words in it."""
    page = look(data, POST_URLS, address)
    if page is not None:
        return reference("web", "page", page)
    slug = as_text(data.get("slug"), 1_000)
    return reference(platform, "post", slug) if slug else None


def _meta(sidecar: Sidecar, post_id: str | None) -> dict[str, Any]:
    data = sidecar.data
    return {
        "site": sidecar.category,
        "item_id": post_id,
        "item_type": look(data, "type subtype media_type", _word) or sidecar.subcategory or None,
        "url": look(data, POST_URLS, address),
        "like_count": count(data, LIKES),
        "comment_count": count(data, COMMENTS),
        "repost_count": count(data, REPOSTS),
        "tags": look(data, TAGS, tags_of),
        "rating": look(data, "rating content_rating nsfw_level", _word),
        "license": look(data, "license_name license.name license", _word),
        "language": language_of(data),
    }


def _word(value: Any) -> str | None:
    return as_text(value, 200) if isinstance(value, str) else None


def _add_medium(
    said: SitePost, sidecar: Sidecar, platform: str, profile: Profile, post_id: str | None
) -> None:
    data = sidecar.data
    number = sidecar.number_in_post
    identity = look(data, profile.medium, identity_of)
    if identity is None and post_id is not None:
        several = number is not None and (as_count(data.get("count")) or number) > 1
        identity = f"{post_id}_{number}" if several else post_id
    identity = identity or as_text(data.get("filename"), 300)
    said.medium = reference(platform, "media", identity)
    said.medium_title = look(data, _CAPTIONS, plain)
    said.medium_meta = {
        "site": sidecar.category,
        "item_id": identity,
        "item_type": as_text(data.get("extension"), 40),
        "media_url": look(data, MEDIA_URLS, address),
        "width": count(data, WIDTHS) or None,
        "height": count(data, HEIGHTS) or None,
        "duration_s": as_number(data.get("duration")),
        "position": as_integer(data.get("num")),
    }


def _add_relations(said: SitePost, platform: str, data: dict[str, Any]) -> None:
    album_id = look(data, ALBUM, identity_of)
    album = reference(platform, "album", album_id)
    if album is not None:
        said.link(album, said.post, "member")
        title = look(data, ALBUM_TITLE, plain)
        said.observe(album, title, site=said.meta["site"], item_id=album_id, item_type="album")
        if said.post is None:
            said.container = album
            said.link(said.author.node if said.author else None, album, "authored")
    answered = look(data, ANSWERED, identity_of)
    said.link(reference(platform, "post", answered), said.post, "reply")
    original = look(data, REPOSTED, identity_of)
    said.link(reference(platform, "post", original), said.post, "repost")
    quoted = identity_of(dig(data, "quoted_status", "id"))
    said.link(reference(platform, "post", quoted), said.post, "quote")
