"""What people agree on becomes results (AC5): it owns the consensus of a run, and its figures.

A task with all the answers it wants is published: the class, or the boxes, that more than half of
its labellers give. Without such a majority it is disputed and has no row. Published again after a
later answer, new rows supersede (see `SupersededResults`): the result table holds what counts now,
superseded_result what counted before, and label_answer all that was ever said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from adapters.actions.labels.agreement import (
    Agreement,
    Voted,
    agreement_of_boxes,
    agreement_of_classes,
    box_of,
    majority_boxes,
    majority_class,
)
from adapters.actions.labels.answer import Box, boxes_of
from adapters.records.errors import AdapterError
from base.errors import UsageError
from sql import LabelAnswer, LabelTask, NodeOutcome, ResultRow, SupersededResults, WriteIntent

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from adapters.actions.contract.contract import ActionContract
    from sql import Database

PART = 0
TASKS_PER_PAGE = 1_000
SNAPSHOTS_MAX = 10


class LabelReport(BaseModel):
    """Where the labelling of a run stands. JSON-able."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: int
    complete: int
    disputed: int
    """Complete, without a majority."""
    skipped: int
    """Tasks that somebody skipped."""
    hidden: int = 0
    """Not complete, and never to be: their nodes were deleted or black-listed."""
    results: int
    agreement: Agreement
    published: bool = False


@dataclass(slots=True)
class _Task:
    task: LabelTask
    answers: dict[str, dict[str, Any]]
    skipped: bool = False


def make_label_tasks(database: Database, loaded: LoadedContract, action_event_id: int) -> int:
    """Ask about every node of the event's batch; returns how many tasks are new."""
    task = loaded.contract.label_task
    if task is None:
        raise UsageError(f"action {loaded.contract.name} asks people nothing (`label_task`)")
    return database.labels.make_tasks(action_event_id, task.labellers)


def label_report(database: Database, loaded: LoadedContract, action_event_id: int) -> LabelReport:
    """Return how far the labelling is and how far people agree; writes nothing."""
    return _report(loaded.contract, _tasks(database, action_event_id), action_event_id)


def publish_labels(database: Database, loaded: LoadedContract, action_event_id: int) -> LabelReport:
    """Write what people agree on as results, and which nodes are done; safe to call again.

    Nodes whose tasks still want answers are missing. The event is not ended: more answers may come.
    """
    contract = loaded.contract
    newest, tasks = _snapshot(database, action_event_id)
    if contract.result_schema:
        database.apply_intent(_intent(contract, tasks, action_event_id, newest))
    outcomes = [
        NodeOutcome(node_id=task.task.node_id, outcome="done")
        if _is_complete(task)
        else NodeOutcome(node_id=task.task.node_id, outcome="missing", reason=_missing(task))
        for task in tasks
    ]
    database.actions.record_outcomes(action_event_id, PART, outcomes)
    return _report(contract, tasks, action_event_id, published=True)


def _snapshot(database: Database, event_id: int) -> tuple[int, list[_Task]]:
    """Return the tasks and the newest answer they hold: the same number is the same answers."""
    newest = database.labels.newest_answer_id(event_id)
    for _ in range(SNAPSHOTS_MAX):
        tasks, before = _tasks(database, event_id), newest
        newest = database.labels.newest_answer_id(event_id)
        if newest == before:
            return newest, tasks
    raise AdapterError("answers come faster than they can be read; publish again later")


def _intent(
    contract: ActionContract, tasks: Sequence[_Task], event_id: int, newest: int
) -> WriteIntent:
    complete = [task for task in tasks if _is_complete(task)]
    return WriteIntent(
        intent_id=f"labels:{event_id}:{newest}",
        results=tuple(row for task in complete for row in _rows(contract, task, event_id)),
        superseded_results=tuple(
            SupersededResults(action=contract.name, key=task.task.key, action_event_id=event_id)
            for task in tasks
        ),
    )


def _tasks(database: Database, event_id: int) -> list[_Task]:
    tasks: dict[int, _Task] = {}
    after = 0
    while page := database.labels.tasks(event_id, after_task_id=after, limit=TASKS_PER_PAGE):
        tasks |= {task.task_id: _Task(task, {}) for task in page}
        after = page[-1].task_id
    for answer in database.labels.current(event_id):
        _add(tasks[answer.task_id], answer)
    return list(tasks.values())


def _add(task: _Task, answer: LabelAnswer) -> None:
    if answer.document is None:
        task.skipped = True
    else:
        task.answers[answer.labeller] = answer.document


def _is_complete(task: _Task) -> bool:
    return len(task.answers) >= task.task.labellers_wanted


def _missing(task: _Task) -> str:
    return "deleted or black-listed" if task.task.hidden else "it waits for labels"


def _report(
    contract: ActionContract, tasks: Sequence[_Task], event_id: int, *, published: bool = False
) -> LabelReport:
    complete = [task for task in tasks if _is_complete(task)]
    voted = [_votes(contract, task.answers) for task in complete]
    by_labeller = [task.answers for task in tasks]
    if _is_classification(contract):
        agreement = agreement_of_classes(map(_classes, by_labeller))
    else:
        agreement = agreement_of_boxes(map(_boxes, by_labeller))
    return LabelReport(
        tasks=len(tasks),
        complete=len(complete),
        disputed=sum(votes is None for votes in voted),
        skipped=sum(task.skipped for task in tasks),
        hidden=sum(task.task.hidden and not _is_complete(task) for task in tasks),
        results=sum(len(votes or ()) for votes in voted),
        agreement=agreement,
        published=published,
    )


# ---- Votes -----------------------------------------------------------------------------------


def _is_classification(contract: ActionContract) -> bool:
    assert contract.label_task is not None
    return contract.label_task.kind == "classification"


def _classes(answers: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    return {labeller: document["class"] for labeller, document in answers.items()}


def _boxes(answers: Mapping[str, dict[str, Any]]) -> dict[str, list[Box]]:
    return {labeller: boxes_of(document) for labeller, document in answers.items()}


def _votes(contract: ActionContract, answers: Mapping[str, dict[str, Any]]) -> list[Voted] | None:
    """Return what more than half say; None when they dispute."""
    if _is_classification(contract):
        voted = majority_class(_classes(answers))
        return None if voted is None else [voted]
    boxes = _boxes(answers)
    found = majority_boxes(boxes)
    # No box is a majority's word too, where more than half drew none.
    empty = sum(not drawn for drawn in boxes.values())
    return found if found or 2 * empty > len(boxes) else None


def _rows(contract: ActionContract, task: _Task, event_id: int) -> Iterator[ResultRow]:
    for voted in _votes(contract, task.answers) or ():
        said: dict[str, Any] = {
            "labeller": ", ".join(voted.labellers),
            "votes": len(voted.labellers),
            "agreement": voted.share,
        }
        if _is_classification(contract):
            said |= {"label": voted.value, "class": voted.value}
        else:
            said |= box_of(voted)._asdict()
        values = {name: said[name] for name in contract.result_schema if name in said}
        yield ResultRow(
            action=contract.name, key=task.task.key, action_event_id=event_id, values=values
        )
