"""Makes the stores that lie beside it, by the code that it is run with: `make.py [NAME ...]`.

    killed-in-put    the engine was killed when a group was durable and the index did not know it
    torn-group       the same, and the power went: groups torn, an acknowledged one on one disk
    disk-away        a disk was taken away, and files were put meanwhile
    purge-in-doubt   killed when a purge had begun, and a disk is away that may know of its end
    vacated-shard    a compaction has moved what lives; what it moved from waits for its grace
    declared-gone    two disks were declared gone, and what they alone had is lost

Each is what version 1 of the format may find (`fsd/FORMAT.md`), made before the write path came to
read back several groups in one sweep. Whoever runs this again makes stores of a later version: give
them another folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path[:0] = [ROOT, *(os.path.join(ROOT, "tests", "kit", part) for part in ("run", "store"))]

from older_stores import Promises, pack  # noqa: E402
from purge_checks import crash, purge, store_batch, take_away  # noqa: E402
from store_checks import disk, finish, put, settle, shard_files, until, wait_for_state  # noqa: E402
from store_harness import MIB, Store, with_settings, write_files  # noqa: E402

from base.config import CONFIG_NAME  # noqa: E402
from fsd.disks.config import load_config  # noqa: E402
from fsd.documents.models import BatchWriteRequest  # noqa: E402
from fsd.engine.engine import Engine  # noqa: E402
from fsd.engine.setup import init_store  # noqa: E402
from fsd.format.record import SHARD_HEADER_BYTES, unpack_group_header  # noqa: E402
from fsd.ingest.shard_writer import ShardWriter  # noqa: E402

GROUPS_TOLD = 2
MADE: list[Store] = []


def content(name: str, size_bytes: int) -> bytes:
    """Return content of its own that packs well."""
    digest = hashlib.sha256(name.encode()).digest()
    return (digest * (size_bytes // len(digest) + 1))[:size_bytes]


def some(name: str, count: int, size_bytes: int = 3000) -> dict[str, bytes]:
    return {f"{name}/{n}": content(f"{name}/{n}", size_bytes + n) for n in range(count)}


def keys_of(files: dict[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def new_store(folder: str, disks: int, **settings: object) -> Store:
    root = os.path.join(folder, "s")
    paths = [os.path.join(root, f"d{number}") for number in range(1, disks + 1)]
    # Groups are of a shard's size where that is small: a shard of several is made by hand.
    init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=MIB)
    path = os.path.join(root, CONFIG_NAME)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        name = "shard_size_bytes = "
        file.write(text.replace(f"{name}{MIB}", f"{name}{4 * MIB}"))
    made = Store(root, with_settings(root, **settings), paths)
    MADE.append(made)
    made.start()
    return made


def killed_in_put(folder: str) -> tuple[Store, Promises]:
    """One lane packs a group after the other; the third is durable, and nobody was told of it."""
    made = new_store(folder, 3, packer_processes=1)
    before = some("before", 5)
    store_batch(made, folder, "before", before)
    made.stop()
    source = write_files(os.path.join(folder, "source"), some("put", 40, 100_000))
    command = [sys.executable, os.path.abspath(__file__), "--put-and-die", made.config_path, source]
    ended = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
    assert ended.returncode == -signal.SIGKILL, (ended.stdout, ended.stderr)
    told = dict(line.split(" ") for line in ended.stdout.splitlines())
    assert 0 < len(told) < 40, told
    return made, Promises({"before": keys_of(before), "put": told})


def put_and_die(config: str, source: str) -> None:
    """Put a folder, tell what is acknowledged, and die when a group more is durable."""
    engine = Engine(load_config(config))
    engine.start()
    name = "_index"
    index = getattr(ShardWriter, name)
    job: Any = None
    groups = 0

    def counting(*arguments: Any) -> None:
        nonlocal groups
        groups += 1
        if groups > GROUPS_TOLD:
            while job is None or job.done_files == 0:
                time.sleep(0.01)
            with open(job.report_path, encoding="ascii") as file:
                for line in map(json.loads, file):
                    print(line["path"], line["key"], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        index(*arguments)

    setattr(ShardWriter, name, counting)
    job = engine.batch_write(BatchWriteRequest(folder=source, batch="put"))
    job.finished.wait()
    print("nothing killed it", job.state, job.error)


def torn_group(folder: str) -> tuple[Store, Promises]:
    made, promises = killed_in_put(folder)
    for shard_id, paths in _open_shards(made).items():
        starts = _groups(paths[0])
        # Of three groups one lies in a shard beside it: while one is written, the next is packed.
        assert len(starts) == GROUPS_TOLD, (shard_id, starts)
        # Nobody was told of the last group: each disk has kept another part of it.
        last = starts[-1]
        for path, kept in zip(paths, (256 << 10, 300 << 10), strict=True):
            os.truncate(path, last + kept)
        # An acknowledged one has lost its trailer on the first disk.
        with open(paths[0], "r+b") as file:
            file.seek(last - 4096)
            file.write(bytes(4096))
    return made, promises


def _open_shards(store: Store) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in [path for one in store.disks for path in shard_files(one)]:
        if len(_groups(path)) > 1:
            found.setdefault(os.path.basename(path), []).append(path)
    assert len(found) == 1, found
    return found


def _groups(path: str) -> list[int]:
    """Return where each group of a shard file begins."""
    starts, offset = list[int](), SHARD_HEADER_BYTES
    with open(path, "rb") as file:
        data = file.read()
    while data[offset : offset + 8] == b"DRYGRUP1":
        starts.append(offset)
        offset += unpack_group_header(data, offset).length_bytes
    return starts


def disk_away(folder: str) -> tuple[Store, Promises]:
    made = new_store(folder, 3)
    files = {name: some(name, 12) for name in ("early", "late")}
    store_batch(made, folder, "early", files["early"])
    settle(made)
    take_away(made, 2)
    wait_for_state(made, 2, "missing")
    store_batch(made, folder, "late", files["late"])
    made.stop()
    acked = {name: keys_of(content) for name, content in files.items()}
    return made, Promises(acked, away=["d3"])


def purge_in_doubt(folder: str) -> tuple[Store, Promises]:
    made = new_store(folder, 3)
    files = {name: some(name, 12) for name in ("kept", "purged")}
    for name, data in files.items():
        store_batch(made, folder, name, data)
    settle(made)
    crash(made, "purge", "purged", "begun", "kept")
    take_away(made, 2)
    acked = {name: keys_of(data) for name, data in files.items()}
    return made, Promises(acked, hidden=["purged"], away=["d3"])


def vacated_shard(folder: str) -> tuple[Store, Promises]:
    made = new_store(folder, 3, grace_s=1e9)
    files = {name: some(name, 12) for name in ("kept", "purged")}
    for name, data in files.items():
        store_batch(made, folder, name, data)
    settle(made)
    purge(made, "purged")
    assert finish(made, made.client.compact(0.01).job_id)["compacted"]
    waiting = made.client.compact_plan().waiting_shards
    assert waiting
    made.stop()
    return made, Promises({"kept": keys_of(files["kept"])}, waiting_shards=waiting)


def declared_gone(folder: str) -> tuple[Store, Promises]:
    made = new_store(folder, 4)
    keys: dict[str, str] = {}
    lost: list[str] = []
    for number in range(20):
        files = some(f"b{number}", 2)
        put(made, write_files(os.path.join(folder, f"b{number}"), files), f"b{number}")
        keys |= keys_of(files)
        settle(made)
        pairs = {key: set(made.client.head(key).disks) for key in keys.values()}
        gone = {disk(made, one).name for one in (2, 3)}
        lost = sorted(key for key, pair in pairs.items() if pair <= gone)
        if lost and len(lost) < len(keys) // 2:
            break
    assert lost
    acked: dict[str, dict[str, str]] = {}
    for path, key in keys.items():
        if key not in lost:
            acked.setdefault(path.split("/")[0], {})[path] = key
    take_away(made, 2, 3)
    for number in (2, 3):
        wait_for_state(made, number, "missing")
    for name in ("d3", "d4"):
        made.client.wait(made.client.rebuild(name).job_id)
    left = set(keys.values()) - set(lost)
    until(lambda: all(made.client.head(key).copies == 2 for key in left), "two copies of the rest")
    made.stop()
    return made, Promises(acked, gone=["d3", "d4"], lost=lost)


STORES: dict[str, Callable[[str], tuple[Store, Promises]]] = {
    "killed-in-put": killed_in_put,
    "torn-group": torn_group,
    "disk-away": disk_away,
    "purge-in-doubt": purge_in_doubt,
    "vacated-shard": vacated_shard,
    "declared-gone": declared_gone,
}


def main(names: list[str]) -> None:
    for name in names or STORES:
        with tempfile.TemporaryDirectory(prefix="ds-") as folder:
            try:
                made, promises = STORES[name](folder)
            finally:
                for one in MADE:
                    one.stop()
            target = os.path.join(HERE, f"{name}.tar.xz")
            pack(made, promises, target)
            print(name, os.path.getsize(target), "bytes")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--put-and-die"]:
        put_and_die(*sys.argv[2:])
    else:
        main(sys.argv[1:])
