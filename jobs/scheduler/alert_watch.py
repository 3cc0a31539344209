"""What is wrong without any run: it owns turning the store's warnings and old backups into events.

The same trouble is told once a day while it lasts, however often it is looked at and by how many:
the day is part of the key that an event has once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from adapters import StoreNotice, store_notices
from base.errors import DrystoneError
from jobs.core.alert_config import AlertsConfig
from sql import Database, NotFoundError

SILENT_MAX_S = 300.0
"""The engine may be starting; only when it has not answered for so long it is told."""
BACKUP_SCHEDULE = "backup"
CRITICAL = "critical"
_TYPES = {
    "ssd-area": "space.low",
    "ssd-full": "space.low",
    "ssd-partition": "space.low",
    "disk-full": "space.low",
    "disk-missing": "disk.missing",
    "disk-gone": "disk.missing",
    "disk-": "disk.failing",
    "smart": "disk.failing",
    "same-device": "disk.failing",
    "unreadable": "loss.found",
    "copies": "loss.found",
    "lost": "loss.found",
}
"""By the code of a warning, or how it begins: the first that suits."""


class StoreWatch:
    """The warnings of one store; remembers only since when its engine has been silent."""

    def __init__(self, config_path: str, config: AlertsConfig, database: Database) -> None:
        self._config_path = config_path
        self._config = config
        self._database = database
        self._silent_since: datetime | None = None

    def use(self, config: AlertsConfig) -> None:
        """Go on with another configuration."""
        self._config = config

    def look(self, now: datetime | None = None) -> int:
        """Look at the store and at the backups once; returns how many of the troubles are new."""
        now = now or datetime.now(UTC)
        return self._look_at_store(now) + self._look_at_backup(now)

    def _look_at_store(self, now: datetime) -> int:
        try:
            notices = store_notices(self._config_path)
        except DrystoneError as error:
            self._silent_since = self._silent_since or now
            if now - self._silent_since < timedelta(seconds=SILENT_MAX_S):
                return 0
            advice = "look at it with `drystone status`, start it with `drystone up`"
            silent = StoreNotice("engine", "engine", CRITICAL, str(error), advice)
            return self._tell(silent, "store.warning", now)
        self._silent_since = None
        return sum(
            self._tell(notice, kind_of(notice.code), now)
            for notice in notices
            if notice.severity != "info"
        )

    def _tell(self, notice: StoreNotice, kind: str, now: datetime) -> int:
        document = {
            "code": notice.code,
            "severity": notice.severity,
            "message": notice.message,
            "advice": notice.advice,
        }
        once_key = f"store {notice.identity} {notice.severity} {now.date().isoformat()}"
        added = self._database.events.add(kind, notice.identity, document, once_key[:1_000])
        if notice.severity == CRITICAL:
            # Also by one name for all that is. Each has a key of its own: a crash between them
            # leaves the other to the next look.
            document["type"] = kind
            key = f"critical {once_key}"[:1_000]
            self._database.events.add("error.critical", notice.identity, document, key)
        return added is not None

    def _look_at_backup(self, now: datetime) -> int:
        backup = self._database.health().backup
        told = 0
        if backup is not None and backup.state != "ok":
            told += self._add(
                "backup.failed",
                f"backup {backup.name}",
                {"state": backup.state, "copies": backup.copies, "age_s": round(backup.age_s)},
                f"backup {backup.name}",
            )
        age_s = backup.good_age_s if backup is not None else None
        age_s = age_s if age_s is not None else self._without_backup_s(now)
        if age_s > self._config.backup_age_max_h * 3600:
            advice = "run `drystone db backup`, and look at `drystone schedule history backup`"
            told += self._add(
                "backup.old",
                "the database's backup",
                {"age_s": round(age_s), "advice": advice},
                f"backup old {now.date().isoformat()}",
            )
        return told

    def _add(self, kind: str, subject: str, document: dict[str, object], once_key: str) -> int:
        return self._database.events.add(kind, subject, document, once_key) is not None

    def _without_backup_s(self, now: datetime) -> float:
        """Return how long there could have been one: since backups are scheduled."""
        try:
            schedule = self._database.schedules.schedule(BACKUP_SCHEDULE)
        except NotFoundError:
            return 0.0
        return (now - schedule.create_time).total_seconds() if schedule.enabled else 0.0


def kind_of(code: str) -> str:
    """Return the type of event that a warning of the store is."""
    return next((kind for begin, kind in _TYPES.items() if code.startswith(begin)), "store.warning")
