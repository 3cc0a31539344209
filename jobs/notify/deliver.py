"""Bringing events to those who want to be told: it owns pace and patience, not the sending.

The outbox in the database is the truth: a delivery is taken with a lease, tried, and then done,
postponed or given up. Every channel has a thread of its own and takes only what is its own, so a
receiver that hangs, refuses or has gone keeps no other waiting; within a channel an event that is
refused again and again is postponed, and the others pass it. Webhooks (`webhooks.py`) have threads
beside them.
"""

from __future__ import annotations

import functools
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from base.errors import ConfigError, DrystoneError
from base.network.post import NotDeliveredError
from jobs.core.alert_config import AlertsConfig, Channel
from jobs.core.config import WebhooksConfig
from jobs.notify.send import send
from jobs.notify.webhooks import WebhookTeller
from sql import Database, DueDelivery, former_name

LEASE_S = 120.0
"""Longer than any try takes (each has one deadline, whatever the receiver does: `TRY_S` and
`COMMAND_TIMEOUT_S`): whoever died over a delivery has it tried again after this."""
RETRY_S = 5.0
RETRY_S_MAX = 3_600.0
ATTEMPTS_MAX = 60
"""With the pauses doubling up to an hour: about two days."""
ORPHAN_AGE_S = 3_600.0
"""A channel of which this scheduler saw something due and nothing taken for so long has nobody."""
ORPHANS_EVERY_S = 60.0
ORPHANED = "no scheduler has a channel of this name any more ([jobs.alerts] of drystone.toml)"


class Deliverer:
    """Delivers what is due whenever `tick` is called; any number may work on one database."""

    def __init__(
        self,
        config: AlertsConfig,
        database: Database,
        store_id: str,
        webhooks: WebhooksConfig | None = None,
        *,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._database = database
        self._store_id = store_id
        self._webhooks = webhooks or WebhooksConfig()
        self._busy: dict[str, threading.Thread] = {}
        self._stop = threading.Event()
        self._orphans = _Orphans(database, steady)

    def use(self, config: AlertsConfig, webhooks: WebhooksConfig | None = None) -> None:
        """Go on with other channels; what is being tried now ends as it began."""
        self._config, self._webhooks = config, webhooks or self._webhooks

    def tick(self) -> int:
        """Plan new events and let every idle channel and webhook work; returns how many do."""
        # Without channels too: what nobody wanted to be told is not told years later.
        self._database.events.plan(self._config.channels_of)
        self._orphans.look([channel.name for channel in self._config.channel])
        self._busy = {name: one for name, one in self._busy.items() if one.is_alive()}
        for channel in self._config.channel:
            if channel.name not in self._busy and (due := self._take(channel)):
                self._begin(channel.name, functools.partial(self._work, channel, due))
        for webhook_id in self._database.webhooks.ready():
            # No name of a channel has a space.
            if f"webhook {webhook_id}" not in self._busy:
                teller = WebhookTeller(self._database, self._webhooks, webhook_id, self._stop)
                self._begin(f"webhook {webhook_id}", teller.run)
        return len(self._busy)

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        def until_away() -> None:
            # When the database is away, the leases end, and everything is tried again.
            with suppress(DrystoneError):
                work()

        # A daemon: a receiver that hangs does not hold up the end of the process.
        thread = threading.Thread(target=until_away, name=f"deliver-{name}", daemon=True)
        self._busy[name] = thread
        thread.start()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until every channel has tried what it took."""
        for thread in list(self._busy.values()):
            thread.join(timeout_s)

    def close(self) -> None:
        """End without waiting for receivers; what is not told stays in the outbox."""
        self._stop.set()

    def _take(self, channel: Channel) -> list[DueDelivery]:
        # One at a time: its lease is for one try.
        return self._database.events.take(1, LEASE_S, channel=channel.name)

    def _work(self, channel: Channel, due: list[DueDelivery]) -> None:
        while due and not self._stop.is_set():
            self._deliver(channel, due[0])
            # Whoever repaired a channel, or took it out, means the rest of the queue, too.
            found = [one for one in self._config.channel if one.name == channel.name]
            if not found:
                return
            channel = found[0]
            due = self._take(channel)

    def _deliver(self, channel: Channel, delivery: DueDelivery) -> None:
        try:
            send(channel, self.document(channel, delivery))
        except (NotDeliveredError, ConfigError) as error:
            reason = str(error)
        except Exception as error:
            # A slip of ours over one odd event must not end the thread that others wait for. Only
            # its name: the message may quote anything.
            reason = f"it could not be sent ({type(error).__name__})"
        else:
            self._database.events.delivered(delivery)
            return
        if delivery.attempt >= ATTEMPTS_MAX:
            self._database.events.give_up(delivery, reason)
        else:
            self._database.events.postpone(delivery, reason, pause_s(delivery.attempt))

    def document(self, channel: Channel, delivery: DueDelivery) -> dict[str, Any]:
        """Return what the receiver is told; `id` is the same whenever it is told again."""
        event = delivery.event
        return {
            "id": f"{self._store_id}-{event.event_id}-{channel.name}",
            "kind": former_name(event.kind),
            "type": event.kind,
            "subject": event.subject,
            "time": event.create_time.isoformat(),
            "attempt": delivery.attempt,
            "store_id": self._store_id,
            "document": event.document,
        }


class _Orphans:
    """Ends what goes to channels that no scheduler has any more.

    Another scheduler may have them, and may have been off for as long as this one, or have a slow
    receiver and a long queue. So it is no matter of dates: only a channel of which nothing is taken
    while this scheduler looks on, by its own steady clock, for an hour. A moment in which it was
    frozen itself does not count.
    """

    def __init__(self, database: Database, steady: Callable[[], float]) -> None:
        self._database = database
        self._steady = steady
        self._looked_s = -math.inf
        self._seen: dict[str, tuple[int, float]] = {}
        """By channel: how often anything of it was ever taken, and how long that has not changed
        though something was due."""

    def look(self, own: Sequence[str]) -> None:
        """Look, now and then, at what is due and is none of our own channels'."""
        now_s = self._steady()
        if now_s - self._looked_s < ORPHANS_EVERY_S:
            return
        since_s = min(now_s - self._looked_s, 2 * ORPHANS_EVERY_S)
        self._looked_s = now_s
        seen, self._seen = self._seen, {}
        for channel, taken in self._database.events.due_elsewhere(own).items():
            before, idle_s = seen.get(channel, (-1, 0.0))
            idle_s = idle_s + since_s if before == taken else 0.0
            if idle_s >= ORPHAN_AGE_S:
                self._database.events.end_orphans(channel, taken, ORPHANED)
            else:
                self._seen[channel] = taken, idle_s


def pause_s(attempt: int) -> float:
    """Return the pause after so many attempts: doubling, up to an hour, and a quarter of chance."""
    return min(RETRY_S_MAX, RETRY_S * 2 ** min(attempt - 1, 30)) * random.uniform(0.75, 1.25)
