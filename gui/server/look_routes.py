"""One node over HTTP, for the grid that it opens over: its picture, what is marked on it, facts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path, Request, Response
from fastapi.responses import JSONResponse

from base.errors import DrystoneError
from base.operations.operation import GUEST
from base.operations.problem import status_of
from gui.access.guard import VISITOR_KEY
from gui.access.roles import Visitor
from gui.contents.media import PLAYED
from gui.contents.seen import seen_by
from gui.pages.explorer.marks import shapes_of
from gui.pages.explorer.strip import duration_of, is_key_frame, moments_of
from gui.reading.desk import Desk
from gui.widgets.blocks import at, clean, size
from gui.widgets.explorer_routes import picture_of
from sql import ExploredNode, NodeReport

FACT_LENGTH_MAX = 300


def add_look(app: FastAPI, desk: Desk) -> None:
    """Add `/explorer/look/NODE`."""

    @app.get("/explorer/look/{node_id}", include_in_schema=False)
    async def look(request: Request, node_id: Annotated[int, Path(ge=1, lt=2**63)]) -> Response:
        visitor: Visitor = request.scope[VISITOR_KEY]
        if not visitor.may(GUEST):
            return JSONResponse({"problem": "this needs the role viewer"}, 403)
        try:
            report, frames = await desk.work(_read, desk, visitor, node_id)
        except DrystoneError as error:
            return JSONResponse({"problem": str(error)}, status_of(error))
        return JSONResponse(about(report, frames))


def _read(desk: Desk, visitor: Visitor, node_id: int) -> tuple[NodeReport, list[ExploredNode]]:
    """Return a node, and its key frames; blocks."""
    book = seen_by(desk.database(), visitor).explore
    report = book.node(str(node_id))
    return report, book.details([one["node_id"] for one in filter(is_key_frame, report.children)])


def about(report: NodeReport, frames: list[ExploredNode]) -> dict[str, Any]:
    """Return what is shown of a node in short."""
    node = report.node
    extension = node["extension"] or ""
    moments = moments_of(report.declared, frames)
    return {
        "kind": node["media_type"],
        "picture": picture_of(node["key"], node["media_type"], "large", extension),
        "shapes": shapes_of(report.declared),
        "moments": moments,
        "duration": duration_of(report.declared, moments),
        "facts": _facts(report),
        "content": f"/content/{node['key']}",
        "media": f"/labelling/media/{node['key']}.{extension}" if extension in PLAYED else "",
    }


def _facts(report: NodeReport) -> list[tuple[str, str]]:
    node = report.node
    newest: dict[str, Any] = report.metadata[-1] if report.metadata else {}
    published = newest.get("update_time")
    found = (
        ("Author", newest.get("author_description")),
        ("Source", newest.get("source")),
        ("Published", at(published) if published else ""),
        ("Batch", ", ".join(one["name"] for one in report.ingest_batches)),
        ("Type", node["extension"]),
        ("Size", size(node["size_bytes"]) if node["size_bytes"] is not None else ""),
    )
    return [(name, clean(str(value))[:FACT_LENGTH_MAX]) for name, value in found if value]
