"""Telling webhooks of events: what each is told, by its owner's rights, and how a try goes.

Messages of a webhook are told one after another, in the order of the feed: the first that is not
taken keeps the others waiting. It is tried three times in quick succession, then ever more seldom,
and after two days the webhook is paused, which is an event itself. A crash between a try and noting
what came of it leads to another with the same id.
"""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from base.errors import ConfigError
from base.network.post import NotDeliveredError, Poster, permit_public, signed_headers, trust_of
from jobs.core.config import WebhooksConfig
from sql import (
    Database,
    DeliveryEnd,
    FeedEvent,
    GuestError,
    Taken,
    TakenMessage,
    Try,
    Webhook,
    WebhookSecrets,
    hidden_types,
    may_have_selected,
)

TRY_S = 30.0
TAKEN_MAX = 20
"""Messages are taken and noted so many at a time."""
TAKEN_S = 5.0
"""After so long what came of them is noted: the owner's rights are read again for the next."""
LEASE_S = 60.0
"""Longer than the last try that is begun within TAKEN_S, with the search for its address."""
QUICK_S = (1.0, 5.0)
"""The pauses between the first three tries."""
RETRY_S = 30.0
RETRY_S_MAX = 3_600.0
PAUSED_AFTER_S = 2 * 86_400.0
OF_BATCHES = "batch "
"""How the subject of an event about a batch begins."""


class WebhookTeller:
    """Tells one webhook what is due, until nothing is, or a try fails; for one thread."""

    def __init__(
        self, database: Database, config: WebhooksConfig, webhook_id: int, stop: threading.Event
    ) -> None:
        self._database, self._config, self._webhook_id = database, config, webhook_id
        self._stop = stop
        self._poster: Poster | None = None
        self._posts_as: tuple[Webhook, WebhookSecrets] | None = None

    def run(self) -> None:
        """Tell all there is. Raises DrystoneError when the database is away."""
        try:
            while not self._stop.is_set():
                taken = self._database.webhooks.take(self._webhook_id, TAKEN_MAX, LEASE_S)
                if taken is None:
                    return
                webhook = taken.webhook
                if reason := _why_nothing_is_told(webhook):
                    self._database.webhooks.end(taken, [])
                    self._database.webhooks.pause(self._webhook_id, reason)
                    return
                goes_on = (
                    self._tell(taken)
                    if taken.messages
                    else not webhook.waiting and self._plan(webhook)
                )
                if not goes_on:
                    return
        except GuestError as error:
            # The server has no guests: nothing may be told, and that must not pass unseen.
            reason = f"its owner is a guest: {error}"
            self._database.webhooks.pause(self._webhook_id, reason)
        finally:
            if self._poster is not None:
                self._poster.close()

    def _plan(self, webhook: Webhook) -> bool:
        """Make messages of what is new; False when nothing is."""
        if webhook.has_missed:
            self._database.webhooks.pass_gone(self._webhook_id, webhook.position)
            return True
        view, hidden, account = seen_by_owner(self._database, webhook)
        found, position = view.events.feed(
            webhook.position, types=webhook.types or None, hidden=hidden, account=account
        )
        if position == webhook.position:
            return False
        positions = [one.position for one in _selected(view, webhook, found)]
        size = min(webhook.batch_max, self._config.batch_max)
        parts = [positions[at : at + size] for at in range(0, len(positions), size)]
        return self._database.webhooks.plan(self._webhook_id, webhook.position, parts, position)

    def _tell(self, taken: Taken) -> bool:
        """Try what was taken, in its order; False when one was not."""
        webhook, messages = taken.webhook, taken.messages
        view, hidden, account = seen_by_owner(self._database, webhook)
        seen = view.events.at([at for one in messages for at in one.positions], hidden, account)
        ended: list[tuple[TakenMessage, DeliveryEnd, Try | None]] = []
        begun_s = time.monotonic()
        for message in messages:
            if self._stop.is_set() or time.monotonic() - begun_s > TAKEN_S:
                break
            body = body_of(webhook, [seen[at] for at in message.positions if at in seen])
            if not body:
                ended.append((message, "withheld", None))
                continue
            tried = self._try(webhook, taken.secrets, message, body)
            if tried.error is not None:
                self._database.webhooks.postpone(
                    taken, ended, message, tried, pause_s, PAUSED_AFTER_S
                )
                return False
            ended.append((message, "done", tried))
        # What a crash before this leaves is told once more, under the same ids.
        self._database.webhooks.end(taken, ended)
        return True

    def _try(
        self, webhook: Webhook, secrets: WebhookSecrets, message: TakenMessage, body: bytes
    ) -> Try:
        text, begun_s = body.decode(), time.monotonic()
        try:
            if self._posts_as != (self._form(webhook), secrets) or self._poster is None:
                if self._poster is not None:
                    self._poster.close()
                self._poster = poster_of(webhook, secrets, self._config)
                self._posts_as = self._form(webhook), secrets
            return tell(self._poster, webhook, secrets, str(message.message_id), body)
        except (NotDeliveredError, ConfigError) as error:
            reason = str(error)
        except Exception as error:
            # A slip of ours over one odd message must not have it tried without an end. Only its
            # name: the message may quote anything.
            reason = f"it could not be sent ({type(error).__name__})"
        return Try(text, None, None, time.monotonic() - begun_s, reason)

    @staticmethod
    def _form(webhook: Webhook) -> Webhook:
        """Return what its connection is made of."""
        return webhook._replace(position=0, has_missed=False, waiting=0, failing_since=None)


def _why_nothing_is_told(webhook: Webhook) -> str:
    """Return why its owner may hear of nothing at all any more; empty if they may."""
    if webhook.is_owner_disabled:
        return f"the account of its owner, {webhook.owner}, is disabled"
    if webhook.owner_role == "labeller":
        return f"its owner, {webhook.owner}, is a labeller, and those read no events"
    return ""


def tell(
    poster: Poster, webhook: Webhook, secrets: WebhookSecrets, message_id: str, body: bytes
) -> Try:
    """Post a message once. Raises NotDeliveredError when nothing was answered."""
    signing = [one.encode() for one in (secrets.signing, secrets.former_signing) if one]
    headers = {"Content-Type": "application/json", "User-Agent": "drystone"}
    headers |= _authorization(webhook, secrets.credential)
    headers |= signed_headers(signing, message_id, int(time.time()), body)
    answer = poster.post(body, headers)
    reason = None
    try:
        answer.check()
    except NotDeliveredError as error:
        more = "; redirects are not followed" if 300 <= answer.status < 400 else ""
        reason = f"{error}{more}"
    return Try(body.decode(), answer.status, answer.said, answer.duration_s, reason)


def poster_of(webhook: Webhook, secrets: WebhookSecrets, config: WebhooksConfig) -> Poster:
    """Return what posts to a webhook. Raises NotDeliveredError for certificates that are none."""
    trust = None
    if webhook.url.startswith("https:"):
        identity = secrets.credential if webhook.authentication == "mutual_tls" else ""
        trust = trust_of(authorities=webhook.authorities, identity=identity)
    permit = permit_public(config.allowed_networks)
    return Poster(webhook.url, trust=trust, permit=permit, try_s=TRY_S, silence_s=2 * TRY_S)


def _authorization(webhook: Webhook, credential: str) -> dict[str, str]:
    if webhook.authentication == "bearer":
        return {"Authorization": f"Bearer {credential}"}
    if webhook.authentication == "basic":
        return {"Authorization": "Basic " + base64.b64encode(credential.encode()).decode()}
    return {}


def body_of(webhook: Webhook, events: Sequence[FeedEvent]) -> bytes:
    """Return what is posted: one event, or `events` where several may be told together."""
    if not events:
        return b""
    documents = [one.model_dump(mode="json") for one in events]
    told: Mapping[str, Any] = {"events": documents} if webhook.batch_max > 1 else documents[0]
    return json.dumps(told).encode("ascii")


def seen_by_owner(database: Database, webhook: Webhook) -> tuple[Any, list[str], str | None]:
    """Return what the owner sees of the database now, the types of events that are hidden, and
    whose events it is told of those that are an account's alone; None for everybody's."""
    role = webhook.owner_role or "admin"
    hidden = hidden_types(is_admin=role == "admin")
    account = None if role == "admin" else webhook.owner or ""
    if role == "guest" and webhook.user_id is not None:
        return database.seen_by(webhook.user_id, "api"), hidden, account
    return database, hidden, account


def _selected(view: Any, webhook: Webhook, events: Sequence[FeedEvent]) -> list[FeedEvent]:
    """Return the events that the selector lets through: of those about batches, the ones whose
    batch has a node of it, hidden or not."""
    if webhook.selector is None:
        return list(events)
    where = json.loads(webhook.selector)["where"]
    batches = {one.subject for one in events if one.subject.startswith(OF_BATCHES)}
    left_out = {
        one for one in batches if not may_have_selected(view, where, one.removeprefix(OF_BATCHES))
    }
    return [one for one in events if one.subject not in left_out]


def pause_s(attempts: int) -> float:
    """Return the pause after so many tries: two short ones, then doubling up to an hour."""
    if attempts <= len(QUICK_S):
        return QUICK_S[attempts - 1]
    doubled = RETRY_S * 2 ** min(attempts - len(QUICK_S) - 1, 20)
    return min(RETRY_S_MAX, doubled) * random.uniform(0.75, 1.25)
