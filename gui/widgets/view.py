"""A page in one browser: how it is opened, what it shows of its reading, and what goes wrong."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from nicegui import Client, app, ui
from starlette.exceptions import HTTPException

from base.errors import DrystoneError
from base.operations.operation import GUEST
from base.operations.problem import status_of
from gui.access.roles import require
from gui.reading.desk import Desk
from gui.reading.followed import READING
from gui.reading.poller import Poller
from gui.widgets.blocks import empty, link
from gui.widgets.frame import HOME_OF_GUESTS, HOME_OF_LABELLERS, Page, frame, visitor
from gui.widgets.live import live
from sql import NotFoundError, Role

Model = TypeVar("Model")

RESPONSE_TIMEOUT_S = 60.0
"""So long NiceGUI keeps a page that no browser has joined; by itself it waits for three seconds."""
_PROBLEMS = {
    400: ("Not possible", "The address asks for something that cannot be."),
    403: ("Not for your role", "This page needs something else."),
    404: ("Not here", "What this page is about does not exist, or not any more."),
}
"""Title and lead of a page that shows a problem, by its status."""


class View:
    """An open page, as it is given to the functions that build it."""

    def __init__(self, desk: Desk, poller: Poller | None = None, once: Any = None) -> None:
        self.desk = desk
        self.poller = poller
        self._once = once

    @property
    def reading(self) -> Any:
        """The newest reading of the page."""
        return self._once if self.poller is None else self.poller.value(READING)

    def may(self, role: Role) -> bool:
        """Tell whether whoever looks has at least a role."""
        return visitor().may(role)

    def live(
        self,
        show: Callable[[Any], object],
        pick: Callable[[Any], object] = lambda reading: reading,
        classes: str = "",
    ) -> None:
        """Show a part of the reading, and show it anew whenever that part has changed.

        A page without a reading of its own picks from the readings of all parts, with a function
        of a module: that is computed once for all browsers.
        """
        poller = self.poller
        if poller is None:
            live(self.desk.poller, pick, show, classes)
        else:
            live(poller, lambda one: pick(one.value(READING)), show, classes)


async def follow(desk: Desk, name: str, read: Callable[[], Any], slowness: float = 1.0) -> Poller:
    """Return a poller of a reading for the current page, until the browser leaves."""
    client = ui.context.client
    poller = await desk.followed.join(name, read, client, slowness)
    client.on_delete(lambda: desk.followed.leave(name, client))
    return poller


def add_page(desk: Desk, page: Page) -> None:
    """Make a page known to NiceGUI; what goes wrong in it is said on it."""

    async def opened(**address: Any) -> RedirectResponse | None:
        try:
            person = visitor()
            if page.path == "/" and not person.may("viewer"):
                is_guest = person.role == GUEST
                return RedirectResponse(HOME_OF_GUESTS if is_guest else HOME_OF_LABELLERS, 303)
            if page.role is not None:
                require(person, page.role)
            await _build(desk, page, address)
        except Exception as error:
            if not isinstance(error, DrystoneError):
                raise
            show_problem(desk, error)
        return None

    # What the address says are the parameters of whoever gets it, but the first.
    told = inspect.signature(page.read or page.build, eval_str=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    wanted = [one.replace(kind=kind) for one in tuple(told.parameters.values())[1:]]
    opened.__signature__ = inspect.Signature(wanted)  # pyright: ignore[reportFunctionMemberAccess]
    ui.page(page.path, response_timeout=RESPONSE_TIMEOUT_S)(opened)


async def _build(desk: Desk, page: Page, address: dict[str, Any]) -> None:
    view = View(desk)
    if page.read is not None:
        read = functools.partial(page.read, desk, **address)
        if page.slowness:
            name = f"{page.path} {address}"
            view = View(desk, await follow(desk, name, read, page.slowness))
        else:
            view = View(desk, None, await desk.work(read))
        known = inspect.signature(page.build).parameters
        address = {name: value for name, value in address.items() if name in known}
    title = page.name if page.title is None else page.title(view.reading)
    lead = page.lead if isinstance(page.lead, str) else page.lead(view.reading)
    with frame(desk, title, lead):
        result = page.build(view, **address)
        if inspect.isawaitable(result):
            await result


def show_problem(desk: Desk, error: Exception) -> None:
    """Show what a person can do about an error of ours, in place of the page."""
    status = status_of(error)
    title, lead = _PROBLEMS.get(status, ("Not possible now", "This page needs something else."))
    client = ui.context.client
    client.content.clear()
    client.status_code = status if status in _PROBLEMS else 503
    with client.content, frame(desk, title):
        empty(lead, str(error))
        link("Back to the overview", "/")


def add_not_found(desk: Desk) -> None:
    """Answer addresses of no page, and of pages that nothing can be at, with a page of ours."""

    async def not_found(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and request.url.path.startswith("/_nicegui"):
            return await http_exception_handler(request, error)
        with Client(ui.page(""), request=request) as client:
            show_problem(desk, NotFoundError(f"there is no page at {request.url.path!a}"))
        return client.build_response(request, 404)

    app.add_exception_handler(404, not_found)
    app.add_exception_handler(RequestValidationError, not_found)
