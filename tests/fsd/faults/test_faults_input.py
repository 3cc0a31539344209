"""Hostile sources, odd names, huge and empty files and refused manifests: real puts."""

from __future__ import annotations

import os
import random
import socket
import threading

import pytest
from store_checks import (
    assert_batch,
    assert_clean,
    assert_sealed,
    finish,
    key_of,
    keys_of,
    put,
    read_object,
    settle,
    write_manifest,
)
from store_harness import MIB, write_files

from fsd.format.errors import ManifestError, SealedMismatchError

LONG_NAME = "n" * 255


@pytest.fixture
def made(store):
    """A started store of three disks."""
    return store(3, shard_size_bytes=MIB)


def by_path(lines: list[dict]) -> dict[str, dict]:
    return {line["path"]: line for line in lines}


# ---- Names and kinds ---------------------------------------------------------------------------


def test_odd_names_and_kinds_of_files(made, tmp_path):
    files = {
        "empty": b"",
        LONG_NAME: b"long",
        f"{'d' * 250}/{LONG_NAME}": b"deep and long",
        "new\nline": b"newline",
        "not utf-8 \udcff\udcfe": b"bytes",
        " spaces \t": b"spaces",
        "\x01\x7f": b"control",
        "..hidden": b"dots",
        "-rf": b"option",
        "\u202egnp.exe": b"right to left",
    }
    source = write_files(str(tmp_path / "source"), files)
    os.mkfifo(os.path.join(source, "a FIFO"))
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(source, os.O_PATH)
    listener.bind(f"/proc/self/fd/{here}/a socket")
    os.symlink("/etc/hostname", os.path.join(source, "link out"))
    os.symlink("nowhere", os.path.join(source, "link to nowhere"))
    os.symlink("..", os.path.join(source, "link up"))
    os.symlink("empty", os.path.join(source, "link to empty"))
    os.symlink("link in a circle", os.path.join(source, "link in a circle"))
    lines = by_path(put(made, source, "first"))
    listener.close()
    os.close(here)
    skipped = {path for path, line in lines.items() if line["status"] == "skipped"}
    links = {"link out", "link to nowhere", "link up", "link in a circle"}
    assert skipped == {"a FIFO", "a socket", *links}
    assert all(lines[path]["reason"] for path in skipped)
    expected = {**files, "link to empty": b""}
    assert_batch(made, "first", expected)
    if made.mount():
        root = os.path.join(made.config.mount, "batches", "first")
        for path, data in expected.items():
            with open(os.path.join(root, path), "rb") as file:
                assert file.read() == data


def test_many_files_in_one_folder(made, tmp_path):
    """Names so long that the group's part is full before its data."""
    files = {f"{n:07}{'x' * 240}": b"%d" % (n % 5000) for n in range(20_000)}
    source = write_files(str(tmp_path / "source"), files)
    lines = put(made, source, "first")
    assert len(lines) == len(files)
    assert {f.path: f.key for f in made.client.batch_files("first")} == keys_of(files)
    assert made.client.batch("first").files == len(files)
    # Whatever was claimed is free again: the same content as another batch ends.
    put(made, source, "second")
    assert made.client.batch("second").files == len(files)
    assert_clean(made)


def test_files_that_change_or_vanish_while_they_are_read(made, tmp_path):
    """The put ends; what it acknowledges is a state the file had; the rest can be put later."""
    source = str(tmp_path / "source")
    quiet = {f"quiet/{n}": os.urandom(3000) for n in range(1500)}
    write_files(source, quiet)
    write_files(source, {f"busy/{n}": b"begin" for n in range(30)})
    write_files(source, {f"gone/{n}": b"gone" for n in range(1000)})
    write_files(source, {"growing": os.urandom(5 * MIB), "zz/last": b"last"})
    stop = threading.Event()

    def disturb() -> None:
        rng = random.Random(1)
        gone = iter(range(999, -1, -1))
        while not stop.is_set():
            with open(os.path.join(source, "busy", str(rng.randrange(30))), "ab") as file:
                file.write(rng.randbytes(900))
            with open(os.path.join(source, "growing"), "ab") as file:
                file.write(b"more")
            if (number := next(gone, None)) is not None:
                os.unlink(os.path.join(source, "gone", str(number)))

    thread = threading.Thread(target=disturb)
    thread.start()
    job = made.client.wait(made.client.batch_write(source, "first").job_id)
    stop.set()
    thread.join()
    assert job.state in ("incomplete", "done"), job
    lines = by_path(list(made.client.report(job.job_id)))
    assert all(line["reason"] for line in lines.values() if line["status"] == "failed")
    assert all(lines[path]["key"] == key for path, key in keys_of(quiet).items())
    for line in lines.values():
        if line["status"] in ("written", "existing"):
            assert key_of(read_object(made, line["key"])) == line["key"]
    put(made, source, "first")
    listed = {f.path: f.key for f in made.client.batch_files("first")}
    with open(os.path.join(source, "growing"), "rb") as file:
        assert listed["growing"] == key_of(file.read())
    assert_clean(made)


def test_a_file_becomes_a_folder_and_a_folder_a_file(made, tmp_path):
    source = write_files(str(tmp_path / "source"), {"a": b"a", "b/c": b"c", "d": b"d"})
    job_id = made.client.batch_write(source, "first", files=["a", "b/c", "d", "x", "../d"]).job_id
    job = made.client.wait(job_id)
    lines = by_path(list(made.client.report(job_id)))
    assert job.state == "incomplete"
    assert {path for path, line in lines.items() if line["status"] == "failed"} == {"x", "../d"}
    os.unlink(os.path.join(source, "a"))
    os.mkdir(os.path.join(source, "a"))
    job_id = made.client.batch_write(source, "second", files=["a", "b"]).job_id
    made.client.wait(job_id)
    lines = by_path(list(made.client.report(job_id)))
    assert {line["status"] for line in lines.values()} <= {"failed", "skipped"}


# ---- Batches -----------------------------------------------------------------------------------


def test_a_sealed_batch_is_asked_for_again(made, tmp_path):
    files = {f"f{n}": os.urandom(n) for n in range(100)}
    source = write_files(str(tmp_path / "source"), files)
    put(made, source, "first")
    assert {line["status"] for line in put(made, source, "first")} == {"existing"}
    shards = made.client.health().shards
    write_files(source, {"f7": b"changed", "new": b"new"})
    lines = by_path(put(made, source, "first", state="incomplete"))
    failed = {path for path, line in lines.items() if line["status"] == "failed"}
    assert failed == {"f7", "new"}
    assert all("sealed" in lines[path]["reason"] for path in failed)
    assert made.client.health().shards == shards
    assert_batch(made, "first", files)


def test_a_batch_that_was_incomplete_is_resumed(made, tmp_path):
    source = write_files(str(tmp_path / "source"), {"a": b"a", "b": b"b"})
    job_id = made.client.batch_write(source, "first", files=["a", "missing"]).job_id
    assert made.client.wait(job_id).state == "incomplete"
    assert not made.client.batch("first").sealed
    write_files(source, {"a": b"changed since"})
    put(made, source, "first")
    assert made.client.batch("first").sealed
    assert_batch(made, "first", {"a": b"changed since", "b": b"b"})


def test_generated_content_that_arrives_as_raw_is_promoted(store, tmp_path):
    made = store(4, copies_raw=3, copies_generated=1, shard_size_bytes=MIB)
    files = {"small": os.urandom(9000), "large": os.urandom(3 * MIB)}
    source = write_files(str(tmp_path / "source"), files)
    finish(made, made.client.batch_write(source, "made", "generated").job_id)
    for key in keys_of(files).values():
        assert made.client.head(key).class_name == "generated"
    lines = put(made, source, "scraped")
    assert {line["status"] for line in lines} == {"written"}
    settle(made)
    for key in keys_of(files).values():
        head = made.client.head(key)
        assert (head.class_name, head.copies) == ("raw", 3)
    # And never back: as generated it is known.
    job_id = made.client.batch_write(source, "made again", "generated").job_id
    finish(made, job_id)
    assert {line["status"] for line in made.client.report(job_id)} == {"existing"}
    finish(made, made.client.reindex().job_id)
    for key in keys_of(files).values():
        assert made.client.head(key).class_name == "raw"
    assert_batch(made, "made", files)
    assert_clean(made)


def test_raw_and_generated_at_once(store, tmp_path):
    """A raw put that waits for a generated one's write must not take it for its own."""
    made = store(3, shard_size_bytes=MIB)
    files = {f"f{n}": os.urandom(4000) for n in range(800)}
    source = write_files(str(tmp_path / "source"), files)
    jobs = [
        made.client.batch_write(source, "made", "generated").job_id,
        made.client.batch_write(source, "scraped", "raw").job_id,
    ]
    for job_id in jobs:
        finish(made, job_id)
    for key in keys_of(files).values():
        assert made.client.head(key).class_name == "raw"
    assert_batch(made, "scraped", files)


def test_a_file_larger_than_a_shard_from_two_clients_at_once(made, tmp_path):
    data = os.urandom(20 * MIB + 12345)
    source = write_files(str(tmp_path / "source"), {"a": data, "b": data, "c/d": data})
    jobs = [made.client.batch_write(source, name).job_id for name in ("first", "second")]
    lines = []
    for job_id in jobs:
        finish(made, job_id)
        lines += list(made.client.report(job_id))
    assert sorted(line["status"] for line in lines) == ["existing"] * 5 + ["written"]
    assert_batch(made, "first", {"a": data, "b": data, "c/d": data})
    assert made.client.head(key_of(data)).copies == 2
    assert_clean(made)


# ---- Manifests ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ['{"path": "a", "key": "%(missing)s"}'],
        ['{"path": "../a", "key": "%(key)s"}'],
        ['{"path": "/a", "key": "%(key)s"}'],
        ['{"path": "a/./b", "key": "%(key)s"}'],
        ['{"path": "a", "key": "%(key)s"}', '{"path": "a", "text": "again"}'],
        ['{"path": "a", "key": "%(key)s"}', '{"path": "A", "key": "%(key)s"}'],
        ['{"path": "a", "key": "%(key)s"}', '{"path": "a/b", "key": "%(key)s"}'],
        ['{"path": "a\\u0000b", "key": "%(key)s"}'],
        ['{"path": "_SEALED", "key": "%(key)s"}'],
        ['{"path": "_JOB.json", "text": "{}"}'],
        ['{"path": "_PARTS", "text": "{}"}'],
        ['{"path": "a", "key": "%(key)s", "size_bytes": 1}'],
        ['{"path": "a"}'],
        ["not json"],
        ['{"path": "a", "key": "short"}'],
    ],
    ids=lambda lines: lines[-1][:24],
)
@pytest.mark.parametrize("mode", ["copy", "view"])
def test_a_bad_manifest_is_refused_whole(shared_store, tmp_path, lines, mode):
    store, key = shared_store
    good = '{"path": "good", "key": "%(key)s"}'
    text = "\n".join([good, *lines]) % {"key": key, "missing": "0" * 64} + "\n"
    manifest = tmp_path / "m"
    manifest.write_text(text)
    objects = store.client.health().objects
    with pytest.raises(ManifestError, match="refused"):
        store.client.export_to_3d(str(manifest), "set", "plain", mode=mode)
    area = store.config.area_path("3d")
    assert [name for name in os.listdir(area) if name != ".tmp"] == []
    assert not os.path.isdir(os.path.join(area, ".tmp")) or os.listdir(area + "/.tmp") == []
    assert store.client.views() == [] and store.client.health().objects == objects
    assert {usage.reserved_bytes for usage in store.client.capacity().areas} == {0}


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory):
    """One store with one object, for tests that leave nothing behind; and the object's key."""
    from store_harness import Store

    from fsd.engine.setup import init_store

    root = str(tmp_path_factory.mktemp("s") / "s")
    paths = [os.path.join(root, f"d{n}") for n in range(2)]
    store = Store(root, init_store(root, paths, None, min_free_bytes=MIB), paths)
    store.start()
    source = write_files(os.path.join(root, "source"), {"one": b"content"})
    put(store, source, "first")
    yield store, key_of(b"content")
    store.stop()


def test_the_same_target_with_other_content_is_refused(made, tmp_path):
    files = {f"f{n}": os.urandom(n + 1) for n in range(50)}
    put(made, write_files(str(tmp_path / "source"), files), "first")
    manifest = write_manifest(str(tmp_path / "m"), keys_of(files), {"notes": "text"})
    other = write_manifest(str(tmp_path / "o"), {"x": key_of(files["f3"])})
    for mode, name in (("copy", "c"), ("view", "v")):
        answer = made.client.export_to_3d(manifest, name, "plain", mode=mode)
        finish(made, answer.job_id)
        again = made.client.export_to_3d(manifest, name, "plain", mode=mode)
        assert finish(made, again.job_id)["already_sealed"]
        with pytest.raises(SealedMismatchError):
            made.client.export_to_3d(other, name, "plain", mode=mode)
    assert_sealed(
        os.path.join(made.config.area_path("3d"), "c", "plain"), {**files, "notes": b"text"}
    )


# ---- The SSD -----------------------------------------------------------------------------------
