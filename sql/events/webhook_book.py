"""Webhooks: who is told of events over HTTP, and the messages for each, in their order.

A webhook is a reader of the feed with a position of its own. What it is told together becomes a
message in the transaction that moves the position: from then on the message has its id and its
place, whoever dies. Whoever tells a webhook has it to itself for a while, and takes the first that
wait: so they arrive in their order. It sends nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg import errors

from base.errors import UsageError
from sql.core.clean_text import clean_text
from sql.core.errors import NotFoundError
from sql.core.repository import Repository, row_of, rows_of, value_of
from sql.core.statements import statements
from sql.events.event_book import add_event

_SQL = statements("webhook")

WEBHOOKS_MAX = 100
REQUEST_SIZE_MAX = 100_000
"""So much of what was posted is kept to be looked at."""

Authentication = Literal["none", "bearer", "basic", "mutual_tls"]
DeliveryEnd = Literal["done", "withheld", "failed"]


class NewWebhook(NamedTuple):
    """A webhook to be; see the comments of the table."""

    name: str
    user_id: int | None
    url: str
    types: Sequence[str]
    selector: dict[str, Any] | None
    """A document of which `where` counts."""
    authentication: Authentication
    credential: str
    authorities: str
    batch_max: int
    signing: str
    after: int | None
    """From where in the feed; without it, from what happens from now on."""


class Webhook(NamedTuple):
    """A webhook without its secrets."""

    webhook_id: int
    name: str
    user_id: int | None
    owner: str | None
    owner_role: str | None
    is_owner_disabled: bool
    url: str
    authorities: str
    authentication: Authentication
    types: list[str]
    selector: str | None
    """A JSON document."""
    batch_max: int
    position: int
    is_paused: bool
    pause_reason: str
    failing_since: datetime | None
    create_time: datetime
    has_missed: bool
    """Whether events that it was not told were thrown away."""
    waiting: int


class WebhookSecrets(NamedTuple):
    """What a webhook is signed with and shown."""

    signing: str
    credential: str
    former_signing: str | None


class TakenMessage(NamedTuple):
    """A message that is being tried."""

    delivery_id: int
    message_id: UUID
    positions: list[int]


class Taken(NamedTuple):
    """A webhook to be told; of what waits for it, `waiting` counts one alone.

    With `messages` it is nobody else's for a while, and `fence` says so when what came of them is
    noted: nothing is noted of an older one.
    """

    webhook: Webhook
    secrets: WebhookSecrets
    messages: list[TakenMessage]
    fence: int


class Try(NamedTuple):
    """What came of a try."""

    request: str
    status: int | None
    answer: str | None
    duration_s: float
    error: str | None = None

    def values(self) -> dict[str, Any]:
        """Return them as PostgreSQL keeps them."""
        return {
            "request": clean_text(self.request[:REQUEST_SIZE_MAX]),
            "status": self.status,
            "answer": None if self.answer is None else clean_text(self.answer),
            "duration_s": self.duration_s,
            "error": None if self.error is None else clean_text(self.error),
        }


class WebhookDelivery(NamedTuple):
    """A message as people look at it."""

    delivery_id: int
    message_id: UUID
    state: str
    attempts: int
    not_before: datetime
    create_time: datetime
    end_time: datetime | None
    request: str | None
    status: int | None
    answer: str | None
    duration_s: float | None
    error: str | None
    events: int
    about: str | None
    """The first of its events; None when that is gone."""


class WebhookBook(Repository):
    """Webhooks and their messages; every change is one transaction."""

    def _asking(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        return self._database.connection()

    def add(self, new: NewWebhook) -> int:
        """Add a webhook; returns its number. UsageError when the name is taken, or there are too
        many."""
        given = new._asdict() | {
            "types": list(new.types),
            "selector": None if new.selector is None else json.dumps(new.selector),
        }
        with self._database.connection() as connection:
            if int(value_of(connection, _SQL["count"])) >= WEBHOOKS_MAX:
                raise UsageError(f"there are {WEBHOOKS_MAX} webhooks already; remove one first")
            try:
                webhook_id = value_of(connection, _SQL["add"], given)
            except (errors.CheckViolation, errors.DataError) as error:
                raise UsageError(f"{new.name!a} cannot be a webhook's name") from error
            if webhook_id is None:
                raise UsageError(f"there is a webhook {new.name} already; give another name")
            connection.execute(_SQL["add_secret"], given | {"webhook_id": webhook_id})
            connection.execute(_SQL["add_types"], given | {"webhook_id": webhook_id})
        return int(webhook_id)

    def webhooks(self, owned_by: int | None = None) -> list[Webhook]:
        """Return all webhooks, or those of an account, by name."""
        return self._all(Webhook, _SQL["webhooks"], _of(owned_by=owned_by))

    def webhook(self, name: str, owned_by: int | None = None) -> Webhook:
        """Return one; NotFoundError when there is none of this name, or it is somebody else's."""
        found = self._first(
            Webhook, _SQL["webhooks"], _of(name=clean_text(name), owned_by=owned_by)
        )
        if found is None:
            raise NotFoundError(f"there is no webhook {name!a}; `webhook list` shows them")
        return found

    def secrets(self, webhook_id: int) -> WebhookSecrets | None:
        """Return what it is signed with and shown; None when it is gone."""
        return self._first(WebhookSecrets, _SQL["secrets"], {"webhook_id": webhook_id})

    def pause(self, webhook_id: int, reason: str = "") -> None:
        """Tell it nothing for now; with a reason it is Drystone that does so, and says it."""
        with self._database.connection() as connection:
            _pause(connection, webhook_id, reason)

    def resume(self, webhook_id: int, *, skip: bool = False) -> bool:
        """Tell it again, at once; with `skip` its first message is passed over, if one waits."""
        given = {"webhook_id": webhook_id}
        with self._database.connection() as connection:
            connection.execute(_SQL["resume"], given)
            skipped = skip and connection.execute(_SQL["skip"], given).rowcount > 0
            connection.execute(_SQL["hurry"], given)
            return skipped

    def rotate(self, webhook_id: int, signing: str, overlap_s: float) -> None:
        """Sign with another secret; the one before signs too, for a while."""
        given = {"webhook_id": webhook_id, "signing": signing, "overlap_s": overlap_s}
        self._change(_SQL["rotate"], given)

    def remove(self, webhook_id: int) -> None:
        """Remove it, and all its messages."""
        self._change(_SQL["remove"], {"webhook_id": webhook_id})

    # ---- Deliveries ------------------------------------------------------------------------------

    def ready(self) -> list[int]:
        """Return the webhooks for which there is something to do."""
        with self._asking() as connection:
            return [int(row[0]) for row in connection.execute(_SQL["ready"])]

    def take(self, webhook_id: int, limit: int, lease_s: float) -> Taken | None:
        """Take a webhook and the first messages that wait, if the first is due and nobody has it;
        None for one that is paused.

        When its taker says nothing within the lease, the next one takes it.
        """
        given = {"webhook_id": webhook_id, "limit": limit, "lease_s": lease_s}
        with self._database.connection() as connection:
            if connection.execute(_SQL["lock"], given).fetchone() is None:
                return None
            # Whether any waits, not how many: what a long queue has is not counted for each part.
            which = _of(webhook_id=webhook_id, counted_max=1)
            webhook = row_of(connection, Webhook, _SQL["webhooks"], which)
            secrets = row_of(connection, WebhookSecrets, _SQL["secrets"], given)
            assert webhook is not None and secrets is not None
            fence = value_of(connection, _SQL["take"], given)
            if fence is None:
                return Taken(webhook, secrets, [], 0)
            messages = rows_of(connection, TakenMessage, _SQL["first"], given)
        return Taken(webhook, secrets, messages, int(fence))

    def plan(
        self, webhook_id: int, begun_at: int, messages: Sequence[Sequence[int]], position: int
    ) -> bool:
        """Make messages of events by their positions, and move on; False when another did so."""
        with self._database.connection() as connection:
            if not _is_mine(connection, webhook_id, begun_at):
                return False
            with connection.cursor() as cursor:
                cursor.executemany(
                    _SQL["plan"],
                    [{"webhook_id": webhook_id, "positions": list(one)} for one in messages],
                )
            # What a crash leaves before the commit: neither messages nor the move.
            given = {"webhook_id": webhook_id, "position": position}
            connection.execute(_SQL["planned"], given)
        return True

    def pass_gone(self, webhook_id: int, begun_at: int) -> None:
        """Go on behind events that were thrown away before it was told, and note that."""
        with self._database.connection() as connection:
            if not _is_mine(connection, webhook_id, begun_at):
                return
            gone = int(value_of(connection, _SQL["gone"]))
            reason = (
                f"the events behind {begun_at} were thrown away before it was told, up to {gone}"
            )
            given = {"webhook_id": webhook_id, "error": reason, "position": gone}
            connection.execute(_SQL["miss"], given)
            connection.execute(_SQL["planned"], given)

    def end(
        self, taken: Taken, ended: Sequence[tuple[TakenMessage, DeliveryEnd, Try | None]]
    ) -> None:
        """Say what came of messages that were taken; the others of them wait as before."""
        with self._database.connection() as connection:
            _end(connection, taken, ended)

    def postpone(
        self,
        taken: Taken,
        ended: Sequence[tuple[TakenMessage, DeliveryEnd, Try | None]],
        message: TakenMessage,
        tried: Try,
        retry_in_s: Callable[[int], float],
        pause_s: float,
    ) -> bool:
        """Say the same, and that this one was not taken: it is tried again so long after so many
        tries.

        A webhook that has taken nothing for `pause_s` is paused, and that is an event; returns
        whether it was.
        """
        webhook_id = taken.webhook.webhook_id
        given = message._asdict() | tried.values()
        with self._database.connection() as connection:
            if not _end(connection, taken, ended):
                return False
            attempts = value_of(connection, _SQL["not_taken"], given)
            if attempts is None:
                return False  # It was passed over meanwhile.
            given["retry_in_s"] = retry_in_s(int(attempts))
            connection.execute(_SQL["postpone"], given)
            failing_s = value_of(connection, _SQL["failed"], {"webhook_id": webhook_id})
            if failing_s is None or float(failing_s) < pause_s:
                return False
            hours = round(float(failing_s) / 3600)
            return _pause(
                connection, webhook_id, f"it has taken nothing for {hours} h: {tried.error}"
            )

    def deliveries(
        self,
        webhook_id: int,
        *,
        state: str | None = None,
        delivery_id: int | None = None,
        limit: int = 100,
    ) -> list[WebhookDelivery]:
        """Return messages of a webhook, newest first; what was posted and answered of one alone."""
        given = {
            "webhook_id": webhook_id, "state": state, "delivery_id": delivery_id, "limit": limit,
        }  # fmt: skip
        return self._all(WebhookDelivery, _SQL["deliveries"], given)

    def retry(self, webhook_id: int, delivery_id: int) -> None:
        """Let a message be told, or told again, now; it keeps its id."""
        given = {"webhook_id": webhook_id, "delivery_id": delivery_id}
        if not self._change(_SQL["retry"], given):
            raise NotFoundError(
                f"there is no message {delivery_id} of it; `webhook deliveries` shows them"
            )


def _end(
    connection: psycopg.Connection[Any],
    taken: Taken,
    ended: Sequence[tuple[TakenMessage, DeliveryEnd, Try | None]],
) -> bool:
    """Note what came of messages and give their webhook back; False when it is another's."""
    given = {"webhook_id": taken.webhook.webhook_id, "fence": taken.fence}
    if not connection.execute(_SQL["give_back"], given).rowcount:
        return False
    nothing = Try("", None, None, 0.0)
    with connection.cursor() as cursor:
        cursor.executemany(
            _SQL["end"],
            [
                (tried or nothing).values() | one._asdict() | {"state": state}
                for one, state, tried in ended
            ],
        )
    if any(state == "done" for _, state, _ in ended):
        connection.execute(_SQL["took"], given)
    return True


def _pause(connection: psycopg.Connection[Any], webhook_id: int, reason: str) -> bool:
    given = {"webhook_id": webhook_id, "reason": clean_text(reason)}
    if not connection.execute(_SQL["pause"], given).rowcount:
        return False
    if reason:
        found = row_of(connection, Webhook, _SQL["webhooks"], _of(webhook_id=webhook_id))
        assert found is not None
        document = {
            "webhook": found.name,
            "reason": reason,
            "waiting": found.waiting,
            "advice": f"see `drystone webhook deliveries {found.name}`; when it is repaired, "
            f"`drystone webhook resume {found.name}`",
        }
        add_event(connection, "webhook.paused", f"webhook {found.name}", document)
    return True


def _is_mine(connection: psycopg.Connection[Any], webhook_id: int, begun_at: int) -> bool:
    """Lock a webhook; tell whether it still stands where its feed was read from."""
    given = {"webhook_id": webhook_id}
    row = connection.execute(_SQL["lock"], given).fetchone()
    return row is not None and int(row[0]) == begun_at


def _of(
    *,
    name: str | None = None,
    webhook_id: int | None = None,
    owned_by: int | None = None,
    counted_max: int | None = None,
) -> dict[str, Any]:
    return {
        "name": name, "webhook_id": webhook_id, "owned_by": owned_by, "counted_max": counted_max,
    }  # fmt: skip
