"""Asking people something new: what, with which classes, whom, and about which pictures."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from gui.core.filters import ADDRESS_LENGTH_MAX, Document
from gui.reading.desk import Desk
from gui.widgets.acts import ask, operate, tell


async def ask_people(desk: Desk, chosen: Document | None = None, words: str = "") -> None:
    """Ask for a question, make it, and lead to its start over what is chosen."""
    one = desk.operation("label.create")
    title = f"Ask people about {words}" if words else "Ask people something new"
    told = await ask(title, one.request, "Make the question", classes="wide")
    if told is None:
        return
    made = await operate(desk, "label.create", told.model_dump(exclude_unset=True))
    if made is None:
        return
    query: dict[str, Any] = {"action": made.action}
    if chosen is not None:
        query["selector"] = json.dumps(chosen, separators=(",", ":"), ensure_ascii=False)
    address = f"/scheduler/start/ua_2?{urlencode(query)}"
    if len(address) > ADDRESS_LENGTH_MAX:
        tell(f"{made.action} is made. So many nodes are too long for an address: add them to a "
             "collection, and start it with that.")  # fmt: skip
        return
    ui.navigate.to(address)
