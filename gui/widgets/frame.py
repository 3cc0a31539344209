"""The frame around every page: it owns head, navigation and banners."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Any

from fastapi import Request
from nicegui import ui

from base.operations.operation import GUEST
from gui.access.guard import VISITOR_KEY
from gui.access.roles import Visitor
from gui.reading.desk import Desk
from gui.reading.poller import Poller
from gui.widgets.blocks import attributes, box, link, pairs, text
from gui.widgets.live import live
from sql import Role


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its name, its address, who may see it, and the group of the navigation it is in.

    `build` makes what is inside the frame. `read` returns, in a thread, what the page shows; it
    gets the desk and what the address says, by the names of its parameters; `build` gets the view,
    and what the address says of its parameters.
    """

    name: str
    path: str
    role: Role | None = "viewer"
    """None is for everybody who is logged in."""
    group: str = ""
    _: KW_ONLY
    build: Callable[..., Any]
    read: Callable[..., Any] | None = None
    slowness: float = 1.0
    """The reading is followed, so many times less often than others; 0 reads once."""
    title: Callable[[Any], str] | None = None
    """Makes the heading of the reading; it is the name otherwise."""
    lead: str | Callable[[Any], str] = ""
    key: str = ""
    """Follows `g` on the keyboard. Pages without a key are not in the navigation."""
    place: int = 0
    """In its group of the navigation."""
    query: str = ""
    """What a click in the navigation begins with, such as a filter."""


GROUPS = ("", "Work", "Data", "Store", "Settings")
NAVIGATION: list[Page] = []
"""The pages of the navigation, in its order."""

HOME_OF_LABELLERS = "/labelling"
HOME_OF_GUESTS = "/explorer"
THEME_COOKIE = "drystone_theme"
_THEMES = {"dark": True, "light": False}


def navigate_to(pages: list[Page]) -> None:
    """Make a navigation of the pages that have a key; groups that no other page has come last."""
    order = {group: number for number, group in enumerate(GROUPS)}
    listed = [page for page in pages if page.key]
    listed.sort(key=lambda page: (order.get(page.group, len(order)), page.group, page.place))
    NAVIGATION[:] = listed


def visitor() -> Visitor:
    """Return who looks at the current page, as the guard found out."""
    request = ui.context.client.request
    assert request is not None
    return visitor_of(request)


def visitor_of(request: Request) -> Visitor:
    """Return who sent a request."""
    return request.scope[VISITOR_KEY]


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
            live(desk.poller, _outages, _banners_for(person), "banners")
            # The landmark is around it already: NiceGUI's page is a `main`.
            with attributes(box("content"), id="content", tabindex="-1") as content:
                with box("page-head"):
                    text(title, tag="h1")
                    if lead:
                        text(lead, "lead", "p")
                yield content
    _keys()
    _keep_watch(desk, person)


KEYS = (
    ("g, then a letter", "go to a page; ? lists the letters"),
    ("/", "search"),
    ("t", "dark or light"),
    ("arrows", "move in the grid of the explorer; Enter opens, space chooses"),
    ("arrows", "on the page of a node: the one before or after it in the grid; Escape leads back"),
    ("Ctrl-A", "choose all of the grid, shift-click all between; Escape none"),
    ("?", "this list"),
    ("Escape", "close it"),
)


def _keys() -> None:
    """Make the list of keys, which `?` opens: a dialog of the browser itself."""
    with attributes(box("key-list", "dialog"), id="keys", aria_label="Keys"):
        text("Keys", tag="h2")
        pairs(KEYS)
        seen = [page for page in NAVIGATION if page.role is None or visitor().may(page.role)]
        pairs([(f"g {page.key}", page.name) for page in seen])
        with box(tag="form") as form:
            attributes(form, method="dialog")
            attributes(text("Close", "button", "button"), type="submit")


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
            for page in NAVIGATION:
                if page.role is not None and not person.may(page.role):
                    continue
                if page.group != group:
                    group = page.group
                    text(group, "nav-group", "p")
                entry = link(page.name, page.path + page.query, "nav-link")
                attributes(entry, data_key=page.key, title=f"{page.name} (g {page.key})")
                if page.path == here or (page.path != "/" and here.startswith(page.path)):
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
        keys = text("Keys", "button small quiet", "button")
        attributes(keys, type="button", data_help=True, title="What keys do (?)")
        with attributes(box(tag="form"), action="/logout", method="post"):
            attributes(text("Log out", "button small quiet", "button"), type="submit")
        text(f"Times are in {datetime.now().astimezone():%Z}", "person-zone")


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


def _banners_for(person: Visitor) -> Callable[[Any], None]:
    """Return what shows outages: to a guest without the reason, which names what is inside."""
    if person.role != GUEST:
        return _show_outages
    return lambda outages: _show_outages(tuple((*one[:2], "", "") for one in outages))


def _show_outages(outages: tuple[tuple[str, str, str, str], ...]) -> None:
    for title, since, reason, advice in outages:
        with attributes(box("banner bad"), role="alert"):
            text(f"{title} does not answer since {since}.", "banner-title")
            if reason:
                text(reason, "banner-reason")
            if advice:
                text(advice, "banner-advice")


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
