"""The lineage of a node: what it comes from, and which datasets it is in."""

from __future__ import annotations

from typing import Any, NamedTuple

from gui.pages.datasets.reading import node_lineage
from gui.pages.datasets.view import version_link
from gui.reading.desk import Desk
from gui.widgets.blocks import card, link
from gui.widgets.frame import Page
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge


class Lineage(NamedTuple):
    """A node and its ancestors, and the datasets it is in."""

    above: list[Any]
    members: list[Any]


def read_lineage(desk: Desk, name: str) -> Lineage:
    """Read the lineage of a node; blocks. Raises NotFoundError."""
    return Lineage(*node_lineage(desk.database(), name))


def build(view: View) -> None:
    """Build the page."""
    ancestors = (
        Col("", lambda one: "this" if one.depth == 0 else f"{one.depth} above"),
        Col("Node", lambda one: link(one.node_id, f"/node/{one.node_id}")),
        Col("Is", lambda one: one.description or one.key[:16]),
        Col("Through", "relationship"),
        Col("Source", "source"),
        Col("Title", "title"),
    )
    datasets = (
        Col("Dataset", lambda one: version_link(one.name, one.version)),
        Col("State", "state", state_badge),
        Col(">Files", "files"),
        Col("Split", "split"),
        Col("Label", "label"),
    )
    with card("Where it comes from"):
        table(view.reading.above, ancestors, "Ancestors")
    with card("Datasets it is in"):
        nothing = "It is in none, and neither is a file below it."
        table(view.reading.members, datasets, "Datasets", nothing)


PAGE = Page(
    "Lineage", "/datasets/lineage/{name:path}", read=read_lineage, build=build, slowness=0,
    title=lambda found: f"Lineage of node {found.above[0].node_id}",
    lead="From a file to its post, and on.",
)  # fmt: skip
