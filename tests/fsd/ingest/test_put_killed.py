"""Kill -9 of the engine while several groups of a put are on their way to the same disks."""

from __future__ import annotations

import contextlib
import glob
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from command import ROOT
from store_checks import (
    assert_batch,
    assert_clean,
    key_of,
    put,
    read_object,
    settle,
    shard_files,
)
from store_harness import MIB, Store, with_settings, write_files

from fsd.documents.models import BatchWriteRequest
from fsd.engine.engine import Engine
from fsd.format.catalog import unpack_frames
from fsd.ingest import open_shard
from fsd.ingest.pack_lane import COMMITS_MAX, commits_at_once
from fsd.ingest.shard_writer import OPEN_AHEAD_MAX

CHILD = os.path.join(ROOT, "tests", "kit", "store", "put_killed.py")
FILE_BYTES = 200_000
FILES = 80


def small_groups(make: Callable[..., Store], **settings: object) -> Store:
    """Make a store whose groups fill their shards, of one MiB, as small disks have."""
    made = make(3, started=False, shard_size_bytes=MIB)
    made.config = with_settings(made.root, packer_processes=2, **settings)
    assert commits_at_once(made.config.store.group_size_bytes) == COMMITS_MAX
    return made


def killed(store: Store, folder: str, point: str, count: int) -> dict[str, str]:
    """Put a folder until it is killed; returns {path: key} of what was acknowledged."""
    arguments = [sys.executable, CHILD, store.config_path, folder, "b", point, str(count)]
    ended = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": ROOT},
        start_new_session=True,
    )
    assert ended.returncode == -signal.SIGKILL, (ended.returncode, ended.stdout, ended.stderr)
    told: dict[str, str] = {}
    for path in glob.glob(os.path.join(store.config.run_dir, "jobs", "*.jsonl")):
        with open(path, encoding="ascii") as file:
            lines = [json.loads(line) for line in file if line.endswith("\n")]
        told |= {line["path"]: line["key"] for line in lines if line["status"] == "written"}
    return told


@pytest.mark.fault
@pytest.mark.parametrize(
    ("point", "count", "index"),
    [
        ("begun", 1, "kept"),
        ("begun", 3, "lost"),
        ("sent", 6, "kept"),
        ("sent", 9, "lost"),
        ("answered", 1, "lost"),
        ("answered", 5, "kept"),
        ("indexed", 1, "kept"),
        ("indexed", 5, "lost"),
    ],
)
def test_killed_with_several_groups_on_their_way(
    store: Callable[..., Store], short_tmp: str, point: str, count: int, index: str
):
    made = small_groups(store)
    files = {f"{number}": os.urandom(FILE_BYTES) for number in range(FILES)}
    source = write_files(os.path.join(short_tmp, "source"), files)
    told = killed(made, source, point, count)
    if index == "lost":
        shutil.rmtree(made.config.index_root)
    made.start()
    for path, key in told.items():
        assert key == key_of(files[path]) and read_object(made, key) == files[path]
    put(made, source, "b")
    assert_batch(made, "b", files)
    assert_clean(made)
    # Nothing of the shards that were begun and never written is left.
    for disk in made.disks:
        assert not os.path.isdir(f"{disk}/quarantine") or not os.listdir(f"{disk}/quarantine")


@pytest.mark.fault
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_power_goes_between_the_writing_of_several_groups_and_their_sync(
    store: Callable[..., Store], short_tmp: str, seed: int
):
    """Of what nobody was told each disk has kept all, a part, some of the sectors, or nothing."""
    made = small_groups(store)
    files = {f"{number}": os.urandom(FILE_BYTES) for number in range(FILES)}
    source = write_files(os.path.join(short_tmp, "source"), files)
    before = {"before": os.urandom(FILE_BYTES)}
    made.start()
    put(made, write_files(os.path.join(short_tmp, "before"), before), "before")
    made.stop()
    told = killed(made, source, "several", COMMITS_MAX)
    torn = tear(made, set(before.values()), random.Random(seed))
    # Each on two disks, in a shard of its own.
    assert torn >= 2 * COMMITS_MAX and not told
    made.start()
    put(made, source, "b")
    assert_batch(made, "b", files)
    assert_batch(made, "before", before)
    assert_clean(made)


def tear(store: Store, told: set[bytes], rng: random.Random) -> int:
    """Tear each file of a shard that has nothing acknowledged; returns how many."""
    count = 0
    paths = [path for disk in store.disks for path in shard_files(disk)]
    with contextlib.ExitStack() as opened:
        whole = {path: opened.enter_context(open(path, "rb")).read() for path in paths}
    kept = {os.path.basename(p) for p, data in whole.items() if any(one in data for one in told)}
    for path in paths:
        if os.path.basename(path) in kept:
            continue
        count += 1
        fate, sectors = rng.choice(("lost", "cut", "holes", "kept")), os.path.getsize(path) // 4096
        if fate == "lost":
            os.unlink(path)
        elif fate == "cut":
            os.truncate(path, rng.randrange(sectors + 1) * 4096)
        elif fate == "holes":
            with open(path, "r+b") as file:
                for sector in range(sectors):
                    if rng.random() < 0.3:
                        file.seek(sector * 4096)
                        file.write(bytes(4096))
    return count


@pytest.mark.fault
def test_a_disks_process_is_killed_in_a_sweep_of_several_puts(
    store: Callable[..., Store], short_tmp: str, monkeypatch: pytest.MonkeyPatch
):
    """Each put moves what that disk had to write to other ones, and ends whole."""
    made = small_groups(store)
    engine = Engine(made.config)
    engine.start()
    real, passed, killed_pids = open_shard.begin_append, itertools.count(1), list[int]()

    def sending(store_: Any, shard: Any, *arguments: Any, **options: Any) -> Any:
        answer = real(store_, shard, *arguments, **options)
        if next(passed) == 12:
            child = shard.disks[0].child
            killed_pids.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
        return answer

    monkeypatch.setattr(open_shard, "begin_append", sending)
    puts: dict[str, dict[str, bytes]] = {
        name: {f"{name}{number}": os.urandom(FILE_BYTES) for number in range(FILES // 2)}
        for name in ("a", "b", "c")
    }
    folders = {name: write_files(os.path.join(short_tmp, name), puts[name]) for name in puts}
    jobs = [
        engine.batch_write(BatchWriteRequest(folder=folder, batch=name))
        for name, folder in folders.items()
    ]
    for job in jobs:
        assert job.finished.wait(120) and job.state == "done", (job.state, job.error)
    assert len(killed_pids) == 1
    engine.stop()
    made.start()
    for name, content in puts.items():
        assert_batch(made, name, content)
    settle(made)
    assert_clean(made)


def entries(store: Store, kind: str) -> list[list[str]]:
    """Return the shards of a kind of entries, those that were written at once together."""
    with open(os.path.join(store.disks[0], "catalog.log"), "rb") as file:
        log = file.read()
    return [entry.data["shard"] for entry in unpack_frames(log) if entry.kind == kind]


def test_shards_are_begun_for_what_is_to_come_and_no_more(store, short_tmp: str):
    """One file begins one shard; many begin no more than they fill, but for the last ones."""
    made = small_groups(store)
    made.start()
    put(made, write_files(os.path.join(short_tmp, "one"), {"a": b"a" * 1000}), "one")
    assert len(entries(made, "shard_open")) == 1
    files = {f"{number}": os.urandom(FILE_BYTES) for number in range(FILES)}
    source = write_files(os.path.join(short_tmp, "source"), files)
    put(made, source, "many")
    # The same again writes nothing but the list of its files.
    put(made, source, "again")
    assert_clean(made)
    begun, ended = entries(made, "shard_open"), entries(made, "shard_seal")
    abandoned = entries(made, "shard_abandon")
    assert len(begun) == len(set(ended)) + len(abandoned)
    assert len(abandoned) < OPEN_AHEAD_MAX
