"""Webhooks: it owns the page that shows who is told of events over HTTP, and what came of it."""

from __future__ import annotations

import functools

from gui.pages.webhooks.reading import read_webhooks
from gui.reading.desk import Desk
from gui.widgets.acts import act_button, ask, dialog, operate
from gui.widgets.blocks import (
    at,
    box,
    button,
    card,
    clean,
    empty,
    link,
    many,
    notice,
    pairs,
    text,
    written,
)
from gui.widgets.frame import Page, visitor
from gui.widgets.tables import Col, table
from gui.widgets.view import View
from gui.widgets.words import state_badge
from sql import Webhook, WebhookDelivery

ASKED = ("name", "url", "types", "authentication", "credential", "authorities", "batch_max")


def build(view: View) -> None:
    """Build the page."""
    desk = view.desk
    with box("row"):
        button("Add a webhook", functools.partial(_add, desk), "primary")
    view.live(_show_list, lambda found: found.webhooks)
    view.live(functools.partial(_show_one, desk), lambda found: found.one)
    view.live(functools.partial(_show_messages, desk), lambda found: (found.one, found.messages))
    view.live(functools.partial(_show_message, desk), lambda found: (found.one, found.message))


PAGE = Page(
    "Webhooks", "/webhooks", "operator", "Settings", read=read_webhooks, build=build, key="w",
    place=3, lead="Who is told of events over HTTP, and what came of it.",
)  # fmt: skip


def _may_see(one: Webhook | None) -> bool:
    """Tell whether somebody's webhook is shown to who looks: the reading is for everybody."""
    person = visitor()
    return one is not None and (person.may("admin") or one.user_id == person.user_id)


def _state(one: Webhook) -> str:
    return "paused" if one.is_paused else "failing" if one.failing_since else "active"


def _show_list(found: tuple[Webhook, ...]) -> None:
    shown = [one for one in found if _may_see(one)]
    if not shown:
        empty(
            "Nobody is told of events over HTTP yet.",
            "Add the address of a program that listens.",
            "drystone webhook add NAME URL",
        )
        return
    cols = (
        Col("Webhook", lambda one: link(clean(one.name), f"/webhooks?name={one.name}")),
        Col("URL", "url"),
        Col("Owner", lambda one: one.owner or ""),
        Col("Told of", lambda one: ", ".join(one.types) or "everything"),
        Col("State", lambda one: state_badge(_state(one))),
        Col(">Waiting", "waiting"),
    )
    with card("Webhooks"):
        table(shown, cols, "Webhooks")


def _show_one(desk: Desk, one: Webhook | None) -> None:
    if one is None or not _may_see(one):
        return
    given = {"name": one.name}
    with card(one.name, _state(one)):
        if one.pause_reason:
            notice(f"Paused: {one.pause_reason}", "bad")
        with box("toolbar"):
            act_button(
                desk, "webhook.test", "Test", given,
                done=lambda told: told.error or f"it answered {told.status}",
            )  # fmt: skip
            if one.is_paused or one.failing_since:
                act_button(
                    desk, "webhook.resume", "Tell it again", given, classes="primary",
                    done=f"{one.name} is told again",
                )  # fmt: skip
                act_button(
                    desk, "webhook.resume", "Pass over the first", given | {"skip": True},
                    title=f"Pass over what {one.name} does not take?",
                    lines=("The first message that waits is not told; it can be retried later.",),
                    agree="Pass over it", done=f"{one.name} is told what comes after",
                )  # fmt: skip
            if not one.is_paused:
                act_button(
                    desk, "webhook.pause", "Pause", given, done=f"{one.name} is told nothing"
                )
            button("New secret", functools.partial(_rotate, desk, one.name))
            act_button(
                desk, "webhook.remove", "Remove", given, title=f"Remove {one.name}?",
                lines=(f"{many(one.waiting, 'message')} that it waits for is not told.",),
                agree="Remove it", done=f"{one.name} is gone",
            )  # fmt: skip
        pairs(
            (
                ("URL", one.url),
                ("Owner", one.owner or "the owner of the store"),
                ("Told of", ", ".join(one.types) or "everything"),
                ("Of batches with", one.selector or "anything"),
                ("Authentication", one.authentication),
                ("Told together", f"up to {many(one.batch_max, 'event')}"),
                ("Takes nothing since", at(one.failing_since) if one.failing_since else "-"),
            )
        )


def _show_messages(desk: Desk, found: tuple[Webhook | None, tuple[WebhookDelivery, ...]]) -> None:
    one, messages = found
    if one is None or not _may_see(one):
        return

    def number(row: WebhookDelivery) -> None:
        link(str(row.delivery_id), f"/webhooks?name={one.name}&message={row.delivery_id}")

    def retry(row: WebhookDelivery) -> None:
        act_button(
            desk, "webhook.retry", "Retry", {"name": one.name, "delivery_id": row.delivery_id},
            classes="small", done=f"message {row.delivery_id} is told next",
        )  # fmt: skip

    cols = (
        Col("Message", number),
        Col("About", _about),
        Col("State", "state", state_badge),
        Col(">Tries", "attempts"),
        Col(">Status", lambda row: row.status or ""),
        Col(">Took", _took),
        Col("Made", "create_time", at),
        Col("Why", lambda row: row.error or ""),
        Col("", retry),
    )
    with card("Messages", "the newest first"):
        if not messages:
            text("It was told nothing yet.", "empty-line")
            return
        table(messages, cols, "Messages")


def _show_message(desk: Desk, found: tuple[Webhook | None, WebhookDelivery | None]) -> None:
    one, message = found
    if one is None or message is None or not _may_see(one):
        return
    with card(f"Message {message.delivery_id}", message.state):
        pairs(
            (
                ("About", _about(message)),
                ("Its id", str(message.message_id)),
                ("Tries", message.attempts),
                ("Status", message.status or "nothing was answered"),
                ("Took", _took(message)),
                ("Why", message.error or "-"),
            )
        )
        text("Request", tag="h3")
        written(message.request or "not posted yet", "Request")
        text("Answer", tag="h3")
        written(message.answer or "nothing", "Answer")


def _about(message: WebhookDelivery) -> str:
    about = message.about or "events that are gone"
    return f"{about} and {message.events - 1} more" if message.events > 1 else about


def _took(message: WebhookDelivery) -> str:
    return "" if message.duration_s is None else f"{message.duration_s:.2f} s"


async def _add(desk: Desk) -> None:
    request = desk.operation("webhook.add").request
    fields = (*ASKED, "owner") if visitor().may("admin") else ASKED
    asked = await ask("Add a webhook", request, "Add it", fields=fields)
    if asked is None:
        return
    made = await operate(desk, "webhook.add", asked.model_dump(exclude_unset=True))
    if made:
        await _show_secret(made.name, made.signing_secret)


async def _rotate(desk: Desk, name: str) -> None:
    request = desk.operation("webhook.rotate").request
    lines = ("The former secret signs, too, until its receiver knows the new one.",)
    asked = await ask(
        f"Sign for {name} with a new secret?", request, "Make it", lines=lines,
        given={"name": name}, fields=("overlap_h",),
    )  # fmt: skip
    if asked is None:
        return
    values = asked.model_dump(exclude_unset=True) | {"name": name}
    if made := await operate(desk, "webhook.rotate", values):
        await _show_secret(name, made.signing_secret)


async def _show_secret(name: str, secret: str) -> None:
    def show() -> None:
        text("Copy it now: it is shown once. Its receiver checks signatures with it.", tag="p")
        text(secret, "command", "code")

    await dialog(f"Secret of {name}", show, (("Done", True, "primary"),), is_persistent=True)
