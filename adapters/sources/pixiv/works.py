"""pixiv as a table: works of the web, of the app and of gallery-dl, their authors and pages.

Ids are text on the web and integers in the app. Works that are only mentioned, such as the other
works of the artist, become nodes by their edges alone. Novels are numbered apart from pictures. A
ugoira is one medium, whatever its frames are.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.values import as_count, as_text, dig, first, mappings
from adapters.sources.columns import recast, source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.paths import add_readers, compiled, names_reader
from adapters.sources.reading.adapter import as_object
from adapters.sources.reading.sidecar import Sidecar, SidecarFormat, of_sidecar

PAGES_MAX = 1_000
WORKS_MAX = 100_000
_PAGE = re.compile(r"/(\d+)_(?:p(\d+)|ugoira)")

add_readers(
    pixiv_type=names_reader({0: "illust", 1: "manga", 2: "ugoira"}),
    pixiv_rating=names_reader({0: "general", 1: "r18", 2: "r18g"}),
    pixiv_ai=names_reader({1: False, 2: True}),
)
PIXIV = source(
    "pixiv",
    "pixiv and Fanbox",
    """
    post:
    work_id text = illustId|id # Id of the work
    work_type text = illustType:pixiv_type|type # illust, manga, ugoira, novel or post
    page_count bigint = pageCount|page_count # Pages
    bookmark_count bigint = bookmarkCount|total_bookmarks # Bookmarks
    like_count bigint = likeCount # Likes
    comment_count bigint = commentCount|total_comments # Comments
    tags text[] = tags.tags[].tag|tags.tags[].name|tags[].tag|tags[].name|tags # Tags
    rating text = xRestrict:pixiv_rating|x_restrict:pixiv_rating # general, r18 or r18g
    text text = description:body|caption:body|body.text:body # Caption, or text of a post
    is_ai boolean = aiType:pixiv_ai|illust_ai_type:pixiv_ai # Marked as made by AI
    medium:
    work_id = ^.illustId|^.id
    work_type = work_type
    width bigint = width:nonzero # Width of the page in pixels
    height bigint = height:nonzero # Height of the page in pixels
    frame_count bigint = frame_count # Frames of a ugoira
    media_url text = url|originalUrl # Address of the page
    post:
    series_id text = seriesNavData.seriesId|series.id # Id of the series
    album:
    series_id = seriesId|id
    comment:
    like_count
    user:
    user_id text = userId|user.userId|user.id # Id, on rows of users
    user_name text = userAccount|user.account # Account, on rows of users
    display_name text = userName|user.name # Shown name, on rows of users
    """,
    version=2,
)
USER = Person(
    id="userId|user.userId|user.id",
    name="userAccount|user.account",
    title="userName|user.name|userAccount|user.account",
)
AUTHOR = replace(
    USER, edges=(Edge("authored", "post", "userIllusts:keys", True, count_max=WORKS_MAX),)
)
SERIES = Node("album", id="seriesId|id", title="title", unless_only="series_id")
PAGE = Medium(id="key", at="media[]", urls="address", stems="stems[]", position="number|^position")
WORK = Node(
    "post",
    id="illustId|id",
    title="illustTitle|title|description:html|caption:html",
    view="viewCount|total_view",
    time="createDate|create_date",
    author=AUTHOR,
    tags="tags.tags[].tag|tags.tags[].name|tags[].tag|tags[].name|tags",
    media=(PAGE,),
    edges=(
        Edge("member", "album", "album"),
        Edge("member", SERIES, "seriesNavData|series", position="order"),
    ),
)
NOVEL = replace(WORK, kind="novel", section="post", media=())
PAGES = Node("post", id="id", section="pages", media=(PAGE,))
PROFILE = replace(
    USER,
    edges=(
        Edge("authored", "post", "works[]", True, count_max=WORKS_MAX),
        Edge("authored", "novel", "novels[]", True, count_max=WORKS_MAX),
    ),
)
BOOKMARKS = Node(
    "album",
    id="album",
    title="extraData.meta.title",
    author=Person(id="owner"),
    edges=(Edge("member", "post", "works[].id", True, count_max=WORKS_MAX),),
)


_TYPE = compiled("illustType:pixiv_type|type").first_of()


def _work(work: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a work with its pages, each with its address as far as it is known."""
    identity = as_text(first(work.get("illustId"), work.get("id"))) or ""
    # Lists of the web call every picture `illust` in `type`, animations included.
    if _TYPE(work)[0] == "ugoira":
        one = {"key": f"{identity}_ugoira", "url": _original(work), "stems": _animation(identity)}
        return work | {"media": [one | _size(work)]}
    pages = [dig(page, "image_urls", "original") for page in mappings(work.get("meta_pages"))]
    if not pages:
        count = as_count(first(work.get("pageCount"), work.get("page_count")))
        original = _original(work)
        pages = [_url_of_page(original, n) for n in range(min(count or 1, PAGES_MAX))]
    media = [page_of(identity, n, url) for n, url in enumerate(pages[:PAGES_MAX])]
    return work | {"media": [media[0] | _size(work), *media[1:]]}


def _novel(work: dict[str, Any]) -> dict[str, Any]:
    return work | {"type": "novel", "illustType": None}


def page_of(identity: str, number: int, url: Any) -> dict[str, Any]:
    """Return a page of a work as a medium."""
    stems = [f"{identity}_p{number}", *([identity] if number == 0 else [])]
    return {"key": f"{identity}_p{number}", "url": url, "address": url, "stems": stems}


def _size(work: dict[str, Any]) -> dict[str, Any]:
    return {key: work.get(key) for key in ("width", "height")}


def _original(work: dict[str, Any]) -> Any:
    single = dig(work, "meta_single_page", "original_image_url")
    return first(dig(work, "urls", "original"), single)


def _url_of_page(original: Any, number: int) -> str | None:
    """Return the address of another page, which differs from the first in its number alone."""
    if not isinstance(original, str):
        return None
    return original.replace("_p0", f"_p{number}") if "_p0" in original or not number else None


def _animation(identity: str) -> list[str]:
    """Return the names of the archive of frames of a ugoira, or of what was made of it."""
    endings = ("_ugoira1920x1080", "_ugoira600x600", "_ugoira", "", "_p0", "_ugoira0")
    return [identity + ending for ending in endings]


def frames_of(value: Any) -> dict[str, Any]:
    """Return a ugoira; the work is known by the address of the archive alone."""
    ugoira = as_object(value, "the ugoira")
    archives = ugoira["zip_urls"] if isinstance(ugoira.get("zip_urls"), dict) else {}
    urls = (ugoira.get("originalSrc"), ugoira.get("src"), *archives.values())
    url = next((url for url in urls if isinstance(url, str) and _PAGE.search(url)), None)
    if url is None:
        raise RecordError("frames of a ugoira without an address that tells the id of the work")
    identity = _PAGE.findall(url)[0][0]
    one = {"key": f"{identity}_ugoira", "url": url, "address": url, "work_type": "ugoira"}
    one |= {"stems": _animation(identity), "frame_count": _length(ugoira.get("frames"))}
    return {"id": identity, "media": [one]}


def _length(frames: Any) -> int | None:
    return len(frames) if isinstance(frames, list) else None


def pages_of(value: Any) -> dict[str, Any]:
    """Return the work that a list of pages is of."""
    media: list[dict[str, Any]] = []
    identity: str | None = None
    for page in mappings(value):
        url = dig(page, "urls", "original")
        found = _PAGE.search(url) if isinstance(url, str) else None
        if found is not None:
            identity, number = identity or found[1], int(found[2] or 0)
            media.append(page_of(found[1], number, url) | _size(page) | {"number": number})
    if identity is None:
        raise RecordError("pages without an address that tells the id of their work")
    return {"id": identity, "media": media}


def _user(page: dict[str, Any]) -> dict[str, Any]:
    """Return a user: of the web (flat), or of the app (`user` inside)."""
    user = page["user"] if isinstance(page.get("user"), dict) else page
    return {"user": {**user, "id": first(user.get("userId"), user.get("id"))}}


RULES = Rules(
    PIXIV,
    "pixiv",
    {"work": WORK, "novel": NOVEL, "pages": PAGES, "user": USER, "profile": PROFILE,
     "bookmarks": BOOKMARKS},
    {"work": _work, "novel": _novel, "user": _user},
)  # fmt: skip


# ---- gallery-dl --------------------------------------------------------------------------------

_SIDECAR = recast("create_date = create_date:posted|date:posted\ntags = tags:tags")
_TAGS = compiled("tags:tags").every_of()
_URL = compiled("url:address").first_of()


def _is_novel(data: dict[str, Any]) -> bool:
    return str(data.get("subcategory")).startswith("novel") or "text_length" in data


def _page_of_sidecar(data: dict[str, Any]) -> dict[str, Any]:
    """Return the page; `num` counts the pages of a work from 0."""
    kind = "novel" if _is_novel(data) else as_text(data.get("type"))
    is_ugoira = kind == "ugoira"
    page = "ugoira" if is_ugoira else f"p{as_count(data.get('num')) or 0}"
    identity = as_text(data.get("id"))
    return {
        **_size(data),
        "key": f"{identity}_{page}" if identity else None,
        "work_type": kind,
        "frame_count": _length(data.get("frames")) if is_ugoira else None,
        "url": _URL(data)[0],
        "number": 0 if is_ugoira else None,
    }


def _of_sidecar(data: dict[str, Any]) -> dict[str, Any]:
    novel = {"type": "novel"} if _is_novel(data) else {}
    return data | _SIDECAR(data) | {"tags": _TAGS(data)[0]} | novel


def _kind(sidecar: Sidecar) -> str:
    return "novel" if _is_novel(sidecar.data) else "post"


_NODES = {"post": of_sidecar(WORK), "novel": of_sidecar(replace(NOVEL, media=(PAGE,)))}
GALLERY_DL = SidecarFormat(
    Rules(PIXIV, "pixiv", _NODES), _of_sidecar, _page_of_sidecar, counts_from=0, kind=_kind
)
