"""Jobs that have ended: what is remembered of them is little."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from base.errors import DrystoneError
from fsd.format.errors import FsdError
from fsd.store.job import Job, JobRegistry


class Batch:
    """Stands for what may be large."""


@pytest.mark.warns("the job fails")
def test_a_failed_job_is_remembered_without_what_it_held(tmp_path):
    held: list[weakref.ref[Batch]] = []

    def hold_and_fail(error: Exception) -> None:
        batch = Batch()
        held.append(weakref.ref(batch))
        raise error

    def work(_job: Job) -> dict[str, Any]:
        try:
            try:
                hold_and_fail(OSError("no room"))
            except OSError as error:
                cause = error
                hold_and_fail(ValueError("met on the way"))
        except ValueError:
            raise FsdError("the batch was not stored") from cause

    registry = JobRegistry(str(tmp_path / "jobs"))
    job = registry.start("put", "", work)
    assert job.finished.wait(60) and job.state == "failed"
    assert len(held) == 2 and [one() for one in held] == [None, None]
    told = registry.get(job.job_id).failure
    assert told is not None and told.__cause__ is not None
    with pytest.raises(DrystoneError, match="the batch was not stored"):
        raise told


def test_a_job_ends_also_where_its_report_finds_no_room(tmp_path):
    def work(job: Job) -> dict[str, Any]:
        job._report.close()
        job._report = open("/dev/full", "wb")  # noqa: SIM115 - closed by the job.
        job.report({"path": "one"})
        return {}

    job = JobRegistry(str(tmp_path / "jobs")).start("put", "", work)
    assert job.finished.wait(60) and job.state == "done"
    assert job.finished_s is not None and job._report.closed
