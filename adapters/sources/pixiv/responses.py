"""pixiv and Fanbox: it owns the shapes of their API responses, and never asks for anything.

Reads the answers of the web (`ajax`, ids as text) and of the app (ids as integers): single works,
lists, bookmarks, users, pages and ugoira frames; and Fanbox posts (fanbox.py). Works that are only
mentioned, such as the other works of the artist, become nodes by their edges alone.

Advertisements (`zoneConfig`) and the page's own description (`extraData`) are no records.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from adapters.records.describe import describe, reference
from adapters.records.errors import RecordError
from adapters.records.values import as_text, dig, first, mappings
from adapters.sources.pixiv.fanbox import fanbox_parts
from adapters.sources.pixiv.media import read_frames, read_pages
from adapters.sources.pixiv.work import observe_user, read_novel, read_work
from adapters.sources.reading.adapter import DocumentAdapter, Part, as_object, parts_of
from adapters.sources.reading.documents import Document
from adapters.sources.reading.draft import Draft
from adapters.sources.schemas import pixiv as schema

_LISTS = {"illusts": read_work, "novels": read_novel}
_USER_PAGE = re.compile(r"(?:/users?/|/creator/|member\.php\?id=)(\d+)")
_LONE_NUMBER = re.compile(r"(?<!\d)(\d{2,12})(?!\d)")


def split(document: Document) -> list[Part] | None:
    """Tell the responses apart by what is in them."""
    value = document.value
    if isinstance(value, list):
        return _list_parts(value, value)
    if not isinstance(value, dict):
        return None
    if error := _error(value):
        raise RecordError(f"pixiv answered with an error: {error}")
    if fanbox := fanbox_parts(value):
        return fanbox
    if "body" in value:
        return _ajax_parts(value["body"], value)
    return _app_parts(value)


def _error(value: dict[str, Any]) -> str | None:
    error = value.get("error")
    if error is True:
        return as_text(value.get("message")) or "without a reason"
    if isinstance(error, dict):
        return as_text(first(error.get("user_message"), error.get("message"))) or str(error)[:200]
    return None


def _ajax_parts(body: Any, whole: Any) -> list[Part] | None:
    if isinstance(body, list):
        return _list_parts(body, whole)
    if not isinstance(body, dict):
        return None
    if _is_work(body):
        return [Part(read_work, body, whole)]
    if isinstance(body.get("works"), list):
        bookmarks = [Part(_bookmarks, body, {k: v for k, v in body.items() if k != "works"})]
        return (bookmarks if _page_owner(body) else []) + _works(body["works"], body)
    if "frames" in body:
        return [Part(read_frames, body, whole)]
    if "userId" in body and "name" in body:
        return [Part(_user, body, whole)]
    if {"illusts", "manga"} & body.keys():
        return [Part(_profile, body, whole)]
    return None


def _app_parts(value: dict[str, Any]) -> list[Part] | None:
    if _is_work(value):
        return [Part(read_work, value)]
    if "ugoira_metadata" in value:
        return [Part(read_frames, value["ugoira_metadata"], value)]
    if isinstance(value.get("user"), dict) and "profile" in value:
        return [Part(_user, value)]
    previews = value.get("user_previews")
    if isinstance(previews, list):
        members = list(mappings(previews))
        works = [p for m in members for k, rule in _LISTS.items() for p in parts_of(rule, m.get(k))]
        return parts_of(_user, previews) + works
    single = [Part(read_work, value["illust"], value)] if "illust" in value else []
    single += [Part(read_novel, value["novel"], value)] if "novel" in value else []
    found = any(isinstance(value.get(key), list) for key in _LISTS)
    lists = [part for key, rule in _LISTS.items() for part in parts_of(rule, value.get(key))]
    return single + lists if single or found else None


def _list_parts(values: list[Any], whole: Any) -> list[Part] | None:
    """Split a bare list: of works, or of the pages of one work."""
    if (
        values
        and all(isinstance(dig(v, "urls", "original"), str) for v in values)
        and not (_is_work(values[0]))
    ):
        return [Part(read_pages, values, whole)]
    return parts_of(read_work, values) if any(map(_is_work, values)) else None


def _works(values: list[Any], body: dict[str, Any]) -> list[Part]:
    owner = _page_owner(body)
    rule = partial(
        read_work, album=reference("pixiv", "album", f"bookmarks-{owner}" if owner else None)
    )
    return parts_of(rule, values)


def _is_work(value: Any) -> bool:
    if not isinstance(value, dict) or not ("id" in value or "illustId" in value):
        return False
    ajax = {"illustType", "illustTitle", "pageCount"} & value.keys()
    app = {"meta_pages", "meta_single_page", "total_bookmarks"} & value.keys()
    return bool(ajax or app)


# ---- Users and pages of lists ------------------------------------------------------------------


def _user(draft: Draft, value: Any) -> None:
    """Read a user: of the web (flat), or of the app (`user` inside)."""
    page = as_object(value, "the user")
    user = page["user"] if isinstance(page.get("user"), dict) else page
    identity = first(user.get("userId"), user.get("id"))
    node = describe("pixiv", "user", identity)
    name, account = as_text(user.get("name")), as_text(user.get("account"))
    observe_user(draft, node, identity, name, account)
    draft.subject = node


def _profile(draft: Draft, value: Any) -> None:
    """Read the list of all works of a user, which names the user only in passing."""
    owner = _page_owner(value) or _number_in(draft.path)
    if owner is None:
        raise RecordError(
            "the list of all works does not say whose they are: put the user's number into the "
            "file name, such as all-12345.json"
        )
    user = describe("pixiv", "user", owner)
    for kind, keys in (("post", ("illusts", "manga")), ("novel", ("novels",))):
        for key in keys:
            members = value.get(key)
            for identity in members if isinstance(members, dict) else ():
                draft.link(user, reference("pixiv", kind, identity), "authored")
    for pick in mappings(value.get("pickup")):
        if _is_work(pick):
            draft.link(user, reference("pixiv", "post", pick.get("id")), "authored")
    name = next((as_text(p.get("userName")) for p in mappings(value.get("pickup"))), None)
    observe_user(draft, user, owner, name, None)
    draft.subject = user


def _page_owner(body: dict[str, Any]) -> str | None:
    """Return the id of the user whose page a list was made for."""
    canonical = dig(body, "extraData", "meta", "canonical")
    picks = list(mappings(body.get("pickup")))
    urls = [canonical, *(pick.get("contentUrl") for pick in picks)]
    for url in urls:
        if isinstance(url, str) and (found := _USER_PAGE.search(url)):
            return found[1]
    return next((as_text(pick["userId"]) for pick in picks if "userId" in pick), None)


def _number_in(path: str) -> str | None:
    numbers = _LONE_NUMBER.findall(path.rpartition("/")[2])
    return numbers[0] if len(numbers) == 1 else None


def _bookmarks(draft: Draft, value: Any) -> None:
    """Read a page of bookmarks: a collection that its owner made; its works are other records."""
    owner = _page_owner(value)
    album = describe("pixiv", "album", f"bookmarks-{owner}")
    user = describe("pixiv", "user", owner)
    draft.link(user, album, "authored")
    title = as_text(dig(value, "extraData", "meta", "title"))
    draft.observe(album, title=title, author=user)
    for work in mappings(value.get("works")):
        draft.link(album, reference("pixiv", "post", work.get("id")), "member")
    draft.subject = album


ADAPTERS = (
    DocumentAdapter(
        name="pixiv",
        tables=(schema.TABLE,),
        split=split,
        expected="no known response of pixiv or Fanbox: works, lists, bookmarks, users, pages, "
        "ugoira frames and Fanbox posts are read",
    ),
)
