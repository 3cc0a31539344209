"""A batch that is put again: what it has is known, from memory or from its listing on the SSD."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import pytest
from store_harness import Store, write_files

from fsd.documents.models import BatchWriteRequest
from fsd.engine.engine import Engine
from fsd.format.tree import Tree
from fsd.ingest import known_files
from fsd.store.job import Job

FIRST = {
    "a": b"one",
    "folder/b": b"two",
    "folder/deep/\udcff.bin": b"not UTF-8",
    "folder/empty": b"",
    "large": os.urandom(70_000),
}
CHANGED = {**FIRST, "folder/b": b"other", "new/c": b"three"}


@pytest.fixture
def engine(store, monkeypatch, request: pytest.FixtureRequest) -> Iterator[Engine]:
    made: Store = store(2)
    made.stop()
    if request.param == "listing":
        monkeypatch.setattr(known_files, "KEPT_BYTES_MAX", 0)
    running = Engine(made.config)
    running.start()
    yield running
    running.stop()


def put(engine: Engine, folder: str, *files: str) -> Job:
    """Put a folder, or only some files of it, as a batch."""
    request = BatchWriteRequest(folder=folder, batch="b", class_name="raw", files=files or None)
    job = engine.batch_write(request)
    assert job.finished.wait(60)
    return job


def statuses(job: Job) -> dict[str, int]:
    return {name: job.result[name] for name in ("written", "existing", "failed")}


@pytest.mark.parametrize("engine", ["memory", "listing"], indirect=True)
def test_what_a_batch_has_is_known_when_it_is_put_again(engine: Engine, short_tmp: str):
    first = write_files(os.path.join(short_tmp, "first"), FIRST)
    job = put(engine, first)
    assert statuses(job)["written"] == len(FIRST), job.result
    with engine.store.index.read() as reader:
        row, parts = reader.batch("b"), reader.batch_parts("b")
    assert row is not None
    known = known_files.KnownFiles()
    known.load(engine.store, row, parts)
    keys = {name: known.key(name) for name in (*FIRST, "folder", "a/b", "none", "folder/none", "")}
    assert {name for name, key in keys.items() if key is None} == {
        "folder",
        "a/b",
        "none",
        "folder/none",
        "",
    }
    in_memory = bool(known._keys)
    assert in_memory == (known_files.KEPT_BYTES_MAX > 0)
    known.close()
    again = put(engine, first)
    assert statuses(again) == {"written": 0, "existing": len(FIRST), "failed": 0}
    assert again.state == "done" and again.result["sealed"]
    changed = put(engine, write_files(os.path.join(short_tmp, "changed"), CHANGED))
    assert statuses(changed) == {"written": 0, "existing": len(FIRST) - 1, "failed": 2}
    with open(changed.report_path, encoding="ascii") as file:
        said = file.read()
    assert "has other content in it" in said and "is not in it" in said


@pytest.mark.parametrize("engine", ["memory", "listing"], indirect=True)
@pytest.mark.parametrize("names", [("a", "a/b/c"), ("a/b/c", "a/b")])
def test_a_file_that_became_a_folder_is_what_it_is_now(
    engine: Engine, short_tmp: str, names: tuple[str, str]
):
    """Both were acknowledged: the listing has the later one, and can be made at any time."""
    before, after = names
    first = write_files(os.path.join(short_tmp, "first"), {before: b"one", "other": b"two"})
    job = put(engine, first, before, "other", "not there")
    assert (job.state, statuses(job)["failed"]) == ("incomplete", 1)
    second = write_files(os.path.join(short_tmp, "second"), {after: b"three", "other": b"two"})
    job = put(engine, second)
    assert (job.state, job.result.get("sealed")) == ("done", True), job.error
    with engine.store.index.read() as reader:
        row = reader.batch("b")
    assert row is not None
    with Tree(engine.store.index.tree_path(row.tree_file)) as tree:
        assert (row.files, row.size_bytes, tree.file_count) == (2, 8, 2)
        at: int | None = 0
        for name in after.encode().split(b"/"):
            assert at is not None
            at = tree.lookup(at, name)
        assert at is not None
        assert tree.node(at).key == hashlib.sha256(b"three").digest()


@pytest.mark.parametrize("engine", ["memory"], indirect=True)
def test_what_the_listing_dropped_is_not_known(engine: Engine, short_tmp: str):
    """Put again it is written into the batch once more, and not called existing."""
    names, folders = ("a", "a/b/c"), dict[str, str]()
    for name in names:
        folders[name] = write_files(os.path.join(short_tmp, f"of {len(name)}"), {name: b"one"})
        # The other one is missing: the batch is not sealed.
        assert put(engine, folders[name], name, "not there").state == "incomplete"
    former, later = names
    assert statuses(put(engine, folders[later], later, "no"))["existing"] == 1
    job = put(engine, folders[former], former)
    assert (job.state, job.result["sealed"]) == ("done", True), job.error
    with engine.store.index.read() as reader:
        row, parts = reader.batch("b"), reader.batch_parts("b")
    assert row is not None and row.files == 1
    known = known_files.KnownFiles()
    known.load(engine.store, row, parts)
    assert [known.key(name) is not None for name in names] == [True, False]
    known.close()
