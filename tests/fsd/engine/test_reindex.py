"""From one generation of the index to the next: who reads goes on, and what fails goes back."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest
from store_checks import assert_batch, assert_clean, until
from store_harness import MIB, Store, write_files

from fsd.documents.models import BatchWriteRequest
from fsd.engine import engine as engine_module
from fsd.engine.engine import Engine
from fsd.format.errors import CorruptError, QuotaError, ReindexingError
from fsd.repair.projection import make_trees
from fsd.running import engine_core
from fsd.store.generation import current_generation, generation_path
from fsd.store.job import Job
from fsd.store.store import Store as OpenStore

FILES = {f"{number}": os.urandom(120_000 + number) for number in range(30)}


@pytest.fixture
def made(store) -> Store:
    return store(2, started=False, shard_size_bytes=MIB)


@pytest.fixture
def engine(made: Store) -> Iterator[Engine]:
    """It runs in this process, with one batch of several shards."""
    running = Engine(made.config)
    running.start()
    put(running, "first", FILES)
    yield running
    running.stop()


def put(engine: Engine, batch: str, files: dict[str, bytes]) -> None:
    folder = write_files(os.path.join(engine.config.root, f"source-{batch}"), files)
    ended(engine.batch_write(BatchWriteRequest(folder=folder, batch=batch)))
    engine.seal_and_project()


def ended(job: Job, state: str = "done") -> Job:
    assert job.finished.wait(60) and job.state == state, (job.state, job.error)
    return job


def open_indexes(engine: Engine) -> set[int]:
    """The generations that this process has mapped, deleted ones among them."""
    root = engine.config.index_root
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        paths = [line[line.index(root) :] for line in file if root in line and "data.mdb" in line]
    return {int(os.path.basename(os.path.dirname(path))) for path in paths}


@pytest.mark.fault
def test_who_reads_goes_on_in_the_former_index_which_is_closed_after_them(engine: Engine):
    former = engine.store.index
    with former.read() as reader:
        keys = reader.keys()
        first = next(keys)
        ended(engine.reindex())
        assert engine.store.index.generation > former.generation
        assert [first, *keys] == list(reader.keys()) and len(list(reader.shards())) > 2
        with former.read() as other:
            assert other.locate(first[0]) == first[1]
        assert open_indexes(engine) == {former.generation, engine.store.index.generation}
    assert open_indexes(engine) == {engine.store.index.generation}
    with pytest.raises(ReindexingError, match="ask again"), former.read():
        pass


@pytest.mark.fault
def test_the_number_of_a_shard_is_never_that_of_another_one(engine: Engine, monkeypatch):
    """A place that was looked up before would lead there; also in a reindex that was cancelled."""
    known: dict[int, str] = {}

    def compare(store: OpenStore) -> None:
        with store.index.read() as reader:
            for row in reader.shards():
                assert known.setdefault(row.number, row.shard_id) == row.shard_id

    def cancel_and_make_trees(store: OpenStore, job: Job) -> list[str]:
        compare(store)
        job.cancel()
        return make_trees(store, job)

    compare(engine.store)
    before = len(known)
    assert before > 2
    with monkeypatch.context() as patched:
        patched.setattr("fsd.engine.reindex.make_trees", cancel_and_make_trees)
        ended(engine.reindex(), "cancelled")
    assert len(known) == 2 * before
    assert open_indexes(engine) == {engine.store.index.generation}
    more = {f"{number}": os.urandom(120_000) for number in range(30)}
    put(engine, "second", more)
    compare(engine.store)
    ended(engine.reindex())
    compare(engine.store)


@pytest.mark.fault
def test_one_that_cannot_be_published_leaves_the_former_in_use(engine: Engine, monkeypatch):
    former, root = engine.store.index, engine.config.index_root

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr("fsd.repair.projection.set_current_generation", full)
        assert "the SSD is full" in str(ended(engine.reindex(), "failed").error)
    assert engine.store.index is former and not engine.store.is_unfinished
    assert current_generation(root) == former.generation
    assert [name for name in os.listdir(root) if name.isdigit()] == [f"{former.generation}"]
    assert open_indexes(engine) == {former.generation}
    assert ended(engine.reindex()).result["problems"] == []
    assert current_generation(root) == engine.store.index.generation > former.generation


@pytest.mark.fault
def test_the_former_one_that_finds_no_room_to_follow_calls_nothing_missing(
    engine: Engine, monkeypatch
):
    """Shards may have been sealed since it was left: housekeeping takes them in."""
    former = engine.store.index

    def full(*_: Any) -> int:
        assert engine.store.is_unfinished
        raise QuotaError("the SSD is full")

    with monkeypatch.context() as patched:
        patched.setattr("fsd.engine.reindex.project", full)
        patched.setattr("fsd.repair.projection.project", full)
        patched.setattr(engine_module, "project", full)
        patched.setattr(engine_core, "project", full)
        assert "the SSD is full" in str(ended(engine.reindex(), "failed").error)
        assert engine.store.index is former and engine.store.is_unfinished
        assert "the SSD is full" in str(ended(engine.fsck(), "failed").error), "it sees to it first"
    until(lambda: not engine.store.is_unfinished, "the index to follow")


@pytest.mark.fault
def test_a_job_lets_the_index_follow_first_and_once(engine: Engine, monkeypatch):
    project, rounds = engine_core.project, list[OpenStore]()

    def counting(store: OpenStore) -> int:
        rounds.append(store)
        return project(store)

    monkeypatch.setattr(engine_core, "project", counting)
    monkeypatch.setattr(engine, "_catch_up_index", lambda: None)
    engine.store.index_lacks()
    states = [ended(start(engine)).result["known"] for start in (look, look)]
    assert states == [True, True] and rounds == [engine.store]


def look(engine: Engine) -> Job:
    return engine.start_job("look", "", lambda _job: {"known": not engine.store.is_unfinished})


@pytest.mark.fault
@pytest.mark.parametrize("met_by", ["project", "_name_shards"])
def test_the_former_one_that_is_damaged_is_used_as_it_was(engine: Engine, monkeypatch, met_by: str):
    """Whoever reads its damaged rows is told so, and all others go on."""

    def damaged(*_: Any) -> int:
        raise CorruptError("the index is damaged", "here")

    with monkeypatch.context() as patched:
        patched.setattr("fsd.engine.reindex.project", damaged)
        patched.setattr(f"fsd.repair.projection.{met_by}", damaged)
        patched.setattr(engine_module, "project", damaged)
        patched.setattr(engine_core, "project", damaged)
        assert "the index is damaged" in str(ended(engine.reindex(), "failed").error)
        assert ended(look(engine)).result == {"known": True}


@pytest.mark.fault
def test_catching_up_that_fails_is_done_again(engine: Engine, monkeypatch):
    project, failures = engine_module.project, [RuntimeError("nobody thought of this")]

    def failing_once(*arguments: Any) -> int:
        if failures:
            raise failures.pop()
        return project(*arguments)

    os.unlink(listing(engine))
    monkeypatch.setattr(engine_module, "project", failing_once)
    engine.store.behind = True
    until(lambda: os.path.exists(listing(engine)), "the listing to be made again")
    assert not failures
    assert any("nobody thought of this" in note for note in engine.notes)


@pytest.mark.fault
def test_a_listing_that_finds_no_room_for_its_scratch_files_is_told(engine: Engine, monkeypatch):
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    os.unlink(listing(engine))
    with monkeypatch.context() as patched:
        patched.setattr("fsd.compile.batch_tree.tempfile.mkdtemp", full)
        engine.make_listings()
    assert any("batch first" in note and "No space left" in note for note in engine.notes)
    engine.make_listings()
    assert os.path.exists(listing(engine))


def listing(engine: Engine) -> str:
    with engine.store.index.read() as reader:
        row = reader.batch("first")
    assert row is not None
    return engine.store.index.tree_path(row.tree_file)


@pytest.mark.fault
def test_a_generation_that_was_never_finished_goes_at_the_next_start(made: Store):
    made.start()
    made.put(write_files(os.path.join(made.root, "source"), FILES), "first")
    made.stop()
    root = made.config.index_root
    left = generation_path(root, (current_generation(root) or 0) + 3)
    os.makedirs(os.path.join(left, "trees"))
    with open(os.path.join(left, "data.mdb"), "wb") as file:
        file.write(bytes(MIB))
    made.start()
    assert not os.path.exists(left)
    assert_batch(made, "first", FILES)
    assert_clean(made)
