"""Stock sites, sounds and silhouettes: it owns what their records mean, one function for each."""

from __future__ import annotations

import re
from typing import Any

from adapters.records.times import parse_time
from adapters.records.values import as_number, as_text, dig, first, mappings, text_of_html
from adapters.sources.museum.item import Creator, Item, Medium, Provider, has

_UNITS = {"b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000}
_SIZES = re.compile(r"(\d+)(?:\.\d+)?x(\d+)(?:\.\d+)?")


def _rawpixel(value: dict[str, Any]) -> Item:
    about = value["metadata"] if isinstance(value.get("metadata"), dict) else {}
    artists = [
        Creator(artist.get("full_name"), artist.get("uid"))
        for artist in mappings(about.get("artists"))
    ]
    style = as_text(value.get("style_uri"))
    medium = Medium(
        identity=value.get("id"),
        url=value.get("google_teaser"),
        width=first(value.get("display_image_width"), value.get("width")),
        height=first(value.get("display_image_height"), value.get("height")),
        media_type=value.get("name_ext"),
        variants=(style.replace("{}", "image_1300") if style else None,),
    )
    # A title of the page ends with what is sold and by whom.
    title = as_text(first(value.get("title"), dig(about, "image_alt"), dig(about, "title")))
    return Item(
        identity=value.get("id"),
        title=title,
        url=value.get("url"),
        creators=tuple(artists),
        licenses=(about.get("licenseUrl"), about.get("license")),
        media=(medium,),
        tags=about.get("popular_keywords"),
        # The site writes 0 for views and downloads that it does not tell.
        view=value.get("nodeviews") or None,
        description=text_of_html(first(about.get("description_text"), about.get("description"))),
        category=value.get("image_type_machine_name"),
        downloads=value.get("download_count") or None,
    )


def _stocksnap(value: dict[str, Any]) -> Item:
    identity = value.get("img_id")
    keywords = value.get("keywords")
    medium = Medium(
        identity=identity,
        width=value.get("img_width"),
        height=value.get("img_height"),
        stems=(f"StockSnap_{identity}",),
    )
    author = Creator(value.get("author_name"), value.get("author_id"), value.get("author_profile"))
    words = (
        keywords if isinstance(keywords, list) else (as_text(value.get("tags")) or "").split(",")
    )
    return Item(
        identity=identity,
        title=None,
        url=f"https://stocksnap.io/photo/{identity}",
        creators=(author,),
        licenses=("https://creativecommons.org/publicdomain/zero/1.0/", "CC0 1.0"),
        media=(medium,),
        tags=words,
        view=first(value.get("page_views_raw"), value.get("page_views")),
        likes=first(value.get("favorites_raw"), value.get("favorites")),
        downloads=first(value.get("downloads_raw"), value.get("downloads")),
        # There is no title; the keywords describe the picture.
        description=as_text(" ".join(w for w in words[:8] if isinstance(w, str))),
    )


def _nappy(value: dict[str, Any]) -> Item:
    identity = value.get("foreign_identifier")
    medium = Medium(
        identity=identity,
        url=value.get("url"),
        width=value.get("width"),
        height=value.get("height"),
        size_bytes=_bytes_of(value.get("filesize")),
        media_type=value.get("filetype"),
    )
    return Item(
        identity=identity,
        title=as_text(value.get("title")),
        url=value.get("foreign_landing_url"),
        creators=(Creator(value.get("creator"), None, value.get("creator_url")),),
        licenses=(value.get("license"),),
        media=(medium,),
        tags=(as_text(value.get("tags")) or "").split(","),
        view=value.get("views"),
        likes=value.get("saves"),
        downloads=value.get("downloads"),
    )


def _bytes_of(value: Any) -> int | None:
    """Return the size that a text such as 233.5kB says, as exactly as it does."""
    text = as_text(value, 40)
    found = re.fullmatch(r"([\d.]{1,12})\s*([kmg]?b)", text, re.IGNORECASE) if text else None
    number = as_number(found[1]) if found else None
    return round(number * _UNITS[found[2].lower()]) if found and number is not None else None


def _wordpress(value: dict[str, Any]) -> Item:
    embedded = value["_embedded"] if isinstance(value.get("_embedded"), dict) else {}
    featured = next(mappings(embedded.get("wp:featuredmedia")), {})
    details = featured["media_details"] if isinstance(featured.get("media_details"), dict) else {}
    sizes = details["sizes"] if isinstance(details.get("sizes"), dict) else {}
    medium = Medium(
        identity=first(featured.get("id"), value.get("featured_media")),
        url=featured.get("source_url"),
        width=details.get("width"),
        height=details.get("height"),
        size_bytes=details.get("filesize"),
        media_type=featured.get("mime_type"),
        thumbnail=dig(sizes, "thumbnail", "source_url"),
        variants=tuple(
            dig(s, "source_url") for n, s in sizes.items() if n not in ("full", "thumbnail")
        ),
    )
    groups = embedded["wp:term"] if isinstance(embedded.get("wp:term"), list) else []
    terms = [term for group in groups for term in mappings(group)]
    text = text_of_html(dig(value, "content", "rendered"))
    category = (t.get("name") for t in terms if t.get("taxonomy") == "photo_category")
    return Item(
        identity=first(value.get("slug"), value.get("id")),
        title=text or as_text(dig(value, "title", "rendered")),
        url=value.get("link"),
        creators=tuple(
            Creator(author.get("name"), author.get("id"), author.get("link"))
            for author in mappings(embedded.get("author"))
        ),
        # All photos of the directory are under it; the record does not repeat it.
        licenses=("https://creativecommons.org/publicdomain/zero/1.0/",),
        media=(medium,) if medium.identity else (),
        tags=[t.get("name") for t in terms if t.get("taxonomy") == "photo_tag"],
        update_time=parse_time(first(value.get("date_gmt"), value.get("date"))),
        category=next(category, None),
    )


def _freesound(value: dict[str, Any]) -> Item:
    previews = value["previews"] if isinstance(value.get("previews"), dict) else {}
    pack = re.search(r"/packs/(\d+)", as_text(value.get("pack")) or "")
    medium = Medium(
        identity=value.get("id"),
        url=value.get("download"),
        size_bytes=value.get("filesize"),
        duration_s=as_number(value.get("duration")),
        media_type=value.get("type"),
        variants=tuple(previews.values()),
    )
    return Item(
        identity=value.get("id"),
        title=as_text(value.get("name")),
        url=value.get("url"),
        creators=(Creator(value.get("username")),),
        licenses=(value.get("license"),),
        media=(medium,),
        tags=value.get("tags"),
        update_time=parse_time(value.get("created")),
        description=text_of_html(value.get("description")),
        downloads=value.get("num_downloads"),
        album=(pack[1] if pack else None, None, None),
    )


def _jamendo(value: dict[str, Any]) -> Item:
    tags = dig(value, "musicinfo", "tags")
    groups = tags.values() if isinstance(tags, dict) else ()
    medium = Medium(
        identity=value.get("id"),
        url=first(value.get("audio"), value.get("audiodownload")),
        duration_s=as_number(value.get("duration")) or None,
        thumbnail=value.get("image"),
    )
    stats = value["stats"] if isinstance(value.get("stats"), dict) else {}
    return Item(
        identity=value.get("id"),
        title=as_text(value.get("name")),
        url=first(value.get("shareurl"), value.get("shorturl")),
        creators=(Creator(value.get("artist_name"), value.get("artist_id")),),
        licenses=(value.get("license_ccurl"),),
        media=(medium,),
        tags=[tag for group in groups if isinstance(group, list) for tag in group],
        view=stats.get("rate_listened_total"),
        update_time=parse_time(value.get("releasedate")),
        likes=stats.get("favorited"),
        downloads=stats.get("rate_downloads_total"),
        album=(value.get("album_id"), value.get("album_name"), value.get("position")),
    )


def _phylopic(value: dict[str, Any]) -> Item:
    links = value["_links"] if isinstance(value.get("_links"), dict) else {}
    files = list(mappings(links.get("rasterFiles")))
    best = files[0] if files else {}
    size = _SIZES.fullmatch(as_text(best.get("sizes")) or "")
    medium = Medium(
        identity=value.get("uuid"),
        url=best.get("href"),
        width=size[1] if size else None,
        height=size[2] if size else None,
        media_type=best.get("type"),
        thumbnail=dig(links, "thumbnailFiles", 0, "href"),
        variants=(
            dig(links, "vectorFile", "href"),
            dig(links, "sourceFile", "href"),
            *(f.get("href") for f in files[1:]),
        ),
    )
    contributor = dig(links, "contributor")
    found = re.search(r"/contributors/([\w-]+)", as_text(dig(contributor, "href")) or "")
    creators = [Creator(dig(contributor, "title"), found[1] if found else None)]
    if (credit := as_text(value.get("attribution"))) and credit != dig(contributor, "title"):
        creators.insert(0, Creator(credit))
    return Item(
        identity=value.get("uuid"),
        title=as_text(dig(links, "self", "title")),
        url=f"https://www.phylopic.org/images/{value.get('uuid')}",
        creators=tuple(creators),
        licenses=(dig(links, "license", "href"),),
        media=(medium,),
        tags=[node.get("title") for node in mappings(links.get("nodes"))],
        update_time=parse_time(value.get("created")),
    )


PROVIDERS = (
    Provider("rawpixel", has("id", "metadata", "google_teaser"), _rawpixel, (("results",),)),
    Provider("stocksnap", has("img_id", "img_width"), _stocksnap, (("results",),)),
    Provider("nappy", has("foreign_identifier", "foreign_landing_url"), _nappy, (("images",),)),
    Provider("wordpress", has("id", "featured_media", "photo-tags"), _wordpress),
    Provider("freesound", has("id", "username", "previews"), _freesound, (("results",),)),
    Provider("jamendo", has("id", "artist_id", "audio", "shareurl"), _jamendo, (("results",),)),
    Provider("phylopic", has("uuid", "_links", "build"), _phylopic,
             (("_embedded", "items"), ("items",))),
)  # fmt: skip
