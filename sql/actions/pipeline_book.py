"""Enrolments: which batches are in which pipeline, and where all batches of one stand.

A batch is in a pipeline because somebody put it there, or a run named the pipeline; that it shares
an action with one means nothing. What is enrolled is required of datasets that ask for complete
pipelines, so whoever changes it is told which datasets those are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import AwareDatetime

from base.errors import UsageError
from base.mistakes import suggestion
from base.model import Document
from sql.actions.history import StageState, stage_states
from sql.core.clean_text import clean_text
from sql.core.errors import NotFoundError
from sql.core.repository import Repository, rows_of
from sql.core.statements import statements

if TYPE_CHECKING:
    import psycopg


LISTED_MAX = 200

_SQL = statements("pipeline")


class EnrolledBatch(Document):
    """Where a batch stands in a pipeline; `current_stage` is None when all stages are done."""

    action_batch_id: int
    enrol_time: AwareDatetime
    enrolled_by: str
    node_count: int
    current_stage: int | None
    stages: tuple[StageState, ...]


class PipelineBatches(Document):
    """A pipeline and the batches that are in it, the newest batch first."""

    pipeline_id: int
    pipeline: str
    batches: tuple[EnrolledBatch, ...]


class WaitingDataset(Document):
    """A dataset whose next build leaves files out of its newest version's until a pipeline is
    complete for them."""

    name: str
    files: int
    files_left_out: int


class Begun(NamedTuple):
    """An enrolment and the last stage of it that was begun by itself; 0 for none."""

    pipeline: str
    action_batch_id: int
    begun_stage: int


class PipelineBook(Repository):
    """The enrolments of a database."""

    def enrol(self, pipeline: str, action_batch_ids: Sequence[int], by: str = "") -> int:
        """Put sealed batches into a pipeline; returns how many are new in it.

        All or none. UsageError for one that is not sealed or has no nodes.
        """
        with self._database.connection() as connection:
            pipeline_id = _pipeline(connection, pipeline)
            for action_batch_id in action_batch_ids:
                _check_batch(connection, action_batch_id)
            # In order, so that of two that enrol the same batches one waits for the other.
            return sum(
                connection.execute(
                    _SQL["enrol"],
                    {
                        "pipeline_id": pipeline_id,
                        "action_batch_id": action_batch_id,
                        "by": clean_text(by, 200),
                    },
                ).rowcount
                for action_batch_id in sorted(set(action_batch_ids))
            )

    def withdraw(self, pipeline: str, action_batch_ids: Sequence[int]) -> None:
        """Take batches out of a pipeline, all or none; what was done for their nodes stays done."""
        with self._database.connection() as connection:
            pipeline_id = _pipeline(connection, pipeline)
            for action_batch_id in sorted(set(action_batch_ids)):
                given = {"pipeline_id": pipeline_id, "action_batch_id": action_batch_id}
                if not connection.execute(_SQL["withdraw"], given).rowcount:
                    raise UsageError(f"batch {action_batch_id} is not in pipeline {pipeline}")

    def state(self, pipeline: str, limit: int = LISTED_MAX) -> PipelineBatches:
        """Return where the newest batches of a pipeline stand."""
        with self._database.reading() as connection:
            pipeline_id = _pipeline(connection, pipeline)
            given = {"pipeline_id": pipeline_id, "limit": min(limit, LISTED_MAX)}
            batches = tuple(
                EnrolledBatch(
                    action_batch_id=action_batch_id,
                    enrol_time=enrol_time,
                    enrolled_by=enrolled_by,
                    node_count=node_count,
                    current_stage=current_stage,
                    stages=stage_states(connection, action_batch_id, pipeline_id),
                )
                for action_batch_id, enrol_time, enrolled_by, node_count, current_stage in (
                    connection.execute(_SQL["enrolled"], given).fetchall()
                )
            )
        return PipelineBatches(pipeline_id=pipeline_id, pipeline=pipeline, batches=batches)

    def waiting_datasets(self, pipeline: str) -> list[WaitingDataset]:
        """Return the datasets that wait for a pipeline, by name (see `WaitingDataset`)."""
        with self._database.reading() as connection:
            given = {"pipeline_id": _pipeline(connection, pipeline)}
            return rows_of(connection, WaitingDataset, _SQL["waiting"], given)

    def begun(self, pipelines: Sequence[str]) -> list[Begun]:
        """Return the enrolments in these pipelines, the oldest first."""
        return self._all(Begun, _SQL["begun"], [list(pipelines)])

    def set_begun(self, pipeline: str, action_batch_id: int, stage: int) -> None:
        """Note that a stage was begun by itself, or with 0 none; an earlier one changes nothing."""
        given = {"pipeline": pipeline, "action_batch_id": action_batch_id, "stage": stage}
        self._change(_SQL["set_begun"], given)


def _pipeline(connection: psycopg.Connection[Any], name: str) -> int:
    known = dict(connection.execute(_SQL["names"]).fetchall())
    if name not in known:
        raise NotFoundError(f"there is no pipeline {name[:100]!a}{suggestion(name, known)}")
    return known[name]


def _check_batch(connection: psycopg.Connection[Any], action_batch_id: int) -> None:
    row = connection.execute(_SQL["batch"], [action_batch_id]).fetchone()
    if row is None:
        raise NotFoundError(f"there is no action batch {action_batch_id}")
    if not row[0]:
        raise UsageError(f"action batch {action_batch_id} is not sealed; seal it before")
    if not row[1]:
        raise UsageError(f"action batch {action_batch_id} has no nodes; no pipeline is for it")
