"""Alerts: it owns the outbox, which survives restarts, and the threads that empty it.

An alert that is not taken is tried again after 5 s, 10 s, ... up to 10 minutes, in order for each
way of telling; a command is given up after some tries, a webhook waits as long as the outbox has
room. A crash between sending and noting that it was sent sends it twice (its `id` is the same).
"""

import functools
import hashlib
import hmac
import logging
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from base.errors import DrystoneError, UsageError
from base.logging.ids import about
from base.network.notify import tell_command, tell_webhook
from base.network.post import NotDeliveredError
from fsd.disks.config import AlertsConfig, Config
from fsd.disks.watch_file import WatchFile
from fsd.documents.models import Notice
from fsd.documents.watch_models import AlertResult
from fsd.store.job import timestamp

KIND = "alerts"
OUTBOX_MAX = 500
RETRY_S = 5.0
RETRY_S_MAX = 600.0
COMMAND_TRIES_MAX = 6
LOOK_PERIOD_S = 5.0
SEND_PERIOD_S = 0.2

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Message:
    channel: str
    document: dict[str, Any]
    tries: int = 0
    due_s: float = 0.0


class Alerts:
    """The alerts of one engine; without a command or webhook it does nothing."""

    def __init__(self, config: Config, file: WatchFile) -> None:
        self._config = config.alerts
        self._store_id = config.store.store_id
        self._file = file
        self._book = AlertBook(config.alerts.raise_after_s, config.alerts.end_after_s)
        self._outbox: list[_Message] = []
        self._errors: dict[str, str] = {}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        # Guards the book and the outbox, held while they are written. Before the file's lock.
        self._lock = threading.Lock()
        self._load()

    def start(self, warnings: Callable[[], Sequence[Notice]]) -> None:
        """Begin to look at what is warned of, and to tell."""
        if channels(self._config):
            works: list[tuple[str, Callable[[], None]]] = [("look", lambda: self._look(warnings))]
            # Each in a thread of its own: one that hangs keeps no other.
            works += [(way, functools.partial(self._send, way)) for way in channels(self._config)]
            for name, work in works:
                thread = threading.Thread(target=work, name=f"alerts-{name}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def stop(self) -> None:
        """End; what is not sent yet is sent after the next start."""
        self._stop.set()
        for thread in self._threads:
            # A command or webhook that hangs keeps no stop: its message stays in the outbox.
            thread.join(timeout=2 * SEND_PERIOD_S)

    def test(self) -> list[AlertResult]:
        """Send a test at once every way there is; UsageError when there is none."""
        ways = channels(self._config)
        if not ways:
            raise UsageError(
                "there is nobody to alert; set command or webhook in the section [alerts] of "
                "drystone.toml, and restart the engine"
            )
        advice = "nothing is to be done"
        texts = {"code": "test", "severity": "info", "message": "a test", "advice": advice}
        document = self._document("test", texts, time.time())
        results: list[AlertResult] = []
        for way in ways:
            detail = ""
            try:
                send(self._config, way, document)
            except DrystoneError as error:
                detail = str(error)
            results.append(AlertResult(channel=way, sent=not detail, detail=detail))
        return results

    @property
    def last_error(self) -> str:
        """What went wrong last, by each way that has not gone well since; empty when all is."""
        return "; ".join(error for error in self._errors.copy().values() if error)

    def waiting(self) -> int:
        """Return how many alerts wait to be taken."""
        return len(self._outbox)

    def _look(self, warnings: Callable[[], Sequence[Notice]]) -> None:
        period_s = min(LOOK_PERIOD_S, max(SEND_PERIOD_S, self._config.raise_after_s / 2))
        while not self._stop.wait(period_s):
            try:
                self._take(warnings(), time.time())
                self._errors["look"] = ""
            except Exception as error:
                # Alerting must outlive one bad look (the index is replaced just now, for one).
                self._errors["look"] = f"{type(error).__name__}: {error}"

    def _take(self, notices: Sequence[Notice], now_s: float) -> None:
        # The book as well: what is raised is saved by whoever sends meanwhile, and only with its
        # messages, or a crash would leave it told of to nobody.
        with self._lock:
            news = self._book.update(notices, now_s)
            if not news:
                return
            for event, known in news:
                document = self._document(event, asdict(known), known.first_s)
                self._outbox += [_Message(way, document) for way in channels(self._config)]
            self._outbox = self._outbox[-OUTBOX_MAX:]
            self._save()

    def _document(self, event: str, known: dict[str, Any], since_s: float) -> dict[str, Any]:
        texts = {name: known[name] for name in ("code", "severity", "message", "advice")}
        return {
            "id": uuid.uuid4().hex,
            "event": event,
            **texts,
            "since": timestamp(since_s),
            "time": timestamp(),
            "store_id": self._store_id,
            "host": socket.gethostname(),
        }

    def _send(self, way: str) -> None:
        while not self._stop.wait(SEND_PERIOD_S):
            self._send_first(way)

    def _send_first(self, way: str) -> None:
        with self._lock:
            message = next((message for message in self._outbox if message.channel == way), None)
        if message is None or message.due_s > time.time():
            return
        try:
            send(self._config, way, message.document)
            done, self._errors[way] = True, ""
        except Exception as error:
            # Telling must outlive one bad message, whatever went wrong with it.
            known = isinstance(error, DrystoneError)
            self._errors[way] = str(error) if known else f"{type(error).__name__}: {error}"
            message.due_s = time.time() + min(RETRY_S_MAX, RETRY_S * 2**message.tries)
            message.tries += 1
            done = way == "command" and message.tries >= COMMAND_TRIES_MAX
        with self._lock:
            if done and message in self._outbox:
                self._outbox.remove(message)
            self._save()

    def _save(self) -> None:
        messages = [asdict(message) for message in self._outbox]
        # A full SSD keeps it from being written; the alert of that goes out from memory.
        self._file.write(KIND, {"raised": self._book.dump(), "outbox": messages})

    def _load(self) -> None:
        known = self._file.rows(KIND)
        try:
            messages = [_Message(**row) for row in known.get("outbox", [])]
            self._book.load(known.get("raised", {}), time.time())
        except (ValueError, TypeError, KeyError, AttributeError):
            return  # Of another version: what is warned of now is told once more.
        # Whoever did not answer before the restart may do so now.
        self._outbox = [_Message(message.channel, message.document) for message in messages]


def channels(config: AlertsConfig) -> tuple[str, ...]:
    """Return the configured ways: `command`, `webhook`."""
    return ("command",) * bool(config.command) + ("webhook",) * bool(config.webhook)


def send(config: AlertsConfig, channel: str, document: dict[str, Any]) -> None:
    """Send one document one way. Raises NotDeliveredError and ConfigError."""
    if channel == "command":
        if said := tell_command(config.command, document):
            told = about("alert.command_said")
            _log.info("the command for alerts said: %s", said, extra=told)
    else:
        secret = _secret(config.secret_file) if config.secret_file else b""
        tell_webhook(config.webhook, document, secret=secret, former=_former_signature)


def _former_signature(secret: bytes, _time_s: int, body: bytes) -> str:
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def _secret(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            secret = file.read().strip()
    except OSError as error:
        raise NotDeliveredError(
            f"the secret file {path} cannot be read: {error.strerror}"
        ) from error
    if not secret:
        raise NotDeliveredError(f"the secret file {path} is empty")
    return secret


# ---- The book of what was told -------------------------------------------------------------------
# Which warnings are news: it owns telling new, worse and ended ones apart, as pure state.
#
# A warning is raised when it has been there without a break for `raise_after_s`, once, and ended
# when it has been away for `end_after_s`. What comes and goes faster is either never raised or
# never ended: flapping makes no noise. One that turns critical is raised again.

Event = Literal["raised", "ended"]
SEVERITIES = ("info", "warning", "critical")
_SUBJECT = re.compile(r"(?:disk|area) (\S+)")
_FREE_TEXT_CODES = frozenset({"note"})


@dataclass(slots=True)
class Known:
    """One warning, as last seen. `raised` is the severity that was told, empty before."""

    code: str
    severity: str
    message: str
    advice: str
    first_s: float
    last_s: float
    raised: str = ""


def identify(notice: Notice) -> str:
    """Return what makes it the same warning: its kind and its disk or area, not its numbers."""
    if notice.code in _FREE_TEXT_CODES:
        return f"{notice.code} {notice.message}"
    if notice.subject:
        return f"{notice.code} {notice.subject}"
    subject = _SUBJECT.match(notice.message)
    return f"{notice.code} {subject[1]}" if subject else notice.code


class AlertBook:
    """The warnings that are there or were a moment ago. Times are seconds of one clock."""

    def __init__(self, raise_after_s: float, end_after_s: float) -> None:
        self._raise_after_s = raise_after_s
        self._end_after_s = end_after_s
        self._known: dict[str, Known] = {}

    def update(self, notices: Iterable[Notice], now_s: float) -> list[tuple[Event, Known]]:
        """Take what is warned of now; return what is news, warnings that end first."""
        present: set[str] = set()
        for notice in notices:
            if notice.severity != "info":
                present.add(self._see(notice, now_s))
        ended = [("ended", known) for known in self._take_ended(present, now_s)]
        raised = [
            ("raised", known)
            for identity, known in self._known.items()
            if identity in present and self._is_news(known, now_s)
        ]
        for _, known in raised:
            known.raised = known.severity
        return [*ended, *raised]  # pyright: ignore[reportReturnType]

    def dump(self) -> dict[str, Any]:
        """Return what was raised and has not ended, as plain JSON."""
        return {name: asdict(known) for name, known in self._known.items() if known.raised}

    def load(self, document: dict[str, Any], now_s: float) -> None:
        """Take up what `dump` returned: what was raised before a restart is no news after it."""
        for name, row in document.items():
            fields: dict[str, Any] = {**row, "last_s": now_s}
            self._known[name] = Known(**fields)

    def _see(self, notice: Notice, now_s: float) -> str:
        identity = identify(notice)
        known = self._known.get(identity)
        if known is None:
            texts = (notice.code, notice.severity, notice.message, notice.advice)
            self._known[identity] = Known(*texts, now_s, now_s)
        else:
            known.severity, known.message = notice.severity, notice.message
            known.advice, known.last_s = notice.advice, now_s
        return identity

    def _take_ended(self, present: set[str], now_s: float) -> list[Known]:
        ended: list[Known] = []
        for identity in [name for name in self._known if name not in present]:
            known = self._known[identity]
            if not known.raised:
                # It was away before it was old enough: a new one begins from its beginning.
                del self._known[identity]
            elif now_s - known.last_s >= self._end_after_s:
                ended.append(self._known.pop(identity))
        return ended

    def _is_news(self, known: Known, now_s: float) -> bool:
        if not known.raised:
            return now_s - known.first_s >= self._raise_after_s
        return SEVERITIES.index(known.severity) > SEVERITIES.index(known.raised)
