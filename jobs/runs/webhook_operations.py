"""Operations on webhooks: who is told of events over HTTP, and what came of it.

An operator has those of the own account, an admin all. Secrets are told once, when they are made.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from base.errors import EXIT_FAILED, UsageError
from base.operations.operation import Caller, Cli, Load, NoRequest, operation
from base.output import say, write_line, write_table
from base.text import safe_text, time_text
from jobs.runs.session import Session, opened
from jobs.runs.webhook_documents import (
    DeliveriesRequest,
    DeliveryAnswer,
    MadeWebhook,
    NewSecret,
    NewWebhookRequest,
    OneDelivery,
    OneWebhook,
    ResumeRequest,
    RotateRequest,
    TestAnswer,
    WebhookAnswer,
    WholeDelivery,
    check,
    selector_document,
)

if TYPE_CHECKING:
    from sql import Webhook, WebhookDelivery

__all__ = ["opened"]

FILE_SIZE_BYTES_MAX = 200_000
SIGNING_BYTES = 32
TESTED_TYPE = "webhook.test"


def _text_of(file: str | None) -> str:
    if file is None:
        return ""
    try:
        if file == "-":
            return sys.stdin.read(FILE_SIZE_BYTES_MAX).strip()
        with open(file, encoding="utf-8") as given:
            return given.read(FILE_SIZE_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file!a} cannot be read: {error}") from error


def _selector_of(file: str | None) -> Any:
    from sql import parse_selector

    return None if file is None else parse_selector(_text_of(file))


TEXT_FILE = Load(_text_of, is_needed=False)


def _answer(one: Webhook) -> WebhookAnswer:
    state = "paused" if one.is_paused else "failing" if one.failing_since else "active"
    return WebhookAnswer(
        name=one.name,
        url=one.url,
        owner=one.owner,
        types=one.types,
        selector=json.loads(one.selector) if one.selector else None,
        authentication=one.authentication,
        batch_max=one.batch_max,
        state=state,
        pause_reason=one.pause_reason,
        failing_since=one.failing_since,
        waiting=one.waiting,
        position=one.position,
        create_time=one.create_time,
    )


def _owned_by(caller: Caller) -> int | None:
    return None if caller.role == "admin" else caller.user_id


def _found(session: Session, caller: Caller, name: str) -> Webhook:
    return session.database.webhooks.webhook(name, _owned_by(caller))


def _new_signing() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SIGNING_BYTES)).decode()


def _tell_made(made: MadeWebhook, _asked: Any) -> None:
    say(f"{made.name} is told of what happens from now on; its messages are signed with")
    write_line(made.signing_secret)


@operation(
    "webhook.add",
    role="operator",
    kind="change",
    route="POST /webhooks",
    cli=Cli(
        positional=("name", "url"),
        options={"types": ("--type",)},
        metavars={"types": "TYPE", "selector": "FILE", "credential": "FILE", "authorities": "FILE"},
        loads={
            "selector": Load(_selector_of, is_needed=False),
            "credential": TEXT_FILE,
            "authorities": TEXT_FILE,
        },
        show=_tell_made,
        example="drystone webhook add ops https://example.org/hook --type processing.failed",
    ),
    is_secret=True,
)
def add(session: Session, caller: Caller, asked: NewWebhookRequest) -> MadeWebhook:
    """Tell a receiver of events over HTTP; prints the secret that signs its messages, once.

    It is told what its owner may see, in the order of the feed, and again until it takes it.
    """
    from sql import NewWebhook

    check(asked, session.config.webhooks.batch_max)
    user_id = caller.user_id
    if asked.owner is not None and asked.owner != caller.name:
        if caller.role != "admin":
            raise UsageError("only admins name another owner")
        owner = session.database.users.user(asked.owner)
        if owner.role == "labeller":
            raise UsageError(f"{owner.name} is a labeller, and those read no events")
        user_id = owner.user_id
    if asked.after is None:
        session.database.events.feed(limit=1)  # All that happened has its place.
    else:
        session.database.events.feed(asked.after, limit=1)
    signing = _new_signing()
    new = NewWebhook(
        name=asked.name,
        user_id=user_id,
        url=asked.url,
        types=asked.types,
        selector=selector_document(asked.selector),
        authentication=asked.authentication,
        credential=asked.credential,
        authorities=asked.authorities,
        batch_max=asked.batch_max,
        signing=signing,
        after=asked.after,
    )
    session.database.webhooks.add(new)
    made = _answer(session.database.webhooks.webhook(asked.name))
    return MadeWebhook(**made.model_dump(), signing_secret=signing)


def _show_webhooks(found: list[WebhookAnswer], _asked: Any) -> None:
    cells = [
        (
            one.name,
            one.url,
            one.owner or "",
            ", ".join(one.types) or "all",
            one.state,
            str(one.waiting),
            safe_text(one.pause_reason),
        )
        for one in found
    ]
    write_table(("webhook", "URL", "owner", "types", "state", ">waiting", "why"), cells)


@operation(
    "webhook.list",
    role="operator",
    kind="question",
    route="GET /webhooks",
    cli=Cli(show=_show_webhooks),
)
def webhooks(session: Session, caller: Caller, _asked: NoRequest) -> list[WebhookAnswer]:
    """List who is told of events over HTTP: those of your account, or all to an admin."""
    return [_answer(one) for one in session.database.webhooks.webhooks(_owned_by(caller))]


@operation(
    "webhook.show",
    role="operator",
    kind="question",
    route="GET /webhooks/{name}",
    cli=Cli(positional=("name",)),
)
def show(session: Session, caller: Caller, asked: OneWebhook) -> WebhookAnswer:
    """Tell what a webhook is told, and how it stands."""
    return _answer(_found(session, caller, asked.name))


def _tell_tried(told: TestAnswer, asked: OneWebhook) -> None:
    said = f"answered {told.status} after {told.duration_s:.2f} s"
    say(f"{asked.name}: {told.error or said}")


@operation(
    "webhook.test",
    role="operator",
    kind="change",
    route="POST /webhooks/{name}/test",
    cli=Cli(
        positional=("name",),
        show=_tell_tried,
        exit_code=lambda told, _: EXIT_FAILED if told.error else 0,
    ),
)
def test(session: Session, caller: Caller, asked: OneWebhook) -> TestAnswer:
    """Post a message of the type webhook.test at once; 1 when it is not taken."""
    from base.errors import ConfigError
    from base.network.post import NotDeliveredError
    from jobs.notify.webhooks import body_of, poster_of, tell
    from sql import FeedEvent, Try

    found = _found(session, caller, asked.name)
    kept = session.database.webhooks.secrets(found.webhook_id)
    assert kept is not None
    message = FeedEvent(
        position=0, id=UUID(bytes=secrets.token_bytes(16)), type=TESTED_TYPE,
        time=datetime.now(UTC), subject=f"webhook {found.name}",
        data={"advice": "this is a test; nothing is to be done"}, trace_id="",
    )  # fmt: skip
    try:
        with poster_of(found, kept, session.config.webhooks) as poster:
            tried = tell(poster, found, kept, str(message.id), body_of(found, [message]))
    except (NotDeliveredError, ConfigError) as error:
        tried = Try("", None, None, 0.0, str(error))
    return TestAnswer(
        status=tried.status, duration_s=tried.duration_s, answer=tried.answer, error=tried.error
    )


@operation(
    "webhook.pause",
    role="operator",
    kind="change",
    route="POST /webhooks/{name}/pause",
    cli=Cli(positional=("name",), show=lambda one, _: say(f"{one.name} is told nothing for now")),
)
def pause(session: Session, caller: Caller, asked: OneWebhook) -> WebhookAnswer:
    """Tell a webhook nothing until it is resumed; what the feed keeps until then it is told."""
    session.database.webhooks.pause(_found(session, caller, asked.name).webhook_id)
    return _answer(_found(session, caller, asked.name))


@operation(
    "webhook.resume",
    role="operator",
    kind="change",
    route="POST /webhooks/{name}/resume",
    cli=Cli(positional=("name",), show=lambda one, _: say(f"{one.name} is told again")),
)
def resume(session: Session, caller: Caller, asked: ResumeRequest) -> WebhookAnswer:
    """Tell a webhook again, at once; with --skip its first message is passed over."""
    session.database.webhooks.resume(
        _found(session, caller, asked.name).webhook_id, skip=asked.skip
    )
    return _answer(_found(session, caller, asked.name))


@operation(
    "webhook.remove",
    role="operator",
    kind="change",
    route="DELETE /webhooks/{name}",
    cli=Cli(positional=("name",), show=lambda gone, _: say(f"{gone.name} is gone")),
)
def remove(session: Session, caller: Caller, asked: OneWebhook) -> OneWebhook:
    """Remove a webhook, with what it is still to be told."""
    session.database.webhooks.remove(_found(session, caller, asked.name).webhook_id)
    return asked


@operation(
    "webhook.rotate",
    role="operator",
    kind="change",
    route="POST /webhooks/{name}/rotate",
    cli=Cli(positional=("name",), show=lambda made, _: write_line(made.signing_secret)),
    is_secret=True,
)
def rotate(session: Session, caller: Caller, asked: RotateRequest) -> NewSecret:
    """Sign with a new secret, printed once; the former one signs too, for a while."""
    signing = _new_signing()
    found = _found(session, caller, asked.name)
    session.database.webhooks.rotate(found.webhook_id, signing, asked.overlap_h * 3_600)
    return NewSecret(signing_secret=signing)


def _delivery(one: WebhookDelivery) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in DeliveryAnswer.model_fields}
    about = one.about or "events that are gone"
    return told | {"about": f"{about} and {one.events - 1} more" if one.events > 1 else about}


def _show_deliveries(found: list[DeliveryAnswer], _asked: Any) -> None:
    cells = [
        (
            str(one.delivery_id),
            safe_text(one.about),
            one.state,
            str(one.attempts),
            str(one.status or ""),
            "" if one.duration_s is None else f"{one.duration_s:.2f} s",
            time_text(one.not_before) if one.state == "waiting" else "",
            safe_text(one.error or ""),
        )
        for one in found
    ]
    heads = (">message", "about", "state", ">tries", ">status", ">took", "next", "why")
    write_table(heads, cells)


@operation(
    "webhook.deliveries",
    role="operator",
    kind="question",
    route="GET /webhooks/{name}/deliveries",
    cli=Cli(positional=("name",), show=_show_deliveries),
)
def deliveries(session: Session, caller: Caller, asked: DeliveriesRequest) -> list[DeliveryAnswer]:
    """List the messages of a webhook and what came of them, newest first."""
    found = session.database.webhooks.deliveries(
        _found(session, caller, asked.name).webhook_id, state=asked.state, limit=asked.limit
    )
    return [DeliveryAnswer(**_delivery(one)) for one in found]


@operation(
    "webhook.delivery",
    role="operator",
    kind="question",
    route="GET /webhooks/{name}/deliveries/{delivery_id}",
    cli=Cli(positional=("name", "delivery_id")),
)
def delivery(session: Session, caller: Caller, asked: OneDelivery) -> WholeDelivery:
    """Show one message of a webhook: what was posted, and what was answered."""
    from sql import NotFoundError

    found = session.database.webhooks.deliveries(
        _found(session, caller, asked.name).webhook_id, delivery_id=asked.delivery_id
    )
    if not found:
        raise NotFoundError(f"there is no message {asked.delivery_id} of {asked.name}")
    return WholeDelivery(**_delivery(found[0]), request=found[0].request, answer=found[0].answer)


@operation(
    "webhook.retry",
    role="operator",
    kind="change",
    route="POST /webhooks/{name}/deliveries/{delivery_id}/retry",
    cli=Cli(
        positional=("name", "delivery_id"),
        show=lambda one, _: say(f"message {one.delivery_id} is told next"),
    ),
)
def retry(session: Session, caller: Caller, asked: OneDelivery) -> WholeDelivery:
    """Tell a message now, or once more, under its id; the others wait for it."""
    webhook_id = _found(session, caller, asked.name).webhook_id
    session.database.webhooks.retry(webhook_id, asked.delivery_id)
    return delivery(session, caller, asked)
