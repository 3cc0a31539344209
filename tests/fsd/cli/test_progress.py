"""Progress: every kind of job says how much there is, how much is done, and how long it will be."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable

import pytest
from loop_disks import loop_store, needs_loop
from store_checks import keys_of, write_manifest
from store_harness import with_settings, write_files

from fsd.delete.compact import compact
from fsd.delete.purge import purge
from fsd.documents.models import (
    BatchWriteRequest,
    MaterialiseRequest,
    RebuildRequest,
    VerifyRequest,
)
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.drain import drain, replace
from fsd.engine.engine import Engine
from fsd.engine.rebalance import rebalance
from fsd.format.errors import FsdError
from fsd.store.job import Job
from fsd.watch.watch import REPAIR

pytestmark = needs_loop
WAIT_S = 90.0
DISKS, AT_FIRST = 5, 3


class Told:
    """What jobs told of themselves before and after each step, by kind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.eta_s: defaultdict[str, list[float | None]] = defaultdict(list)
        advance = Job.advance

        def noted(job: Job, files: int, size_bytes: int) -> None:
            job.status()
            advance(job, files, size_bytes)
            told = job.status()
            if files or size_bytes:
                self.eta_s[job.kind].append(told.eta_s)

        monkeypatch.setattr(Job, "advance", noted)

    def has_eta(self, kind: str) -> bool:
        """Whether such a job knew, with work left, how long that takes."""
        return any(eta_s is not None and eta_s > 0 for eta_s in self.eta_s[kind])


def finished(job: Job) -> Job:
    assert job.finished.wait(WAIT_S) and job.state == "done", (job.kind, job.state, job.error)
    told = job.status()
    assert told.total_files > 0, told.kind
    assert (told.done_files, told.done_bytes) == (told.total_files, told.total_bytes), told
    assert told.eta_s is None, told.kind
    return job


def export(engine: Engine, manifest: str, kind: str) -> Job:
    request = MaterialiseRequest(manifest=manifest, target_id="set", layout_id="plain")
    return engine.jobs.get(engine.materialise(kind, request).job_id)


def lose_two_replicas(engine: Engine) -> None:
    shards = [s for s in engine.store.shards.state.shards.values() if s.sealed and not s.vacated]
    for shard in shards[:2]:
        engine.store.mark_lost(shard.shard_id, engine.store.disks.disks[shard.disks[0]])


def test_every_kind_of_job(short_tmp, monkeypatch):
    told = Told(monkeypatch)
    batches = {
        name: {f"{name}{n}": os.urandom(150_000 + n) for n in range(count)}
        for name, count in (("first", 150), ("second", 10), ("third", 10))
    }
    with loop_store(short_tmp, DISKS, in_use=AT_FIRST) as (made, disks):
        made.stop()
        engine = Engine(with_settings(made.root, grace_s=0, scrub_rate_bytes_per_s=0))
        monkeypatch.setattr(engine.reconciler, "wanted", only_at_once(engine))
        engine.start()
        try:
            for name, files in batches.items():
                folder = write_files(os.path.join(short_tmp, name), files)
                finished(engine.batch_write(BatchWriteRequest(folder=folder, batch=name)))
            manifest = write_manifest(os.path.join(short_tmp, "m"), keys_of(batches["first"]))
            finished(export(engine, manifest, "exports"))
            finished(export(engine, manifest, "stage"))
            engine.seal_and_project()
            finished(purge(engine.dropper, PurgeRequest(batch="third")))
            engine.on_barrier = fail_when_copied
            leave_off(compact(engine.dropper, 0.0))
            engine.on_barrier = lambda _name: None
            finished(compact(engine.dropper, 0.0))  # Which has nothing left to copy.
            for job in (engine.verify(VerifyRequest()), engine.fsck(), engine.watch.scrub_now()):
                finished(job)
            engine.add_disk(disks[3].path, "d4")
            finished(rebalance(engine))
            finished(drain(engine, engine.store.disks.online()[0].name))
            finished(replace(engine, engine.store.disks.online()[1].name, disks[4].path, "d5"))
            lose_two_replicas(engine)
            finished(engine.rebuild(RebuildRequest()))
            finished(engine.reindex())
            finished(engine.start_job(REPAIR, "", engine.watch.scrubber.repair_index))
            kinds = {job.kind for job in engine.jobs.all()}
        finally:
            engine.stop()
    assert len(kinds) == 14
    assert [kind for kind in sorted(kinds) if not told.has_eta(kind)] == []


def fail_when_copied(barrier: str) -> None:
    if barrier == "copied":
        raise FsdError("a test")


def leave_off(job: Job) -> None:
    assert job.finished.wait(WAIT_S) and job.result["copied_bytes"] == 0, job.error
    assert job.state == "incomplete" and job.done_bytes > 0


def only_at_once(engine: Engine) -> Callable[..., list[object]]:
    """Let no copy be made beside those of jobs: these would find nothing to do."""
    wanted = engine.reconciler.wanted
    return lambda *, at_once=False: wanted(at_once=True) if at_once else []
