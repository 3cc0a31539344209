"""The book of labels (AC5): it owns what people are asked about nodes, and all that they said.

Nothing is changed or removed: of each labeller the newest answer or skip that was not taken back
counts (the view label_current). What is made of the answers, such as a majority, is written as
results by a write-intent, never from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

import psycopg
from psycopg import errors
from pydantic import AwareDatetime, Field

from base.errors import UsageError
from base.model import Document, JsonObject
from sql.actions.action_rows import canonical_json
from sql.core.errors import NotFoundError
from sql.core.repository import Repository, value_of
from sql.core.statements import statements
from sql.events.event_book import add_event
from sql.intent.intent import Key, Text

AnswerKind = Literal["answer", "skip", "undo"]
DOCUMENT_BYTES_MAX = 1 << 20
TASKS_MAX = 1_000

_SQL = statements("labels")


class LabelTask(Document):
    """One node that people are asked about; it is complete with `labellers_wanted` answers."""

    task_id: int
    event_id: int
    node_id: int
    key: Key
    labellers_wanted: int
    answers: int
    """Labellers whose newest word is an answer."""
    skips: int
    hidden: bool = False
    """Its node was deleted or black-listed: nobody is asked about it any more."""


class LabelAnswer(Document):
    """What one labeller said; `document` is None for a skip and an undo."""

    answer_id: int
    task_id: int
    node_id: int
    key: Key
    labeller: str
    kind: AnswerKind
    document: JsonObject | None
    origin: str
    answer_time: AwareDatetime


class ImportedAnswer(Document):
    """An answer out of a file; the same `import_key` about the same node is taken once."""

    node_id: int
    labeller: Annotated[Text, Field(min_length=1, max_length=200)]
    kind: Literal["answer", "skip"] = "answer"
    document: dict[str, Any] | None
    import_key: Key


class LabelProgress(Document):
    """How far the labelling of a run is."""

    tasks: int
    complete: int
    answers: int
    skips: int


class LabelRun(Document):
    """A run that asks people, and the contract that it began with."""

    event_id: int
    action: str
    action_batch_id: int
    run_reference: str
    state: str
    """open while answers count."""
    contract_digest: str
    start_time: AwareDatetime | None


class Labeller(Document):
    """What one labeller says now in a run."""

    name: str
    answers: int
    skips: int
    last_time: AwareDatetime


class LabelBook(Repository):
    """Tasks and answers in one database."""

    def make_tasks(
        self, event_id: int, labellers: int = 1, node_ids: Sequence[int] | None = None
    ) -> int:
        """Ask about every node of the event's batch, or the given ones of it; returns the new."""
        ids = None if node_ids is None else list(node_ids)
        given = {"event_id": event_id, "labellers": labellers, "node_ids": ids}
        with self._database.connection() as connection:
            try:
                return connection.execute(_SQL["make_tasks"], given).rowcount
            except errors.CheckViolation as error:
                raise UsageError(f"{labellers} labellers are asked for; 1 to 20 can be") from error

    def tasks(
        self,
        event_id: int,
        *,
        open_only: bool = False,
        labeller: str | None = None,
        after_task_id: int = 0,
        limit: int = 100,
    ) -> list[LabelTask]:
        """Return tasks by their ids; with `labeller` those to which that one said nothing yet."""
        given = {
            "event_id": event_id, "open_only": open_only, "labeller": labeller,
            "after": after_task_id, "limit": max(0, min(limit, TASKS_MAX)),
        }  # fmt: skip
        return self._all(LabelTask, _SQL["tasks"], given)

    def task(self, task_id: int) -> LabelTask:
        """Return one task; NotFoundError when there is none."""
        found = self._first(LabelTask, _SQL["task"], [task_id])
        if found is None:
            raise NotFoundError(f"there is no label task {task_id}")
        return found

    def is_asked(self, key: str) -> bool:
        """Tell whether a task is about the content of this key, and may be shown."""
        return self._value(_SQL["is_asked"], {"key": key})

    def add_answer(
        self, task_id: int, labeller: str, document: dict[str, Any] | None, origin: str = "gui"
    ) -> int:
        """Keep an answer, or a skip when there is no document; the former one becomes history.

        The answer must have been checked against the contract (`adapters.actions.check_answer`).
        """
        kind = "skip" if document is None else "answer"
        text = None if document is None else _document_text(document)
        given = [task_id, _checked(labeller), kind, text, origin]
        with self._database.connection() as connection:
            try:
                answer_id: int = value_of(connection, _SQL["add_answer"], given)
            except errors.ForeignKeyViolation as error:
                raise NotFoundError(f"there is no label task {task_id}") from error
            _tell(connection, task_id, labeller, kind, origin)
            return answer_id

    def undo(self, event_id: int, labeller: str, origin: str = "gui") -> LabelTask | None:
        """Take back the newest word of a labeller in a run; returns its task, None without one."""
        with self._database.connection() as connection:
            given = {"event_id": event_id, "labeller": labeller}
            row = connection.execute(_SQL["last_said"], given).fetchone()
            if row is None:
                return None
            answer_id, task_id = row
            connection.execute(_SQL["add_undo"], [task_id, labeller, answer_id, origin])
            _tell(connection, task_id, labeller, "undo", origin)
        return self.task(task_id)

    def import_answers(self, event_id: int, origin: str, rows: Iterable[ImportedAnswer]) -> int:
        """Keep answers out of a file, in their order; returns how many are new.

        Rows about nodes without a task of this event are left out: check them before.
        """
        with self._database.connection() as connection:
            connection.execute(_SQL["make_given"])
            _copy_answers(connection, rows)
            given = {"event_id": event_id, "origin": origin}
            count = connection.execute(_SQL["import_given"], given, prepare=False).rowcount
            connection.execute(_SQL["drop_given"])
            if count:
                document = {"action_event_id": event_id, "answers": count, "origin": origin}
                add_event(connection, "label.answered", f"action event {event_id}", document)
            return count

    def current(self, event_id: int) -> Iterator[LabelAnswer]:
        """Yield what counts now, by node and labeller; skips too."""
        return self._stream(LabelAnswer, _SQL["current"], [event_id])

    def history(self, task_id: int) -> list[LabelAnswer]:
        """Return all that was ever said to a task, oldest first."""
        return self._all(LabelAnswer, _SQL["history"], [task_id])

    def progress(self, event_id: int) -> LabelProgress:
        """Count the tasks of a run and what was said to them."""
        found = self._first(LabelProgress, _SQL["progress"], [event_id])
        assert found is not None
        return found

    def runs(self, event_id: int | None = None, limit: int = 50) -> list[LabelRun]:
        """Return the runs that ask people, or one of them: open ones first, the newest first."""
        given = {"event_id": event_id, "limit": max(0, min(limit, TASKS_MAX))}
        return self._all(LabelRun, _SQL["runs"], given)

    def labellers(self, event_id: int) -> list[Labeller]:
        """Return who said what in a run, the most busy first."""
        return self._all(Labeller, _SQL["labellers"], [event_id])

    def newest_answer_id(self, event_id: int) -> int:
        """Return the greatest answer id of a run, 0 without any: it tells two states apart."""
        return self._value(_SQL["newest"], [event_id])


def _tell(
    connection: psycopg.Connection[Any], task_id: int, labeller: str, kind: str, origin: str
) -> None:
    document = {"task_id": task_id, "labeller": labeller, "kind": kind, "origin": origin}
    add_event(connection, "label.answered", f"label task {task_id}", document)


def _copy_answers(connection: psycopg.Connection[Any], rows: Iterable[ImportedAnswer]) -> None:
    statement = b"COPY given_answer FROM STDIN (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["int8", "int8", "text", "text", "text", "bytea"])
        for place, row in enumerate(rows):
            document = None if row.document is None else _document_text(row.document)
            key = bytes.fromhex(row.import_key)
            copy.write_row((place, row.node_id, row.labeller, row.kind, document, key))


def _document_text(document: dict[str, Any]) -> str:
    text = canonical_json(document)
    if len(text) > DOCUMENT_BYTES_MAX or "\\u0000" in text:
        raise UsageError(f"an answer is larger than {DOCUMENT_BYTES_MAX:,} bytes, or contains NUL")
    return text


def _checked(labeller: str) -> str:
    if not 1 <= len(labeller) <= 200 or not labeller.isprintable():
        raise UsageError("a labeller has a printable name of 1 to 200 characters")
    return labeller
