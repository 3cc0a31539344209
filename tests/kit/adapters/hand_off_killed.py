"""Run as a program: take canned outputs and die by SIGKILL at the Nth call of a named function.

Before and after a call count as two. The document on stdin says what and where.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from hand_off_harness import contract

from adapters.actions.contract.stage_model import StagedPart
from adapters.actions.outputs.hand_off import take_outputs
from fsd import Client, load_config
from sql import Database
from sql.actions.action_book import ActionBook
from sql.intent.quarantine_book import QuarantineBook

PLACES: dict[str, tuple[Any, str]] = {
    "batch_write": (Client, "batch_write"),
    "wait": (Client, "wait"),
    "declare": (Database, "declare"),
    "apply": (Database, "apply_intent"),
    "set_aside": (QuarantineBook, "add_of_event"),
    "outcomes": (ActionBook, "record_outcomes"),
}


def main(given: dict[str, Any]) -> None:
    """Take the outputs; `call` counts from 0."""
    owner, name = PLACES[given["place"]]
    original: Callable[..., Any] = getattr(owner, name)
    seen = 0

    def count() -> None:
        nonlocal seen
        if seen == given["call"]:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    def deadly(*arguments: Any, **options: Any) -> Any:
        count()
        result = original(*arguments, **options)
        count()
        return result

    setattr(owner, name, deadly)
    client = Client(load_config(given["config"]).socket_path)
    with Database.connect(given["dsn"]) as database:
        take_outputs(
            client,
            database,
            contract(),
            StagedPart.of_json(given["staged"]),
            action_event_id=given["event"],
            part=0,
            parameters={"margin": 2},
            run_id=1,
            exit_state="done",
        )


if __name__ == "__main__":
    main(json.load(sys.stdin))
