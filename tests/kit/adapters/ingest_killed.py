"""Run as a program: ingest folders and die by SIGKILL at the Nth call of a named function.

The functions are barriers of UA_1: what writes durably, stores, applies, registers or renames.
Its input says which, a line for each death, and each is one of a copy of its process: most of such
a short life would be imports.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from adapters.ingest import ingest
from adapters.packages import package
from adapters.work.batch_work import Signal
from base import files
from fsd import Client
from sql import Database
from sql.intent.ingest_book import IngestBook
from sql.intent.quarantine_book import QuarantineBook

LIFE_S_MAX = 120
PLACES: dict[str, tuple[Any, str]] = {
    "write_durably": (ingest, "write_durably"),
    "write_json": (ingest, "write_json_durably"),
    "sync": (files, "sync_folder"),
    "record": (ingest, "_write_record"),
    "batch_write": (Client, "batch_write"),
    "wait": (Client, "wait"),
    "declare": (Database, "declare"),
    "open_batch": (IngestBook, "open"),
    "apply": (Database, "apply_intent"),
    "quarantine": (QuarantineBook, "add_of_batch"),
    "state": (IngestBook, "set_state"),
    "objects": (package, "_write_objects"),
    "package_sync": (package, "sync_folder"),
    "register": (IngestBook, "add_package"),
}


def main(config_path: str, folder: str, batch: str, place: str, call: int) -> None:
    """Ingest; die before and after count as two calls, so that both sides are tried."""
    owner, name = PLACES[place]
    original: Callable[..., Any] = getattr(owner, name)
    seen = 0

    def count() -> None:
        nonlocal seen
        if seen == call:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    def deadly(*arguments: Any, **options: Any) -> Any:
        count()
        result = original(*arguments, **options)
        count()
        return result

    setattr(owner, name, deadly)
    ingest.ingest(config_path, Signal(folder, batch, "gallery-dl", "tester"))


def serve() -> None:
    """Print the exit code of each."""
    for line in sys.stdin:
        if not (pid := os.fork()):
            _end(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _end(arguments: list[Any]) -> None:
    signal.alarm(LIFE_S_MAX)
    try:
        main(*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    serve()
