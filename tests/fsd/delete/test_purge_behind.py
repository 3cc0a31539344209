"""A purge that is decided, and that the index could not follow: nothing new is taken for stored."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from store_checks import until
from store_harness import write_files

from fsd.delete.purge import purge
from fsd.documents.models import BatchWriteRequest
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.engine import Engine
from fsd.format.errors import QuotaError
from fsd.store.job import Job

FILES = {f"{number}": os.urandom(30_000) for number in range(8)}


@pytest.fixture
def engine(store) -> Iterator[Engine]:
    running = Engine(store(2, started=False).config)
    running.start()
    yield running
    running.stop()


def put(engine: Engine, folder: str, batch: str) -> Job:
    job = engine.batch_write(BatchWriteRequest(folder=folder, batch=batch))
    assert job.finished.wait(60)
    return job


@pytest.mark.fault
def test_what_is_put_before_the_index_follows_is_written_again(engine, short_tmp, monkeypatch):
    folder = write_files(os.path.join(short_tmp, "source"), FILES)
    assert put(engine, folder, "first").state == "done"
    engine.seal_and_project()

    def full(*_: Any) -> None:
        raise QuotaError("the SSD is full")

    with monkeypatch.context() as patched:
        patched.setattr("fsd.delete.purge.unplace", full)
        patched.setattr(engine, "_catch_up_index", lambda: None)
        job = purge(engine.dropper, PurgeRequest(batch="first"))
        assert job.finished.wait(60) and job.state == "failed", job.state
        again = put(engine, folder, "first")
        assert again.state == "failed" and "was purged" in str(again.error)
        second = put(engine, folder, "second")
        assert second.result is not None
        assert (second.result["written"], second.result["existing"]) == (len(FILES), 0)
    until(lambda: not engine.store.behind and _batches(engine) == ["second"], "the index")
    assert put(engine, folder, "first").state == "done"
    engine.seal_and_project()
    assert _batches(engine) == ["first", "second"]


def _batches(engine: Engine) -> list[str]:
    with engine.store.index.read() as reader:
        return sorted(row.name for row in reader.batches())
