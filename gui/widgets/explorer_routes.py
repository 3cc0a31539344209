"""Pages of nodes for the grid: it owns their JSON; what is in it is text, never markup."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from adapters import drawn_as
from base.errors import DrystoneError
from base.operations.operation import GUEST
from base.operations.problem import status_of
from gui.access.guard import VISITOR_KEY
from gui.access.roles import Visitor
from gui.contents.seen import seen_by
from gui.core.filters import (
    ADDRESS_LENGTH_MAX,
    Filters,
    empty_document,
    filters_of,
    problems_of,
    toggled,
)
from gui.reading.desk import Desk
from gui.widgets.blocks import clean, size
from sql import ExploredNode

PAGE_NODES = 120
HEADING = "node_id,key,size_bytes,extension,media_type\n"


def add_explorer(app: FastAPI, desk: Desk) -> None:
    """Add `/explorer/nodes`."""

    @app.get("/explorer/nodes", include_in_schema=False)
    async def nodes(
        request: Request,
        s: Annotated[str, Query(max_length=ADDRESS_LENGTH_MAX)] = "",
        order: Annotated[str, Query(max_length=20)] = "",
        cursor: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    ) -> dict[str, Any]:
        visitor: Visitor = request.scope[VISITOR_KEY]
        if not visitor.may(GUEST):
            return {"nodes": [], "next": None, "problems": ["this needs the role viewer"]}
        try:
            filters = filters_of({"s": s, "order": order})
            found = await desk.work(page_of, desk, visitor, filters, cursor)
        except DrystoneError as error:
            return {"nodes": [], "next": None, "problems": problems_of(error)}
        return {
            "nodes": [tile_of(node) for node in found],
            "next": found[-1].node_id if len(found) == PAGE_NODES else None,
        }

    @app.get("/explorer/list", include_in_schema=False)
    async def listed(
        request: Request, s: Annotated[str, Query(max_length=ADDRESS_LENGTH_MAX)] = ""
    ) -> Response:
        visitor: Visitor = request.scope[VISITOR_KEY]
        if not visitor.may(GUEST):
            return PlainTextResponse("this needs the role viewer\n", 403)
        lines = lines_of(desk, visitor, s)
        try:
            first = await desk.work(next, lines, "")
        except DrystoneError as error:
            return PlainTextResponse("\n".join(problems_of(error)) + "\n", status_of(error))
        told = {"Content-Disposition": 'attachment; filename="nodes.csv"'}
        whole = itertools.chain((HEADING, first), lines)
        return StreamingResponse(whole, media_type="text/csv; charset=utf-8", headers=told)


def lines_of(desk: Desk, visitor: Visitor, selector: str) -> Iterator[str]:
    """Yield what is said of each node of a selector as lines of CSV; blocks, and keeps nothing.

    For a guest those that may be exported.

    None of it is anybody's text, so that nothing needs quotes and no cell is a formula.
    """
    database = seen_by(desk.database(), visitor, "export")
    for row in database.query_nodes(filters_of({"s": selector}).selector):
        yield ",".join("" if cell is None else str(cell) for cell in row[:5]) + "\n"


def page_of(
    desk: Desk, visitor: Visitor, filters: Filters, cursor: int | None, limit: int = PAGE_NODES
) -> list[ExploredNode]:
    """Return one page of nodes; blocks."""
    return seen_by(desk.database(), visitor).explore.page(
        filters.selector, cursor=cursor, newest_first=not filters.oldest_first, limit=limit
    )


def source_of(filters: Filters) -> str:
    """Return the address that gives the pages of these filters."""
    return filters.address.replace("/explorer", "/explorer/nodes", 1)


def picture_of(
    key: str, media_type: str | None, size_name: str = "small", extension: str | None = None
) -> str:
    """Return the address of a node's picture; nothing when it can have none."""
    kind = drawn_as(media_type, extension)
    if kind is None:
        return ""
    told = {"media_type": kind, "size": size_name}
    if extension and extension.isascii() and extension.isalnum() and len(extension) <= 10:
        told["extension"] = extension  # Said where it cannot be drawn.
    return f"/thumbnail/{key}?{urlencode(told)}"


def spoken(description: str) -> tuple[str, str]:
    """Return what people call a described thing, and what it is: `red` and `people tag`."""
    platform, _, rest = description.partition(":")
    kind, _, name = rest.partition(":")
    is_form = kind.replace("_", "").replace("-", "").isalnum() and name.strip()
    return (name, f"{platform} {kind}") if is_form else (description, "")


def name_of(node: ExploredNode) -> str:
    """Return what a node is called: of what was made, what of, and what it is."""
    own = node.title or spoken(node.description or "")[0]
    if node.above:
        return f"{node.above} · {own or node.extension or 'part'}"
    return own or node.key[:16]


def question(facet: str, value: str) -> str:
    """Return the address of all nodes that have a value of a facet."""
    return toggled(Filters(empty_document()), facet, value).address


_CALLED = {"username": "author", "user": "author"}


def kind_of(node: ExploredNode) -> str:
    """Return what a node is, in one word: its media type, or what its description is of."""
    told = spoken(node.description or "")[1].rpartition(" ")[2]
    return node.media_type or _CALLED.get(told, told) or "description"


_MARKS = {"video": "video", "sound": "sound", "document": "PDF"}
"""What is written on pictures of what is no picture."""


def tile_of(node: ExploredNode) -> dict[str, Any]:
    """Return what the grid shows of a node."""
    title = name_of(node)
    what = spoken(node.description or "")[1] or node.source
    facts = [what, node.extension or "", size(node.size_bytes) if node.size_bytes else ""]
    return {
        "id": node.node_id,
        "title": clean(title)[:200].replace("\n", " "),
        "facts": clean(" · ".join(fact for fact in facts if fact)),
        "kind": node.media_type or "none",
        "called": clean(kind_of(node))[:40].replace("_", " "),
        "mark": _MARKS.get(drawn_as(node.media_type, node.extension) or "", ""),
        "picture": picture_of(node.key, node.media_type, extension=node.extension),
        "extension": clean(node.extension or ""),
    }
