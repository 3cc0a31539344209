"""Pages that follow what happens: it owns sections that are built again when their content changed.

A section is a pure function from the poller's readings to what is shown, and a function that builds
it. The first is computed once for all browsers, the second runs only where its result differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nicegui import ui

from gui.reading.poller import Poller

Model = TypeVar("Model")


def live(
    poller: Poller,
    compute: Callable[[Poller], Model],
    build: Callable[[Model], None],
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
        container.clear()
        with container:
            build(model)

    poller.watch(container, refresh)
    client.on_delete(lambda: poller.unwatch(container))
    return container
