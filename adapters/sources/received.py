"""What was sent with parts, beside them in their window: a line of JSON for each, and its reader.

    _received.lines       a Line each: who sent which part in which request, and what was said
    SOURCE/000001.json    the parts, in their order

An object names a file of its request by `part:NAME`: that is an edge `attached`, and in its
document the file's key stands there instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from adapters.decide.rows import json_text
from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import Link, MediaFile, Observation, Problem, Record
from base.model import Document, JsonObject
from sql import (
    PEOPLE_TABLE,
    PRIORITY_FIRST,
    PRIORITY_HIGH,
    PRIORITY_LAST,
    Column,
    DeclaredTable,
    GroupName,
    group_description,
)

MANIFEST = "_received.lines"
"""Of no type that file_type has: it is kept with its batch, and is no node."""
REFERENCE = "part:"
SOURCE = "received"
TABLE = DeclaredTable(
    kind="source",
    name=SOURCE,
    version=2,
    comment="Parts of requests, as programs sent them",
    columns=(
        Column(name="request", type="text", comment="The request's id", is_indexed=True),
        Column(name="account", type="text", comment="Who sent it"),
        Column(name="source", type="text", comment="What the sender calls where it is from"),
        Column(name="file_name", type="text", comment="What the sender calls the file"),
        Column(name="content_type", type="text", comment="What the sender says that it is"),
        Column(name="comments", type="text", comment="What the sender says about the request"),
        Column(name="priority", type="integer", comment="1 (first) to 10; NULL: by its size"),
        Column(name="context", type="jsonb", comment="`upload_context`, as it was sent"),
    ),
)
TABLES = (TABLE, PEOPLE_TABLE)
PRIORITY_WORDS = {"high": PRIORITY_HIGH, "normal": None}
"""What a priority was before: journals and batches that were written then say it for ever."""


def _of_word(said: Any) -> Any:
    return PRIORITY_WORDS.get(said, said) if isinstance(said, str) else said


SaidPriority = Annotated[
    int | None, Field(ge=PRIORITY_FIRST, le=PRIORITY_LAST), BeforeValidator(_of_word)
]
"""1 (first) to 10, as that of a run; None where nobody said one: then it follows the size."""


class Line(Document):
    """One part of a request, at `path` in the window."""

    path: str
    request: str
    account: str
    source: str
    file_name: str | None = None
    content_type: str | None = None
    named: dict[str, str] = Field(default_factory=dict[str, str])
    """The paths of the files that an object names, by their names."""
    comments: str | None = None
    priority: SaidPriority = None
    context: JsonObject | None = None
    collection: GroupName | None = None
    tags: tuple[GroupName, ...] = ()


def read_lines(folder: ScrapeFolder) -> tuple[dict[str, Line], list[Problem]]:
    """Return the lines of a folder by their paths, and what is wrong with others."""
    lines: dict[str, Line] = {}
    problems: list[Problem] = []
    if MANIFEST not in folder.files:
        return lines, problems
    for number, text in folder.read_lines(MANIFEST):
        try:
            if isinstance(text, RecordError):
                raise text
            line = Line.model_validate_json(text)
            if any(path not in folder.files for path in (line.path, *line.named.values())):
                raise RecordError(f"{line.path!a}, or what it names, is not in the folder")
            lines[line.path] = line
        except (RecordError, ValidationError) as error:
            problems.append(Problem(MANIFEST, number, str(error).splitlines()[0]))
    return lines, problems


def priority_of(folder: str) -> int | None:
    """Return the priority that was said of a window; all of its requests have the same."""
    try:
        with open(os.path.join(folder, MANIFEST), encoding="utf-8") as file:
            return Line.model_validate_json(file.readline()).priority
    except (OSError, ValueError):  # None there, or of no use: whoever brings it in tells that.
        return None


def said_of_parts(lines: Mapping[str, Line]) -> Iterator[Record]:
    """Yield a record of every line: what was said of its part, and what that belongs to."""
    for number, line in enumerate(lines.values()):
        part = MediaFile(line.path)
        said = Observation(
            part,
            SOURCE,
            False,
            title=line.file_name,
            meta={
                "request": line.request,
                "account": line.account,
                "source": line.source,
                "file_name": line.file_name,
                "content_type": line.content_type,
                "comments": line.comments,
                "priority": line.priority,
                "context": json_text(line.context) if line.context else None,
            },
        )
        links = [Link(part, MediaFile(path), "attached") for path in line.named.values()]
        observations = [said]
        for tag in line.tags:
            node = group_description("tag", tag)
            links.append(Link(node, part, "tagged"))
            observations.append(Observation(node, PEOPLE_TABLE.name, False, title=tag))
            meta = {"user": line.account, "act": "tag", "name": tag}
            observations.append(Observation(part, PEOPLE_TABLE.name, False, meta=meta))
        if line.collection is not None:
            node = group_description("collection", line.collection)
            links.append(Link(node, part, "member"))
            observations.append(Observation(node, PEOPLE_TABLE.name, False, title=line.collection))
        excerpt = line.model_dump(mode="json", exclude_none=True)
        yield Record(MANIFEST, number, part, tuple(observations), tuple(links), excerpt=excerpt)


def references(value: Any) -> Iterator[str]:
    """Yield the names of the files that an object names."""
    if isinstance(value, str):
        if value.startswith(REFERENCE):
            yield value.removeprefix(REFERENCE)
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from references(inner)


def with_keys(value: Any, keys: Mapping[str, str]) -> Any:
    """Return an object with the key of each file that it names, where that is known."""
    if isinstance(value, str):
        return keys.get(value.removeprefix(REFERENCE), value) if REFERENCE in value[:5] else value
    if isinstance(value, dict):
        return {name: with_keys(inner, keys) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_keys(inner, keys) for inner in value]
    return value
