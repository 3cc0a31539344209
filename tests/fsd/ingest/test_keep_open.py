"""A batch that is kept open: puts add to it, little and often, until it is sealed."""

from __future__ import annotations

import os
import shutil
import threading
from typing import Any

import pytest
from command import drystone
from store_checks import assert_batch, assert_clean, finish
from store_harness import Store, write_files

from base.errors import UsageError
from fsd.compile import batch_tree, lost_parts
from fsd.documents.models import BatchWriteRequest
from fsd.engine.engine import Engine
from fsd.format.errors import NotFoundError
from fsd.format.tree import Tree
from fsd.ingest import known_files
from fsd.store.job import Job

PUTS = 5


def some(number: int) -> dict[str, bytes]:
    """Return a put's files: one that every put has, one that each has with its own content."""
    own = {f"{number}/a": os.urandom(3000), f"{number}/\udcff": os.urandom(10)}
    return {**own, "same": b"same", "changes": f"{number}".encode()}


def put_open(store: Store, files: dict[str, bytes], state: str = "done") -> dict[str, Any]:
    folder = write_files(os.path.join(store.root, "source"), files)
    try:
        return finish(store, store.client.batch_write(folder, "b", keep_open=True).job_id, state)
    finally:
        shutil.rmtree(folder)


def put_in(engine: Engine, folder: str, *, keep_open: bool) -> Job:
    request = BatchWriteRequest(folder=folder, batch="b", keep_open=keep_open)
    job = engine.batch_write(request)
    assert job.finished.wait(60) and job.state == "done", job.error
    return job


def test_many_puts_make_one_batch_that_is_sealed_in_the_end(store):
    made: Store = store(2)
    all_files: dict[str, bytes] = {}
    for number in range(PUTS):
        files = some(number)
        assert put_open(made, files)["sealed"] is False
        all_files |= files
        assert_batch(made, "b", all_files)
        if number == 2:  # What was acknowledged of it outlives the engine, and its index.
            made.stop()
            shutil.rmtree(made.config.index_root)
            made.start()
            assert_batch(made, "b", all_files)
    assert made.client.batch("b").sealed is False
    # Of what it has nothing is written again, and nothing else comes of it.
    assert put_open(made, files)["written"] == 0
    sealed = made.client.seal("b")
    assert (sealed.sealed, sealed.files) == (True, len(all_files))
    assert made.client.seal("b") == sealed
    refused = put_open(made, {"more": b"more"}, "incomplete")
    assert refused["failed"] == 1
    assert_batch(made, "b", all_files)
    assert_clean(made)
    with pytest.raises(NotFoundError, match="there is no batch c"):
        made.client.seal("c")
    with pytest.raises(UsageError):
        made.client.seal(".manifests")


def test_the_commands(store, tmp_path):
    made: Store = store(2)
    folder = write_files(str(tmp_path / "files"), {"a": b"a"})
    config = ("--config", made.config_path)
    drystone("put", folder, "--batch", "b", "--keep-open", *config)
    assert b"unfinished" in drystone("ls", *config).stdout
    sealed = drystone("seal", "b", *config)
    assert b"b is complete: 1 files" in sealed.stdout + sealed.stderr
    assert b"unfinished" not in drystone("ls", *config).stdout
    missing = drystone("seal", "other", *config, expect=1)
    assert b"there is no batch other" in missing.stderr and b"Traceback" not in missing.stderr


@pytest.fixture
def engine(store):
    made: Store = store(2)
    made.stop()
    running = Engine(made.config)
    running.start()
    yield running
    running.stop()


def test_a_put_reads_no_part_of_those_before(engine, short_tmp, monkeypatch):
    """Each is a seek of a disk; the listing on the SSD stands for them, and says what they do."""
    read: list[bytes] = []
    for module in (batch_tree, known_files, lost_parts):
        for name in ("read_part", "read_small"):
            if real := getattr(module, name, None):

                def reading(store, key, real=real):
                    read.append(key)
                    return real(store, key)

                monkeypatch.setattr(module, name, reading)
    all_files: dict[str, bytes] = {}
    for number in range(PUTS):
        files = some(number)
        all_files |= files
        put_in(engine, write_files(f"{short_tmp}/{number}", files), keep_open=True)
    assert read == []
    assert listing(engine) == len(all_files)
    # Made of all parts it is the same.
    with engine.store.index.read() as reader:
        row = reader.batch("b")
    before = files_of(engine, row)
    assert batch_tree.compile_batch(engine.store, row)
    assert files_of(engine, row) == before and len(set(read)) == PUTS
    # A listing that is not there costs reads, and nothing else.
    os.unlink(engine.store.index.tree_path(row.tree_file))
    put_in(engine, write_files(f"{short_tmp}/last", some(9)), keep_open=True)
    assert listing(engine) == len(all_files) + 2


def listing(engine: Engine) -> int:
    with engine.store.index.read() as reader:
        row = reader.batch("b")
    assert row is not None
    with Tree(engine.store.index.tree_path(row.tree_file)) as tree:
        assert row.files == tree.file_count
        return tree.file_count


def files_of(engine: Engine, row: Any) -> list[Any]:
    with Tree(engine.store.index.tree_path(row.tree_file)) as tree:
        return sorted(lost_parts.listed_files(tree))


def test_it_is_not_sealed_while_somebody_puts_into_it(engine, short_tmp, monkeypatch):
    folder = write_files(f"{short_tmp}/files", {"a": b"a"})
    listed, go_on = threading.Event(), threading.Event()
    compile_batch = batch_tree.compile_batch

    def waiting(*arguments: Any, **keywords: Any) -> bool:
        listed.set()
        assert go_on.wait(60)
        return compile_batch(*arguments, **keywords)

    monkeypatch.setattr(batch_tree, "compile_batch", waiting)
    job = engine.batch_write(BatchWriteRequest(folder=folder, batch="b", keep_open=True))
    assert listed.wait(60)
    with pytest.raises(UsageError, match="is at work on batch b"):
        engine.seal_batch("b")
    go_on.set()
    assert job.finished.wait(60)
    assert engine.seal_batch("b").sealed


@pytest.mark.fault
def test_a_crash_between_catalog_and_index_leaves_it_sealed(store, short_tmp, monkeypatch):
    made: Store = store(2)
    made.stop()
    running = Engine(made.config)
    running.start()
    put_in(running, write_files(f"{short_tmp}/files", {"a": b"a"}), keep_open=True)
    index = running.store.index

    def full() -> Any:
        raise NotFoundError("the test ends it here")

    monkeypatch.setattr(index, "write", full)
    with pytest.raises(NotFoundError, match="ends it here"):
        running.seal_batch("b")
    running.stop()
    made.start()
    assert made.client.batch("b").sealed
    assert_batch(made, "b", {"a": b"a"})
