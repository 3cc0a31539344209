"""Pages that follow what happens: it owns sections that are built again when their content changed.

A section is a pure function from the poller's readings to what is shown, and a function that builds
it. The first is computed once for all browsers, the second runs only where its result differs.
What was in sight until then is still heard for a while: a press on it may be under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from nicegui import ui

from gui.reading.poller import Poller

Model = TypeVar("Model")
LATE_PRESS_S = 5.0
"""So long a press on what was replaced is still heard; a busy machine takes its time."""


def live(
    poller: Poller,
    compute: Callable[[Poller], Model],
    build: Callable[[Model], object],
    classes: str = "",
) -> ui.element:
    """Show a section of the current page and keep it up to date until the browser leaves."""
    container = ui.element("div").classes(classes) if classes else ui.element("div")
    client = ui.context.client
    shown = poller.view(compute)
    with container:
        build(shown)

    def refresh() -> None:
        nonlocal shown
        if client.is_deleted or container.is_deleted:
            poller.unwatch(container)
            return
        model = poller.view(compute)
        if model == shown:
            return
        shown = model
        take_out_of_sight(container)
        with container:
            build(model)

    poller.watch(container, refresh)
    client.on_delete(lambda: poller.unwatch(container))
    return container


def take_out_of_sight(container: ui.element) -> None:
    """Empty a section in the browser at once, and here after a while: `keys.js` has the other half.

    Who presses a button sees the section as it was until the browser has the new one; what was
    meant then is done, and not lost.
    """
    client, children = container.client, container.default_slot.children
    former = [one for child in children for one in child.descendants(include_self=True)]
    children.clear()
    container.update()

    def forget() -> None:
        if not client.is_deleted:
            client.remove_elements(one for one in former if not one.is_deleted)

    asyncio.get_running_loop().call_later(LATE_PRESS_S, forget)
