"""What a disk gave back and what it did itself are told apart, whichever it says first."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future, wait
from typing import Any

import pytest
from store_checks import assert_sealed, keys_of, until, write_manifest
from store_harness import MIB, with_settings, write_files

from fsd.disks.disks import Disk
from fsd.documents.models import BatchWriteRequest, MaterialiseRequest
from fsd.engine.engine import Engine
from fsd.export import copy_run

FILES = 120
FILE_BYTES = 100_000
REST = FILES - 2 * (MIB // FILE_BYTES + 1)
"""All but two segments of a shard each."""
EXPORTS = 2


def watch(monkeypatch: pytest.MonkeyPatch, late: bool) -> threading.Event:
    """Return what is set when a disk is asked to give back.

    A `late` answer comes when all extractions that the disk was asked for are answered.
    """
    request, out, asked = Disk.request, dict[str, list[Future[Any]]](), threading.Event()

    def watched(disk: Disk, operation: str, *arguments: Any, **more: Any) -> Future[Any]:
        future = request(disk, operation, *arguments, **more)
        before = out.setdefault(disk.disk_id, [])
        if operation == "extract":
            before.append(future)
        if operation != "give_back":
            return future
        answered: Future[Any] = Future()

        def pass_on() -> None:
            wait([future, *(before if late else ())])
            answered.set_result(future.result())

        threading.Thread(target=pass_on, daemon=True).start()
        asked.set()
        return answered

    monkeypatch.setattr(Disk, "request", watched)
    return asked


@pytest.mark.parametrize("late", [False, True], ids=["soon", "late"])
@pytest.mark.parametrize("hang_s", [0.2, 1e6], ids=["hangs", "is late"])
def test_every_file_is_made_and_counted_once(
    store, short_tmp: str, monkeypatch: pytest.MonkeyPatch, hang_s: float, late: bool
):
    """A disk's process stands still, with two segments, until the other has done the rest."""
    monkeypatch.setattr(copy_run, "HANG_S", hang_s)
    made = store(2, shard_size_bytes=MIB, started=False)
    engine = Engine(with_settings(made.root, stall_timeout_s=1e6))
    engine.start()
    try:
        files = {f"{number}": os.urandom(FILE_BYTES) for number in range(FILES)}
        source = write_files(os.path.join(short_tmp, "source"), files)
        put = engine.batch_write(BatchWriteRequest(folder=source, batch="all"))
        until(lambda: put.state == "done", "the put")
        manifest = write_manifest(os.path.join(short_tmp, "m"), keys_of(files))
        # The manifest is an object afterwards: the next exports write nothing to a disk.
        request = MaterialiseRequest(manifest=manifest, target_id="first", layout_id="plain")
        job = engine.jobs.get(engine.materialise("exports", request).job_id)
        until(lambda: job.state == "done", "the first export")
        asked = watch(monkeypatch, late)
        child = next(iter(engine.store.disks.disks.values())).child
        assert child is not None
        for number in range(EXPORTS):
            asked.clear()
            os.kill(child.pid, signal.SIGSTOP)
            try:
                request = request.model_copy(update={"target_id": f"{number}"})
                job = engine.jobs.get(engine.materialise("exports", request).job_id)
                until(lambda job=job: job.done_files >= REST, "what the other disk can do")
                assert asked.wait(60)
            finally:
                os.kill(child.pid, signal.SIGCONT)
            until(lambda job=job: job.state != "running", "the export")
            assert job.state == "done", job.error
            target = os.path.join(engine.config.area_path("3d"), f"{number}", "plain")
            assert_sealed(target, files)
    finally:
        engine.stop()
