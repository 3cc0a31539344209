"""Which nodes an operation is for: a selector, nodes by name, or a saved view."""

from __future__ import annotations

import sys
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from base.errors import UsageError
from base.model import Document
from base.operations.operation import Caller, Load
from base.text import size_text
from sql.operations.place import Place
from sql.selector.selector import Condition, Selector

NODES_MAX = 10_000
CHANGE_TIMEOUT_S = 1_200.0
"""So long an answer about a million changed nodes may take from elsewhere."""
VIEWS_OF = "explorer"
"""The page whose views are selectors."""


SelectorField = Annotated[
    Any, Field(description="YAML or JSON; `-` reads stdin.", json_schema_extra={"type": "object"})
]
"""A selector as a document; it is checked where it is used, which says what is wrong where."""


def _read(file: str | None) -> Selector | None:
    from sql.selector.document import DOCUMENT_SIZE_BYTES_MAX, parse_selector

    if file is None:
        return None
    try:
        if file == "-":
            return parse_selector(sys.stdin.buffer.read(DOCUMENT_SIZE_BYTES_MAX + 1))
        with open(file, "rb") as given:
            return parse_selector(given.read(DOCUMENT_SIZE_BYTES_MAX + 1))
    except OSError as error:
        raise UsageError(f"{file!a} cannot be read: {error.strerror}") from error


SELECTOR = Load(_read)


class Chosen(Document):
    """Which nodes: exactly one of a selector, names and a saved view."""

    selector: SelectorField = None
    nodes: Annotated[
        list[str] | None,
        Field(
            max_length=NODES_MAX, description="A node by key or node id, instead; several times."
        ),
    ] = None
    view: Annotated[
        str | None, Field(max_length=100, description="A saved view of the explorer, instead.")
    ] = None


CHOICE_OPTIONS: dict[str, tuple[str, ...]] = {"nodes": ("--node",)}
CHOICE_METAVARS = {"selector": "FILE", "nodes": "NODE", "view": "NAME"}
CHOICE_LOADS = {"selector": Load(_read, is_needed=False)}


def chosen_by(place: Place, caller: Caller, asked: Chosen) -> Selector:
    """Return the selector of what is chosen. Raises UsageError, SelectorError, NotFoundError."""
    from sql.selector.document import read_selector

    given = (asked.selector, asked.nodes, asked.view)
    if sum(one is not None for one in given) != 1:
        raise UsageError("say which nodes: give a selector, nodes, or a saved view, one of these")
    if asked.view is not None:
        return _selector_of_view(place, caller, asked.view)
    return _selector_of_names(asked.nodes) if asked.nodes else read_selector(asked.selector)


def _selector_of_names(names: list[str]) -> Selector:
    """Return the selector of nodes that somebody named one by one, hidden ones too."""
    keys = [name for name in names if len(name) == 64]
    numbers = [name for name in names if name.isascii() and name.isdecimal() and len(name) < 20]
    if len(keys) + len(numbers) < len(names):
        wrong = next(name for name in names if name not in keys and name not in numbers)
        raise UsageError(f"{wrong!a} is no node: name it by its key (64 hex digits) or its node id")
    parts: list[dict[str, Any]] = []
    if keys:
        parts.append({"key": [key.lower() for key in keys]})
    if numbers:
        parts.append({"node_id": [int(number) for number in numbers]})
    where = Condition.model_validate({"any": parts})
    return Selector(version=1, where=where, include_deleted=True, include_blacklisted=True)


def _selector_of_view(place: Place, caller: Caller, name: str) -> Selector:
    from sql.selector.document import parse_selector

    address = place.database.users.view_named(VIEWS_OF, name, caller.name)
    found = parse_qs(urlsplit(address).query).get("s")
    return parse_selector(found[0]) if found else Selector(version=1)


def what(nodes: int, size_bytes: int) -> str:
    """Return how many nodes, and how large."""
    return f"{nodes:,} nodes, {size_text(size_bytes)}"
