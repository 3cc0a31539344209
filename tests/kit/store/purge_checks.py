"""What tests of purges share: a store with a short grace, the verbs, kills at barriers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from command import ROOT
from store_checks import finish, key_of, until
from store_harness import Store, with_settings, write_files

from fsd.format.catalog import unpack_frames
from fsd.format.errors import NotFoundError

CHILD = os.path.join(ROOT, "tests", "kit", "store", "barrier_child.py")
SHARED = b"held by two batches" * 50


def quick_store(make: Callable[..., Store], disks: int = 3, **settings: object) -> Store:
    """Make a started store whose grace is over at once."""
    made = make(disks, started=False)
    made.config = with_settings(made.root, **{"grace_s": 0, **settings})
    made.start()
    return made


def files_of(name: str, count: int = 20, size: int = 3000) -> dict[str, bytes]:
    """Return random files, and one that every batch has."""
    files = {f"{name}/{n}": os.urandom(size) for n in range(count)}
    return {**files, f"{name}/shared": SHARED}


def store_batch(
    store: Store, tmp: str, name: str, files: dict[str, bytes], class_name: str = "raw"
) -> None:
    folder = write_files(os.path.join(tmp, f"source-{name}"), files)
    finish(store, store.client.batch_write(folder, name, class_name).job_id)


def purge(store: Store, name: str, *, dry_run: bool = False) -> tuple[dict[str, Any], list[Any]]:
    job_id = store.client.purge(name, dry_run=dry_run).job_id
    result = finish(store, job_id)
    return result, list(store.client.report(job_id))


def purge_keys(
    store: Store, contents: Iterable[bytes], *, dry_run: bool = False
) -> tuple[dict[str, Any], list[Any]]:
    keys = tuple(key_of(data) for data in contents)
    job_id = store.client.purge(keys=keys, dry_run=dry_run).job_id
    result = finish(store, job_id)
    return result, list(store.client.report(job_id))


def assert_gone(store: Store, contents: list[bytes]) -> None:
    for data in contents:
        with pytest.raises(NotFoundError):
            store.client.head(key_of(data))


def objects(store: Store) -> int:
    return store.client.health().objects


def reindex(store: Store) -> None:
    finish(store, store.client.reindex().job_id)


def own(files: dict[str, bytes]) -> list[bytes]:
    return [data for data in files.values() if data != SHARED]


def compact(store: Store, dead_share: float | None = None, state: str = "done") -> dict[str, Any]:
    return finish(store, store.client.compact(dead_share).job_id, state)


def everything(store: Store) -> object:
    """Return what the store knows, to be compared with what it knows after a reindex."""
    client = store.client
    batches = {batch.batch: batch for batch in client.batches()}
    files = {name: sorted(client.batch_files(name), key=lambda f: f.path) for name in batches}
    return batches, files, client.views(), client.pins(), client.health().objects


def crash(store: Store, verb: str, batch: str, barrier: str, index: str) -> None:
    """Kill the engine at a barrier; what is left is a stopped store."""
    store.stop()
    root, old = store.config.index_root, os.path.join(store.root, "old-index")
    shutil.copytree(root, old)
    arguments = [sys.executable, CHILD, store.config_path, verb, batch, barrier]
    ended = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": ROOT},
        start_new_session=True,
    )
    assert ended.returncode == -9, (ended.returncode, ended.stdout, ended.stderr)
    if index != "kept":
        shutil.rmtree(root)
    if index == "old":
        shutil.copytree(old, root)


def take_away(store: Store, *numbers: int) -> None:
    for number in numbers:
        os.rename(store.disks[number], f"{store.disks[number]}-away")


def bring_back(store: Store, *numbers: int) -> None:
    for number in numbers:
        os.rename(f"{store.disks[number]}-away", store.disks[number])
    until(lambda: all(d.state == "online" for d in store.client.disks()), "the disks")


def forget_last_entries(store: Store, number: int, kind: str) -> None:
    """Cut a catalog off before the first entry of a kind, as if the disk had not taken it."""
    path = os.path.join(store.disks[number], "catalog.log")
    with open(path, "rb") as file:
        log = file.read()
    for end in range(0, len(log), 4096):
        if any(entry.kind == kind for entry in unpack_frames(log[: end + 4096])):
            with open(path, "r+b") as file:
                file.truncate(end)
            return
    raise AssertionError(f"no {kind} in {path}")


def batches(store: Store) -> list[str]:
    return [batch.batch for batch in store.client.batches()]
