"""Run as a program: accept a schema and die by SIGKILL at the Nth call of a named function."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from adapters.schemas import rows, verdict
from sql import Database
from sql.intent.schema_book import SchemaBook

PLACES: dict[str, tuple[Any, str]] = {
    "declare": (Database, "declare"),
    "activate": (SchemaBook, "activate"),
    "apply": (Database, "apply_intent"),
    "note": (SchemaBook, "note_replayed"),
    "finish": (SchemaBook, "finish_replay"),
}


def main(dsn: str, name: str, place: str, call: int) -> None:
    """Die before and after count as two calls, so that both sides are tried."""
    rows.DOCUMENTS_PER_INTENT = 7
    owner, function = PLACES[place]
    original = getattr(owner, function)
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

    setattr(owner, function, deadly)
    with Database.connect(dsn) as database:
        verdict.accept(database, name, "tester")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
