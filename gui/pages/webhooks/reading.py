"""What the page of webhooks reads: all of them, one with its last messages, and one message."""

from __future__ import annotations

from typing import NamedTuple

from gui.reading.desk import Desk
from sql import Webhook, WebhookDelivery

LISTED = 50


class WebhooksReading(NamedTuple):
    """The webhooks, and what the address names of one."""

    webhooks: tuple[Webhook, ...]
    one: Webhook | None = None
    messages: tuple[WebhookDelivery, ...] = ()
    message: WebhookDelivery | None = None


def read_webhooks(desk: Desk, name: str = "", message: str = "") -> WebhooksReading:
    """Read the webhooks of everybody; blocks."""
    book = desk.database().webhooks
    found = tuple(book.webhooks())
    one = next((one for one in found if one.name == name), None)
    if one is None:
        return WebhooksReading(found)
    chosen: list[WebhookDelivery] = []
    if message.isascii() and message.isdecimal() and len(message) < 19:
        chosen = book.deliveries(one.webhook_id, delivery_id=int(message))
    listed = tuple(book.deliveries(one.webhook_id, limit=LISTED))
    return WebhooksReading(found, one, listed, chosen[0] if chosen else None)
