"""The pieces that pages are made of: it owns their markup and classes, and knows no subject.

Text comes from strangers: everything here takes text as text, with what cannot be printed
(controls, direction overrides, broken UTF-8) shown as escapes, and nothing takes markup.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from base.text import duration_text, safe_text, size_text

Tone = Literal["", "good", "warn", "bad", "info", "muted"]
TEXT_LENGTH_MAX = 20_000


def clean(content: str) -> str:
    """Return text that is safe to show and to send: its lines stay, all else is printable."""
    shown = content[:TEXT_LENGTH_MAX]
    if shown.isprintable():
        return shown
    return "\n".join(safe_text(line) for line in shown.splitlines())


def text(content: object, classes: str = "", tag: str = "span") -> TextElement:
    """Show a piece of text."""
    element = TextElement(tag=tag, text=clean(str(content)))
    return element.classes(classes) if classes else element


def box(classes: str = "", tag: str = "div") -> ui.element:
    """Return a container."""
    element = ui.element(tag)
    return element.classes(classes) if classes else element


def attributes(element: ui.element, **values: str | bool) -> ui.element:
    """Set HTML attributes, whose values may be anybody's text: never through a parsed string."""
    for name, value in values.items():
        key = name.rstrip("_").replace("_", "-")
        element.props[key] = clean(value) if isinstance(value, str) else value
    element.update()
    return element


def link(content: object, target: str, classes: str = "") -> ui.element:
    """Show a link to a page of ours."""
    element = text(content, f"link {classes}", "a")
    return attributes(element, href=target)


def badge(content: object, tone: Tone = "") -> TextElement:
    """Show a short word with a tone; the word says what the colour says."""
    return text(content, f"badge {tone}")


@contextmanager
def card(title: str = "", hint: str = "", classes: str = "") -> Generator[ui.element]:
    """A block with a heading; what is made inside lies in its body."""
    with box(f"card {classes}", "section") as element:
        if title:
            with box("card-head"):
                text(title, tag="h2")
                if hint:
                    text(hint, "hint")
        yield element


def metric(
    label: str, value: object, hint: str = "", tone: Tone = "", target: str = ""
) -> ui.element:
    """Show one figure with what it means; a link where there is more about it."""
    with box(f"metric {tone}", "a" if target else "div") as element:
        text(label, "metric-label")
        text(value, "metric-value")
        text(hint, "metric-hint")
    return attributes(element, href=target) if target else element


def symbol(kind: str, extension: str = "", called: str = "") -> None:
    """Show what something is of which there is no picture."""
    attributes(text(extension, "ds-symbol"), data_kind=kind)
    text(called or kind, "ds-kind")


def fill_bar(fill: float, label: str, tone: Tone = "") -> ui.element:
    """Show how full something is, 0 to 1."""
    share = min(1.0, max(0.0, fill))
    with box(f"fill {tone}") as element:
        box("fill-inside").style(f"width: {share * 100:.1f}%")
    return attributes(
        element,
        role="meter",
        aria_label=label,
        aria_valuemin="0",
        aria_valuemax="100",
        aria_valuenow=f"{share * 100:.0f}",
    )


def empty(title: str, advice: str, command: str = "") -> None:
    """Say that there is nothing, and what to do next."""
    with box("empty"):
        text(title, "empty-title", "p")
        text(advice, "empty-advice", "p")
        if command:
            text(command, "command", "code")


def button(
    label: str, on_click: Callable[..., Any], classes: str = "", *, hint: str = ""
) -> ui.element:
    """Show a button; classes `primary`, `danger` and `small` change its looks.

    What it does belongs to the page, not to the section the button is in: that may be built anew
    while a question is open.
    """
    element = text(label, f"button {classes}", "button")
    attributes(element, type="button", **({"title": hint} if hint else {}))
    client = ui.context.client

    async def pressed() -> None:
        with client.content:
            result = on_click()
            if inspect.isawaitable(result):
                await result

    element.on("click", pressed)
    return element


def notice(content: object, tone: Tone = "info", advice: str = "") -> ui.element:
    """Show a message across the page."""
    with box(f"notice {tone}") as element:
        text(content, "notice-text")
        if advice:
            text(advice, "hint")
    return attributes(element, role="status")


def pairs(rows: Sequence[tuple[str, object]]) -> None:
    """Show names and values under each other."""
    with box("pairs", "dl"):
        for name, value in rows:
            text(name, tag="dt")
            if callable(value):
                with box(tag="dd"):
                    value()
            else:
                text(value, tag="dd")


def written(content: object, label: str) -> None:
    """Show a text as it was written, in a frame that scrolls."""
    attributes(text(content, "log plain", "pre"), tabindex="0", role="region", aria_label=label)


# ---- Words for figures ---------------------------------------------------------------------------


def ago(moment: datetime | str | None) -> str:
    """Return how long ago something was, in words."""
    if moment is None:
        return "never"
    then = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    passed_s = max(0.0, (datetime.now(UTC) - then).total_seconds())
    if passed_s < 10:
        return "just now"
    if passed_s > 2 * 86_400:
        return f"{passed_s / 86_400:.0f} days ago"
    return (
        f"{duration_text(passed_s).partition(' min ')[0]} min ago"
        if (60 <= passed_s < 3600)
        else f"{duration_text(passed_s)} ago"
    )


def at(moment: datetime | str | None) -> str:
    """Return a moment in the machine's time zone; the zone is written out."""
    if moment is None:
        return "never"
    then = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return then.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def size(size_bytes: float) -> str:
    """Return bytes in words."""
    return size_text(size_bytes)


def percent(share: float) -> str:
    """Return a share of 1 in percent."""
    return f"{share * 100:.0f} %"


def short_time(moment: datetime | None) -> str:
    """Return a moment on this machine's clock: the time alone where it is of today."""
    if moment is None:
        return ""
    local = moment.astimezone()
    is_today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M")


def duration(begin: datetime | None, end: datetime | None, now: datetime | None = None) -> str:
    """Return how long something took, or takes by now; empty before it began."""
    if begin is None:
        return ""
    return duration_text(max(0.0, ((end or now or datetime.now(UTC)) - begin).total_seconds()))


def many(count: int, word: str) -> str:
    """Return a count with its word, in the plural where there are not just one."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def first_line(text: str | None, length_max: int = 240) -> str:
    """Return the first line of a reason, cut."""
    line = (text or "").strip().partition("\n")[0]
    return line if len(line) <= length_max else line[: length_max - 1] + "…"
