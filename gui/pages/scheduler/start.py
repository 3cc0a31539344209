"""Starting a workflow: it owns the page with its form, the dry run, and only then the start.

What is started is exactly what the dry run was of: whatever changes in the form takes it back.
"""

from __future__ import annotations

import json
import os
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Path, Request
from nicegui import ui

from base.errors import DrystoneError
from gui.core.filters import document_of
from gui.pages.runs.acts import start
from gui.pages.scheduler.dialogs import ask_for_schedule
from gui.pages.scheduler.dry_run import is_impossible, show_dry_run
from gui.pages.scheduler.forms_sources import Form, form_of, parameters_of
from gui.reading.desk import Desk
from gui.widgets.acts import act, tell
from gui.widgets.blocks import box, button, card, link, notice, pairs, text
from gui.widgets.forms import FormView
from gui.widgets.frame import Page, visitor_of
from gui.widgets.view import View

Workflow = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,60}$")]


def read_form(desk: Desk, workflow: Workflow, request: Request) -> Form:
    """Return the form, filled from a run that is cloned, or from the address; blocks."""
    from jobs import load_jobs_config

    query = dict(request.query_params)
    desk.control()  # It makes workflows of one's own known.
    load_jobs_config(desk.config.config_path)
    given: dict[str, Any] = {
        name: value for name, value in query.items() if name in ("action", "folder", "batch")
    }
    number = query.get("run", "")
    if _is_id(number):
        run = desk.database().runs.run(int(number))
        if run.workflow == workflow:
            given = {**run.parameters, **given}
    if _is_id(query.get("action_batch_id", "")):
        given["action_batch_id"] = int(query["action_batch_id"])
        given.pop("selector", None)
    if query.get("pipeline") and given.get("action_batch_id"):
        given |= _of_stage(desk, query["pipeline"], given["action_batch_id"])
    if query.get("selector") and "action_batch_id" not in given:
        given["selector"] = document_of(query["selector"])
    return form_of(desk, workflow, given, visitor_of(request).user_id)


def build(view: View) -> None:
    """Build the page."""
    StartPage(view.desk, view.reading)


PAGE = Page(
    "Start", "/scheduler/start/{workflow}", "operator", read=read_form, build=build, slowness=0,
    title=lambda form: form.title, lead=lambda form: form.description,
)  # fmt: skip


def _is_id(number: str) -> bool:
    return number.isascii() and number.isdecimal() and 0 < int(number[:19]) < 2**63


def _of_stage(desk: Desk, pipeline: str, action_batch_id: int) -> dict[str, Any]:
    """Return what a batch comes to next in a pipeline, which the run puts it into."""
    from adapters.actions import next_stage

    stages = next_stage(desk.database(), action_batch_id, pipeline)
    if not stages:
        return {}
    # Its gates need not be said: they are asked for however the action is started.
    first = stages[0]
    return {"action": first.action, "parameters": first.parameters, "enrol": pipeline}


class StartPage:
    """The form, and what became of its dry run."""

    def __init__(self, desk: Desk, form: Form) -> None:
        self._desk, self._form = desk, form
        self._parameters: dict[str, Any] | None = None
        self._asked: object = None
        self._folder: str | None = form.values.get("folder")
        with box("grid start"):
            with card("What exactly"):
                if form.facts:
                    pairs(form.facts)
                self._view = FormView(form.fields, form.values, self._changed)
                with box("row"):
                    if not self._is_first_step():
                        button("Dry run", self._dry_run, "primary")
                    link("Back", "/scheduler", "button")
            self._result = box("stack wide")
        self._show_nothing()

    def _is_first_step(self) -> bool:
        """Tell whether the action has to be chosen before there is a form for it."""
        return self._form.workflow == "ua_2" and "action" not in self._form.fixed

    def _changed(self) -> None:
        given = self._view.given()
        if self._is_first_step():
            if given.get("action"):
                told = {"action": given["action"]}
                if selector := self._form.fixed.get("selector"):
                    told["selector"] = json.dumps(selector, separators=(",", ":"))
                ui.navigate.to(f"/scheduler/start/ua_2?{urlencode(told)}")
            return
        if self._form.workflow == "ua_1":
            self._folder_chosen(given)
        if self._asked is not None:
            # An answer that is still to come is of another form, too.
            self._asked = self._parameters = None
            self._show_nothing()

    def _folder_chosen(self, given: dict[str, Any]) -> None:
        """Write what the folder's signal says, once, where another folder was chosen."""
        former, self._folder = self._folder, given.get("folder")
        if self._folder in (None, former):
            return
        said = self._form.signals.get(self._folder)
        if said is None:
            said = {} if given.get("batch") else {"batch": os.path.basename(self._folder)}
        for name, value in said.items():
            self._view.fill(name, value)

    def _show_nothing(self) -> None:
        self._result.clear()
        with self._result, card("Before it starts"):
            said = (
                "Press Dry run: it tells what would happen and what it costs, and starts nothing."
            )
            if self._is_first_step():
                said = "Choose an action; its own form comes then."
            text(said, "hint", "p")

    async def _dry_run(self) -> None:
        asked = self._asked = object()
        self._parameters = None
        self._result.clear()
        with self._result, card("Dry run"):
            text("Counting…", "hint", "p")
        answer = None
        try:
            answer = await act(self._desk, "operator", "", self._try, self._view.given())
        finally:
            if asked is self._asked:
                self._show_answer(answer)

    def _show_answer(self, answer: tuple[str, dict[str, Any], dict[str, Any]] | None) -> None:
        if not answer:
            self._show_nothing()
            return
        self._result.clear()
        refused, parameters, report = answer
        with self._result:
            if refused:
                with card("Dry run"):
                    for line in refused.splitlines():
                        if line.strip():
                            notice(line.strip(), "bad")
                return
            self._parameters = parameters
            show_dry_run(report)
            self._show_buttons(is_impossible(report))

    def _try(self, given: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return why the request is refused, or its parameters and the report; blocks."""
        from jobs import dry_run_request

        try:
            parameters = parameters_of(self._desk, self._form, given)
            report = dry_run_request(self._desk.config.config_path, self._form.workflow, parameters)
        except DrystoneError as error:
            return str(error), {}, {}
        return "", parameters, report

    def _show_buttons(self, impossible: str) -> None:
        with card("Start"):
            if impossible:
                notice("It cannot be started: it would never fit.", "bad", impossible)
                return
            text("Exactly this is started.", "hint", "p")
            with box("row"):
                button("Start", self._start, "primary")
                button("Schedule it", self._schedule)

    async def _start(self) -> None:
        parameters, workflow = self._parameters, self._form.workflow
        if parameters is None:
            tell("The form was changed; do the dry run again.", bad=True)
            return
        await start(self._desk, workflow, parameters)

    async def _schedule(self) -> None:
        if self._parameters is not None:
            await ask_for_schedule(self._desk, self._form.workflow, self._parameters)
