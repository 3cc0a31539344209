"""Museums and libraries as tables: how each says what all of them say."""

from __future__ import annotations

from typing import Any

from adapters.records.values import dig, mappings
from adapters.sources.columns import recast
from adapters.sources.museum.item import Provider, has
from adapters.sources.museum.readers import in_some_language

# ---- Museums -----------------------------------------------------------------------------------

_NAMED = recast("name = name\nid = id")
_BROOKLYN = recast(
    """
    id = id
    title = title
    url = https://www.brooklynmuseum.org/opencollection/objects/{id}
    creators = artists > creator
    licenses[] = rights_type.name
    media = images > image
    media = . > primary
    tags[] = tags[].name
    time = date_added
    description = description:html
    category = classification
    created = object_date
    collection = collections[0].name
    """,
    creator=_NAMED,
    image=recast("""
    id = id|filename
    url = largest_derivative_url|standard_size_url
    title = caption
    thumbnail = thumbnail_url
    stems[] = filename:stem
    """),
    # Without the list of images the file's name is all that is said.
    primary=recast("id = primary_image\nstems[] = primary_image:stem"),
)
_CLEVELAND = recast(
    """
    id = id
    title = title
    url = url
    creators[] = creators[].description:outside_brackets
    licenses[] = share_license_status
    media = images.full:object|images.print:object|images.web:object > size
    time = updated_at
    description = wall_description:html|tombstone:html
    category = type
    created = creation_date
    collection = collection
    """,
    # One picture in three qualities.
    size=recast("""
    id = ^.id
    url = url
    width = width
    height = height
    size_bytes = filesize
    variants[] = ^.images.print.url,^.images.web.url
    """),
)


def _of_met(fields: dict[str, Any]) -> dict[str, Any]:
    # The first picture is known by the object's id, the others by that and a number.
    identity, more = fields.get("id"), fields.get("others")
    urls = [fields.get("first"), *(more if isinstance(more, list) else [])]
    named = [(f"{identity}-{n}" if n else identity, url) for n, url in enumerate(urls)]
    return fields | {"media": [{"id": one, "url": url} for one, url in named if url]}


_MET = recast(
    """
    id = objectID
    title = title|objectName
    url = objectURL
    creators[] = constituents[].name
    creators[] = artistDisplayName
    licenses[] = isPublicDomain:is_free
    first = primaryImage
    others = additionalImages
    tags[] = tags[].term
    time = metadataDate
    category = classification
    created = objectDate
    collection = department
    """,
    _of_met,
)
_MUSEUMS_VICTORIA = recast(
    """
    id = id
    title = displayTitle|title
    url = https://collections.museumsvictoria.com.au/{id}
    creators[] = media[].creators:behind_colon,media[].creators[]:behind_colon
    licenses[] = licence.uri,licence.shortName
    media = media > picture
    tags = keywords
    time = dateModified
    description = objectSummary:html|physicalDescription:html
    category = classifications[0]
    collection = collectionNames[0]
    """,
    picture=recast("""
    id = id
    url = large.uri|medium.uri|small.uri
    title = caption|alternativeText
    width = large.width|medium.width|small.width
    height = large.height|medium.height|small.height
    size_bytes = large.size|medium.size|small.size
    media_type = type
    thumbnail = thumbnail.uri
    variants[] = medium.uri,small.uri
    licenses[] = licence.uri,licence.shortName
    """),
)
_SCIENCE_MUSEUM = recast(
    """
    id = id
    title = attributes.summary_title|attributes.title[0].value
    url = links.self
    creators = attributes.lifecycle.creation[].maker[] > maker
    media = attributes.multimedia > picture
    tags[] = attributes.categories[].name
    time = attributes.admin.modified
    description = attributes.description[0].value:html
    category = attributes.name[0].value
    created = attributes.lifecycle.creation[0].date[0].value
    collection = attributes.categories[0].museum
    """,
    maker=recast("name = summary_title\nid = admin.uid"),
    picture=recast("""
    id = admin.uid
    url = processed.large.location:of_science_museum|processed.medium.location:of_science_museum
    title = source.title[0].value
    width = processed.large.measurements.dimensions[dimension=width].value \
        |processed.medium.measurements.dimensions[dimension=width].value
    height = processed.large.measurements.dimensions[dimension=height].value \
        |processed.medium.measurements.dimensions[dimension=height].value
    media_type = processed.large.format|processed.medium.format
    thumbnail = processed.large_thumbnail.location:of_science_museum
    variants[] = processed.medium.location:of_science_museum
    licenses[] = source.legal.rights[0].usage_terms
    """),
)
_SMITHSONIAN = recast(
    """
    id = content.descriptiveNonRepeating.record_ID|url
    title = content.descriptiveNonRepeating.title.content|title
    url = content.descriptiveNonRepeating.record_link|content.descriptiveNonRepeating.guid
    creators[] = content.freetext.name[].content
    licenses[] = content.descriptiveNonRepeating.metadata_usage.access
    media = content.descriptiveNonRepeating.online_media.media > picture
    tags[] = content.indexedStructured.topic[]:string
    time = lastTimeUpdated|timestamp
    description = content.freetext.notes[label=Description].content:html \
        |content.freetext.notes[label=Summary].content:html \
        |content.freetext.notes[label=Physical Description].content:html \
        |content.freetext.notes[label=Label Text].content:html
    category = content.indexedStructured.object_type[0]
    created = content.freetext.date[0].content
    collection = content.descriptiveNonRepeating.data_source
    """,
    picture=recast("""
    id = guid:ark|idsId:ark|content:ark
    url = content
    media_type = type
    thumbnail = thumbnail
    licenses[] = usage.access
    """),
)


def _of_smk(fields: dict[str, Any]) -> dict[str, Any]:
    has_image = dig(fields, "media", 0, "url") and fields.get("has_image", True)
    return fields if has_image else fields | {"media": None, "more": None}


_SMK = recast(
    """
    id = object_number
    title = titles[0].title
    url = https://open.smk.dk/artwork/image/{object_number}
    creators = production > maker
    licenses[] = rights
    has_image = has_image
    media = . > picture
    more = alternative_images > other
    time = modified
    description = content_description[0]
    category = object_names[0].name
    created = production_date[0].period
    collection = collection[0]
    """,
    _of_smk,
    maker=recast("name = creator\nid = creator_lref"),
    picture=recast("""
    id = object_number
    url = image_native
    width = image_width
    height = image_height
    size_bytes = image_size
    media_type = image_mime_type
    thumbnail = image_thumbnail
    stems[] = image_iiif_id:iiif_name
    """),
    other=recast("""
    id = id
    url = native|iiif_id
    width = width
    height = height
    size_bytes = size
    media_type = mime_type
    thumbnail = thumbnail
    """),
)


# ---- Libraries ---------------------------------------------------------------------------------


def _of_europeana(fields: dict[str, Any]) -> dict[str, Any]:
    # Creators are names, or addresses of agents whose labels stand elsewhere.
    labels = [in_some_language(label) for label in mappings(fields.get("labels"))]
    agents = [agent for agent in fields.get("agents", ()) if isinstance(agent, str)]
    named = dict(zip(agents, labels, strict=False))
    creators = [one for one in fields.get("creators", ()) if isinstance(one, str)]
    return fields | {"creators": list(dict.fromkeys(named.get(one) or one for one in creators))}


_EUROPEANA = recast(
    """
    id = id
    title = title:language|dcTitleLangAware:language
    url = guid|edmIsShownAt[0]
    creators[] = dcCreator[]
    agents[] = edmAgent[]
    labels = edmAgentLabel
    licenses[] = rights:language
    media = . > picture
    tags[] = edmConceptLabel[]:language
    time = timestamp_created
    description = dcDescription:language:html|dcDescriptionLangAware:language:html
    category = dcTypeLangAware:language
    collection = dataProvider:language
    """,
    _of_europeana,
    picture=recast("""
    id = id
    url = edmIsShownBy:language
    media_type = type
    thumbnail = edmPreview:language
    """),
)


def _of_finna(fields: dict[str, Any]) -> dict[str, Any]:
    addresses = (f"https://api.finna.fi{path}" for path in fields.get("images", ()))
    media = [{"id": f"{fields.get('id')}_{n}", "url": url} for n, url in enumerate(addresses)]
    return fields | {"media": media}


_FINNA = recast(
    """
    id = id
    title = title:language
    url = https://www.finna.fi/Record/{id}
    creators[] = nonPresenterAuthors[].name,presenters[].name
    licenses[] = imageRights.link,imageRights.copyright
    images[] = images[]:string
    tags[] = subjects[]:language
    description = summary:language:html
    category = formats[-1].translated
    created = year
    collection = buildings[0].translated
    """,
    _of_finna,
)


def _unwrapped(value: Any) -> Any:
    """Return a value of NYPL without what it is wrapped in: {"$": ...}, lists of one or several."""
    if isinstance(value, list):
        return [_unwrapped(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "$" in value and "type" not in value:
        return value["$"]
    one = {name: _unwrapped(inner) for name, inner in value.items()}
    several = _SEVERAL & one.keys()
    return one | {name: [one[name]] for name in several if not isinstance(one[name], list)}


_SEVERAL = {"identifier", "name", "subject", "topic", "geographic", "titleInfo", "capture",
            "imageLink", "abstract", "genre"}  # fmt: skip
_NYPL_ITEM = recast(
    """
    id = nyplAPI.response.mods.identifier[type=uuid].$|nyplAPI.request.uuid
    title = nyplAPI.response.mods.titleInfo[0].title
    creators[] = nyplAPI.response.mods.name[].namePart
    media = nyplAPI.response.sibling_captures.capture|nyplAPI.response.imm_captures.capture \
        |nyplAPI.response.root_captures.capture > capture
    tags[] = nyplAPI.response.mods.subject[].topic[],nyplAPI.response.mods.subject[].geographic[]
    description = nyplAPI.response.mods.abstract[0]:html|nyplAPI.response.mods.abstract[0].$:html
    category = nyplAPI.response.mods.genre[0]|nyplAPI.response.mods.genre[0].$
    created = nyplAPI.response.mods.originInfo.dateIssued \
        |nyplAPI.response.mods.originInfo.dateCreated
    """,
    lambda fields: fields | {
        "url": dig(fields, "media", 0, "page"),
        "licenses": dig(fields, "media", 0, "licenses") or [],
    },
    capture=recast(
        """
        id = imageID
        links[] = imageLink
        links[] = imageLinks.imageLink
        high = highResLink
        title = title
        licenses[] = rightsStatementURI
        media_type = typeOfResource
        stems[] = uuid
        page = itemLink
        """,
        lambda fields: fields | _sizes_of_nypl(fields),
    ),
)  # fmt: skip


def _sizes_of_nypl(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the address of the largest size and that of the preview, by the letters in them."""
    links = [link for link in fields.get("links", ()) if isinstance(link, str)]
    by_size = {link.partition("&t=")[2][:1]: link for link in links if "&t=" in link}
    best = next((by_size[size] for size in "gvqw" if size in by_size), None)
    other = links[0] if links else fields.get("high")
    return {"url": best or other, "thumbnail": by_size.get("b")}


PROVIDERS = (
    Provider("brooklynmuseum", has("id", "accession_number", "object_date_begin"), _BROOKLYN,
             ("data",)),
    Provider("clevelandmuseum", has("id", "share_license_status"), _CLEVELAND, ("data",)),
    Provider("met", has("objectID", "primaryImage"), _MET),
    Provider("museumsvictoria", has("id", "displayTitle", "media"), _MUSEUMS_VICTORIA),
    Provider("sciencemuseum",
             lambda value: dig(value, "type") == "objects" and has("id", "attributes")(value),
             _SCIENCE_MUSEUM, ("data",)),
    Provider("smithsonian", has("content.descriptiveNonRepeating"), _SMITHSONIAN,
             ("response.rows", "response")),
    Provider("smk", has("object_number", "titles"), _SMK, ("items",)),
    Provider("europeana", has("id", "edmIsShownBy"), _EUROPEANA, ("items",)),
    Provider("finnishmuseums", has("id", "title", "images", "imageRights"), _FINNA, ("records",)),
    Provider("nypl", has("nyplAPI.response"), lambda value: _NYPL_ITEM(_unwrapped(value))),
)  # fmt: skip
