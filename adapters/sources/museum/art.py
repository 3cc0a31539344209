"""Museums: it owns what their records mean, one function for each."""

from __future__ import annotations

import re
from typing import Any

from adapters.records.times import parse_time
from adapters.records.values import as_text, as_texts, dig, first, mappings, text_of_html
from adapters.sources.museum.item import Creator, Item, Medium, Provider, has
from adapters.sources.reading.adapter import inside

_DESCRIPTIONS = ("Description", "Summary", "Physical Description", "Label Text")
_SCIENCE_MUSEUM_IMAGES = "https://coimages.sciencemuseumgroup.org.uk/images/"


def _texts(members: Any, *names: str) -> list[Any]:
    """Return one field of every object in a list."""
    return [first(*(member.get(name) for name in names)) for member in mappings(members)]


def _brooklyn(value: dict[str, Any]) -> Item:
    images = list(mappings(value.get("images")))
    media = [
        Medium(
            identity=first(image.get("id"), image.get("filename")),
            url=first(image.get("largest_derivative_url"), image.get("standard_size_url")),
            title=as_text(image.get("caption")),
            thumbnail=image.get("thumbnail_url"),
            stems=(_stem(image.get("filename")),),
        )
        for image in images
    ]
    primary = as_text(value.get("primary_image"))
    if primary and not media:
        # Without the list of images the file's name is all that is said.
        media = [Medium(identity=primary, stems=(_stem(primary),))]
    rights = dig(value, "rights_type")
    return Item(
        identity=value.get("id"),
        title=as_text(value.get("title")),
        url=f"https://www.brooklynmuseum.org/opencollection/objects/{value.get('id')}",
        creators=tuple(Creator(a.get("name"), a.get("id")) for a in mappings(value.get("artists"))),
        licenses=(dig(rights, "name"),),
        media=tuple(media),
        tags=_texts(value.get("tags"), "name"),
        update_time=parse_time(value.get("date_added")),
        description=text_of_html(value.get("description")),
        category=value.get("classification"),
        created=value.get("object_date"),
        collection_source=dig(value, "collections", 0, "name"),
    )


def _stem(name: Any) -> str | None:
    text = as_text(name)
    return text.rpartition(".")[0] or text if text else None


def _cleveland(value: dict[str, Any]) -> Item:
    images = value["images"] if isinstance(value.get("images"), dict) else {}
    # From the largest: one picture in three qualities.
    sizes = [
        images[name] for name in ("full", "print", "web") if isinstance(images.get(name), dict)
    ]
    best = sizes[0] if sizes else {}
    medium = Medium(
        identity=value.get("id"),
        url=best.get("url"),
        width=best.get("width"),
        height=best.get("height"),
        size_bytes=best.get("filesize"),
        variants=tuple(size.get("url") for size in sizes[1:]),
    )
    names = (as_text(c.get("description")) for c in mappings(value.get("creators")))
    return Item(
        identity=value.get("id"),
        title=as_text(value.get("title")),
        url=value.get("url"),
        # Names come with nation and years: Thomas Cole (American, 1801-1848).
        creators=tuple(Creator(re.sub(r"\s*\(.*\)$", "", name)) for name in names if name),
        licenses=(value.get("share_license_status"),),
        media=(medium,) if sizes else (),
        update_time=parse_time(value.get("updated_at")),
        description=text_of_html(first(value.get("wall_description"), value.get("tombstone"))),
        category=value.get("type"),
        created=value.get("creation_date"),
        collection_source=value.get("collection"),
    )


def _met(value: dict[str, Any]) -> Item:
    identity, more = value.get("objectID"), value.get("additionalImages")
    urls = [value.get("primaryImage"), *(more if isinstance(more, list) else [])]
    media = [
        # The first picture is known by the object's id, the others by that and a number.
        Medium(identity if number == 0 else f"{identity}-{number}", url)
        for number, url in enumerate(urls)
        if url
    ]
    artist = as_text(value.get("artistDisplayName"))
    others = [Creator(c.get("name")) for c in mappings(value.get("constituents"))]
    return Item(
        identity=identity,
        title=as_text(first(value.get("title"), value.get("objectName"))),
        url=value.get("objectURL"),
        creators=tuple(others or ([Creator(artist)] if artist else [])),
        licenses=("CC0",) if value.get("isPublicDomain") is True else (),
        media=tuple(media),
        tags=_texts(value.get("tags"), "term"),
        update_time=parse_time(value.get("metadataDate")),
        category=value.get("classification"),
        created=value.get("objectDate"),
        collection_source=value.get("department"),
    )


def _museums_victoria(value: dict[str, Any]) -> Item:
    media: list[Medium] = []
    for entry in mappings(value.get("media")):
        sizes = [entry[n] for n in ("large", "medium", "small") if isinstance(entry.get(n), dict)]
        best = sizes[0] if sizes else {}
        media.append(
            Medium(
                identity=entry.get("id"),
                url=best.get("uri"),
                title=as_text(first(entry.get("caption"), entry.get("alternativeText"))),
                width=best.get("width"),
                height=best.get("height"),
                size_bytes=best.get("size"),
                media_type=entry.get("type"),
                thumbnail=dig(entry, "thumbnail", "uri"),
                variants=tuple(size.get("uri") for size in sizes[1:]),
                licenses=(
                    dig(entry, "licence", "uri") or None,
                    dig(entry, "licence", "shortName"),
                ),
            )
        )
    made = [
        name for m in mappings(value.get("media")) for name in as_texts(m.get("creators")) or ()
    ]
    # Names come with their part in it: Author: S W Siddeley.
    names = dict.fromkeys(name.partition(": ")[2] or name for name in made)
    return Item(
        identity=value.get("id"),
        title=as_text(first(value.get("displayTitle"), value.get("title"))),
        url=f"https://collections.museumsvictoria.com.au/{value.get('id')}",
        creators=tuple(map(Creator, names)),
        licenses=(dig(value, "licence", "uri"), dig(value, "licence", "shortName")),
        media=tuple(media),
        tags=value.get("keywords"),
        update_time=parse_time(value.get("dateModified")),
        description=text_of_html(
            first(value.get("objectSummary"), value.get("physicalDescription"))
        ),
        category=dig(value, "classifications", 0),
        collection_source=dig(value, "collectionNames", 0),
    )


def _science_museum(value: dict[str, Any]) -> Item:
    record = value["attributes"] if isinstance(value.get("attributes"), dict) else {}
    media = [_science_museum_medium(entry) for entry in mappings(record.get("multimedia"))]
    makers = [
        Creator(maker.get("summary_title"), dig(maker, "admin", "uid"))
        for creation in mappings(dig(record, "lifecycle", "creation"))
        for maker in mappings(creation.get("maker"))
    ]
    return Item(
        identity=value.get("id"),
        title=as_text(first(record.get("summary_title"), dig(record, "title", 0, "value"))),
        url=dig(value, "links", "self"),
        creators=tuple(makers),
        media=tuple(media),
        tags=_texts(record.get("categories"), "name"),
        update_time=parse_time(dig(record, "admin", "modified")),
        description=text_of_html(dig(record, "description", 0, "value")),
        category=dig(record, "name", 0, "value"),
        created=dig(record, "lifecycle", "creation", 0, "date", 0, "value"),
        collection_source=dig(record, "categories", 0, "museum"),
    )


def _science_museum_medium(entry: dict[str, Any]) -> Medium:
    sizes = [dig(entry, "processed", name) for name in ("large", "medium")]
    sizes = [size for size in sizes if isinstance(size, dict)]
    best = sizes[0] if sizes else {}
    measures = {
        measure.get("dimension"): measure.get("value")
        for measure in mappings(dig(best, "measurements", "dimensions"))
        if isinstance(measure.get("dimension"), str)
    }
    rights = dig(entry, "source", "legal", "rights", 0)
    return Medium(
        identity=dig(entry, "admin", "uid"),
        url=_science_museum_url(best),
        title=as_text(dig(entry, "source", "title", 0, "value")),
        width=measures.get("width"),
        height=measures.get("height"),
        media_type=best.get("format"),
        thumbnail=_science_museum_url(dig(entry, "processed", "large_thumbnail")),
        variants=tuple(_science_museum_url(size) for size in sizes[1:]),
        licenses=(dig(rights, "usage_terms"),),
    )


def _science_museum_url(size: Any) -> str | None:
    location = as_text(dig(size, "location"))
    # Some locations are whole addresses although they are marked as relative.
    if location is None or "://" in location:
        return location
    return _SCIENCE_MUSEUM_IMAGES + location


def _smithsonian(value: dict[str, Any]) -> Item:
    record = inside(value, "content", "descriptiveNonRepeating")
    free, structured = dig(value, "content", "freetext"), dig(value, "content", "indexedStructured")
    media = [
        Medium(
            identity=_ark(first(entry.get("guid"), entry.get("idsId"), entry.get("content"))),
            url=entry.get("content"),
            media_type=entry.get("type"),
            thumbnail=entry.get("thumbnail"),
            licenses=(dig(entry, "usage", "access"),),
        )
        for entry in mappings(dig(record, "online_media", "media"))
    ]
    topics = dig(structured, "topic")
    notes = list(mappings(dig(free, "notes")))
    return Item(
        identity=first(dig(record, "record_ID"), value.get("url")),
        title=as_text(first(dig(record, "title", "content"), value.get("title"))),
        url=first(dig(record, "record_link"), dig(record, "guid")),
        creators=tuple(Creator(name) for name in _texts(dig(free, "name"), "content")),
        licenses=(dig(record, "metadata_usage", "access"),),
        media=tuple(media),
        tags=[t for t in topics if isinstance(t, str)] if isinstance(topics, list) else None,
        update_time=parse_time(first(value.get("lastTimeUpdated"), value.get("timestamp"))),
        description=text_of_html(
            next((n.get("content") for n in notes if n.get("label") in _DESCRIPTIONS), None)
        ),
        category=dig(structured, "object_type", 0),
        created=dig(free, "date", 0, "content"),
        collection_source=dig(record, "data_source"),
    )


def _ark(value: Any) -> Any:
    text = as_text(value)
    return text[text.index("ark:") :] if text and "ark:" in text else value


def _smk(value: dict[str, Any]) -> Item:
    number = value.get("object_number")
    images = [Medium(number, value.get("image_native"), None, value.get("image_width"),
                     value.get("image_height"), value.get("image_size"),
                     media_type=value.get("image_mime_type"),
                     thumbnail=value.get("image_thumbnail"),
                     stems=(_iiif_name(value.get("image_iiif_id")),))]  # fmt: skip
    for other in mappings(value.get("alternative_images")):
        images.append(
            Medium(other.get("id"), first(other.get("native"), other.get("iiif_id")), None,
                   other.get("width"), other.get("height"), other.get("size"),
                   media_type=other.get("mime_type"), thumbnail=other.get("thumbnail"))
        )  # fmt: skip
    return Item(
        identity=number,
        title=as_text(dig(value, "titles", 0, "title")),
        url=f"https://open.smk.dk/artwork/image/{number}",
        creators=tuple(
            Creator(maker.get("creator"), maker.get("creator_lref"))
            for maker in mappings(value.get("production"))
        ),
        licenses=(value.get("rights"),),
        media=tuple(images) if value.get("has_image", True) and value.get("image_native") else (),
        update_time=parse_time(value.get("modified")),
        description=as_text(dig(value, "content_description", 0)),
        category=dig(value, "object_names", 0, "name"),
        created=dig(value, "production_date", 0, "period"),
        collection_source=dig(value, "collection", 0),
    )


def _iiif_name(value: Any) -> str | None:
    text = as_text(value)
    return text.rpartition("/")[2].partition(".")[0] if text else None


PROVIDERS = (
    Provider("brooklynmuseum", has("id", "accession_number", "object_date_begin"), _brooklyn,
             (("data",),)),
    Provider("clevelandmuseum", has("id", "share_license_status"), _cleveland, (("data",),)),
    Provider("met", has("objectID", "primaryImage"), _met),
    Provider("museumsvictoria", has("id", "displayTitle", "media"), _museums_victoria),
    Provider("sciencemuseum",
             lambda value: dig(value, "type") == "objects" and has("id", "attributes")(value),
             _science_museum, (("data",),)),
    Provider("smithsonian",
             lambda value: isinstance(dig(value, "content", "descriptiveNonRepeating"), dict),
             _smithsonian, (("response", "rows"), ("response",))),
    Provider("smk", has("object_number", "titles"), _smk, (("items",),)),
)  # fmt: skip
