"""Stock sites, sounds and silhouettes as tables: how each says what all of them say."""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_text, dig
from adapters.sources.columns import recast
from adapters.sources.museum import readers as readers
from adapters.sources.museum.item import Provider, has
from adapters.sources.reading.sidecar import word_of
from adapters.sources.reading.web_address import host_of

_RAWPIXEL = recast(
    """
    id = id
    title = title|metadata.image_alt|metadata.title
    url = url
    creators = metadata.artists > creator
    licenses[] = metadata.licenseUrl,metadata.license
    media = . > picture
    tags = metadata.popular_keywords
    view = nodeviews:nonzero
    description = metadata.description_text:html|metadata.description:html
    category = image_type_machine_name
    downloads = download_count:nonzero
    """,
    creator=recast("name = full_name\nid = uid"),
    picture=recast("""
    id = id
    url = google_teaser
    width = display_image_width|width
    height = display_image_height|height
    media_type = name_ext
    variants[] = style_uri:large_size
    """),
)
_STOCKSNAP = recast(
    """
    id = img_id
    url = https://stocksnap.io/photo/{img_id}
    creators = . > creator
    licenses[] = 'https://creativecommons.org/publicdomain/zero/1.0/','CC0 1.0'
    media = . > picture
    tags[] = keywords[]
    tags[] = tags:commas
    view = page_views_raw|page_views
    likes = favorites_raw|favorites
    downloads = downloads_raw|downloads
    """,
    # There is no title; the keywords describe the picture.
    lambda fields: (
        fields
        | {"description": " ".join(w for w in fields.get("tags", ())[:8] if isinstance(w, str))}
    ),
    creator=recast("name = author_name\nid = author_id\nurl = author_profile"),
    picture=recast("""
    id = img_id
    width = img_width
    height = img_height
    stems[] = StockSnap_{img_id}
    """),
)


def _of_openverse(fields: dict[str, Any]) -> dict[str, Any]:
    # Without the number that the provider gives it, it is known by Openverse's own.
    if "foreign" not in fields:
        return fields | {"platform": "openverse"}
    provider = as_text(fields.get("provider"))
    if provider:
        return fields | {"platform": word_of(provider)}
    labels = (host_of(fields.get("url")) or "openverse").split(".")
    word = word_of(labels[-2] if len(labels) > 1 else labels[0])
    # Hosts whose collections other formats call otherwise.
    names = {"metmuseum": "met", "clevelandart": "clevelandmuseum"}
    return fields | {"platform": names.get(word, word)}


_OPENVERSE = recast(
    """
    id = foreign_identifier|id
    foreign = foreign_identifier
    provider = provider|source
    title = title
    url = foreign_landing_url:text
    creators = . > creator
    licenses[] = license_url,license_info[2],license_info[1],license_info[0],license,license_
    media = . > medium
    tags[] = raw_tags[].name|raw_tags[]|tags[].name|tags[]|tags:string:commas
    view = views
    likes = saves
    downloads = downloads
    description = description:html|meta_data.description:html
    category = category|meta_data.classification
    created = meta_data.date|meta_data.date_taken
    collection = source
    """,
    _of_openverse,
    creator=recast("name = creator\nurl = creator_url"),
    medium=recast("""
    id = foreign_identifier|id
    url = image_url|audio_url|url
    width = width
    height = height
    size_bytes = filesize:bytes
    media_type = filetype
    thumbnail = thumbnail_url|thumbnail
    """),
)


def _is_openverse(value: Any) -> bool:
    if not isinstance(value, dict) or "foreign_landing_url" not in value:
        return False
    has_address = bool({"url", "image_url", "audio_url"} & value.keys())
    has_license = bool({"license", "license_", "license_info"} & value.keys())
    return "foreign_identifier" in value or (has_address and has_license)


def _sizes_of_wordpress(fields: dict[str, Any]) -> dict[str, Any]:
    sizes = fields["sizes"] if isinstance(fields.get("sizes"), dict) else {}
    others = [one for name, one in sizes.items() if name not in ("full", "thumbnail")]
    return fields | {"variants": [dig(one, "source_url") for one in others]}


_WORDPRESS = recast(
    """
    id = slug|id
    title = content.rendered:html|title.rendered
    url = link
    creators = _embedded.author > creator
    licenses[] = 'https://creativecommons.org/publicdomain/zero/1.0/'
    media = _embedded."wp:featuredmedia"[0] > picture
    media = . > only
    tags[] = _embedded."wp:term"[][taxonomy=photo_tag].name
    time = date_gmt|date
    category = _embedded."wp:term"[][taxonomy=photo_category].name
    """,
    creator=recast("name = name\nid = id\nurl = link"),
    picture=recast(
        """
        id = id|^.featured_media
        url = source_url
        width = media_details.width
        height = media_details.height
        size_bytes = media_details.filesize
        media_type = mime_type
        thumbnail = media_details.sizes.thumbnail.source_url
        sizes = media_details.sizes
        """,
        _sizes_of_wordpress,
    ),
    only=recast("id = featured_media:nonzero"),
)
_FREESOUND = recast(
    """
    id = id
    title = name
    url = url
    creators[] = username
    licenses[] = license
    media = . > sound
    tags = tags
    time = created
    description = description:html
    downloads = num_downloads
    album = . > pack
    """,
    pack=recast("id = pack:number_of_pack"),
    sound=recast("""
    id = id
    url = download
    size_bytes = filesize
    duration_s = duration
    media_type = type
    variants[] = previews:values
    """),
)
_JAMENDO = recast(
    """
    id = id
    title = name
    url = shareurl|shorturl
    creators = . > artist
    licenses[] = license_ccurl
    media = . > track
    tags[] = musicinfo.tags:values
    view = stats.rate_listened_total
    time = releasedate
    likes = stats.favorited
    downloads = stats.rate_downloads_total
    album = . > album
    """,
    artist=recast("name = artist_name\nid = artist_id"),
    track=recast("id = id\nurl = audio|audiodownload\nduration_s = duration:nonzero\n"
                 "thumbnail = image"),
    album=recast("id = album_id\ntitle = album_name\nposition = position"),
)  # fmt: skip


def _of_phylopic(fields: dict[str, Any]) -> dict[str, Any]:
    by, credit = fields.get("by", []), as_text(fields.get("credit"))
    is_other = credit and credit != dig(by, 0, "name")
    return fields | {"creators": [{"name": credit}, *by] if is_other else by}


_PHYLOPIC = recast(
    """
    id = uuid
    title = _links.self.title
    url = https://www.phylopic.org/images/{uuid}
    by = _links.contributor > contributor
    credit = attribution
    licenses[] = _links.license.href
    media = . > picture
    tags[] = _links.nodes[].title
    time = created
    """,
    _of_phylopic,
    contributor=recast("name = title\nid = href:id_of_contributor"),
    picture=recast("""
    id = uuid
    url = _links.rasterFiles[0].href
    width = _links.rasterFiles[0].sizes:width_of
    height = _links.rasterFiles[0].sizes:height_of
    media_type = _links.rasterFiles[0].type
    thumbnail = _links.thumbnailFiles[0].href
    variants[] = _links.vectorFile.href,_links.sourceFile.href,_links.rasterFiles[].href
    """),
)


PROVIDERS = (
    Provider("rawpixel", has("id", "metadata", "google_teaser"), _RAWPIXEL, ("results",)),
    Provider("stocksnap", has("img_id", "img_width"), _STOCKSNAP, ("results",)),
    Provider("openverse", _is_openverse, _OPENVERSE, ("images", "results")),
    Provider("wordpress", has("id", "featured_media", "photo-tags"), _WORDPRESS),
    Provider("freesound", has("id", "username", "previews"), _FREESOUND, ("results",)),
    Provider("jamendo", has("id", "artist_id", "audio", "shareurl"), _JAMENDO, ("results",)),
    Provider("phylopic", has("uuid", "_links", "build"), _PHYLOPIC, ("_embedded.items", "items")),
)  # fmt: skip
