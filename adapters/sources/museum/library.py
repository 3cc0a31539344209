"""Libraries and portals: it owns what their records mean, one function for each."""

from __future__ import annotations

from typing import Any

from adapters.records.times import parse_time
from adapters.records.values import as_text, as_texts, dig, first, mappings, text_of_html
from adapters.sources.museum.item import Creator, Item, Medium, Provider, has
from adapters.sources.reading.adapter import inside

_LANGUAGES = ("en", "def")


def one(value: Any) -> Any:
    """Return the first member of a list, or the value itself."""
    return value[0] if isinstance(value, list) and value else None if value == [] else value


def in_some_language(value: Any) -> Any:
    """Return the text of a map by language: English, the default, or any other."""
    if not isinstance(value, dict):
        return one(value)
    for language in (*_LANGUAGES, *value):
        if (text := one(value.get(language))) is not None:
            return text
    return None


def _europeana(value: dict[str, Any]) -> Item:
    labels = [in_some_language(label) for label in mappings(value.get("edmAgentLabel"))]
    agents = value["edmAgent"] if isinstance(value.get("edmAgent"), list) else []
    named = {agent: label for agent, label in zip(agents, labels, strict=False)
             if isinstance(agent, str)}  # fmt: skip
    creators = value["dcCreator"] if isinstance(value.get("dcCreator"), list) else []
    # Creators are names, or addresses of agents whose labels stand elsewhere.
    names = as_texts([named.get(c, c) for c in creators if isinstance(c, str)]) or []
    title = first(one(value.get("title")), in_some_language(value.get("dcTitleLangAware")))
    medium = Medium(
        identity=value.get("id"),
        url=one(value.get("edmIsShownBy")),
        media_type=value.get("type"),
        thumbnail=one(value.get("edmPreview")),
    )
    return Item(
        identity=value.get("id"),
        title=as_text(title),
        url=first(value.get("guid"), one(value.get("edmIsShownAt"))),
        creators=tuple(map(Creator, dict.fromkeys(names))),
        licenses=(one(value.get("rights")),),
        media=(medium,),
        tags=[in_some_language(label) for label in mappings(value.get("edmConceptLabel"))],
        update_time=parse_time(value.get("timestamp_created")),
        description=text_of_html(
            first(one(value.get("dcDescription")),
                  in_some_language(value.get("dcDescriptionLangAware")))
        ),
        category=in_some_language(value.get("dcTypeLangAware")),
        collection_source=one(value.get("dataProvider")),
    )  # fmt: skip


def _finna(value: dict[str, Any]) -> Item:
    identity = value.get("id")
    images = value["images"] if isinstance(value.get("images"), list) else []
    media = [
        Medium(f"{identity}_{number}", f"https://api.finna.fi{path}")
        for number, path in enumerate(images)
        if isinstance(path, str)
    ]
    people = [*mappings(value.get("nonPresenterAuthors")), *mappings(value.get("presenters"))]
    subjects = value["subjects"] if isinstance(value.get("subjects"), list) else []
    return Item(
        identity=identity,
        title=as_text(in_some_language(value.get("title"))),
        url=f"https://www.finna.fi/Record/{identity}",
        creators=tuple(Creator(person.get("name")) for person in people),
        licenses=(dig(value, "imageRights", "link"), dig(value, "imageRights", "copyright")),
        media=tuple(media),
        tags=[one(subject) for subject in subjects],
        description=text_of_html(in_some_language(value.get("summary"))),
        category=dig(value, "formats", -1, "translated"),
        created=value.get("year"),
        collection_source=dig(value, "buildings", 0, "translated"),
    )


def _text(value: Any) -> Any:
    """Return the text of a field that NYPL wraps: {"$": ...}, in a list where there are several."""
    inner = one(value)
    return inner.get("$") if isinstance(inner, dict) else inner


def _several(value: Any) -> list[dict[str, Any]]:
    return list(mappings(value if isinstance(value, list) else [value]))


def _nypl(value: dict[str, Any]) -> Item:
    response = inside(value, "nyplAPI", "response")
    mods = inside(response, "mods")
    captures = next(
        (found for name in ("sibling_captures", "imm_captures", "root_captures")
         if (found := _several(dig(response, name, "capture")))), [])  # fmt: skip
    asked = _text(dig(value, "nyplAPI", "request", "uuid"))
    ids = {identifier.get("type"): _text(identifier)
           for identifier in _several(mods.get("identifier"))
           if isinstance(identifier.get("type"), str)}  # fmt: skip
    first_capture = captures[0] if captures else {}
    subjects = [_text(subject.get(kind)) for subject in _several(mods.get("subject"))
                for kind in ("topic", "geographic")]  # fmt: skip
    origin = mods["originInfo"] if isinstance(mods.get("originInfo"), dict) else {}
    return Item(
        identity=first(ids.get("uuid"), asked),
        title=as_text(_text(dig(one(mods.get("titleInfo")), "title"))),
        url=_text(first_capture.get("itemLink")),
        creators=tuple(Creator(_text(n.get("namePart"))) for n in _several(mods.get("name"))),
        licenses=(_text(first_capture.get("rightsStatementURI")),),
        media=tuple(map(_nypl_medium, captures)),
        tags=list(dict.fromkeys(text for text in map(as_text, subjects) if text)),
        description=text_of_html(_text(mods.get("abstract"))),
        category=_text(mods.get("genre")),
        created=_text(first(origin.get("dateIssued"), origin.get("dateCreated"))),
    )


def _nypl_medium(capture: dict[str, Any]) -> Medium:
    links = _several(dig(capture, "imageLinks", "imageLink"))
    by_size = {}
    for link in links:
        url = as_text(_text(link))
        if url and "&t=" in url:
            by_size[url.partition("&t=")[2][:1]] = url
    best = next((by_size[size] for size in "gvqw" if size in by_size), _text(one(links)))
    return Medium(
        identity=_text(capture.get("imageID")),
        url=first(best, _text(capture.get("highResLink"))),
        title=as_text(_text(capture.get("title"))),
        thumbnail=by_size.get("b"),
        licenses=(_text(capture.get("rightsStatementURI")),),
        media_type=_text(capture.get("typeOfResource")),
        stems=(_text(capture.get("uuid")),),
    )


PROVIDERS = (
    Provider("europeana", has("id", "edmIsShownBy"), _europeana, (("items",),)),
    Provider(
        "finnishmuseums", has("id", "title", "images", "imageRights"), _finna, (("records",),)
    ),
    Provider("nypl", lambda value: isinstance(dig(value, "nyplAPI", "response"), dict), _nypl),
)
