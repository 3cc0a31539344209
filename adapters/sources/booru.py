"""Booru sites: pages of posts and tags as XML, JSON and RSS, and what gallery-dl makes of them.

The uploader made the post; an artist is a tag, and is credited. The MD5 is that of the file, so it
names the medium and finds the file. A post that another one is the parent of is a version of it as
its users see it, not its file: posts are only linked. A page holds posts, or tags and no posts:
tags become nodes of their own. The counters around the posts (`count`, `offset`) are no records.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import tostring

from adapters.records.errors import RecordError
from adapters.records.values import as_boolean, as_text, dig, first
from adapters.sources.columns import recast, source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.paths import add_readers, names_reader
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
from adapters.sources.reading.sidecar import SidecarFormat, of_sidecar, tags_of, word_of
from adapters.sources.reading.web_address import host_of

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CATEGORIES = {0: "general", 1: "artist", 3: "copyright", 4: "character", 5: "meta"}
_MD5 = re.compile(r"[0-9a-f]{32}")
_POOL = re.compile(r"pool:(\d+)")


def _md5(value: Any) -> Any:
    text = (as_text(value) or "").lower()
    return text if _MD5.fullmatch(text) else None


add_readers(
    md5=_md5,
    pools=lambda value: _POOL.findall(as_text(value) or ""),
    booru_category=names_reader(CATEGORIES, keeps_text=True),
    one_space=lambda value: " ".join((as_text(value) or "").split()),
)
BOORU = source(
    "booru",
    "Booru sites: danbooru, gelbooru, moebooru and the like",
    """
    post:
    site text = ^platform # Which booru
    post_id text = id # Id of the post there
    md5 text = file.md5:lower|md5:lower|hash:lower # MD5 of the file as the site says
    rating text = rating # Rating letter or word of the site
    score bigint = score.total:signed|score:signed # Score
    favorite_count bigint = fav_count|favorites # Favourites
    tags text[] = tag_string:words|tags:words|tags.artist, tags.character, tags.copyright, \
        tags.general, tags.meta, tags.species, tags.lore, tags.invalid # All tags
    artists text[] = tags.artist:words|tag_string_artist:words # Tags that are artists
    characters text[] = tags.character:words|tag_string_character:words # Tags that are characters
    copyrights text[] = tags.copyright:words|tag_string_copyright:words # Tags that are works
    origin_url text = source|sources[0] # Where the uploader found it
    file_url text = file.url|file_url # Address of the file
    width bigint = file.width:nonzero|image_width:nonzero|width:nonzero # Width in pixels
    height bigint = file.height:nonzero|image_height:nonzero|height:nonzero # Height in pixels
    parent_id text = relationships.parent_id:positive|parent_id:positive \
        # Post that it is a version of
    status text = status # active, deleted, pending ...
    size_bytes bigint = file.size:nonzero|file_size:nonzero # Size of the file
    medium:
    site post_id md5 width height size_bytes file_url tags rating
    tag:
    site
    post_count bigint = post_count|count # Posts that carry it, on rows of tags
    tag_category text = category:booru_category|type:booru_category \
        # general, artist, copyright, character or meta, on rows of tags
    album:
    site
    user:
    site
    user_id text = uploader_id|creator_id # Id, on rows of users
    user_name text = uploader_name|author|owner # Name, on rows of users
    """,
)
UPLOADER = Person(
    id="uploader_id|creator_id",
    name="uploader_name|author|owner",
    title="uploader_name|author|owner",
)
FILE = Medium(
    id="file.md5:md5|md5:md5|hash:md5|id|filename",
    urls="file.url|file_url",
    stems="file.md5:md5|md5:md5|hash:md5,id",
    variants="large_file_url,jpeg_url,sample.url|sample_url",
    thumbs="preview_file_url|preview.url|preview_url",
    # A deleted post without address or MD5 has no file.
    needs="file.md5:md5|md5:md5|hash:md5|file.url|file_url|large_file_url|jpeg_url|sample.url"
    "|sample_url|preview_file_url|preview.url|preview_url",
)
POST = Node(
    "post",
    id="id",
    title="title|description",
    time="created_at.s|created_at",
    author=UPLOADER,
    tags="tag_string:words|tags:words|tags.artist,tags.character,tags.copyright,tags.general,"
    "tags.meta,tags.species,tags.lore,tags.invalid",
    media=(FILE,),
    edges=(
        Edge("credited", "tag", "tags.artist:words:lower|tag_string_artist:words:lower"),
        Edge("linked", "post", "relationships.parent_id:positive|parent_id:positive", False),
        Edge("member", "album", "pool_string:pools,pools[]"),
        Edge("member", Node("album", id="id", title="name"), "pools[],pool"),
        Edge("linked", "pixiv:post", "pixiv_id:positive"),
        Edge("linked", "address", "source,sources[]"),
    ),
)
TAG = Node("tag", id="name:one_space:lower", title="name", time="updated_at|created_at")


# ---- Which site --------------------------------------------------------------------------------

# Hosts whose second-level label is not how people call the site.
_NAMES = {"donmai": "danbooru", "yande": "yandere", "derpicdn": "derpibooru"}
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+(?:[a-z]{2,})")
BOORU_WORDS = re.compile(
    r"booru|donmai|konachan|yande\.re|sankaku|zerochan|e621|e926|rule34|behoimi|image ?board",
    re.IGNORECASE,
)
_ADDRESSES = ("page", "file_url", "large_file_url", "jpeg_url", "sample_url", "preview_file_url",
              "preview_url")  # fmt: skip
_OF_DANBOORU = {"tag_string", "related_tags", "is_locked", "related_tags_updated_at"}


def site_of_host(host: str) -> str:
    """Return the word for a site: `danbooru` for danbooru.donmai.us, `yandere` for yande.re."""
    labels = [label for label in host.lower().split(".") if label]
    label = labels[-2] if len(labels) > 1 else labels[0] if labels else ""
    word = re.sub(r"[^a-z0-9]", "_", _NAMES.get(label, label))
    return word if re.match(r"[a-z]", word) else f"site_{word}"


def site_of(fields: dict[str, Any], draft: Draft) -> str:
    """Return the site of a record; RecordError says how a person can name it.

    Posts are numbered by each site apart, so a record without a site has no identity. The addresses
    in it tell the site; a relative address (old Danbooru) does not, and then a folder called like
    the host does; at last the peculiar fields of Danbooru's own software mean Danbooru.
    """
    addresses = [fields.get(name) for name in _ADDRESSES]
    addresses += [dig(fields, name, "url") for name in ("file", "sample", "preview")]
    for address in addresses:
        if host := host_of(address):
            return site_of_host(host)
    for part in draft.path.lower().split("/")[:-1]:
        if _HOST.fullmatch(part):
            return site_of_host(part)
    if _OF_DANBOORU & fields.keys():
        return "danbooru"
    raise RecordError(
        "the record does not say which booru it is of: put the file into a folder that is called "
        "like the site's host, such as danbooru.donmai.us/"
    )


# ---- Fields in every notation ------------------------------------------------------------------


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields of a record in snake case, what is nil or empty left out."""
    found = _of_element(value) if hasattr(value, "iter") else as_object(value, "the record")
    named = {name.strip().lower().replace("-", "_"): one for name, one in found.items()}
    fields = {name: one for name, one in named.items() if one not in ("", None)}
    fields = fields | {name: one for name, one in _ELSEWHERE(fields).items() if name not in fields}
    status = status_of(fields)
    return fields if status is None else fields | {"status": status}


# Zerochan's and Philomena's names; `large` is a size there and a flag elsewhere.
_ELSEWHERE = recast("""
    file_url = view_url:string|full:string
    large_file_url = representations.large:string|large:string
    sample_url = representations.medium:string|medium:string
    preview_url = representations.thumb:string|small:string|thumbnail:string
    fav_count = faves
    file_size = size:nonzero
    source = source_url
    sources[] = source_urls[]
    uploader_name = uploader:string
""")


def _of_element(element: Element) -> dict[str, Any]:
    # XML writes fields as children with types (`<score type="integer">`, `nil="true"`) or as
    # attributes; some servers write a tag's name as the text of its element.
    text = (element.text or "").strip() if len(element) == 0 else ""
    children = {
        child.tag: (child.text or "").strip() for child in element if child.get("nil") != "true"
    }
    return {"name": text} | element.attrib | {tag: one for tag, one in children.items() if one}


def _of_item(item: Element) -> dict[str, Any]:
    """Return the fields of an item of a feed with `media:content`, as Zerochan writes them."""
    link = as_text(first(item.findtext("link"), item.findtext("guid")))
    found = _LAST_NUMBER.search(link or "")
    if found is None:
        raise RecordError(f"the item's address has no id of a post: {str(link)[:200]!a}")
    content, preview = item.find(f"{_MEDIA}content"), item.find(f"{_MEDIA}thumbnail")
    size = {} if content is None else content.attrib
    words = (item.findtext(f"{_MEDIA}keywords") or "").split(",")
    return {
        "id": found[1],
        "page": link,
        "title": first(item.findtext(f"{_MEDIA}title"), item.findtext("title")),
        "created_at": item.findtext("pubDate"),
        "tags": [" ".join(word.split()) for word in words],
        "file_url": size.get("url"),
        "width": size.get("width"),
        "height": size.get("height"),
        "preview_url": None if preview is None else preview.get("url"),
    }


def status_of(fields: dict[str, Any]) -> str | None:
    """Return the status of a post, from a word or from flags."""
    if status := as_text(fields.get("status")):
        return status
    flags = fields["flags"] if isinstance(fields.get("flags"), dict) else fields
    for name in ("deleted", "banned", "pending", "flagged"):
        if as_boolean(flags.get(f"is_{name}", flags.get(name))):
            return name
    return "active" if {"is_deleted", "flags"} & fields.keys() else None


# ---- gallery-dl --------------------------------------------------------------------------------

SITES = frozenset(
    (
        *("danbooru", "aibooru", "gelbooru", "safebooru", "rule34", "realbooru", "tbib", "xbooru"),
        *("hypnohub", "e621", "e926", "e6ai", "yandere", "konachan", "sakugabooru", "lolibooru"),
        *("3dbooru", "sankaku", "idolcomplex", "zerochan", "derpibooru", "ponybooru", "furbooru"),
        *("twibooru", "szurubooru"),
    )
)
# What the other formats call these sites, after their hosts.
_HOST_NAMES = {"sankaku": "sankakucomplex", "3dbooru": "behoimi"}
_KINDS = {
    "artist": ("artist", "mangaka", "artists"),
    "character": ("character", "characters"),
    "copyright": ("copyright", "copyrights", "series", "game", "studio"),
}


def is_booru(category: str, data: dict[str, Any]) -> bool:
    """Tell a booru by its name, or by what only boorus say."""
    if category.lower() in SITES:
        return True
    tagged = bool({"tag_string", "tags"} & data.keys())
    return tagged and {"md5", "rating", "file_url", "id"} <= data.keys()


def _of_sidecar(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a sidecar: its tags come in four notations, its uploader in three."""
    tags = (tags_of(data.get(name)) for name in ("tag_string", "tags", "tags_string"))
    fields = data | _SIDECAR(data) | {"tags": next(filter(None, tags), None), "tag_string": None}
    fields |= {f"tag_string_{kind}": _tags_of(data, names) for kind, names in _KINDS.items()}
    if data.get("subcategory") == "media-asset":
        fields["id"] = None  # A file that no post shows.
    return fields | {"status": status_of(data)}


_SIDECAR = recast("""
    created_at = date:posted|created_at.s:posted|created_at:posted
    title = title:plain|description:plain
    fav_count = fav_count:positive|favorite_count|favorites|faves
    file_url = file_url:address|file.url:address|view_url:address|url:address
    source = source:string|source_url:string|source_urls[0]:string|source[0]:string
    file_size = file_size:positive|file.size|size
    uploader_id = uploader_id|creator_id|uploader.id|author.id
    uploader_name = uploader_name|uploader.name|uploader:string|author.name|author:string|owner
""")


def _tags_of(data: dict[str, Any], kinds: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for kind in kinds:
        named = (data.get(f"tags_{kind}"), data.get(f"tag_string_{kind}"), dig(data, "tags", kind))
        found += [tag for value in named for tag in tags_of(value) or ()]
    if not found and isinstance(data.get("tags"), list):
        pairs = (tag.partition(":") for tag in tags_of(data["tags"]) or ())
        found = [name for kind, _, name in pairs if name and kind.lower() in kinds]
    return list(dict.fromkeys(found))


def _site_of_sidecar(fields: dict[str, Any], draft: Draft) -> str:
    category = str(fields["category"])
    return _HOST_NAMES.get(category.lower(), word_of(category))


GALLERY_DL = SidecarFormat(
    Rules(BOORU, _site_of_sidecar, {"post": of_sidecar(POST)}), _of_sidecar, counts_from=None
)


# ---- Pages -------------------------------------------------------------------------------------

RULES = Rules(BOORU, site_of, {"post": POST, "tag": TAG})
_MEDIA = "{http://search.yahoo.com/mrss/}"
_LAST_NUMBER = re.compile(r"(\d+)/?$")


def _rule(kind: str, fields_of: Callable[[Any], dict[str, Any]]) -> Callable[[Draft, Any], None]:
    return lambda draft, value: RULES.read(draft, kind, fields_of(value))


_READ = {"post": _rule("post", _fields), "tag": _rule("tag", _fields)}
_READ_ITEM = _rule("post", _of_item)


def split(value: Any) -> list[Part] | None:
    """Tell pages apart by what is in them."""
    if hasattr(value, "iter"):
        return _xml_parts(value)
    if isinstance(value, dict):
        if value.get("success") is False:
            reason = as_text(first(value.get("reason"), value.get("message")))
            raise RecordError(f"the site answered with an error: {reason or 'without a reason'}")
        inner = first(*(value.get(name) for name in _HOLDERS))
        lists = [inner] if isinstance(inner, dict) else inner
        if not isinstance(lists, list) or _is_post(value):
            lists = [value]
        return _json_parts(lists, value)
    return _json_parts(value, value) if isinstance(value, list) else None


_HOLDERS = ("posts", "post", "images", "image", "items", "tags", "tag")


def _json_parts(members: list[Any], whole: Any) -> list[Part] | None:
    kind = "post" if any(map(_is_post, members)) else "tag" if any(map(_is_tag, members)) else None
    if kind is None:
        return [] if isinstance(whole, dict) and "@attributes" in whole else None
    return [Part(_READ[kind], whole)] if members == [whole] else parts_of(_READ[kind], members)


def _is_post(value: Any) -> bool:
    if not isinstance(value, dict) or "id" not in value:
        return False
    described = {"tag_string", "tags", "md5", "hash"} & value.keys()
    booru = {"file_url", "md5", "hash", "tag_string", "preview_url", "view_url"} & value.keys()
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
        items = [item for item in root.iter("item") if item.find(f"{_MEDIA}content") is not None]
        return [Part(_READ_ITEM, item, tostring(item, "unicode")) for item in items] or None
    if root.tag == "post" and ("md5" in root.attrib or len(root)):
        return [Part(_READ["post"], root)]
    kind = {"posts": "post", "tags": "tag"}.get(root.tag)
    if kind is None:
        return None
    return [Part(_READ[kind], one, tostring(one, "unicode")) for one in root.findall(kind)]


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


ADAPTERS = (
    DocumentAdapter(
        name="booru",
        tables=(BOORU.table,),
        split=of_value(split),
        expected="no known page of a booru: posts and tags as XML or JSON and feeds with "
        "media:content are read",
        kinds=JSON_AND_XML,
        recognise=_recognise,
    ),
)
