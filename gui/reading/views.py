"""Saved views as selectors: what forms offer beside a selector that is written."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from base.errors import DrystoneError
from gui.core.filters import Document, filters_of
from gui.reading.desk import Desk

EXPLORER = "explorer"
SavedSelectors = tuple[tuple[str, Document], ...]
"""Names of views with what they find."""


def saved_selectors(desk: Desk, user_id: int) -> SavedSelectors:
    """Return the views that a person sees, with their selectors; blocks."""
    views: list[tuple[str, Document]] = []
    for one in desk.database().users.views(user_id, EXPLORER):
        try:
            found = filters_of(dict(parse_qsl(urlsplit(one.query).query)))
        except DrystoneError:
            continue  # Made when selectors had other words; the explorer says what is wrong.
        views.append((one.name, found.document))
    return tuple(views)
