"""The explorer's grid as an element, and the node that opens over it."""

from __future__ import annotations

from collections.abc import Callable

from nicegui.element import Element
from nicegui.events import GenericEventArguments


class ThumbnailGrid(Element, component="../../static/thumbnail_grid.js"):
    """Shows all nodes behind an address, as many tiles at a time as are in sight."""

    def __init__(
        self, source: str, label: str, chosen: Callable[[GenericEventArguments], None]
    ) -> None:
        super().__init__()
        self.on("choose", chosen)
        self.props["source"] = source
        self.props["label"] = label

    def show(self, source: str) -> None:
        """Show what another address gives, from its beginning."""
        self.props["source"] = source
        self.update()

    def show_anew(self) -> None:
        """Show the same from its beginning: something of it has changed."""
        self.run_method("restart")

    def choose_all(self) -> None:
        """Choose everything behind the address, also what was not loaded yet."""
        self.run_method("chooseAll")

    def choose_nothing(self) -> None:
        """Choose nothing."""
        self.run_method("clear")

    def toggle_filled(self) -> None:
        """Show whole pictures, or pictures that fill their tiles; the browser remembers it."""
        self.run_method("toggleFilled")


class Look(Element, component="../../static/look.js"):
    """Shows the node of a tile over the grid, with the way to the nodes beside it."""
