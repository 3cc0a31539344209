"""The explorer's grid as an element: it owns its property, the address that gives pages."""

from __future__ import annotations

from nicegui.element import Element


class ThumbnailGrid(Element, component="../../static/thumbnail_grid.js"):
    """Shows all nodes behind an address, as many tiles at a time as are in sight."""

    def __init__(self, source: str, label: str) -> None:
        super().__init__()
        self.props["source"] = source
        self.props["label"] = label

    def show(self, source: str) -> None:
        """Show what another address gives, from its beginning."""
        self.props["source"] = source
        self.update()
