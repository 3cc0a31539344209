"""What programs sent: requests as the port told the database of them, and dead letters.

A dead letter is a part of a request that was not stored or described: open until somebody replays
it, and done when its batch is described after all. What is stored and was not understood is in the
quarantine instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import AwareDatetime

from base.model import Document
from sql.core.clean_text import clean_text
from sql.core.repository import Repository, rows_of
from sql.core.statements import statements
from sql.events.event_book import add_event

LETTERS_MAX = 5_000
"""In one answer, and of one replay."""
FORGOTTEN_AT_ONCE = 1_000

LetterState = Literal["open", "replaying", "done"]

_SQL = statements("received")


class ReceivedRow(Document):
    """A request as the database knows it; `about` is JSON, `keys` has 32 bytes a part."""

    request_id: str
    account: str
    owner: str
    source: str
    time_s: float
    keys: bytes
    about: str
    batch: str | None
    first_place: int

    @property
    def parts(self) -> int:
        """The number of its parts."""
        return len(self.keys) // 32


class LetterRow(Document):
    """A dead letter: the part `place` of a request, at `path` in `batch`."""

    letter_id: int
    request_id: str
    place: int
    batch: str
    path: str
    state: LetterState
    reason: str
    failures: int
    fail_time: AwareDatetime
    account: str
    source: str


class EndedBatch(Document):
    """A batch that is waited for and ended; `reason` says why it failed."""

    batch: str
    reason: str | None


class ReceivedBook(Repository):
    """Requests and dead letters of a database."""

    # ---- What the port tells ---------------------------------------------------------------------

    def progress(self) -> int:
        """Return how far the journal of requests was told."""
        return self._value(_SQL["progress"]) or 0

    def tell(self, rows: Sequence[ReceivedRow], through: int) -> None:
        """Note requests that were accepted, each with its event, and how far that is, at once.

        A request that is there already is told no second time.
        """
        with self._database.connection() as connection:
            for one in rows:
                if connection.execute(_SQL["add"], one.model_dump()).rowcount:
                    document = {
                        "request_id": one.request_id, "account": one.account,
                        "source": one.source, "parts": one.parts, "accept_time_s": one.time_s,
                    }  # fmt: skip
                    subject = f"request {one.request_id}"
                    add_event(
                        connection, "request.accepted", subject, document, account=one.account
                    )
            connection.execute(_SQL["told"], {"sequence": through})

    def gathered(self) -> list[str]:
        """Return the requests whose window the database does not know yet."""
        with self._database.reading() as connection:
            return [request_id for (request_id,) in connection.execute(_SQL["gathered"])]

    def place(self, rows: Iterable[tuple[str, str, int]]) -> None:
        """Note the windows of requests: (request, batch, place of its first part)."""
        given = [
            {"request_id": request_id, "batch": batch, "first_place": first}
            for request_id, batch, first in rows
        ]
        with self._database.connection() as connection, connection.cursor() as cursor:
            cursor.executemany(_SQL["place"], given)

    # ---- Asked by people -------------------------------------------------------------------------

    def request(self, request_id: str) -> ReceivedRow | None:
        """Return a request; None for one that is not known (any more)."""
        return self._first(ReceivedRow, _SQL["request"], {"request_id": request_id})

    def newest(self, account: str | None, before: str, limit: int) -> list[ReceivedRow]:
        """Return the requests of an account, or of all, the newest first; those before one."""
        given = {"account": account, "before": before, "limit": limit}
        return self._all(ReceivedRow, _SQL["newest"], given)

    def letters(
        self,
        account: str | None = None,
        *,
        request_id: str | None = None,
        letters: Sequence[int] | None = None,
        state: LetterState | None = None,
        after: int = 0,
        limit: int = LETTERS_MAX,
    ) -> list[LetterRow]:
        """Return the dead letters of an account, or of all, by their numbers, behind one."""
        given = {
            "account": account,
            "request_id": request_id,
            "letters": None if letters is None else list(letters),
            "state": state,
            "after": after,
            "limit": limit,
        }
        return self._all(LetterRow, _SQL["letters"], given)

    # ---- What became of them ---------------------------------------------------------------------

    def ended(self) -> list[EndedBatch]:
        """Return batches that requests or replays wait for, and that are described or failed."""
        return self._all(EndedBatch, _SQL["ended"])

    def came_in(self, batch: str) -> None:
        """Note that a batch is described: its requests and dead letters are done.

        So are those whose replay failed: what they are replayed from came in.
        """
        with self._database.connection() as connection:
            requests = [one.request_id for one in _of_batch(connection, batch)]
            done = connection.execute(_SQL["came_in"], {"batch": batch}).fetchall()
            requests += [request_id for (request_id,) in done]
            connection.execute(_SQL["all_came_in"], {"requests": requests})

    def failed(
        self, batch: str, reason: str, paths_of: Callable[[ReceivedRow], Sequence[str]]
    ) -> None:
        """Note that a batch failed: its parts are dead letters, and `request.failed` is told.

        `paths_of` gives the paths of the parts of a request in the batch; those of a replay are
        known.
        """
        reason = clean_text(reason)
        with self._database.connection() as connection:
            counts: dict[str, tuple[str, str, int]] = {}
            for one in _of_batch(connection, batch):
                given = {
                    "request_id": one.request_id, "batch": batch, "reason": reason,
                    "places": list(range(one.parts)), "paths": list(paths_of(one)),
                }  # fmt: skip
                connection.execute(_SQL["add_letters"], given)
                counts[one.request_id] = one.account, one.source, one.parts
            given = {"requests": list(counts), "outcome": "failed"}
            connection.execute(_SQL["outcome"], given)
            given = {"batch": batch, "reason": reason}
            for request_id, account, source in connection.execute(_SQL["failed_again"], given):
                _, _, known = counts.get(request_id, ("", "", 0))
                counts[request_id] = account, source, known + 1
            for request_id, (account, source, count) in counts.items():
                document = {
                    "request_id": request_id, "account": account, "source": source,
                    "batch": batch, "parts_failed": count, "reason": reason,
                }  # fmt: skip
                subject = f"request {request_id}"
                add_event(connection, "request.failed", subject, document, account=account)

    # ---- Replays ---------------------------------------------------------------------------------

    def replaying(self, batch: str, paths: Mapping[int, str]) -> int:
        """Note that dead letters come in by another batch, at these paths of it.

        Returns of how many: those that are not open (any more) stay as they are.
        """
        given = {"batch": batch, "letters": list(paths), "paths": list(paths.values())}
        return self._change(_SQL["replaying"], given)

    def not_begun(self) -> list[str]:
        """Return batches of replays that no ingest has begun to bring in."""
        with self._database.reading() as connection:
            return [batch for (batch,) in connection.execute(_SQL["not_begun"])]

    def give_back(self, batch: str) -> int:
        """Open the dead letters of such a batch again, where they were before; returns how many."""
        return self._change(_SQL["give_back"], {"batch": batch})

    def unreadable(self, letter_id: int, reason: str) -> None:
        """Note why an open dead letter cannot be replayed."""
        self._change(_SQL["unreadable"], {"letter_id": letter_id, "reason": clean_text(reason)})

    def forget_described(self) -> int:
        """Forget of dead letters that are done the former batches that came in after all.

        Nothing of them is left to be removed. Returns how many.
        """
        return self._change(_SQL["came_in_themselves"])

    def left_behind(self) -> list[str]:
        """Return batches that failed and whose parts all came in by others."""
        with self._database.reading() as connection:
            return [batch for (batch,) in connection.execute(_SQL["left_behind"])]

    def removed(self, batch: str) -> None:
        """Note that nothing of such a batch is in the inbox any more."""
        self._change(_SQL["removed"], {"batch": batch})

    def forget(self, kept_s: float) -> int:
        """Forget requests that are older and of which nothing is open; returns how many."""
        count = 0
        given = {"kept_s": kept_s, "limit": FORGOTTEN_AT_ONCE}
        while removed := self._change(_SQL["forget"], given):
            count += removed
        return count


def _of_batch(connection: Any, batch: str) -> list[ReceivedRow]:
    return rows_of(connection, ReceivedRow, _SQL["of_batch"], {"batch": batch})
