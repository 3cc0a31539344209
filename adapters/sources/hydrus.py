"""Hydrus: the metadata of files as its client API and its exports of it have them.

Files are found by their SHA-256, which Hydrus calls them by. Tags of all services are one list;
`title:` is the title, `creator:` who made it.
"""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_text, mappings
from adapters.sources.columns import source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.shapes import adapter, shape

HYDRUS = source(
    "hydrus",
    "Hydrus",
    """
    medium:
    file_hash text = hash # SHA-256 of the file
    mime_type text = mime # MIME type
    tags text[] = tags # Tags with their namespaces
    creators text[] = creators # Who made it, of tags `creator:`
    characters text[] = characters # Who is on it, of tags `character:`
    series text[] = series # Of tags `series:`
    urls text[] = known_urls # Addresses it is known at
    notes text = said:whole # Notes
    width bigint = width # Width in pixels
    height bigint = height # Height in pixels
    size_bytes bigint = size # Size of the file
    duration_ms bigint = duration # Length in milliseconds
    frame_count bigint = num_frames # Frames
    has_audio boolean = has_audio # Has sound
    is_inbox boolean = is_inbox # Not looked at yet
    """,
)
_FILE = Medium(
    id="hash",
    at="file",
    title="title",
    time="time_modified",
    stems="hash",
    edges=(
        Edge("tagged", "tag", "tags[]:lower", is_parent=False, count_max=1_000),
        Edge("credited", Person(name="name", title="name", section="none"), "people"),
        Edge("linked", "address", "known_urls[]"),
    ),
)
RULES_OF_NAMESPACES = {"creators": "creator:", "characters": "character:", "series": "series:"}


def _fields(value: dict[str, Any]) -> dict[str, Any]:
    tags = _tags(value.get("tags"))
    of = {
        name: [tag.removeprefix(word) for tag in tags if tag.startswith(word)]
        for name, word in RULES_OF_NAMESPACES.items()
    }
    titles = [tag.removeprefix("title:") for tag in tags if tag.startswith("title:")]
    notes = value.get("notes")
    texts = notes.values() if isinstance(notes, dict) else ()
    said = [text for one in texts if (text := as_text(one))]
    file = value | of | {
        "tags": tags,
        "people": [{"name": name} for name in of["creators"]],
        "title": titles[0] if titles else None,
        "said": "\n\n".join(said) or None,
    }  # fmt: skip
    return {"file": [file]}


def _tags(services: Any) -> list[str]:
    """Return the tags that are shown, of every service once each."""
    if isinstance(services, list):
        return [text for one in services if (text := as_text(one, 500))]
    found: dict[str, None] = {}
    for service in mappings(list(services.values()) if isinstance(services, dict) else None):
        shown = service.get("display_tags") or service.get("storage_tags")
        current = shown.get("0") if isinstance(shown, dict) else None
        texts = (as_text(one, 500) for one in current) if isinstance(current, list) else ()
        found |= dict.fromkeys(text for text in texts if text)
    return list(found)


ADAPTERS = (
    adapter(
        "hydrus",
        Rules(HYDRUS, "hydrus", {"file": Node("file", id="", media=(_FILE,))}, {"file": _fields}),
        (shape("file", "hash", "mime known_urls file_id file_services is_inbox num_frames", 3),),
        "expected metadata of files of Hydrus (hash, mime, tags, known_urls)",
        holders="metadata",
    ),
)
