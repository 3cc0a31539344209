"""The frame around every page: it owns head, navigation, banners and the ways to act.

Pages stay functions: each opens `frame` and builds its content inside.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, NamedTuple, ParamSpec, TypeVar

from fastapi.responses import RedirectResponse
from nicegui import ui

from base.errors import DrystoneError
from base.operations.routes import status_of
from gui.access.guard import VISITOR_KEY
from gui.access.roles import Visitor, require
from gui.reading.desk import Desk
from gui.reading.poller import Poller
from gui.widgets.blocks import attributes, box, button, clean, empty, link, text
from gui.widgets.live import live
from sql import Role

P = ParamSpec("P")
Build = TypeVar("Build", bound=Callable[..., Any])


class Place(NamedTuple):
    """One entry of the navigation; `key` follows `g` on the keyboard."""

    title: str
    path: str
    key: str
    role: Role = "viewer"
    group: str = ""
    query: str = ""
    """What a click on it begins with, such as a filter."""


PLACES: list[Place] = []
"""In the order of the navigation; pages add themselves when they are registered."""

HOME_OF_LABELLERS = "/labelling"
THEME_COOKIE = "drystone_theme"
RESPONSE_TIMEOUT_S = 60.0
"""So long NiceGUI keeps a page that no browser has joined; by itself it waits for three seconds."""
_PROBLEMS = {
    400: ("Not possible", "The address asks for something that cannot be."),
    403: ("Not for your role", "This page needs something else."),
    404: ("Not here", "What this page is about does not exist, or not any more."),
}
"""Title and lead of a page that shows a problem, by its status."""
_THEMES = {"dark": True, "light": False}


def add_place(place: Place) -> None:
    """Put a page into the navigation, once."""
    if all(place.path != known.path for known in PLACES):
        PLACES.append(place)


def visitor() -> Visitor:
    """Return who looks at the current page, as the guard found out."""
    request = ui.context.client.request
    assert request is not None
    return request.scope[VISITOR_KEY]


def page(desk: Desk, path: str, role: Role | None = "viewer") -> Callable[[Build], Build]:
    """Register a page that only visitors of a role get; what goes wrong in it is said on it.

    None is for everybody who is logged in.
    """

    def register(build: Build) -> Build:
        @functools.wraps(build)
        async def built(*args: Any, **kwargs: Any) -> RedirectResponse | None:
            try:
                person = visitor()
                if path == "/" and not person.may("viewer"):
                    return RedirectResponse(HOME_OF_LABELLERS, 303)
                if role is not None:
                    require(person, role)
                result = build(*args, **kwargs)
                if inspect.isawaitable(result):
                    await result
            except Exception as error:
                if not isinstance(error, DrystoneError):
                    raise
                _show_problem(desk, error)
            return None

        ui.page(path, response_timeout=RESPONSE_TIMEOUT_S)(built)
        return build

    return register


def _show_problem(desk: Desk, error: Exception) -> None:
    """Show what a person can do about an error of ours, in place of the page."""
    status = status_of(error)
    title, lead = _PROBLEMS.get(status, ("Not possible now", "This page needs something else."))
    client = ui.context.client
    client.content.clear()
    client.status_code = status if status in _PROBLEMS else 503
    with client.content, frame(desk, title):
        empty(lead, str(error))
        link("Back to the overview", "/")


@contextmanager
def frame(desk: Desk, title: str, lead: str = "") -> Generator[ui.element]:
    """Build the frame of a page around what is made inside."""
    person = visitor()
    client = ui.context.client
    client.title = f"{title} · Drystone"
    request = client.request
    theme = request.cookies.get(THEME_COOKIE, "") if request else ""
    ui.dark_mode(_THEMES.get(theme))
    attributes(text("Skip to the content", "skip-link", "a"), href="#content")
    with box("shell"):
        _navigation(person)
        with box("page"):
            live(desk.poller, _outages, _show_outages, "banners")
            with attributes(box("content", "main"), id="content", tabindex="-1") as content:
                with box("page-head"):
                    text(title, tag="h1")
                    if lead:
                        text(lead, "lead", "p")
                yield content
    _keep_watch(desk, person)


def _navigation(person: Visitor) -> None:
    here = ui.context.client.page.path
    with box("side", "header"):
        with attributes(box("brand", "a"), href="/"):
            box("brand-mark")
            text("Drystone", "brand-name")
        toggle = attributes(
            text("Menu", "button small menu-button", "button"),
            type="button",
            aria_expanded="false",
            aria_controls="navigation",
            data_menu="navigation",
        )
        toggle.update()
        with attributes(box("nav", "nav"), id="navigation", aria_label="Pages"):
            group = ""
            for place in PLACES:
                if not person.may(place.role):
                    continue
                if place.group != group:
                    group = place.group
                    text(group, "nav-group", "p")
                entry = link(place.title, place.path + place.query, "nav-link")
                attributes(entry, data_key=place.key, title=f"{place.title} (g {place.key})")
                if place.path == here or (place.path != "/" and here.startswith(place.path)):
                    entry.classes("here")
                    attributes(entry, aria_current="page")
        _person_menu(person)


def _person_menu(person: Visitor) -> None:
    with box("person"):
        with attributes(box("person-name", "a"), href="/account"):
            text(person.name, "person-who")
            text(person.role, "person-role")
        theme = text("Theme", "button small quiet", "button")
        attributes(theme, type="button", data_theme_button=True, title="Dark or light (t)")
        with attributes(box(tag="form"), action="/logout", method="post"):
            attributes(text("Log out", "button small quiet", "button"), type="submit")


# ---- What does not answer ------------------------------------------------------------------------


def _outages(poller: Poller) -> tuple[tuple[str, str, str, str], ...]:
    return tuple(
        (
            one.title,
            one.down_since.astimezone().strftime("%H:%M:%S") if one.down_since else "",
            one.reason.splitlines()[0][:300] if one.reason else "",
            one.advice,
        )
        for one in poller.down()
    )


def _show_outages(outages: tuple[tuple[str, str, str, str], ...]) -> None:
    for title, since, reason, advice in outages:
        with attributes(box("banner bad"), role="alert"):
            text(f"{title} does not answer since {since}.", "banner-title")
            text(reason, "banner-reason")
            text(advice, "banner-advice")


# ---- Acting --------------------------------------------------------------------------------------


async def act(
    desk: Desk,
    role: Role | None,
    done: str | Callable[[Any], str],
    function: Callable[P, Any],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Any:
    """Do what a person asked for, if the person may, and say how it went; None when it failed.

    The person's role is asked for anew: a page may have been open for days. None is for everybody
    who is logged in. `done` may be made of the result; all that is shown is read anew after
    that, and nobody waits for it: it takes its time on a busy machine, and a part may hang.
    """
    try:
        person = await desk.work(desk.sessions.still, visitor())
        if person is None:
            ui.navigate.to("/login")
            return None
        if role is not None:
            require(person, role)
        result = await desk.work(function, *args, **kwargs)
    except Exception as error:
        if not isinstance(error, DrystoneError):
            tell(
                "This went wrong in a way that nobody thought of; see gui.log in the run folder",
                bad=True,
            )
            raise
        tell(str(error), bad=True)
        return None
    if said := done(result) if callable(done) else done:
        tell(said)
    desk.poller.hurry()
    return result if result is not None else True


def tell(message: str, *, bad: bool = False) -> None:
    """Show a short message; one about a failure stays until it is closed."""
    ui.notify(
        clean(message),
        type="negative" if bad else "positive",
        timeout=0 if bad else 4_000,
        close_button="Close" if bad else False,
        multi_line=True,
        position="bottom",
    )


async def confirm(title: str, lines: list[str], label: str, *, word: str = "") -> bool:
    """Ask before something that cannot be undone; `word` must then be typed."""
    with ui.dialog() as dialog, box("dialog"):
        text(title, tag="h2")
        for line in lines:
            text(line, tag="p")
        typed = ui.input(f"Type {word} to go on").props("outlined dense") if word else None

        def agree() -> None:
            if typed is None or typed.value == word:
                dialog.submit(True)
            else:
                tell(f"Type {word} to go on.", bad=True)

        with box("dialog-buttons"):
            button("Cancel", lambda: dialog.submit(False))
            button(label, agree, "danger")
    answer = await dialog
    dialog.delete()
    return bool(answer)


# ---- Sessions that end ---------------------------------------------------------------------------

CHECK_INTERVAL_S = 30.0


def _keep_watch(desk: Desk, person: Visitor) -> None:
    """Send a page away whose session has ended elsewhere."""
    client = ui.context.client

    async def check() -> None:
        if await desk.work(desk.sessions.still, person) is None and not client.is_deleted:
            with client:
                ui.navigate.to("/login")

    ui.timer(CHECK_INTERVAL_S, check, immediate=False)
