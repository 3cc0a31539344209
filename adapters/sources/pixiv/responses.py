"""pixiv and Fanbox: it owns the shapes of their API responses, and never asks for anything.

Reads the answers of the web (`ajax`, ids as text) and of the app (ids as integers): single works,
lists, bookmarks, users, pages and ugoira frames; and Fanbox posts (fanbox.py). Works that are only
mentioned, such as the other works of the artist, become nodes by their edges alone.

Advertisements (`zoneConfig`) and the page's own description (`extraData`) are no records.
"""

from __future__ import annotations

import re
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_text, dig, first, mappings
from adapters.sources.pixiv.fanbox import fanbox_parts
from adapters.sources.pixiv.works import PIXIV, RULES, frames_of, pages_of
from adapters.sources.reading.adapter import DocumentAdapter, Part, Rule, parts_of
from adapters.sources.reading.documents import Document
from adapters.sources.reading.draft import Draft
from adapters.sources.shapes import reader

_WORK, _NOVEL, _USER = (reader(RULES, kind) for kind in ("work", "novel", "user"))
_LISTS = {"illusts": _WORK, "novels": _NOVEL}
_SEARCHED = ("illustManga", "illust", "manga", "novel")
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
        return [Part(_WORK, body, whole)]
    if isinstance(body.get("works"), list):
        bookmarks = [Part(_bookmarks, body, {k: v for k, v in body.items() if k != "works"})]
        return (bookmarks if _page_owner(body) else []) + _works(body["works"], body)
    if "frames" in body:
        return [Part(_frames, body, whole)]
    if "userId" in body and "name" in body:
        return [Part(_USER, body, whole)]
    if found := [part for name in _SEARCHED for part in _found(body, name)]:
        return found
    if {"illusts", "manga"} & body.keys():
        return [Part(_profile, body, whole)]
    return None


def _found(body: dict[str, Any], name: str) -> list[Part]:
    """Return the works of one list of a search; what advertises among them is none."""
    rule = _NOVEL if name == "novel" else _WORK
    works = [one for one in mappings(dig(body, name, "data")) if not one.get("isAdContainer")]
    return parts_of(rule, works) if any("id" in one for one in works) else []


def _app_parts(value: dict[str, Any]) -> list[Part] | None:
    if _is_work(value):
        return [Part(_WORK, value)]
    if "ugoira_metadata" in value:
        return [Part(_frames, value["ugoira_metadata"], value)]
    if isinstance(value.get("user"), dict) and "profile" in value:
        return [Part(_USER, value)]
    previews = value.get("user_previews")
    if isinstance(previews, list):
        members = list(mappings(previews))
        works = [p for m in members for k, rule in _LISTS.items() for p in parts_of(rule, m.get(k))]
        return parts_of(_USER, previews) + works
    single = [Part(_WORK, value["illust"], value)] if "illust" in value else []
    single += [Part(_NOVEL, value["novel"], value)] if "novel" in value else []
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
        return [Part(_pages, values, whole)]
    return parts_of(_WORK, values) if any(map(_is_work, values)) else None


def _works(values: list[Any], body: dict[str, Any]) -> list[Part]:
    owner = _page_owner(body)
    return parts_of(_work_of(f"bookmarks-{owner}") if owner else _WORK, values)


def _work_of(album: str) -> Rule:
    def read(draft: Draft, value: Any) -> None:
        RULES.read(draft, "work", value | {"album": album} if isinstance(value, dict) else value)

    return read


def _is_work(value: Any) -> bool:
    if not isinstance(value, dict) or not ("id" in value or "illustId" in value):
        return False
    ajax = {"illustType", "illustTitle", "pageCount"} & value.keys()
    app = {"meta_pages", "meta_single_page", "total_bookmarks"} & value.keys()
    return bool(ajax or app)


# ---- Users and pages of lists ------------------------------------------------------------------


def _frames(draft: Draft, value: Any) -> None:
    RULES.read(draft, "pages", frames_of(value))


def _pages(draft: Draft, value: Any) -> None:
    RULES.read(draft, "pages", pages_of(value))


def _profile(draft: Draft, value: Any) -> None:
    """Read the list of all works of a user, which names the user only in passing."""
    owner = _page_owner(value) or _number_in(draft.path)
    if owner is None:
        raise RecordError(
            "the list of all works does not say whose they are: put the user's number into the "
            "file name, such as all-12345.json"
        )
    picks = list(mappings(value.get("pickup")))
    works = [pick.get("id") for pick in picks if _is_work(pick)]
    for key in ("illusts", "manga"):
        works += value[key] if isinstance(value.get(key), dict) else ()
    name = next((as_text(pick.get("userName")) for pick in picks), None)
    novels = list(value["novels"]) if isinstance(value.get("novels"), dict) else []
    fields = {"userId": owner, "userName": name, "works": works, "novels": novels}
    RULES.read(draft, "profile", fields)


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
    RULES.read(draft, "bookmarks", value | {"owner": owner, "album": f"bookmarks-{owner}"})


ADAPTERS = (
    DocumentAdapter(
        name="pixiv",
        tables=(PIXIV.table,),
        split=split,
        expected="no known response of pixiv or Fanbox: works, lists, bookmarks, users, pages, "
        "ugoira frames and Fanbox posts are read",
    ),
)
