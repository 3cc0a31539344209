"""The books of actions and labels: equal work is done once, what was said is never lost."""

from __future__ import annotations

from typing import Any

import pytest

from base.errors import UsageError
from sql import (
    Column,
    Database,
    DeclaredTable,
    NodeOutcome,
    QuarantineRow,
    ResultRow,
    Selector,
    SupersededResults,
    VirtualNode,
    WriteIntent,
    key_of,
)
from sql.actions.label_book import ImportedAnswer
from sql.core.errors import IntentError, NotFoundError

DIGEST = "ab" * 32
TABLE = DeclaredTable(
    kind="action",
    name="look",
    version=1,
    comment="What was seen",
    columns=(Column(name="seen", type="text", comment="The thing"),),
)


class World:
    """Ten nodes, an action with a table of results, and sealed batches."""

    def __init__(self, database: Database) -> None:
        self.database, self.book = database, database.actions
        database.actions.declare_action(50, "look", "AC2")
        database.declare(TABLE)
        self.keys = [key_of(f"n{number}") for number in range(10)]
        database.apply_intent(
            WriteIntent(
                intent_id="nodes",
                virtual_nodes=tuple(VirtualNode(description=f"n{n}") for n in range(10)),
            )
        )
        rows = database.query_nodes(Selector(version=1))
        ids = {row.key: row.node_id for row in rows}
        self.nodes = [ids[key] for key in self.keys]

    def batch(self, nodes: list[int]) -> int:
        return self.database.action_context.make_sealed_batch(nodes)

    def begin(self, batch: int, run: str, version: int = 1, **parameters: Any) -> int:
        return self.book.begin_event(
            50, batch, run_reference=run, version=version, contract_digest=DIGEST,
            parameters=parameters,
        )  # fmt: skip

    def pending(self, batch: int, version: int = 1, **parameters: Any) -> list[int]:
        return [row.node_id for row in self.book.pending_nodes(50, batch, version, parameters)]

    def finish(self, event: int, nodes: list[int], outcome: Any = "done") -> None:
        rows = [NodeOutcome(node_id=node, outcome=outcome) for node in nodes]
        self.book.record_outcomes(event, 0, rows)

    def results(self) -> list[tuple[int, int, str]]:
        with self.database.connection() as connection:
            query = "SELECT node_id, action_event_id, seen FROM result_look ORDER BY 1, 2, 3"
            return connection.execute(query).fetchall()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_equal_work_is_done_once(world: World):
    first, second = world.batch(world.nodes[:6]), world.batch(world.nodes[3:])
    event = world.begin(first, "run-1")
    assert world.begin(first, "run-1") == event
    world.finish(event, world.nodes[:5])
    world.finish(event, world.nodes[5:6], "missing")
    assert world.pending(first) == world.nodes[5:6]
    assert world.pending(second) == world.nodes[5:]
    # Another version or other parameters are other work.
    assert world.pending(second, version=2) == world.nodes[3:]
    assert world.pending(second, size=3) == world.nodes[3:]
    assert world.book.end_event(event) == "partial"
    assert world.book.event(event).status == "failed"
    # The node that was missing is done by another batch; then the first one needs nothing.
    other = world.begin(second, "run-2")
    world.finish(other, world.nodes[5:])
    assert world.book.end_event(other) == "done"
    again = world.begin(first, "run-3")
    assert world.pending(first) == []
    assert world.book.end_event(again) == "done"
    assert world.book.end_event(again, cancelled=True) == "done"


def test_a_run_is_bound_to_what_it_began_with(world: World):
    batch = world.batch(world.nodes[:2])
    event = world.begin(batch, "run", size=1)
    with pytest.raises(UsageError, match="began with another"):
        world.begin(batch, "run", size=2)
    with pytest.raises(UsageError, match="began with another"):
        world.begin(world.batch(world.nodes), "run", size=1)
    with pytest.raises(NotFoundError):
        world.book.event(event + 1)
    assert world.book.end_event(event, cancelled=True) == "cancelled"
    assert world.book.event(event).end_time is not None


def test_an_event_without_any_done_node_failed(world: World):
    batch = world.batch(world.nodes[:2])
    event = world.begin(batch, "run")
    world.finish(event, world.nodes[:2], "failed")
    assert world.book.end_event(event) == "failed"
    empty = world.begin(world.batch([]), "empty")
    assert world.book.end_event(empty) == "failed"


def test_what_is_done_stays_done(world: World):
    batch = world.batch(world.nodes[:2])
    event = world.begin(batch, "run")
    world.finish(event, world.nodes[:1])
    world.finish(event, world.nodes[:2], "failed")
    assert world.book.outcome_counts(event) == {"done": 1, "failed": 1}
    assert [row.node_id for row in world.book.outcomes(event, outcome="failed")] == [world.nodes[1]]


def test_the_quarantine_lists_a_record_once(world: World):
    event = world.begin(world.batch(world.nodes[:2]), "run")
    quarantine = world.database.quarantine
    rows = [
        QuarantineRow(path="a.json", reason="no JSON", key=DIGEST),
        QuarantineRow(path="b.csv", record_number=3, node_id=world.nodes[0], reason="wrong"),
    ]
    assert quarantine.add_of_event(event, 0, rows, "action-1-0") == 2
    assert quarantine.add_of_event(event, 0, rows, "action-1-0") == 0
    first, second = quarantine.of_actions(event)
    assert (first.path, first.key, first.record_number) == ("a.json", DIGEST, -1)
    assert (second.node_id, second.store_batch) == (world.nodes[0], "action-1-0")
    assert quarantine.close([first.quarantine_id]) == 1
    assert quarantine.close([first.quarantine_id]) == 0
    # Read again, a row that was closed stays closed.
    assert quarantine.add_of_event(event, 0, rows, None) == 0
    assert [row.path for row in quarantine.of_actions(action="look")] == ["b.csv"]
    assert len(list(quarantine.of_actions(event, open_only=False))) == 2


def intent(world: World, name: str, event: int, *, node: int = 0, seen: str = "") -> WriteIntent:
    key = world.keys[node]
    values = {"seen": seen}
    return WriteIntent(
        intent_id=name,
        results=(ResultRow(action="look", key=key, action_event_id=event, values=values),),
        superseded_results=(SupersededResults(action="look", key=key, action_event_id=event),),
    )


def test_later_results_supersede_earlier_ones(world: World):
    batch = world.batch(world.nodes)
    old, new = world.begin(batch, "old"), world.begin(batch, "new", version=2)
    other = world.begin(batch, "other", size=7)
    apply = world.database.apply_intent
    assert apply(intent(world, "1", old, seen="cat")).results_superseded == 0
    apply(intent(world, "2", old, node=1, seen="cow"))
    apply(intent(world, "3", other, seen="cat, seven times"))
    second = apply(intent(world, "4", new, seen="dog"))
    assert (second.results_superseded, second.rows_new) == (1, 1)
    assert apply(intent(world, "4", new, seen="dog")).repeated
    # Those of other nodes and of other parameters stay.
    assert [row[2] for row in world.results()] == ["dog", "cat, seven times", "cow"]
    with world.database.connection() as connection:
        former = connection.execute(
            "SELECT node_id, action_event_id, document::json ->> 'seen', superseded_by "
            "FROM superseded_result"
        ).fetchall()
    assert former == [(world.nodes[0], old, "cat", "4")]
    found = Selector.model_validate(
        {"version": 1, "where": {"result": {"action": "look", "columns": {"seen": "cat"}}}}
    )
    assert list(world.database.query_nodes(found)) == []


def test_superseding_nothing_known_is_refused(world: World):
    row = SupersededResults(action="gone", key=world.keys[0], action_event_id=99)
    with pytest.raises(IntentError) as error:
        world.database.apply_intent(WriteIntent(intent_id="x", superseded_results=(row,)))
    assert [line.partition(":")[0] for line in error.value.problems] == [
        "superseded_results[0].action",
        "superseded_results[0].action_event_id",
    ]


# ---- Labels ----------------------------------------------------------------------------------


def test_later_answers_supersede_and_history_stays(world: World):
    event = world.begin(world.batch(world.nodes[:2]), "run")
    labels = world.database.labels
    assert labels.make_tasks(event, 2) == 2
    assert labels.make_tasks(event, 2) == 0
    task = labels.tasks(event, open_only=True, labeller="ann")[0]
    assert task.node_id == world.nodes[0]
    labels.add_answer(task.task_id, "ann", {"class": "cat"})
    labels.add_answer(task.task_id, "ann", {"class": "dog"})
    labels.add_answer(task.task_id, "bob", None)
    now = {answer.labeller: answer.document for answer in labels.current(event)}
    assert now == {"ann": {"class": "dog"}, "bob": None}
    assert labels.task(task.task_id).answers == 1
    assert labels.progress(event).model_dump() == {
        "tasks": 2, "complete": 0, "answers": 1, "skips": 1,
    }  # fmt: skip
    # Undone twice, ann has said nothing; every word of hers is still there.
    assert labels.undo(event, "ann") is not None
    assert {answer.labeller: answer.document for answer in labels.current(event)}["ann"] == {
        "class": "cat"
    }
    labels.undo(event, "ann")
    assert labels.undo(event, "ann") is None
    kinds = [answer.kind for answer in labels.history(task.task_id)]
    assert kinds == ["answer", "answer", "skip", "undo", "undo"]
    assert labels.tasks(event, open_only=True, labeller="ann")[0].task_id == task.task_id


def test_a_complete_task_is_offered_to_nobody(world: World):
    event = world.begin(world.batch(world.nodes[:1]), "run")
    labels = world.database.labels
    labels.make_tasks(event, 1)
    (task,) = labels.tasks(event)
    labels.add_answer(task.task_id, "ann", {"class": "cat"})
    assert labels.tasks(event, open_only=True, labeller="bob") == []
    assert labels.tasks(event, open_only=True) == []


def test_a_file_is_imported_once(world: World):
    event = world.begin(world.batch(world.nodes[:2]), "run")
    labels = world.database.labels
    labels.make_tasks(event, 1)
    rows = [
        ImportedAnswer(
            node_id=node, labeller="ann", document={"class": "cat"}, import_key=DIGEST
        )
        for node in world.nodes[:3]
    ]  # fmt: skip
    assert labels.import_answers(event, "csv", rows) == 2
    assert labels.import_answers(event, "csv", rows) == 0
    assert [answer.origin for answer in labels.current(event)] == ["csv", "csv"]


def test_what_no_answer_can_be(world: World):
    event = world.begin(world.batch(world.nodes[:1]), "run")
    labels = world.database.labels
    with pytest.raises(UsageError, match="1 to 20"):
        labels.make_tasks(event, 21)
    labels.make_tasks(event, 1)
    (task,) = labels.tasks(event)
    with pytest.raises(UsageError, match="printable name"):
        labels.add_answer(task.task_id, "", {"class": "cat"})
    with pytest.raises(UsageError, match="NUL"):
        labels.add_answer(task.task_id, "ann", {"class": "\0"})
    with pytest.raises(NotFoundError, match="no label task"):
        labels.add_answer(task.task_id + 1, "ann", {"class": "cat"})
    with pytest.raises(NotFoundError):
        labels.task(task.task_id + 1)
