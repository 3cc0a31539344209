"""The labelling of all runs: it owns who has which task in hand, and how far each run is.

Answers go to the database at once; what is kept here may be lost. Two people get different tasks as
long as there are enough: a task that somebody has in hand counts as answered for a while. Every
call blocks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from base.errors import UsageError
from gui.core.errors import ForbiddenError
from sql import Labeller, LabelRun, LabelTask, NotFoundError

if TYPE_CHECKING:
    from adapters.actions import LabelQuestion, LabelReport, LoadedContract
    from jobs import RunControl
    from sql import Database

AHEAD = 4
"""So many tasks a page has: the one in sight, and pictures that load meanwhile."""
IN_HAND_S = 300.0
PAGE_TASKS = 100
PAGES_MAX = 50
"""So far is looked for a task that nobody has in hand."""
KEPT_S = 1.0
COST_FACTOR = 10.0
"""Figures are read again after so many times what reading them took: large runs less often."""
ENDED_KEPT_S = 300.0


class Standing(NamedTuple):
    """A run, what it asks, how far it is, and who did it."""

    run: LabelRun
    question: str
    kind: str
    classes: tuple[str, ...]
    labellers_wanted: int
    report: LabelReport
    labellers: tuple[Labeller, ...]
    people: tuple[str, ...] = ()
    """The accounts that are asked; none are all who label."""

    @property
    def is_open(self) -> bool:
        """Whether answers count."""
        return self.run.state == "open"


class Taken(NamedTuple):
    """A task whose answer was taken back; None for a skip."""

    task: LabelTask
    document: dict[str, Any] | None


class Labelling:
    """One per server."""

    def __init__(self, database: Callable[[], Database], control: Callable[[], RunControl]) -> None:
        self._database = database
        self._control = control
        # Guards all below, never held while the database is asked. Innermost.
        self._lock = threading.Lock()
        self._in_hand: dict[int, dict[int, dict[str, float]]] = {}
        self._contracts: dict[str, LoadedContract] = {}
        self._standings: dict[int, tuple[float, Standing]] = {}

    # ---- How far runs are ------------------------------------------------------------------------

    def standings(self) -> tuple[Standing, ...]:
        """Return the runs that ask people, open ones first."""
        return tuple(self._standing(run) for run in self._database().labels.runs())

    def standing(self, event_id: int) -> Standing:
        """Return one run; NotFoundError when it asks nobody."""
        return self._standing(self.run(event_id))

    def run(self, event_id: int) -> LabelRun:
        """Return a run as it is now; NotFoundError when it asks nobody."""
        found = self._database().labels.runs(event_id)
        if not found:
            raise NotFoundError(f"there is no labelling {event_id}; see the list of labelling")
        return found[0]

    def _standing(self, run: LabelRun) -> Standing:
        from adapters.actions import label_report

        now = time.monotonic()
        with self._lock:
            until, known = self._standings.get(run.event_id, (0.0, None))
        if known is not None and now < until and known.run == run:
            return known
        database, loaded = self._database(), self.contract(run)
        task = loaded.contract.label_task
        assert task is not None
        made = Standing(
            run,
            task.question or loaded.contract.description,
            task.kind,
            task.classes,
            task.labellers,
            label_report(database, loaded, run.event_id),
            tuple(database.labels.labellers(run.event_id)),
            task.people,
        )
        cost_s = time.monotonic() - now
        kept_s = max(KEPT_S, COST_FACTOR * cost_s) if made.is_open else ENDED_KEPT_S
        with self._lock:
            self._standings[run.event_id] = (now + kept_s, made)
        return made

    def contract(self, run: LabelRun) -> LoadedContract:
        """Return the contract that a run began with."""
        from adapters.actions import registered_contract

        with self._lock:
            known = self._contracts.get(run.contract_digest)
        if known is None:
            known = registered_contract(self._database(), run.contract_digest)
            with self._lock:
                self._contracts[run.contract_digest] = known
        return known

    # ---- Tasks -----------------------------------------------------------------------------------

    def tasks(
        self, event_id: int, labeller: str, after: int = 0, held: Collection[int] = ()
    ) -> list[LabelTask]:
        """Return tasks for a labeller beside those `held` already, so that there are AHEAD.

        Those after the task `after` come first. Nothing when nothing is left to say.
        """
        self._check_asked(self.run(event_id), labeller)
        with self._lock:
            hands = self._hands(event_id)
            for task_id in held:
                hands.setdefault(task_id, {})[labeller] = time.monotonic() + IN_HAND_S
        wanted = AHEAD - len(held)
        found = self._free_tasks(event_id, labeller, after, {*held}, wanted) if wanted > 0 else []
        if not found and not held:
            # All that is left is in others' hands, who may have gone home.
            found = self._database().labels.tasks(
                event_id, open_only=True, labeller=labeller, limit=AHEAD
            )
        with self._lock:
            for task in found:
                hands.setdefault(task.task_id, {})[labeller] = time.monotonic() + IN_HAND_S
        return found

    def _check_asked(self, run: LabelRun, labeller: str) -> LabelQuestion:
        """Return what a run asks. Raises ForbiddenError when it asks others than the labeller."""
        question = self.contract(run).contract.label_task
        assert question is not None
        if question.people and labeller not in question.people:
            raise ForbiddenError(f"this asks only {', '.join(question.people)}")
        return question

    def _free_tasks(
        self, event_id: int, labeller: str, after: int, seen: set[int], wanted: int
    ) -> list[LabelTask]:
        found: list[LabelTask] = []
        for begin in (after, 0) if after else (0,):
            cursor = begin
            for _ in range(PAGES_MAX):
                page = self._database().labels.tasks(
                    event_id, open_only=True, labeller=labeller, after_task_id=cursor,
                    limit=PAGE_TASKS,
                )  # fmt: skip
                for task in page:
                    if task.task_id not in seen and self._is_free(task, labeller):
                        seen.add(task.task_id)
                        found.append(task)
                        if len(found) == wanted:
                            return found
                if len(page) < PAGE_TASKS:
                    break
                cursor = page[-1].task_id
        return found

    def _is_free(self, task: LabelTask, labeller: str) -> bool:
        now = time.monotonic()
        with self._lock:
            hands = self._hands(task.event_id).get(task.task_id, {})
            others = sum(until > now for name, until in hands.items() if name != labeller)
        return task.answers + others < task.labellers_wanted

    def _hands(self, event_id: int) -> dict[int, dict[str, float]]:
        return self._in_hand.setdefault(event_id, {})

    # ---- Answers ---------------------------------------------------------------------------------

    def answer(
        self, event_id: int, task_id: int, labeller: str, document: dict[str, Any] | None
    ) -> None:
        """Keep an answer, or a skip without a document; the same again changes nothing.

        Raises UsageError when the run has ended, and AdapterError for what is no answer to it.
        """
        from adapters.actions import check_answer

        run, book = self._open_run(event_id), self._database().labels
        if book.task(task_id).event_id != event_id:
            raise NotFoundError(f"labelling {event_id} has no task {task_id}")
        question = self._check_asked(run, labeller)
        checked = None if document is None else check_answer(question, document)
        said = [one for one in book.history(task_id) if one.labeller == labeller]
        # A browser that got no reply sends it again: twice would have to be undone twice.
        is_known = bool(said) and said[-1].kind != "undo" and said[-1].document == checked
        if not is_known:
            book.add_answer(task_id, labeller, checked)
        with self._lock:
            hands = self._hands(event_id)
            hands.get(task_id, {}).pop(labeller, None)
            if not hands.get(task_id):
                hands.pop(task_id, None)
            self._standings.pop(event_id, None)

    def undo(self, event_id: int, labeller: str) -> Taken | None:
        """Take back the newest word of a labeller; None when there is none."""
        self._open_run(event_id)
        book = self._database().labels
        task = book.undo(event_id, labeller)
        if task is None:
            return None
        said: list[dict[str, Any] | None] = []
        taken: dict[str, Any] | None = None
        for one in book.history(task.task_id):
            if one.labeller != labeller:
                continue
            if one.kind == "undo":
                taken = said.pop() if said else None
            else:
                said.append(one.document)
        with self._lock:
            hands = self._hands(event_id).setdefault(task.task_id, {})
            hands[labeller] = time.monotonic() + IN_HAND_S
            self._standings.pop(event_id, None)
        return Taken(task, taken)

    def settle(self, event_id: int) -> bool:
        """Let the run go on when everything is answered; tells whether it is."""
        progress = self._database().labels.progress(event_id)
        if progress.complete < progress.tasks:
            return False
        run = self.run(event_id)
        # run:12, or run:12.2 where its run was retried.
        number = run.run_reference.removeprefix("run:").partition(".")[0]
        if run.state == "open" and number.isascii() and number.isdigit():
            self._control().labels_came(int(number))
        return True

    def _open_run(self, event_id: int) -> LabelRun:
        run = self.run(event_id)
        if run.state != "open":
            raise UsageError(f"this labelling is {run.state}: answers do not count any more")
        return run
