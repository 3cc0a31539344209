"""Pages of booru sites: it owns their shapes as XML, JSON and RSS, and never asks for anything.

A page holds posts, or tags and no posts: tags become nodes of their own. The counters around the
posts (`count`, `offset`) are no records.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import tostring

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, as_texts, dig, first
from adapters.sources.booru.fields import fields_of_element, fields_of_object
from adapters.sources.booru.post import read_post
from adapters.sources.booru.site import BOORU_WORDS, site_of
from adapters.sources.reading.adapter import (
    SURE,
    DocumentAdapter,
    Part,
    as_object,
    of_value,
    parts_of,
)
from adapters.sources.reading.documents import JSON_AND_XML
from adapters.sources.reading.draft import Draft
from adapters.sources.schemas import booru as schema

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

TAG_CATEGORIES = {0: "general", 1: "artist", 3: "copyright", 4: "character", 5: "meta"}
_MEDIA = "{http://search.yahoo.com/mrss/}"
_LAST_NUMBER = re.compile(r"(\d+)/?$")


def split(value: Any) -> list[Part] | None:
    """Tell pages apart by what is in them."""
    if hasattr(value, "iter"):
        return _xml_parts(value)
    if isinstance(value, dict):
        if value.get("success") is False:
            reason = as_text(first(value.get("reason"), value.get("message")))
            raise RecordError(f"the site answered with an error: {reason or 'without a reason'}")
        inner = first(value.get("posts"), value.get("post"), value.get("tags"), value.get("tag"))
        lists = [inner] if isinstance(inner, dict) else inner
        if not isinstance(lists, list) or _is_post(value):
            lists = [value]
        return _json_parts(lists, value)
    return _json_parts(value, value) if isinstance(value, list) else None


def _json_parts(members: list[Any], whole: Any) -> list[Part] | None:
    if any(map(_is_post, members)):
        rule = _post_of_object
    elif any(map(_is_tag, members)):
        rule = _tag_of_object
    else:
        return [] if isinstance(whole, dict) and "@attributes" in whole else None
    if members == [whole]:
        return [Part(rule, whole)]
    return parts_of(rule, members)


def _is_post(value: Any) -> bool:
    if not isinstance(value, dict) or "id" not in value:
        return False
    described = {"tag_string", "tags", "md5", "hash"} & value.keys()
    booru = {"file_url", "md5", "hash", "tag_string", "preview_url"} & value.keys()
    return bool(described and booru) or isinstance(dig(value, "file", "md5"), str)


def _is_tag(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and "name" in value
        and bool({"post_count", "count"} & value.keys())
        and bool({"category", "type", "ambiguous", "related_tags"} & value.keys())
    )


def _xml_parts(root: Element) -> list[Part] | None:
    if root.tag == "rss":
        return _feed_parts(root)
    rules = {"posts": ("post", _post_of_element), "tags": ("tag", _tag_of_element)}
    if root.tag == "post" and ("md5" in root.attrib or len(root)):
        return [Part(_post_of_element, root)]
    if root.tag not in rules:
        return None
    name, rule = rules[root.tag]
    return [Part(rule, element, tostring(element, "unicode")) for element in root.findall(name)]


def _feed_parts(root: Element) -> list[Part] | None:
    items = [item for item in root.iter("item") if item.find(f"{_MEDIA}content") is not None]
    return [Part(_item, item, tostring(item, "unicode")) for item in items] or None


def _recognise(value: Any) -> float:
    """Only feeds that name themselves an image board are surely none of the other feeds."""
    try:
        found = bool(split(value))
    except RecordError:
        return 0.0
    if not found or not hasattr(value, "iter") or value.tag != "rss":
        return SURE if found else 0.0
    channel = [value.findtext("channel/title"), value.findtext("channel/link")]
    return SURE if BOORU_WORDS.search(" ".join(text or "" for text in channel)) else 0.0


def _post_of_object(draft: Draft, value: Any) -> None:
    read_post(draft, fields_of_object(as_object(value, "the post")))


def _post_of_element(draft: Draft, value: Element) -> None:
    read_post(draft, fields_of_element(value))


def _tag_of_object(draft: Draft, value: Any) -> None:
    _tag(draft, fields_of_object(as_object(value, "the tag")))


def _tag_of_element(draft: Draft, value: Element) -> None:
    _tag(draft, fields_of_element(value))


def _tag(draft: Draft, fields: dict[str, Any]) -> None:
    is_danbooru = bool({"related_tags", "is_locked", "related_tags_updated_at"} & fields.keys())
    site = site_of((), draft.path, is_danbooru)
    name = as_text(fields.get("name"))
    if name is None:
        raise RecordError("the tag has no name")
    node = describe(site, "tag", " ".join(name.lower().split()))
    category = first(fields.get("category"), fields.get("type"))
    number = as_count(category)
    meta = {
        "site": site,
        "post_count": as_count(first(fields.get("post_count"), fields.get("count"))),
        "tag_category": as_text(category if number is None else TAG_CATEGORIES.get(number)),
    }
    time = parse_time(first(fields.get("updated_at"), fields.get("created_at")))
    draft.observe(node, title=name, update_time=time, meta=meta)
    draft.subject = node


def _item(draft: Draft, item: Element) -> None:
    """Read an item of a feed with `media:content`, as Zerochan writes them."""
    link = as_text(first(item.findtext("link"), item.findtext("guid")))
    found = _LAST_NUMBER.search(link or "")
    if found is None:
        raise RecordError(f"the item's address has no id of a post: {str(link)[:200]!a}")
    site = site_of((link,), draft.path, is_danbooru=False)
    post = describe(site, "post", found[1])
    title = as_text(first(item.findtext(f"{_MEDIA}title"), item.findtext("title")))
    words = (item.findtext(f"{_MEDIA}keywords") or "").split(",")
    tags = as_texts([" ".join(word.split()) for word in words])
    time = parse_time(item.findtext("pubDate"))
    content = item.find(f"{_MEDIA}content")
    found_size = {} if content is None else content.attrib
    meta = {
        "site": site,
        "post_id": found[1],
        "tags": tags,
        "file_url": as_text(found_size.get("url")),
        "width": as_count(found_size.get("width")) or None,
        "height": as_count(found_size.get("height")) or None,
    }
    draft.observe(post, title=title, update_time=time, meta=meta)
    draft.tag(site, tags, post)
    file = draft.media.first(draft.path, (meta["file_url"],), (found[1],))
    medium = draft.contain(post, file, describe(site, "media", found[1]))
    if medium is not None:
        draft.observe(medium, is_root=True, title=title, update_time=time, meta=meta)
        thumbnail = item.find(f"{_MEDIA}thumbnail")
        url = None if thumbnail is None else thumbnail.get("url")
        draft.link(medium, draft.media.by_address(url, draft.path), "thumbnail")
    draft.subject = post


ADAPTERS = (
    DocumentAdapter(
        name="booru",
        tables=(schema.TABLE,),
        split=of_value(split),
        expected="no known page of a booru: posts and tags as XML or JSON and feeds with "
        "media:content are read",
        kinds=JSON_AND_XML,
        recognise=_recognise,
    ),
)
