"""A new dataset: it owns the definition being written, its preview, and starting the build.

A definition is text of a person: it is read and explained here, and built by a run.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from base.errors import UsageError
from gui.pages.datasets.reading import definition_yaml, one_version
from gui.pages.datasets.view import add_dataset_style, media_type_of, show_report, show_tiles
from gui.pages.runs.desk import work_page
from gui.reading.desk import Desk
from gui.widgets.blocks import attributes, box, button, card, clean, metric, notice, size, text
from gui.widgets.frame import act, frame, tell, visitor

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


def register(desk: Desk) -> None:
    """Add the page."""

    @work_page(desk, "/datasets/new", "operator")
    async def new() -> None:
        request = ui.context.client.request
        begun = request.query_params.get("from", "") if request else ""
        given = EXAMPLE
        if begun:
            found = await desk.work(lambda: one_version(desk.database(), begun[:200]))
            given = definition_yaml(found.version)
        add_dataset_style()
        lead = "Say what it is to contain; nothing is kept before a build."
        with frame(desk, "New dataset", lead):
            NewDataset(desk, given)


class NewDataset:
    """One open page: the text, and what was found out about it."""

    def __init__(self, desk: Desk, given: str) -> None:
        self._desk = desk
        self._client = ui.context.client
        self._stop = threading.Event()
        self._phase = ""
        self._client.on_delete(self._stop.set)
        with card("Definition"):
            self._area = ui.textarea("Definition as YAML", value=clean(given))
            self._area.props(
                f"outlined autogrow maxlength={LENGTH_MAX} input-style=font-family:monospace"
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
        from datasets import preview

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
        person = visitor()
        wanted = {"definition": self._text(), "export": mode is not None, "mode": mode}

        def start() -> int:
            return self._desk.control().start("ua_3", wanted, requested_by=person.name)[0].run_id

        run_id = await act(self._desk, "operator", "", start)
        if run_id:
            ui.navigate.to(f"/runs/{run_id}")


def show_preview(found: Preview) -> None:
    """Show what a dataset would be."""
    room, report = found.room, found.report
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
                (one.key, media_type_of(one.extension),
                 f"{one.split}: {', '.join(one.labels)}" if one.labels else one.split, "")
                for one in found.samples
            )  # fmt: skip
    if found.paths:
        more = len(found.paths) - PATHS_SHOWN
        with card("Paths of the samples", f"and {more} more" if more > 0 else ""):
            text("\n".join(found.paths[:PATHS_SHOWN]), "written mono", "pre")
