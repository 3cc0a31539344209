"""A put that kills itself: `put_killed.py CONFIG FOLDER BATCH POINT COUNT`, for the crash tests.

It ends by SIGKILL when the point was passed COUNT times, and prints `done` when that never happens.

    begun     shards are in the catalogs, and no file of them is made
    sent      a group is on its way to its disks, with others that wait there
    answered  its disks have written it and read it back; the index does not know it
    indexed   the index knows it, and nobody was told
    several   so many groups are written by their disks, and the engine has heard of none
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from fsd.disks.config import load_config
from fsd.documents.models import BatchWriteRequest
from fsd.engine.engine import Engine
from fsd.ingest import open_shard
from fsd.ingest.open_shard import Append
from fsd.ingest.shard_writer import ShardWriter

SEVERAL = "several"

POINTS: dict[str, tuple[Any, str]] = {
    "begun": (ShardWriter, "_create"),
    "sent": (open_shard, "begin_append"),
    "answered": (Append, "end"),
    "indexed": (ShardWriter, "_index"),
}


def kill_at(point: str, count: int) -> None:
    place, name = POINTS[point]
    real, passed = getattr(place, name), 0

    def killed(*arguments: Any, **options: Any) -> Any:
        nonlocal passed
        answer = real(*arguments, **options)
        passed += 1
        if passed >= count:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(place, name, killed)


def kill_when_several_are_written(count: int) -> None:
    """Keep the answers of disks back until so many have come."""
    real, answered, lock = Append.end, 0, threading.Lock()

    def kept_back(*arguments: Any) -> Any:
        nonlocal answered
        real(*arguments)
        with lock:
            answered += 1
            if answered >= count:
                os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()

    Append.end = kept_back  # pyright: ignore[reportAttributeAccessIssue]


def main(config: str, folder: str, batch: str, point: str, count: str) -> None:
    engine = Engine(load_config(config))
    engine.start()
    if point == SEVERAL:
        kill_when_several_are_written(int(count))
    else:
        kill_at(point, int(count))
    job = engine.batch_write(BatchWriteRequest(folder=folder, batch=batch))
    job.finished.wait()
    print("done", job.state, job.error)
    engine.stop()


main(*sys.argv[1:])
