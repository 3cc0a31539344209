"""A new dataset: it owns the definition being written, its preview, and starting the build.

A definition is text of a person: it is read and explained here, and built by a run.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import yaml
from fastapi import Query, Request
from nicegui import background_tasks, events, ui

from base.errors import DrystoneError, UsageError
from gui.core.filters import ADDRESS_LENGTH_MAX, document_of, yaml_of
from gui.pages.datasets.form import (
    Offer,
    fields_of_form,
    offered,
    read_text,
    split_rows,
    text_of,
    values_of_form,
    written,
)
from gui.pages.datasets.reading import definition_yaml, in_split_order, one_version
from gui.pages.datasets.view import media_type_of, show_report, show_tiles
from gui.pages.runs.acts import start
from gui.reading.desk import Desk
from gui.widgets.acts import act, tell
from gui.widgets.blocks import attributes, box, button, card, clean, metric, notice, size, text
from gui.widgets.forms import FormView
from gui.widgets.frame import Page, visitor_of
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from sql import read_selector

if TYPE_CHECKING:
    from datasets import Preview

LENGTH_MAX = 200_000
PATHS_SHOWN = 12
PREVIEWS_MAX = 2
"""So many at once for all visitors: each may have the database count millions of rows."""
TELL_INTERVAL_S = 0.3
EXAMPLE = """version: 1
name: my-dataset
selector:
  version: 1
  where: {media_type: image}
labels:
  from: {metadata: {field: source}}
  unlabelled: drop
splits:
  fractions: {train: 0.8, val: 0.1, test: 0.1}
  seed: 1
  missing_class: allow
layout: imagefolder
mode: view
"""
_READ_FILE = f"""async (event) => {{
  const file = event.target.files[0];
  const text = file && file.size <= {LENGTH_MAX} ? await file.text() : null;
  event.target.value = "";
  emit(text);
}}"""
# Held for a preview; who does not get it at once is told so.
_previews = threading.BoundedSemaphore(PREVIEWS_MAX)


From = Annotated[str, Query(alias="from", max_length=200)]
Wanted = Annotated[str, Query(max_length=ADDRESS_LENGTH_MAX)]


class Begun(NamedTuple):
    """What a page begins with: a definition, and what can be chosen in the form."""

    text: str
    offer: Offer


def read_given(desk: Desk, request: Request, begun: From = "", selector: Wanted = "") -> Begun:
    """Return what a page begins with; blocks."""
    offer = offered(desk, visitor_of(request).user_id)
    return Begun(_text_given(desk, begun, selector), offer)


def _text_given(desk: Desk, begun: str, selector: str) -> str:
    """Return the definition that is begun with: that of a version, or an example; blocks.

    With a selector it is an example of these nodes.
    """
    if begun:
        return definition_yaml(one_version(desk.database(), begun).version)
    if not selector:
        return EXAMPLE
    example = yaml.safe_load(EXAMPLE) | {"selector": document_of(selector)}
    return yaml_of(example)


def build(view: View) -> None:
    """Build the page."""
    NewDataset(view.desk, view.reading)


PAGE = Page(
    "New dataset", "/datasets/new", "operator", read=read_given, build=build, slowness=0,
    lead="Say what it is to contain; nothing is kept before a build.",
)  # fmt: skip


class NewDataset:
    """One open page: form and text, which say the same, and what was found out about it."""

    def __init__(self, desk: Desk, begun: Begun) -> None:
        self._desk, self._offer = desk, begun.offer
        self._is_reading = False
        self._refused: tuple[str, str] | None = None
        """The text that a preview refused last, and why."""
        self._counted: object = None
        self._client = ui.context.client
        self._stop = threading.Event()
        self._phase = ""
        self._client.on_delete(self._stop.set)
        with card("What it is to be", "writes the definition below, and reads it"):
            document = read_text(begun.text) or {}
            values = values_of_form(document, self._offer)
            self._form = FormView(fields_of_form(self._offer), values, self._chosen)
            self._splits = box("stack")
        with card("Definition"):
            self._area = ui.textarea(
                "Definition as YAML", value=clean(begun.text), on_change=self._typed
            )
            self._area.props(
                f"outlined autogrow maxlength={LENGTH_MAX} input-style=font-family:monospace"
                " debounce=400"
            )
            with box("definition-file", "label"):
                text(f"or a file of at most {LENGTH_MAX:,} bytes", "hint")
                chosen = attributes(box(tag="input"), type="file", accept=".yaml,.yml,.json")
                chosen.on("change", self._taken, js_handler=_READ_FILE)
            with box("row"):
                button("Check", self.check)
                self._look = button("Preview", self.preview, "primary")
                button("Build", lambda: self.build(None))
                button("Build and export as view", lambda: self.build("view"))
                button("Build and export as copy", lambda: self.build("copy"))
        self._result = box("stack wide")
        self._count(document)

    # ---- Form and text ---------------------------------------------------------------------------

    def _chosen(self) -> None:
        """Write what was chosen into the definition."""
        document = read_text(str(self._area.value or ""))
        if self._is_reading:
            return
        if document is None:
            tell("The definition below cannot be read: mend it first, or clear it.", bad=True)
            return
        new = written(document, self._form.given(), self._offer)
        if new != document:
            self._area.value = clean(text_of(new))

    def _typed(self) -> None:
        """Show in the form what the definition says."""
        document = read_text(str(self._area.value or "")) or None
        if document is None:
            return
        self._is_reading = True
        try:
            self._form.show(values_of_form(document, self._offer))
        finally:
            self._is_reading = False
        self._count(document)

    def _count(self, document: dict[str, Any]) -> None:
        asked = self._counted = object()
        background_tasks.create(self._show_splits(document, asked), name="splits")

    async def _show_splits(self, document: dict[str, Any], asked: object) -> None:
        """Show about how large the splits are; what is left out and leaks a preview tells."""
        try:
            selector = read_selector(document.get("selector"))
            found = await self._desk.work(self._desk.database().aggregate, selector)
        except DrystoneError:
            found = None
        if asked is not self._counted or self._client.is_deleted:
            return
        with self._client:
            self._splits.clear()
            if found is None:
                return
            with self._splits:
                cols = (
                    Col("Split", lambda row: row[0]),
                    Col(">Share", lambda row: row[1]),
                    Col(">Files, about", lambda row: f"{row[2]:,}"),
                )
                text(f"The selector finds {found.count:,} files, {size(found.size_bytes)}.", "hint")
                table(split_rows(document, found.count), cols, "Splits, about")

    def _taken(self, event: events.GenericEventArguments) -> None:
        """Put the text of a chosen file into the field; the browser has read it."""
        given = event.args
        if isinstance(given, str) and len(given) <= LENGTH_MAX:
            self._area.value = clean(given)
        else:
            tell(f"A definition has at most {LENGTH_MAX:,} bytes here.", bad=True)

    # ---- Checking --------------------------------------------------------------------------------

    def _text(self) -> str:
        given = str(self._area.value or "")
        if len(given) > LENGTH_MAX:
            raise UsageError(f"a definition has at most {LENGTH_MAX:,} characters here")
        return given

    async def _checked(self) -> Any:
        """Return the definition; None when its mistakes are shown instead."""
        from datasets import DefinitionError, read_definition

        self._result.clear()
        try:
            return await self._desk.work(read_definition, self._text())
        except DefinitionError as error:
            with self._result, card("This definition cannot be used", "nothing was done"):
                for problem in error.problems[:50]:
                    notice(problem, "bad")
        except UsageError as error:
            with self._result:
                notice(str(error), "bad")
        return None

    async def check(self) -> None:
        """Say whether the definition can be read."""
        found = await self._checked()
        if found is not None:
            with self._result:
                notice(f"The definition of {found.name} is sound.", "good")

    # ---- Preview ---------------------------------------------------------------------------------

    async def preview(self) -> None:
        """Count what it would be; another press stops that."""
        if self._phase:
            self._stop.set()
            return
        definition = await self._checked()
        if definition is None:
            return
        self._stop.clear()
        self._phase = "asking the database"
        with self._result:
            said = text("", "hint", "p")
            button("Stop", self._stop.set, "small")
            timer = ui.timer(TELL_INTERVAL_S, lambda: said.set_text(f"{self._phase} …"))
        try:
            found = await act(self._desk, "operator", "", self._previewed, definition)
        finally:
            self._phase = ""
            timer.cancel()
        if self._client.is_deleted:
            return
        self._result.clear()
        if found:
            with self._result:
                show_preview(found)

    def _previewed(self, definition: Any) -> Preview:
        from datasets import RefusedError, preview

        asked, self._refused = self._text(), None
        if not _previews.acquire(blocking=False):
            raise UsageError("two previews are being made already; try again in a moment")
        try:
            return preview(
                self._desk.config.config_path,
                definition,
                self._progress,
                self._stop.is_set,
                database=self._desk.database(),
            )
        except RefusedError as error:
            self._refused = (asked, str(error))
            raise
        finally:
            _previews.release()

    def _progress(self, phase: str, done: int) -> None:
        self._phase = f"{phase}, {done:,}" if done else phase

    # ---- Build -----------------------------------------------------------------------------------

    async def build(self, mode: str | None) -> None:
        """Start the run that builds it, and go to its page."""
        definition = await self._checked()
        if definition is None:
            return
        if self._refused is not None and self._refused[0] == self._text():
            tell(f"The preview said why this cannot be built: {self._refused[1]}", bad=True)
            return
        parameters = {"definition": self._text(), "export": mode is not None, "mode": mode}
        await start(self._desk, "ua_3", parameters)


def show_preview(found: Preview) -> None:
    """Show what a dataset would be."""
    room, report = found.room, in_split_order(found.report)
    with card(f"What {found.name} would be", f"{found.layout_id}, {found.mode}"):
        with box("metrics"):
            metric("Files", f"{report.files:,}", size(report.size_bytes))
            metric("Classes", f"{len(found.classes):,}")
            words = "measured on former exports" if found.eta_measured else "a guess: none yet"
            metric("A copy takes", f"{max(1, round(found.eta_s)):,} s", words)
            fits = "fits" if room.fits else "does not fit"
            metric("Room for a copy", fits, f"{size(room.needed_bytes)} needed",
                   "good" if room.fits else "bad")  # fmt: skip
        text("A view needs no room and is there at once.", "hint", "p")
    show_report(report)
    if found.samples:
        with card("Samples", "as they would be"):
            show_tiles(
                (one.key, media_type_of(one.extension), one.extension,
                 f"{one.split}: {', '.join(one.labels)}" if one.labels else one.split, "")
                for one in found.samples
            )  # fmt: skip
    if found.paths:
        more = len(found.paths) - PATHS_SHOWN
        with card("Paths of the samples", f"and {more} more" if more > 0 else ""):
            text("\n".join(found.paths[:PATHS_SHOWN]), "written mono", "pre")
