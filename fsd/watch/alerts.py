"""Alerts: it owns the outbox, which survives restarts, and the threads that empty it.

An alert that is not taken is tried again after 5 s, 10 s, ... up to 10 minutes, in order for each
way of telling; a command is given up after some tries, a webhook waits as long as the outbox has
room. A crash between sending and noting that it was sent sends it twice (its `id` is the same).
"""

import contextlib
import functools
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from base.errors import DrystoneError, UsageError
from base.files import parse_json, write_durably
from fsd.disks.config import Config
from fsd.documents.models import Notice
from fsd.documents.watch_models import AlertResult
from fsd.store.job import timestamp
from fsd.watch.alert_book import AlertBook
from fsd.watch.alert_send import channels, send

OUTBOX_MAX = 500
RETRY_S = 5.0
RETRY_S_MAX = 600.0
COMMAND_TRIES_MAX = 6
LOOK_PERIOD_S = 5.0
SEND_PERIOD_S = 0.2


@dataclass(slots=True)
class _Letter:
    channel: str
    document: dict[str, Any]
    tries: int = 0
    due_s: float = 0.0


class Alerts:
    """The alerts of one engine; without a command or webhook it does nothing."""

    def __init__(self, config: Config) -> None:
        self._config = config.alerts
        self._store_id = config.store.store_id
        self._path = os.path.join(config.watch_dir, "alerts.json")
        self._book = AlertBook(config.alerts.raise_after_s, config.alerts.end_after_s)
        self._outbox: list[_Letter] = []
        self._errors: dict[str, str] = {}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        # Guards the book, the outbox and the file, which is written with it held. Innermost.
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
            # A command or webhook that hangs keeps no stop: its letter stays in the outbox.
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
        # letters, or a crash would leave it told of to nobody.
        with self._lock:
            news = self._book.update(notices, now_s)
            if not news:
                return
            for event, known in news:
                document = self._document(event, asdict(known), known.first_s)
                self._outbox += [_Letter(way, document) for way in channels(self._config)]
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
            letter = next((letter for letter in self._outbox if letter.channel == way), None)
        if letter is None or letter.due_s > time.time():
            return
        try:
            send(self._config, way, letter.document)
            done, self._errors[way] = True, ""
        except Exception as error:
            # Telling must outlive one bad letter, whatever went wrong with it.
            known = isinstance(error, DrystoneError)
            self._errors[way] = str(error) if known else f"{type(error).__name__}: {error}"
            letter.due_s = time.time() + min(RETRY_S_MAX, RETRY_S * 2**letter.tries)
            letter.tries += 1
            done = way == "command" and letter.tries >= COMMAND_TRIES_MAX
        with self._lock:
            if done and letter in self._outbox:
                self._outbox.remove(letter)
            self._save()

    def _save(self) -> None:
        letters = [asdict(letter) for letter in self._outbox]
        # A full SSD keeps it from being written; the alert of that goes out from memory.
        with contextlib.suppress(OSError):
            document = {"raised": self._book.dump(), "outbox": letters}
            write_durably(self._path, json.dumps(document).encode())

    def _load(self) -> None:
        try:
            with open(self._path, "rb") as file:
                document = parse_json(file.read())
            letters = [_Letter(**row) for row in document["outbox"]]
            self._book.load(document["raised"], time.time())
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            # Lost or damaged: what is warned of now is told once more.
            return
        # Whoever did not answer before the restart may do so now.
        self._outbox = [_Letter(letter.channel, letter.document) for letter in letters]
