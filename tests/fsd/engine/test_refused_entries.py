"""Catalog entries that too few disks took: what they say holds at once, as after a start."""

from __future__ import annotations

import contextlib
import errno
import os
from concurrent.futures import Future
from typing import Any

import pytest
from store_checks import assert_batch, assert_clean, key_of, keys_of, until, write_manifest
from store_harness import MIB
from test_cancel import WAIT_S, check, done, opened, put

from base.errors import DrystoneError
from fsd.compile.references import pin_manifest
from fsd.delete.compact import compact
from fsd.delete.compact_plan import vacated_shards
from fsd.delete.purge import purge
from fsd.disks.disks import Disk
from fsd.documents.models import MaterialiseRequest
from fsd.documents.purge_models import PurgeRequest
from fsd.engine.drain import retire
from fsd.engine.engine import Engine
from fsd.format.catalog import CatalogState, merge, unpack_frames
from fsd.format.errors import DiskError
from fsd.store.job import Job

FILES = {f"{number}": os.urandom(60_000 + number) for number in range(12)}
MORE = {f"{number}": os.urandom(50_000 + number) for number in range(3)}
MANIFEST = "".join(
    f'{{"path":"{path}","key":"{key}"}}\n' for path, key in keys_of(FILES).items()
).encode()


def refuse(monkeypatch: pytest.MonkeyPatch, kind: str, *disks: Disk) -> None:
    """Let each of the disks fail once, when it is to take an entry of this kind."""
    request, left = Disk.request, {disk.disk_id for disk in disks}

    def failing(self: Disk, operation: str, *arguments: Any, **keywords: Any) -> Future[Any]:
        kinds = [one.kind for one in unpack_frames(arguments[0])] if "append_" in operation else ()
        if operation != "append_catalog" or self.disk_id not in left or kind not in kinds:
            return request(self, operation, *arguments, **keywords)
        left.discard(self.disk_id)
        failed: Future[Any] = Future()
        failed.set_exception(DiskError("an error of the disk", self.name, errno.EIO))
        return failed

    monkeypatch.setattr(Disk, "request", failing)


def ended(job: Job) -> None:
    """Wait for a job and raise what it failed with."""
    assert job.finished.wait(WAIT_S)
    if job.failure is not None:
        raise job.failure


def read_anew(engine: Engine) -> CatalogState:
    """Return what a start would make of the disks' logs."""
    disks = engine.store.disks.disks.values()
    return CatalogState.of(
        merge(list(unpack_frames(disk.call("read_catalog"))) for disk in disks if disk.readable)
    )


def listed(engine: Engine) -> tuple[set[str], list[str]]:
    """Return the batches and views that the index has."""
    with engine.store.index.read() as reader:
        batches = {row.name for row in reader.batches()}
        return batches, [row.view_id for row in reader.views()]


@pytest.mark.fault
def test_of_two_shards_with_the_same_records_only_one_is_given_up(store, monkeypatch):
    """One disk alone hears that the first is; the next compaction would give up the other one."""
    made = store(2, started=False)
    with opened(made, grace_s=0) as engine:
        for name, files in (("first", FILES), ("second", MORE)):
            done(put(engine, made, name, files))
        done(engine.rebuild_lost(None, "rebuild"))
        done(purge(engine.dropper, PurgeRequest(batch="second")))
        (old,) = [
            shard.shard_id
            for shard in engine.store.shards.state.shards.values()
            if shard.marks and not shard.vacated
        ]
        refuse(monkeypatch, "shard_vacate", engine.store.disks.online()[1])
        job = compact(engine.dropper, 0.01)
        assert job.finished.wait(WAIT_S) and job.result["skipped"] == 1, (job.state, job.error)
        # All that is in the copy is garbage as long as the old one counts.
        assert compact(engine.dropper, 0.5).finished.wait(WAIT_S)
        until(lambda: not vacated_shards(engine.store), "what is given up to be dropped")
        dropped = set(engine.store.shards.state.dropped)
    check(made, {"first": FILES})
    assert dropped == {old}


@pytest.mark.fault
@pytest.mark.parametrize(
    "kind",
    ["batch_open", "shard_open", "shard_seal", "batch_seal", "view_publish", "manifest_pin",
     "purge_begin", "purge_commit"],
)  # fmt: skip
def test_what_one_disk_took_holds_at_once(store, short_tmp, monkeypatch, kind):
    made = store(2, started=False, shard_size_bytes=MIB)
    first = {**FILES, "manifest": MANIFEST}
    with opened(made) as engine:
        done(put(engine, made, "first", first))
        done(put(engine, made, "second", MORE))
        state = engine.store.shards.state
        refuse(monkeypatch, kind, engine.store.disks.online()[1])
        with pytest.raises(DrystoneError):
            if kind == "manifest_pin":
                pin_manifest(engine.store, engine.references, "kept", key_of(MANIFEST))
            elif kind == "view_publish":
                path = write_manifest(os.path.join(short_tmp, "manifest"), keys_of(FILES))
                words = {"target_id": "kept", "layout_id": "plain", "mode": "view"}
                answer = engine.materialise("exports", MaterialiseRequest(manifest=path, **words))
                ended(engine.jobs.get(answer.job_id))
            elif kind.startswith("purge"):
                ended(purge(engine.dropper, PurgeRequest(batch="second")))
            elif kind == "shard_seal":
                engine.seal_and_project()
            else:
                engine.seal_and_project()
                ended(put(engine, made, "third", {"other": os.urandom(90_000)}))
        assert engine.store.shards.state is state
        until(lambda: state == read_anew(engine), "what a start would read")
        hidden = {"second"} if kind == "purge_commit" else set()
        assert state.hidden_batches() == hidden
        shown = set(state.batches) - hidden
        views = ["kept"] if kind == "view_publish" else []
        until(lambda: listed(engine) == (shown, views), "the index to follow")
    made.start()
    assert {one.batch for one in made.client.batches()} == shown - {".manifests"}
    assert [one.view_id for one in made.client.views()] == views
    for name, files in (("first", first), ("second", MORE)):
        if name in shown:
            assert_batch(made, name, files)
    assert_clean(made)


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["disk_retire", "disk_gone"])
def test_a_disk_that_is_given_up_by_a_refused_entry_is_used_no_more(store, monkeypatch, kind):
    made = store(4, started=False)
    with opened(made) as engine:
        done(put(engine, made, "first", FILES))
        done(engine.rebuild_lost(None, "rebuild"))
        leaving, *others = sorted(engine.store.disks.online(), key=lambda one: one.name)
        refuse(monkeypatch, kind, leaving, *others[:2])
        with pytest.raises(DiskError, match="took a catalog entry"):
            if kind == "disk_retire":
                retire(engine, leaving.name, force=True)
            else:
                ended(engine.rebuild_lost(leaving, "rebuild"))
        shown = "retired" if kind == "disk_retire" else "gone"
        assert leaving.shown_state == shown and leaving.child is None
    made.start()
    assert {one.name: one.state for one in made.client.disks()}[leaving.name] == shown
    assert_batch(made, "first", FILES)
    assert_clean(made)


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["replica_add", "replica_drop"])
def test_a_copy_counts_or_does_not_though_its_entry_is_refused(store, monkeypatch, kind):
    made = store(3, started=False)
    with opened(made) as engine:
        done(put(engine, made, "first", FILES))
        engine.seal_and_project()
        with engine.reconciler.busy:  # Nobody trims meanwhile.
            (shard,) = engine.store.shards.state.shards.values()
            first, second = engine.store.sound_replicas(shard.shard_id)
            (third,) = {*engine.store.disks.online()} - {first, second}
            if kind == "replica_add":
                refuse(monkeypatch, kind, second, third)
            with contextlib.suppress(DiskError), engine.replicator.claim(shard.shard_id) as known:
                engine.replicator.copy(known, None, target=third)
            assert shard.disks == [first.disk_id, second.disk_id, third.disk_id]
            if kind == "replica_drop":
                refuse(monkeypatch, kind, second, third)
                with pytest.raises(DiskError):
                    engine.replicator.give_up(shard.shard_id, second)
                assert shard.disks == [first.disk_id, third.disk_id]
            assert engine.store.shards.state == read_anew(engine)
    made.start()
    assert_batch(made, "first", FILES)
    assert_clean(made)
