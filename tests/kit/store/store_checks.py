"""What must hold of a store after a fault: it owns the checks and the waiting, no fault."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from store_harness import Store

SETTLE_S_MAX = 180.0
READS_MAX = 300


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition and return its value; a hang is a failure."""
    deadline = time.monotonic() + SETTLE_S_MAX
    while not (value := condition()):
        assert time.monotonic() < deadline, f"timed out: {what}"
        time.sleep(0.05)
    return value


def is_recovered(store: Store) -> bool:
    """Tell whether nothing is left of what an engine begins with that was killed."""
    return all(job.kind != "recover" or job.state != "running" for job in store.client.jobs())


def contents_of(folder: str) -> dict[str, bytes]:
    """Return every regular file below a folder by its relative path."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def key_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def keys_of(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: key_of(data) for path, data in files.items()}


def read_object(store: Store, key: str) -> bytes:
    """Read one object through the engine."""
    output = os.path.join(store.root, f"read-{key[:12]}-{time.monotonic_ns()}")
    store.client.read(key, output)
    with open(output, "rb") as file:
        data = file.read()
    os.unlink(output)
    return data


def assert_readable(store: Store, files: Mapping[str, bytes]) -> None:
    """Contents come back from the store, byte for byte: all, or a random sample of many.

    What the sample leaves out is for `assert_clean`, whose verify reads every byte.
    """
    by_key = {key_of(data): data for data in files.values()}
    for key in _some(by_key):
        assert read_object(store, key) == by_key[key], key


def assert_copies(store: Store, files: Mapping[str, bytes], copies: int, *without: str) -> None:
    """Objects (all, or a sample of many) have so many copies on other disks than the named."""
    for key in _some(keys_of(files).values()):
        disks = set(store.client.head(key).disks) - set(without)
        assert len(disks) >= copies, (key, disks)


def _some(keys: Iterable[str]) -> list[str]:
    distinct = sorted(set(keys))
    return random.sample(distinct, min(len(distinct), READS_MAX))


def assert_batch(store: Store, batch: str, files: Mapping[str, bytes]) -> None:
    """The batch lists exactly these files with the right keys, and all are readable."""
    assert {f.path: f.key for f in store.client.batch_files(batch)} == keys_of(files)
    assert_readable(store, files)


def finish(store: Store, job_id: str, state: str = "done") -> dict[str, Any]:
    """Wait for a job, which must end in this state; returns its result."""
    job = store.client.wait(job_id)
    assert job.state == state, (job, list(store.client.report(job_id))[:5], store.log()[-2000:])
    return job.result


def put(store: Store, folder: str, batch: str, state: str = "done") -> list[dict[str, Any]]:
    """Store a folder and return the report's lines."""
    job_id = store.client.batch_write(folder, batch).job_id
    finish(store, job_id, state)
    return list(store.client.report(job_id))


def settle(store: Store) -> None:
    """Wait until every shard is sealed (which verify does) and has all its copies."""
    store.client.wait(store.client.verify().job_id)
    until(lambda: store.client.health().rebuild_queue == 0, "all copies")


def assert_clean(store: Store) -> None:
    """Everything has its copies, and neither fsck nor verify finds anything."""
    settle(store)
    for job in (store.client.fsck(), store.client.verify()):
        finish(store, job.job_id)


def disk(store: Store, number: int) -> Any:
    """Return the status of the disk that was made as the numbered one, from 0."""
    return next(d for d in store.client.disks() if d.path == store.disks[number])


def first_read(store: Store, key: str) -> str:
    """The name of the disk that an object is read from when all of its disks are idle and well."""
    head = store.client.head(key)
    return head.disks[-int(head.shard_id[:4], 16) % len(head.disks)]


def wait_for_state(store: Store, number: int, *states: str) -> None:
    until(lambda: disk(store, number).state in states, f"disk {number} to be {states}")


def shard_files(disk_path: str) -> list[str]:
    """Return the shard files of a disk, sorted."""
    found = []
    for root, _, names in os.walk(os.path.join(disk_path, "shards")):
        found += [os.path.join(root, name) for name in names if name.endswith(".shard")]
    return sorted(found)


def write_manifest(path: str, keys: Mapping[str, str], texts: Mapping[str, str] = {}) -> str:
    """Write a manifest of keys and inline texts; returns its path."""
    lines = [{"path": name, "key": key} for name, key in keys.items()]
    lines += [{"path": name, "text": text} for name, text in texts.items()]
    with open(path, "w", encoding="ascii") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def assert_sealed(target: str, files: Mapping[str, bytes]) -> None:
    """A directory is complete: the seal, the job document, exactly these files, byte for byte."""
    found = contents_of(target)
    assert found.pop("_SEALED", None) == b"", f"{target} has no seal"
    document = json.loads(found.pop("_JOB.json"))
    assert document["actual_files"] == document["expected_files"] == len(files)
    assert sorted(found) == sorted(files), target
    assert found == files, target


def damage(path: str, offset: int, length: int = 64) -> None:
    """Invert bytes of a file, as a bad block would."""
    with open(path, "r+b") as file:
        file.seek(offset)
        data = file.read(length)
        file.seek(offset)
        file.write(bytes(byte ^ 0xFF for byte in data))
        file.flush()
        os.fsync(file.fileno())
