"""Pages of nodes for the grid: it owns their JSON; what is in it is text, never markup."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import FastAPI, Query, Request

from base.errors import DrystoneError
from gui.access.guard import VISITOR_KEY
from gui.core.filters import ADDRESS_LENGTH_MAX, Filters, filters_of, problems_of
from gui.reading.desk import Desk
from gui.reading.thumbnails import PICTURED
from gui.widgets.blocks import clean, size
from sql import ExploredNode

PAGE_NODES = 120


def add_explorer(app: FastAPI, desk: Desk) -> None:
    """Add `/explorer/nodes`."""

    @app.get("/explorer/nodes", include_in_schema=False)
    async def nodes(
        request: Request,
        s: Annotated[str, Query(max_length=ADDRESS_LENGTH_MAX)] = "",
        order: Annotated[str, Query(max_length=20)] = "",
        cursor: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    ) -> dict[str, Any]:
        if not request.scope[VISITOR_KEY].may("viewer"):
            return {"nodes": [], "next": None, "problems": ["this needs the role viewer"]}
        try:
            filters = filters_of({"s": s, "order": order})
            found = await desk.work(page_of, desk, filters, cursor)
        except DrystoneError as error:
            return {"nodes": [], "next": None, "problems": problems_of(error)}
        return {
            "nodes": [tile_of(node) for node in found],
            "next": found[-1].node_id if len(found) == PAGE_NODES else None,
        }


def page_of(
    desk: Desk, filters: Filters, cursor: int | None, limit: int = PAGE_NODES
) -> list[ExploredNode]:
    """Return one page of nodes; blocks."""
    return desk.database().explore.page(
        filters.selector, cursor=cursor, newest_first=not filters.oldest_first, limit=limit
    )


def source_of(filters: Filters) -> str:
    """Return the address that gives the pages of these filters."""
    return filters.address.replace("/explorer", "/explorer/nodes", 1)


def picture_of(key: str, media_type: str | None, size_name: str = "small") -> str:
    """Return the address of a node's picture; nothing when it can have none."""
    if media_type not in PICTURED:
        return ""
    return f"/thumbnail/{key}?{urlencode({'media_type': media_type, 'size': size_name})}"


def tile_of(node: ExploredNode) -> dict[str, Any]:
    """Return what the grid shows of a node."""
    title = node.title or node.description or node.key[:16]
    facts = [node.source, node.extension or "", size(node.size_bytes) if node.size_bytes else ""]
    return {
        "id": node.node_id,
        "title": clean(title)[:200].replace("\n", " "),
        "facts": clean(" · ".join(fact for fact in facts if fact)),
        "kind": node.media_type or "none",
        "mark": "video" if node.media_type == "video" else "",
        "picture": picture_of(node.key, node.media_type),
    }
