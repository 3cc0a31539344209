"""The explorer: it owns facets, chips, search, YAML and saved views around the grid of nodes."""

from __future__ import annotations

import functools
from typing import Any

from nicegui import background_tasks, events, ui

from base.errors import DrystoneError
from gui.core import filters as filtering
from gui.core.filters import FACETS, Chip, Filters
from gui.pages.explorer.grid import ThumbnailGrid
from gui.reading.desk import Desk
from gui.widgets.blocks import attributes, box, button, clean, notice, size, text
from gui.widgets.explorer_routes import source_of
from gui.widgets.frame import Place, act, add_place, frame, page, tell, visitor
from sql import SavedView

PAGE = "explorer"
_TITLES = {
    "media_type": "Media type", "source": "Source", "extension": "Extension",
    "ingest_batch": "Ingest batch",
}  # fmt: skip


def register(desk: Desk) -> None:
    """Add the page."""
    begin = "?media_type=image,video"
    add_place(Place("Explorer", "/explorer", "e", group="Data", query=begin))

    @page(desk, "/explorer")
    def explorer() -> None:
        request = ui.context.client.request
        query = dict(request.query_params) if request else {}
        with frame(desk, "Explorer", "Everything that was brought in or made, newest first."):
            Explorer(desk, query)


class Explorer:
    """One open explorer: its filters, and the elements that follow them."""

    def __init__(self, desk: Desk, query: dict[str, str]) -> None:
        self._desk = desk
        self._client = ui.context.client
        problems: list[str] = []
        try:
            self.filters = filtering.filters_of(query)
        except DrystoneError as error:
            self.filters, problems = Filters(filtering.empty_document()), _shown(error)
        self._asked = 0
        self._build()
        for problem in problems:
            with self._problems:
                notice("This address has no valid selector: all is shown.", "warn", problem)
        self._show()

    def _build(self) -> None:
        with box("toolbar"):
            self._search = ui.input("Words in titles", on_change=self._search_changed)
            self._search.props("outlined dense clearable debounce=400")
            attributes(self._search, data_search=True)
            self._views = box("row")
            self._count = text("", "count")
            attributes(self._count, role="status")
            button("Newest first", self._turn, "small", hint="Turn the order")
            button("YAML", self._edit, "small", hint="The selector as it is written in files")
            button("Save view", self._save, "small")
        self._problems = box("stack")
        self._chips = box("chips")
        with box("explorer"):
            with box("facets", "aside") as self._side:
                attributes(self._side, aria_label="Filters")
            with box("stack"):
                self._grid = ThumbnailGrid(source_of(self.filters), "Nodes")

    # ---- Changing --------------------------------------------------------------------------------

    def change(self, wanted: Filters) -> None:
        """Show other filters, and put them into the address."""
        try:
            address = wanted.address
            _ = wanted.selector
        except DrystoneError as error:
            tell("\n".join(_shown(error)), bad=True)
            return
        self.filters = wanted
        ui.navigate.history.push(address)
        self._problems.clear()
        self._grid.show(source_of(wanted))
        self._show()

    def _toggle(self, facet: str, value: str) -> None:
        self.change(filtering.toggled(self.filters, facet, value))

    def _drop(self, chip: Chip) -> None:
        self.change(filtering.without(self.filters, chip))

    def _search_changed(self, event: events.ValueChangeEventArguments[Any]) -> None:
        words = str(event.value or "")
        if words != filtering.words_of(self.filters.document):
            self.change(filtering.searched(self.filters, words))

    def _turn(self) -> None:
        self.change(self.filters._replace(oldest_first=not self.filters.oldest_first))

    # ---- Showing ---------------------------------------------------------------------------------

    def _show(self) -> None:
        self._search.value = clean(filtering.words_of(self.filters.document))
        self._chips.clear()
        with self._chips:
            chips = filtering.chips_of(self.filters.document)
            if not chips:
                text("No filter: everything is shown.", "hint")
            for chip in chips:
                with box("chip"):
                    text(chip.label, "chip-text")
                    remove = text("×", tag="button")
                    attributes(remove, type="button", aria_label=f"Remove {chip.label}")
                    remove.on("click", functools.partial(self._drop, chip))
            if len(chips) > 1:
                everything = Filters(filtering.empty_document(), self.filters.oldest_first)
                button("Clear all", lambda: self.change(everything), "small quiet")
        self._asked += 1
        background_tasks.create(self._count_facets(self._asked), name="facets")
        background_tasks.create(self._list_views(), name="views")

    async def _count_facets(self, asked: int) -> None:
        with self._client:
            self._count.text = "counting…"
        try:
            found = await self._desk.work(self._desk.facets.count, self.filters)
            said = f"{found.nodes:,} nodes, {size(found.size_bytes)}"
        except DrystoneError as error:
            found, said = None, f"not counted: {_shown(error)[0]}"
        if asked != self._asked or self._client.is_deleted:
            return  # Somebody has filtered on meanwhile.
        with self._client:
            self._count.text = clean(said)
            self._side.clear()
            with self._side:
                for facet in FACETS:
                    self._show_facet(facet, getattr(found, facet) if found else ())

    def _show_facet(self, facet: str, values: tuple[Any, ...]) -> None:
        chosen = filtering.values_of(self.filters.document, facet)
        counts = {one.value: one.nodes for one in values}
        shown = [*counts, *(value for value in chosen if value not in counts)]
        if not shown:
            return
        with box("facet", "section"):
            text(_TITLES[facet], tag="h3")
            for value in shown:
                if facet == "media_type" and value == "none":
                    continue
                is_on = value in chosen
                with box("facet-value on" if is_on else "facet-value", "button") as element:
                    attributes(element, type="button", aria_pressed="true" if is_on else "false")
                    text(value, "facet-name")
                    text(f"{counts.get(value, 0):,}", "facet-count")
                element.on("click", functools.partial(self._toggle, facet, value))

    # ---- YAML and views --------------------------------------------------------------------------

    async def _edit(self) -> None:
        with ui.dialog() as dialog, box("dialog wide"):
            text("The selector as YAML", tag="h2")
            text("The same document works in files and on the command line.", "hint", "p")
            area = ui.textarea("Selector", value=clean(filtering.yaml_of(self.filters.document)))
            area.props("outlined autogrow input-style=font-family:monospace")
            problems = box("stack")

            def apply() -> None:
                try:
                    document = filtering.document_of(area.value or "")
                except DrystoneError as error:
                    problems.clear()
                    with problems:
                        for problem in _shown(error):
                            notice(problem, "bad")
                    return
                dialog.submit(document)

            with box("dialog-buttons"):
                button("Cancel", lambda: dialog.submit(None))
                button("Apply", apply, "primary")
        document = await dialog
        dialog.delete()
        if document is not None:
            self.change(self.filters._replace(document=document))

    async def _save(self) -> None:
        with ui.dialog() as dialog, box("dialog"):
            text("Save these filters", tag="h2")
            name = ui.input("Name").props("outlined dense autofocus maxlength=100")
            shared = ui.checkbox("Everybody sees it")
            with box("dialog-buttons"):
                button("Cancel", lambda: dialog.submit(None))
                button("Save", lambda: dialog.submit((name.value, shared.value)), "primary")
        answer = await dialog
        dialog.delete()
        if not answer or not answer[0]:
            return
        address, user_id = self.filters.address, visitor().user_id

        def save() -> int:
            users = self._desk.database().users
            return users.save_view(user_id, PAGE, answer[0], address, is_shared=answer[1])

        await act(self._desk, "viewer", f"{answer[0]} is saved", save)
        await self._list_views()

    async def _list_views(self) -> None:
        with self._client:
            user_id = visitor().user_id

        def views() -> list[SavedView]:
            return self._desk.database().users.views(user_id, PAGE)

        try:
            found = await self._desk.work(views)
        except DrystoneError:
            return
        if self._client.is_deleted:
            return
        addresses = {one.saved_view_id: one.query for one in found}
        with self._client:
            self._views.clear()
            if not found:
                return
            with self._views:
                options = {
                    one.saved_view_id: clean(
                        one.name if one.user_id == user_id else f"{one.name} ({one.user_name})"
                    )
                    for one in found
                }
                choice = ui.select(options, label="Saved views", on_change=lambda event: (
                    ui.navigate.to(addresses[event.value])
                ))  # fmt: skip
                choice.props("outlined dense options-dense").style("min-width: 150px")


def _shown(error: Exception) -> list[str]:
    return filtering.problems_of(error)
