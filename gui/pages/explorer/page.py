"""The explorer: it owns facets, chips, search, YAML and saved views around the grid of nodes."""

from __future__ import annotations

import functools
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request
from nicegui import background_tasks, events, ui
from pydantic import BaseModel, Field, field_validator

from base.errors import DrystoneError, UsageError
from base.operations.operation import GUEST
from gui.contents.seen import seen_by
from gui.core import filters as filtering
from gui.core.filters import FACETS, Chip, Filters
from gui.pages.explorer.bringing import ask_for_files, show_first_steps
from gui.pages.explorer.chosen import ChosenBar
from gui.pages.explorer.grid import Look, ThumbnailGrid
from gui.reading.desk import Desk
from gui.reading.views import EXPLORER
from gui.widgets.acts import act, ask, dialog, operate, tell
from gui.widgets.blocks import attributes, box, button, clean, many, notice, size, text
from gui.widgets.explorer_routes import source_of
from gui.widgets.frame import Page, visitor
from gui.widgets.live import take_out_of_sight
from gui.widgets.view import View
from sql import Facets, FacetValue, SavedView

VALUES_SHOWN = 8
_NO_TYPE = ("media_type", "none")
"""Nodes without bytes: nothing that can be asked for by a media type."""
_TITLES = {
    "media_type": "Media type", "source": "Source", "extension": "Extension",
    "ingest_batch": "Ingest batch", "author": "Author", "tag": "Tag", "month": "Month",
    "label": "Label", "dataset": "Dataset",
}  # fmt: skip


class NewView(BaseModel):
    """A view that is to be saved."""

    name: Annotated[str, Field(title="Name", min_length=1, max_length=100)]
    is_shared: Annotated[bool, Field(title="Everybody sees it")] = False


class SelectorText(BaseModel):
    """A selector as it is written in files."""

    selector: Annotated[str, Field(title="Selector", json_schema_extra={"format": "yaml"})]

    @field_validator("selector")
    @classmethod
    def _is_sound(cls, selector: str) -> str:
        try:
            filtering.document_of(selector)
        except DrystoneError as error:
            raise ValueError("; ".join(filtering.problems_of(error))) from None
        return selector


async def build(view: View, request: Request) -> None:
    """Build the page; `view` in the address is a saved view, which can be sent to somebody."""
    query, problem = dict(request.query_params), ""
    number = query.pop("view", "")
    if number and visitor().role != GUEST:
        try:
            saved = await view.desk.work(_view_of, view.desk, visitor().user_id, number)
            query = {**dict(parse_qsl(urlsplit(saved.query).query)), **query}
        except DrystoneError as error:
            problem = str(error)
    explorer = Explorer(view.desk, query)
    if problem:
        explorer.tell("This view cannot be shown: all is.", problem)


def _view_of(desk: Desk, user_id: int, number: str) -> SavedView:
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise UsageError(f"{number!a} is no number of a view")
    return desk.database().users.view(user_id, int(number))


def address_of(saved_view_id: int) -> str:
    """Return the address of a saved view."""
    return f"/explorer?view={saved_view_id}"


PAGE = Page(
    "Explorer", "/explorer", GUEST, "Data", build=build, key="e", place=1,
    query="?media_type=image,video",
    lead="Everything that was brought in or made, newest first.",
)  # fmt: skip


class Explorer:
    """One open explorer: its filters, and the elements that follow them."""

    def __init__(self, desk: Desk, query: dict[str, str]) -> None:
        self._desk = desk
        self._client = ui.context.client
        self._is_guest = visitor().role == GUEST
        problems: list[str] = []
        try:
            self.filters = filtering.filters_of(query)
        except DrystoneError as error:
            self.filters, problems = Filters(filtering.empty_document()), _shown(error)
        self._asked = 0
        self._build()
        for problem in problems:
            self.tell("This address has no valid selector: all is shown.", problem)
        self._show()

    def tell(self, words: str, problem: str) -> None:
        """Say what is wrong with the address, until the filters change."""
        with self._problems:
            notice(words, "warn", problem)

    def _build(self) -> None:
        attributes(text("Skip to the pictures", "skip-link", "a"), href="#pictures")
        with box("toolbar"):
            self._search = ui.input("Search", on_change=self._search_changed)
            self._search.props("outlined dense clearable debounce=400")
            self._search.props('placeholder="words, author:ann, tag:cat, date:2024-05"')
            self._search.on("keydown.enter", self._search_entered)
            attributes(self._search.classes("wide-search"), data_search=True)
            self._views = box("row")
            self._count = text("", "count")
            attributes(self._count, role="status")
            button("Newest first", self._turn, "small", hint="Turn the order")
            button("Fill tiles", self._fill, "small", hint="Whole pictures, or cut to their tiles")
            button("YAML", self._edit, "small", hint="The selector as it is written in files")
            if not self._is_guest:
                button("Save view", self._save, "small")
            if visitor().may("operator"):
                button("Add files", functools.partial(ask_for_files, self._desk), "small")
        self._problems = box("stack")
        self._chips = box("chips")
        self._first = box("stack")
        with box("explorer"):
            with box("facets", "aside") as self._side:
                attributes(self._side, aria_label="Filters")
            with box("stack"):
                bar = ChosenBar(self._desk, lambda: self.filters, self._show_anew)
                self._grid = ThumbnailGrid(
                    source_of(self.filters), "Nodes", lambda event: bar.choose(event.args)
                )
                attributes(self._grid, id="pictures")
                bar.grid, self._bar = self._grid, bar
        Look()

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
        # It may have been pressed as it stood a moment ago, and be elsewhere by now, or gone.
        for one in filtering.chips_of(self.filters.document):
            if one.label == chip.label:
                self.change(filtering.without(self.filters, one))
                return

    def _search_changed(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self._look_for(str(event.value or ""))

    def _search_entered(self) -> None:
        # A space ends the last word.
        self._look_for(f"{self._search.value or ''} ")

    def _look_for(self, asked: str) -> None:
        wanted = filtering.searched(self.filters, asked)
        if wanted.document != self.filters.document:
            self.change(wanted)

    def _fill(self) -> None:
        self._grid.toggle_filled()

    def _turn(self) -> None:
        self.change(self.filters._replace(oldest_first=not self.filters.oldest_first))

    # ---- Showing ---------------------------------------------------------------------------------

    def _show_anew(self) -> None:
        """Count anew what an act has changed."""
        self._desk.facets.forget()
        self._show()

    def _show(self) -> None:
        words = clean(filtering.words_of(self.filters.document))
        if words != str(self._search.value or "").strip():
            self._search.value = words
        take_out_of_sight(self._chips)
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
        if not self._is_guest:
            background_tasks.create(self._list_views(), name="views")

    async def _count_facets(self, asked: int) -> None:
        with self._client:
            self._count.text = "counting…"
            person = visitor()

        def count() -> Facets:
            guest = seen_by(self._desk.database(), person) if self._is_guest else None
            return self._desk.facets.count(self.filters, guest)

        try:
            found = await self._desk.work(count)
            said = f"{many(found.nodes, 'node')}, {size(found.size_bytes)}"
            if found.is_part:
                said = f"{found.nodes:,} nodes or more; counted are the newest"
            is_new = not (found.nodes or self._is_guest) and not await self._desk.work(
                self._holds_anything
            )
        except DrystoneError as error:
            found, said, is_new = None, f"not counted: {_shown(error)[0]}", False
        if asked != self._asked or self._client.is_deleted:
            return  # Somebody has filtered on meanwhile.
        with self._client:
            self._count.text = clean(said)
            self._bar.count(f"{found.nodes:,}" if found else "")
            self._show_first(is_new, bool(found and not found.nodes))
            take_out_of_sight(self._side)
            with self._side:
                text("Filters", "visually-hidden", "h2")
                for facet in FACETS:
                    self._show_facet(facet, getattr(found, facet) if found else ())
                if not self._is_guest:
                    self._show_hidden()

    def _holds_anything(self) -> bool:
        """Tell whether there is any node, hidden ones too; blocks."""
        shown = {"include_deleted": True, "include_blacklisted": True, "limit": 1}
        every = Filters({**filtering.empty_document(), **shown})
        return self._desk.database().aggregate(every.selector).count > 0

    def _show_first(self, is_new: bool, is_empty: bool) -> None:
        """Say what to do where there is nothing to see."""
        take_out_of_sight(self._first)
        with self._first:
            if is_new:
                show_first_steps(self._desk)
            elif is_empty and filtering.chips_of(self.filters.document):
                everything = Filters(filtering.empty_document(), self.filters.oldest_first)
                with box("row"):
                    text("Nothing fits these filters.", "hint")
                    button("Show everything", lambda: self.change(everything), "small primary")
            elif is_empty:
                text("Nothing is granted to you, or not any more.", "hint")

    def _show_facet(self, facet: str, values: tuple[Any, ...]) -> None:
        chosen = filtering.values_of(self.filters.document, facet)
        known = {one.value: one for one in values if (facet, one.value) != _NO_TYPE}
        shown = [*known.values(), *(FacetValue(one, 0) for one in chosen if one not in known)]
        if not shown:
            return
        # What is chosen is never among what has to be unfolded.
        shown.sort(key=lambda one: one.value not in chosen)
        with box("facet", "section"):
            text(_TITLES[facet], tag="h3")
            for one in shown[:VALUES_SHOWN]:
                self._show_value(facet, one, one.value in chosen)
            if len(shown) > VALUES_SHOWN:
                with box("more", "details"):
                    text(f"{len(shown) - VALUES_SHOWN} more", tag="summary")
                    for one in shown[VALUES_SHOWN:]:
                        self._show_value(facet, one, one.value in chosen)

    def _show_value(self, facet: str, one: FacetValue, is_on: bool) -> None:
        with box("facet-value on" if is_on else "facet-value", "button") as element:
            attributes(element, type="button", aria_pressed="true" if is_on else "false")
            attributes(element, title=one.value)
            text(one.title or filtering.short_name(facet, one.value), "facet-name")
            text(f"{one.nodes:,}", "facet-count")
        element.on("click", functools.partial(self._toggle, facet, one.value))

    def _show_hidden(self) -> None:
        """Lead to what selectors leave out."""
        with box("facet", "section"):
            text("Hidden", tag="h3")
            for flag, words in (("deleted", "Deleted"), ("blacklisted", "Black-listed")):
                hidden = filtering.hidden_by(flag)
                is_on = (self.filters.document.get("where") or {}).get(f"is_{flag}") is True
                wanted = Filters(filtering.empty_document() if is_on else hidden)
                with box("facet-value on" if is_on else "facet-value", "button") as element:
                    attributes(element, type="button", aria_pressed="true" if is_on else "false")
                    text(words, "facet-name")
                element.on("click", functools.partial(self.change, wanted))

    # ---- YAML and views --------------------------------------------------------------------------

    async def _edit(self) -> None:
        lines = ["The same document works in files and on the command line."]
        given = {"selector": filtering.yaml_of(self.filters.document)}
        asked = await ask("The selector as YAML", SelectorText, "Apply", lines=lines, given=given,
                          classes="wide")  # fmt: skip
        if asked is not None:
            self.change(self.filters._replace(document=filtering.document_of(asked.selector)))

    async def _save(self) -> None:
        new = await ask("Save these filters", NewView, "Save")
        if new is None:
            return
        address, user_id = self.filters.address, visitor().user_id

        def save() -> int:
            users = self._desk.database().users
            return users.save_view(user_id, EXPLORER, new.name, address, is_shared=new.is_shared)

        number = await act(self._desk, "viewer", f"{new.name} is saved", save)
        if number is not None:
            ui.navigate.history.push(address_of(number))
            await self._list_views()

    async def _list_views(self) -> None:
        with self._client:
            user_id = visitor().user_id

        def views() -> list[SavedView]:
            return self._desk.database().users.views(user_id, EXPLORER)

        try:
            found = await self._desk.work(views)
        except DrystoneError:
            return
        if self._client.is_deleted:
            return
        with self._client:
            take_out_of_sight(self._views)
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
                    ui.navigate.to(address_of(event.value))
                ))  # fmt: skip
                choice.props("outlined dense options-dense").style("min-width: 150px")
                is_admin = visitor().role == "admin"
                own = {one.saved_view_id: options[one.saved_view_id] for one in found
                       if is_admin or one.user_id == user_id}  # fmt: skip
                if own:
                    button("Remove view", functools.partial(self._remove, own), "small quiet")

    async def _remove(self, own: dict[int, str]) -> None:
        chosen: list[Any] = []

        def build() -> None:
            chosen.append(ui.select(own, label="View").props("outlined dense"))

        def agreed() -> int | None:
            return chosen[0].value

        answers = (("Cancel", False, ""), ("Remove", agreed, "danger"))
        number = await dialog("Remove a saved view", build, answers)
        if number:
            asked = {"saved_view_id": number}
            await operate(self._desk, "view.remove", asked, f"{own[number]} is removed")
            await self._list_views()


def _shown(error: Exception) -> list[str]:
    return filtering.problems_of(error)
